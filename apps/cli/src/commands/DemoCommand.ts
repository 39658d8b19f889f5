/**
 * `batchctl demo`: the main job from submit to verified rows, against a sandbox of its own.
 */
import { Effect, Option } from "effect"
import { UsageError } from "../failure/CliError.js"
import * as Commands from "../syntax/Commands.js"
import { count } from "../terminal/Humanize.js"
import * as Command from "./Command.js"

const mostRecords = 10_000

const run = Effect.fn("DemoCommand.run")(function* ({ records }: { readonly records: number }) {
  if (records < 1 || records > mostRecords) {
    const detail = `--records ${records} must be from 1 to ${count(mostRecords)}`
    return yield* new UsageError({ detail, hint: Option.none(), batchId: Option.none() })
  }
  const demo = yield* Effect.promise(() => import("./Demo.js"))
  yield* demo.run(records)
})

/** `batchctl demo` */
export const command = Command.make(Commands.demo, ({ values }) =>
  run({ records: Number(values.records ?? 1_000) })
)
