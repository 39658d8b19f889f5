// @ts-check
import { NodeRuntime } from "@effect/platform-node"
import { Batch, Records } from "@org/batch-core"
import { BatchNode } from "@org/batch-node"
import { Console, Effect, Schema, Stream } from "effect"

/** What is needed of a row; whatever else it has is left out. */
const Company = Schema.Struct({
  data: Schema.Struct({ taxonomy: Schema.Struct({ professional_network_industry: Schema.String }) })
})

const program = Effect.gen(function* () {
  const id = yield* Schema.decodeUnknown(Batch.BatchId)(process.argv[2])
  const counts = yield* Records.ofBatch(id, {
    deadline: "30 minutes",
    schema: Company,
    onInvalid: (invalid) => Console.error(`left out: ${invalid.message}`)
  }).pipe(
    Stream.map(({ data }) => data.taxonomy.professional_network_industry),
    Stream.runFold(/** @type {Map<string, number>} */ (new Map()), (found, industry) =>
      found.set(industry, (found.get(industry) ?? 0) + 1)
    )
  )
  const sorted = [...counts].sort(([, a], [, b]) => b - a)
  for (const [industry, count] of sorted) yield* Console.log(`${count}\t${industry}`)
})

NodeRuntime.runMain(program.pipe(Effect.provide(BatchNode.layer)))
