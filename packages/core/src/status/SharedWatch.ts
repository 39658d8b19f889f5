/**
 * Shared waits: however many follow a batch, it is polled once, from the first who comes until the last has gone or the
 * job has ended. Everyone sees the last answer at once, and then the newest one whenever they look.
 *
 * @example
 * import { Effect, Stream } from "effect"
 * import { type Batch, SharedWatch } from "@org/batch-core"
 *
 * const program = (id: Batch.BatchId) =>
 *   Effect.gen(function* () {
 *     const watches = yield* SharedWatch.SharedWatch
 *     const wait = watches.wait(id, "1 minute")
 *     return yield* Effect.all([wait, Stream.runCount(watches.follow(id))], { concurrency: 2 })
 *   }).pipe(Effect.provide(SharedWatch.layer))
 */
import { Context, Duration, Effect, Either, Exit, Layer, Option, RcMap, type Scope, Stream } from "effect"
import { type Batch, type BatchId, isTerminal } from "../model/Batch.js"
import type { BatchClient } from "./BatchClient.js"
import type { BatchConfig } from "../model/BatchConfig.js"
import { type ApiUnavailable, type WatchError, WaitTimeout } from "../model/BatchError.js"
import * as BatchPoll from "./BatchPoll.js"
import * as Condition from "../disk/Condition.js"
import * as Monotonic from "../retry/Monotonic.js"

/** Shared waits over the calls of one account. */
export interface Service {
  /**
   * The answers to polls, the last known one first, and the failed requests since, which do not end it: right and left.
   * Those that nobody had time to look at are passed over.
   */
  readonly follow: (batchId: BatchId) => Stream.Stream<Either.Either<Batch, BatchPoll.Excuse>, WatchError>
  /**
   * The job when it has ended, or as it was last seen when the deadline passes; `ApiUnavailable` if it was never seen. A
   * job that has failed is an answer, too. Who slept past the deadline, as on a machine that was suspended, asks once more.
   */
  readonly wait: (batchId: BatchId, deadline: BatchPoll.Deadline) => Effect.Effect<Batch, WatchError>
  /** As `wait`, but a job that is still running is `WaitTimeout`. */
  readonly end: (batchId: BatchId, deadline: BatchPoll.Deadline) => Effect.Effect<Batch, WatchError>
}

/** Shared waits over the calls of one account. */
export class SharedWatch extends Context.Tag("@org/batch-core/SharedWatch")<SharedWatch, Service>() {}

/** The polling of one batch, as those who share it see it. */
interface Watch {
  last: Option.Option<Batch>
  /** Answers so far. */
  polls: number
  /** Failed requests so far, and the last of them since the last answer. */
  failures: number
  excuse: Option.Option<BatchPoll.Excuse>
  ended: Option.Option<Exit.Exit<void, WatchError>>
  readonly changed: Condition.Condition
}

/** Shared waits over the calls of one account: make one for each key. */
export const make: Effect.Effect<Service, never, BatchClient | BatchConfig | Scope.Scope> = Effect.gen(
  function* () {
    const watches = yield* RcMap.make({ lookup: begin })
    const looks = yield* RcMap.make({ lookup: look })
    const wait = (batchId: BatchId, deadline: BatchPoll.Deadline, isEnough: (batch: Batch) => boolean) =>
      Effect.scoped(
        Effect.gen(function* () {
          const watch = yield* RcMap.get(watches, batchId)
          const [begun, patience] = [yield* Monotonic.now, BatchPoll.durationOf(deadline)]
          const ended = yield* Effect.timeoutOption(Stream.runLast(answers(watch)), patience)
          const slept = yield* Monotonic.sleptPast(begun + Duration.toMillis(patience))
          const last = Option.isNone(ended)
            ? yield* slept ? lookAgain(watch, RcMap.get(looks, batchId)) : Effect.succeed(watch.last)
            : ended.value
          const elapsed = Duration.millis((yield* Monotonic.now) - begun)
          return yield* Effect.mapError(Option.filter(last, isEnough), () =>
            timeout(batchId, { ...watch, last }, elapsed)
          )
        })
      )
    return {
      follow: (batchId) => Stream.unwrapScoped(Effect.map(RcMap.get(watches, batchId), newsOf)),
      wait: (batchId, deadline) => wait(batchId, deadline, () => true),
      end: (batchId, deadline) => wait(batchId, deadline, ({ status }) => isTerminal(status))
    }
  }
)

/** Shared waits over the calls of one account. */
export const layer: Layer.Layer<SharedWatch, never, BatchClient | BatchConfig> = Layer.scoped(
  SharedWatch,
  make
)

