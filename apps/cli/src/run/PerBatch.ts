/**
 * Runs an effect for each batch, concurrently. A batch that fails does not stop the others, and the exit code is that
 * of the first that failed, in the order of the arguments.
 */
import type { Batch, BatchId } from "@org/batch-core/Batch"
import type { BatchError } from "@org/batch-core/BatchError"
import { Cause, Deferred, Effect, Either, Exit } from "effect"
import { AlreadyReported } from "../failure/CliError.js"
import * as Report from "../failure/Report.js"
import type { Ids } from "../options/BatchIds.js"
import { again, CommandLine } from "../terminal/CommandLine.js"
import { Stderr } from "../terminal/Stderr.js"
import { unbroken } from "../terminal/Wrap.js"
import type { Stdout, StdoutError } from "../terminal/Stdout.js"

/** The effect to run for each batch, and how its result is printed. */
export interface Work<A, E extends BatchError, R, R2> {
  readonly ids: Ids
  /** How many batches run at the same time. */
  readonly concurrency: number
  /** `arguments` keeps what is printed in the order of the ids; `arrival` prints each as soon as it is done. */
  readonly order: "arguments" | "arrival"
  readonly run: (id: BatchId) => Effect.Effect<A, E, R>
  /** Prints a result and returns its exit code. */
  readonly emit: (result: A, id: BatchId) => Effect.Effect<number, StdoutError, R2>
  /** The message of an interruption; the command that resumes the unfinished batches follows it. */
  readonly ifInterrupted?: string | undefined
  /** The last status that the API gave for a batch, for the message when it fails. */
  readonly last?: ((id: BatchId) => Effect.Effect<Batch | undefined>) | undefined
}

/** Runs all batches and prints each result or failure; then fails with the exit code if it is not 0. */
export const run = <A, E extends BatchError, R, R2>(
  work: Work<A, E, R, R2>
): Effect.Effect<void, StdoutError | AlreadyReported, R | R2 | CommandLine | Stdout | Stderr> =>
  Effect.gen(function* () {
    const turns = yield* Effect.forEach(work.ids, () => Deferred.make<void>())
    const ended = new Set<BatchId>()
    const codes = yield* Effect.forEach(
      work.ids,
      (id, index) =>
        Effect.gen(function* () {
          const result = yield* Effect.exit(work.run(id))
          const before = work.order === "arguments" ? turns[index - 1] : undefined
          // With `arguments` a batch prints only after the one before it, whichever has ended first.
          if (before !== undefined) yield* Deferred.await(before)
          const code = yield* conclude(work, id, result)
          ended.add(id)
          yield* Effect.forEach(turns.slice(index, index + 1), (turn) => Deferred.succeed(turn, undefined))
          return code
        }),
      { concurrency: work.concurrency }
    ).pipe(
      Effect.onInterrupt(() =>
        goOn(
          work.ifInterrupted,
          work.ids.filter((id) => !ended.has(id))
        )
      )
    )
    const exitCode = codes.find((code) => code !== 0)
    if (exitCode !== undefined) return yield* new AlreadyReported({ exitCode })
  })

const goOn = (
  what: string | undefined,
  left: ReadonlyArray<BatchId>
): Effect.Effect<void, never, CommandLine | Stderr> =>
  Effect.gen(function* () {
    if (what === undefined) return
    const stderr = yield* Stderr
    yield* stderr.line(`interrupted: ${what}`)
    yield* stderr.line(`  next   ${unbroken(again(yield* CommandLine, { ids: left }))}`)
  })

const conclude = <A, E extends BatchError, R, R2>(
  work: Work<A, E, R, R2>,
  id: BatchId,
  result: Exit.Exit<A, E>
): Effect.Effect<number, StdoutError, R2 | CommandLine | Stdout | Stderr> =>
  Effect.gen(function* () {
    if (Exit.isSuccess(result)) return yield* work.emit(result.value, id)
    const failure = Cause.failureOrCause(result.cause)
    if (Either.isRight(failure)) return yield* Report.defect(Cause.squash(failure.right), id)
    const last = work.last === undefined ? undefined : yield* work.last(id)
    return yield* Report.failure(failure.left, { batchId: id, last })
  })
