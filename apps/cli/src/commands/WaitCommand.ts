/**
 * `batchctl wait`: polls jobs until each is completed or failed.
 */
import { type Batch, type BatchId, toJson } from "@org/batch-core/Batch"
import { batchFailed } from "@org/batch-core/BatchError"
import * as BatchPoll from "@org/batch-core/BatchPoll"
import { Effect, Stream } from "effect"
import * as ExitCode from "../failure/ExitCode.js"
import * as FailureText from "../failure/FailureText.js"
import * as Report from "../failure/Report.js"
import * as BatchIds from "../options/BatchIds.js"
import * as Timeout from "../options/Timeout.js"
import * as ProgressReporter from "../progress/ProgressReporter.js"
import * as JobText from "../run/JobText.js"
import * as PerBatch from "../run/PerBatch.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as Commands from "../syntax/Commands.js"
import { Stdout } from "../terminal/Stdout.js"
import * as Command from "./Command.js"

/** An account runs at most 5 jobs at a time, so with 8 places those that have ended are never kept waiting. */
const concurrency = 8

/** The parsed flags and arguments. */
interface Request {
  readonly ids: ReadonlyArray<string>
  readonly timeout: string
  readonly json: boolean
  readonly quiet: boolean
}

const untilEnd = (id: BatchId, left: Timeout.Left, reporter: ProgressReporter.ProgressReporter) =>
  Effect.gen(function* () {
    const deadline = yield* left
    const onNotice = (notice: BatchPoll.Notice) => reporter.onEvent(id)({ _tag: "Notice", notice })
    const final = yield* BatchPoll.watch(id, { deadline, onNotice }).pipe(
      Stream.tap((batch) => reporter.onEvent(id)({ _tag: "Status", batch })),
      Stream.runLast
    )
    return yield* Effect.orDie(final)
  }).pipe(Effect.ensuring(reporter.ended(id, "done")))

const print = (batch: Batch, json: boolean) =>
  Effect.gen(function* () {
    const stdout = yield* Stdout
    yield* json ? stdout.json(toJson(batch)) : stdout.text([JobText.line(batch)])
    return ExitCode.ok
  })

/** Prints a failed job. With `--json` state and error are one object, so that every batch has exactly one line. */
const printFailed = (batch: Batch, json: boolean) =>
  Effect.gen(function* () {
    const stdout = yield* Stdout
    const error = batchFailed(batch)
    const { batchId } = batch
    yield* json
      ? stdout.json(Object.assign({}, toJson(batch), FailureText.json(error, { batchId })))
      : stdout.text([JobText.line(batch)])
    return yield* Report.aside(error, { batchId })
  })

const run = Effect.fn("WaitCommand.run")(function* (request: Request) {
  const ids = yield* BatchIds.parse(request.ids)
  const left = yield* Timeout.start(request.timeout)
  const reporter = yield* ProgressReporter.make({ ids, quiet: request.quiet })
  yield* PerBatch.run({
    ids,
    concurrency,
    order: "arrival",
    run: (id) => untilEnd(id, left, reporter),
    emit: (batch) => (batch.status === "failed" ? printFailed : print)(batch, request.json),
    ifInterrupted: "the wait has ended, the job goes on",
    last: reporter.last
  }).pipe(Effect.provide(CoreLayer.layer))
}, Effect.scoped)

/** `batchctl wait <batch-id>...` */
export const command = Command.make(Commands.wait, ({ positionals: ids, values }) =>
  run({ ids, timeout: Timeout.of(values), json: values.json === true, quiet: values.quiet === true })
)
