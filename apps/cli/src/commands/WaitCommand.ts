/**
 * `batchctl wait`: waits until jobs have ended.
 */
import { Command, Options } from "@effect/cli"
import { type Batch, type BatchId, toJson } from "@org/batch-core/Batch"
import { BatchFailed } from "@org/batch-core/BatchError"
import * as BatchPoll from "@org/batch-core/BatchPoll"
import { Effect, Option, Stream } from "effect"
import * as BatchIds from "../options/BatchIds.js"
import * as ExitCode from "../failure/ExitCode.js"
import * as Failure from "../failure/Failure.js"
import * as JobText from "../run/JobText.js"
import { Output } from "../terminal/Output.js"
import * as PerBatch from "../run/PerBatch.js"
import * as Report from "../failure/Report.js"
import * as Session from "../settings/Session.js"
import * as Timeout from "../options/Timeout.js"
import * as Tracker from "../progress/Tracker.js"

/** An account runs at most 5 jobs at a time, so with 8 places those that have ended are never kept waiting. */
export const concurrency = 8

const options = {
  ids: BatchIds.args,
  timeout: Timeout.option,
  json: Options.boolean("json").pipe(Options.withDescription("Print the API's own JSON of the final state.")),
  quiet: Options.boolean("quiet").pipe(
    Options.withDescription("No progress on standard error; errors still.")
  )
}

/** What was asked for. */
interface Request {
  readonly ids: ReadonlyArray<string>
  readonly timeout: string
  readonly json: boolean
  readonly quiet: boolean
}

const untilEnd = (id: BatchId, left: Timeout.Left, tracker: Tracker.Tracker) =>
  Effect.gen(function* () {
    const deadline = yield* left
    const onNotice = (notice: BatchPoll.Notice) => tracker.onEvent(id)({ _tag: "Notice", notice })
    const final = yield* BatchPoll.watch(id, { deadline, onNotice }).pipe(
      Stream.tap((batch) => tracker.onEvent(id)({ _tag: "Status", batch })),
      Stream.runLast
    )
    return yield* Effect.orDie(final)
  }).pipe(Effect.ensuring(tracker.ended(id, "done")))

const print = (batch: Batch, json: boolean) =>
  Effect.gen(function* () {
    const output = yield* Output
    yield* json ? output.json(toJson(batch)) : output.line(JobText.line(batch))
    return ExitCode.ok
  })

/** The final state and the failure in one object, so that there is one line a batch whatever became of it. */
const printFailed = (batch: Batch, json: boolean) =>
  Effect.gen(function* () {
    const output = yield* Output
    const errorMessage = Option.getOrElse(batch.errorMessage, () => "no reason was given")
    const error = new BatchFailed({ batch, errorMessage })
    const { batchId } = batch
    yield* json
      ? output.json(Object.assign({}, toJson(batch), Failure.json(error, { batchId })))
      : output.line(JobText.line(batch))
    return yield* Report.aside(error, { batchId })
  })

const run = Effect.fn("WaitCommand.run")(function* (request: Request) {
  const ids = yield* BatchIds.parse(request.ids)
  const left = yield* Timeout.start(request.timeout)
  const tracker = yield* Tracker.make({ ids, quiet: request.quiet })
  yield* PerBatch.run({
    ids,
    concurrency,
    order: "arrival",
    run: (id) => untilEnd(id, left, tracker),
    emit: (batch) => (batch.status === "failed" ? printFailed : print)(batch, request.json),
    ifInterrupted: "the wait has ended, the job goes on",
    last: tracker.last
  }).pipe(Effect.provide(Session.layer))
}, Effect.scoped)

/** `batchctl wait <batch-id>...` */
export const command = Command.make("wait", options, run).pipe(
  Command.withDescription("Wait until batch jobs have ended.")
)
