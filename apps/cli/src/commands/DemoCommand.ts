/**
 * `batchctl demo`: the main job from submit to verified rows, against a sandbox of its own.
 */
import { Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { UsageError } from "../failure/CliError.js"

const mostRecords = 10_000

const options = {
  records: Options.integer("records").pipe(
    Options.withDescription("Companies to submit, 1 to 10,000. Default: 1000"),
    Options.withDefault(1_000)
  )
}

const run = Effect.fn("DemoCommand.run")(function* ({ records }: { readonly records: number }) {
  if (records < 1 || records > mostRecords) {
    const detail = `--records ${records} must be from 1 to ${mostRecords}`
    return yield* new UsageError({ detail, hint: Option.none(), batchId: Option.none() })
  }
  const demo = yield* Effect.promise(() => import("./Demo.js"))
  yield* demo.run(records)
})

/** `batchctl demo` */
export const command = Command.make("demo", options, run).pipe(
  Command.withDescription(
    "Show the main job in a few seconds: submit, wait, download, verify. No key needed."
  )
)