/** Polls a batch until the scope is closed, which is when the last who follows it has gone. */
function begin(batchId: BatchId): Effect.Effect<Watch, never, BatchClient | BatchConfig | Scope.Scope> {
  return Effect.gen(function* () {
    const changed = yield* Condition.make
    const watch: Watch = {
      last: Option.none(),
      polls: 0,
      failures: 0,
      excuse: Option.none(),
      ended: Option.none(),
      changed
    }
    yield* BatchPoll.watch(batchId, {
      deadline: Duration.infinity,
      onNotice: (notice) =>
        Effect.suspend(() => {
          if (notice._tag !== "RequestFailed") return Effect.void
          watch.failures += 1
          watch.excuse = Option.some(notice.error)
          return changed.notify
        })
    }).pipe(
      Stream.runForEach((batch) =>
        Effect.suspend(() => {
          watch.last = Option.some(batch)
          watch.polls += 1
          watch.excuse = Option.none()
          return changed.notify
        })
      ),
      Effect.onExit((exit) =>
        Effect.suspend(() => {
          watch.ended = Option.some(exit)
          return changed.notify
        })
      ),
      Effect.forkScoped
    )
    return watch
  })
}

/** One look at a job, by whoever slept past a deadline. */
function look(batchId: BatchId): Effect.Effect<Option.Option<Batch>, WatchError, BatchClient | BatchConfig> {
  const options = { deadline: BatchPoll.lastChance, onNotice: () => Effect.void }
  return Stream.runHead(BatchPoll.watch(batchId, options))
}

/** The job as it is after all; as it was last seen, if it was and the look has failed. */
const lookAgain = <R>(
  watch: Watch,
  look: Effect.Effect<Option.Option<Batch>, WatchError, R>
): Effect.Effect<Option.Option<Batch>, WatchError, R> =>
  Effect.catchAll(look, (error) =>
    Option.isSome(watch.last) ? Effect.succeed(watch.last) : Effect.fail(error)
  )

/** How many answers and failures somebody has seen. */
interface Seen {
  readonly polls: number
  readonly failures: number
}

type News = Either.Either<Batch, BatchPoll.Excuse>

/** The last known answer, the failure since, and every newer one of both that there is when we look. */
const newsOf = (watch: Watch): Stream.Stream<News, WatchError> =>
  Stream.unfoldEffect({ polls: 0, failures: 0 }, (seen: Seen) =>
    Effect.flatten(watch.changed.until(Effect.sync(() => news(watch, seen))))
  ).pipe(Stream.takeUntil((latest) => Either.isRight(latest) && isTerminal(latest.right.status)))

const answers = (watch: Watch): Stream.Stream<Batch, WatchError> =>
  Stream.filterMap(newsOf(watch), Either.getRight)

/** What is new for somebody: an answer, a failure after it, or the end. */
const news = (
  { ended, excuse, failures, last, polls }: Watch,
  seen: Seen
): Option.Option<Effect.Effect<Option.Option<readonly [News, Seen]>, WatchError>> => {
  if (polls > seen.polls && Option.isSome(last)) {
    const passed = Option.isSome(excuse) ? seen.failures : failures
    return Option.some(Effect.succeedSome([Either.right(last.value), { polls, failures: passed }]))
  }
  return failures > seen.failures && Option.isSome(excuse)
    ? Option.some(Effect.succeedSome([Either.left(excuse.value), { polls, failures }]))
    : Option.map(ended, (exit) => Effect.as(exit, Option.none()))
}

/** A wait that has lasted as long as it may: still running if the API ever said so, else not answered. */
const timeout = (
  batchId: BatchId,
  { excuse, failures, last, polls }: Watch,
  elapsed: Duration.Duration
): WaitTimeout | ApiUnavailable => {
  // A request that is under way counts, if none has failed so far.
  if (Option.isNone(last)) {
    return BatchPoll.unanswered({ requests: Math.max(1, failures), elapsed, lastExcuse: excuse })
  }
  const { entitiesFulfilled, entitiesRequested, resultCount, status } = last.value
  return new WaitTimeout({
    batchId,
    lastStatus: Option.some(status),
    counts: { resultCount, entitiesRequested, entitiesFulfilled },
    elapsed: Duration.millis(Math.round(Duration.toMillis(elapsed))),
    polls,
    transcript: Option.toArray(excuse).map(({ _tag }) => ({
      at: Duration.toMillis(elapsed),
      outcome: _tag,
      resultCount: Option.none()
    }))
  })
}
