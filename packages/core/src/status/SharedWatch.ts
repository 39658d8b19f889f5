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
 *     const wait = watches.wait(id, Effect.sleep("1 minute"))
 *     return yield* Effect.all([wait, Stream.runCount(watches.follow(id))], { concurrency: 2 })
 *   }).pipe(Effect.provide(SharedWatch.layer))
 */
import { Context, Duration, Effect, Exit, Layer, Option, RcMap, type Scope, Stream } from "effect"
import { type Batch, type BatchId, isTerminal } from "../model/Batch.js"
import type { BatchClient } from "./BatchClient.js"
import type { BatchConfig } from "../model/BatchConfig.js"
import { type ApiUnavailable, type WatchError, WaitTimeout } from "../model/BatchError.js"
import * as BatchPoll from "./BatchPoll.js"
import * as Condition from "../disk/Condition.js"

/** Shared waits over the calls of one account. */
export interface Service {
  /** The answers to polls, the last known one first; those that nobody had time to look at are passed over. */
  readonly follow: (batchId: BatchId) => Stream.Stream<Batch, WatchError>
  /**
   * The job when it has ended, or as it was last seen when `patience` does, such as `Effect.sleep("1 minute")`;
   * `ApiUnavailable` if it was never seen. A job that has failed is an answer, too.
   */
  readonly wait: (batchId: BatchId, patience: Effect.Effect<void>) => Effect.Effect<Batch, WatchError>
  /** As `wait`, but a job that is still running is `WaitTimeout`. */
  readonly end: (batchId: BatchId, patience: Effect.Effect<void>) => Effect.Effect<Batch, WatchError>
}

/** Shared waits over the calls of one account. */
export class SharedWatch extends Context.Tag("@org/batch-core/SharedWatch")<SharedWatch, Service>() {}

/** The polling of one batch, as those who share it see it. */
interface Watch {
  last: Option.Option<Batch>
  /** Grows with every answer. */
  polls: number
  /** Failed requests so far, and the last of them since the last answer. */
  failures: number
  excuse: Option.Option<BatchPoll.Excuse>
  ended: Option.Option<Exit.Exit<void, WatchError>>
  readonly changed: Condition.Condition
}

/** Shared waits over the calls of one account: make one for each key. */
export const make: Effect.Effect<Service, never, BatchClient | BatchConfig | Scope.Scope> = Effect.map(
  RcMap.make({ lookup: begin }),
  (watches) => {
    const follow = (batchId: BatchId) => Stream.unwrapScoped(Effect.map(RcMap.get(watches, batchId), answers))
    const wait = (batchId: BatchId, patience: Effect.Effect<void>, isEnough: (batch: Batch) => boolean) =>
      Effect.scoped(
        Effect.gen(function* () {
          const watch = yield* RcMap.get(watches, batchId)
          const lastKnown = Effect.zipRight(
            patience,
            Effect.sync(() => watch.last)
          )
          const [elapsed, last] = yield* Effect.timed(
            Effect.raceFirst(Stream.runLast(answers(watch)), lastKnown)
          )
          return yield* Effect.mapError(Option.filter(last, isEnough), () => timeout(batchId, watch, elapsed))
        })
      )
    return {
      follow,
      wait: (batchId, patience) => wait(batchId, patience, () => true),
      end: (batchId, patience) => wait(batchId, patience, ({ status }) => isTerminal(status))
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
        Effect.sync(() => {
          if (notice._tag !== "RequestFailed") return
          watch.failures += 1
          watch.excuse = Option.some(notice.error)
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

/** The last known answer, and every newer one that there is when we look. */
const answers = (watch: Watch): Stream.Stream<Batch, WatchError> =>
  Stream.unfoldEffect(0, (seen) =>
    Effect.flatten(watch.changed.until(Effect.sync(() => news(watch, seen))))
  ).pipe(Stream.takeUntil((batch) => isTerminal(batch.status)))

/** What is new for somebody who has seen so many polls: an answer, or the end. */
const news = (
  { ended, last, polls }: Watch,
  seen: number
): Option.Option<Effect.Effect<Option.Option<readonly [Batch, number]>, WatchError>> =>
  polls > seen && Option.isSome(last)
    ? Option.some(Effect.succeedSome([last.value, polls]))
    : Option.map(ended, (exit) => Effect.as(exit, Option.none()))

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
