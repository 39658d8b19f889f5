import { it } from "@effect/vitest"
import { Sandbox } from "@org/batch-node/Sandbox"
import { Effect } from "effect"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { expect } from "vitest"
import * as Stack from "./Stack.js"

it.scopedLive(
  "carries a retrieval to its end",
  () =>
    Effect.gen(function* () {
      const folder = yield* Stack.emptyFolder
      yield* Effect.gen(function* () {
        const sandbox = yield* Sandbox
        const id = yield* sandbox.createJob({ records: 50 })
        const { retrieval } = yield* Stack.handOver(id, "rows.jsonl")
        const done = yield* Stack.ended(retrieval.retrievalId)
        expect(done?.state).toBe("done")
        const text = yield* Effect.promise(() => readFile(join(folder, "out/rows.jsonl"), "utf8"))
        expect(text.trim().split("\n").length).toBe(50)
      }).pipe(Effect.provide(Stack.layer(folder)))
    }),
  40_000
)
