/**
 * `batchctl runs`: the campaigns of this machine, newest first.
 */
import * as Campaign from "@org/batch-core/Campaign"
import { Clock, Effect, Option, Schema } from "effect"
import * as StateFolder from "../settings/StateFolder.js"
import * as Commands from "../syntax/Commands.js"
import { ago, count, table } from "../terminal/Humanize.js"
import { Stderr } from "../terminal/Stderr.js"
import { Stdout } from "../terminal/Stdout.js"
import * as Command from "./Command.js"

const columns = [
  { heading: "CAMPAIGN" },
  { heading: "JOB" },
  { heading: "ROWS", right: true },
  { heading: "JOBS", right: true },
  { heading: "STATE" },
  { heading: "STARTED", right: true },
  { heading: "OUTPUT" }
]

const stateOf = ({ failed, isFinished, jobs, kept, undecided }: Campaign.Summary): string => {
  if (undecided > 0) return `${count(undecided)} undecided`
  if (failed > 0) return `${count(failed)} failed`
  return isFinished ? "finished" : `${Math.floor((100 * kept) / Math.max(1, jobs))} % done`
}

const run = Effect.fn("RunsCommand.run")(function* (json: boolean) {
  const stdout = yield* Stdout
  const campaigns = yield* Campaign.all(yield* StateFolder.campaigns)
  if (json) {
    return yield* Effect.forEach(
      campaigns,
      (one) => Effect.flatMap(Effect.orDie(Schema.encode(Campaign.SummaryJson)(one)), stdout.json),
      { discard: true }
    )
  }
  if (campaigns.length === 0) return yield* (yield* Stderr).line("no campaigns")
  const now = yield* Clock.currentTimeMillis
  const rows = campaigns.map((one) => [
    one.campaign,
    one.kind,
    count(one.rows),
    `${count(one.kept)}/${count(one.jobs)}`,
    stateOf(one),
    ago(Option.some(one.startedAt), now),
    one.output
  ])
  yield* stdout.line(table(columns, rows).join("\n"))
})

/** `batchctl runs` */
export const command = Command.make(Commands.runs, ({ values }) => run(values.json === true))
