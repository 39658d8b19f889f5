/**
 * Waiting for a job: frugal, patient and bounded. A failed request never ends a wait, unless it says that asking
 * again is useless (400, 401, 402, 403, 404); a server's hint can only lengthen a pause.
 *
 * @example
 * import { Effect, Stream } from "effect"
 * import { type Batch, BatchPoll } from "@org/batch-core"
 *
 * const completed = (id: Batch.BatchId) => BatchPoll.await(id, { deadline: "30 minutes" })
 *
 * const progress = (id: Batch.BatchId) =>
 *   BatchPoll.watch(id, { deadline: Infinity }).pipe(
 *     Stream.map((batch) => batch.resultCount),
 *     Stream.changes,
 *     Stream.runForEach((count) => Effect.log(`${count} rows so far`))
 *   )
 */
import { Clock, Duration, Effect, Either, Metric, Option, Random, Ref, Stream } from "effect"
import { type Batch, type BatchId, isKnown, isTerminal } from "../model/Batch.js"
import { BatchClient } from "./BatchClient.js"
import { BatchConfig, type Settings } from "../model/BatchConfig.js"
import {
  type ApiUnavailable,
  type AwaitError,
  type BatchFailed,
  batchFailed,
  type BatchNotFound,
  MalformedResponse,
  type NotAuthorized,
  type RateLimited,
  type RequestRejected,
  type WaitEvent,
  WaitTimeout,
  type WatchError
} from "../model/BatchError.js"
import * as Telemetry from "../model/Telemetry.js"

/** A failed request that does not end a wait. */
export type Excuse = RateLimited | ApiUnavailable | MalformedResponse

/** Something that happened during a wait and did not end it. */
export type Notice =
  | { readonly _tag: "RequestFailed"; readonly error: Excuse }
  | { readonly _tag: "UnknownStatus"; readonly status: string }

/** How to wait. */
export interface WatchOptions {
  /** How long to wait, from now. There is no default: `Infinity` must be said. */
  readonly deadline: Duration.DurationInput
  /** Told of what happens and does not end the wait. By default it is logged as a warning. */
  readonly onNotice?: ((notice: Notice) => Effect.Effect<void>) | undefined
}

/** The answer to each poll, from the first, at once, to the one in which the job has ended, well or badly. */
export const watch = (
  batchId: BatchId,
  options: WatchOptions
): Stream.Stream<Batch, WatchError, BatchClient | BatchConfig> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const wait = yield* begin(batchId, options)
      return Stream.unfoldEffect(true, (running) =>
        running
          ? Effect.map(next(wait), (batch) => Option.some([batch, !isTerminal(batch.status)] as const))
          : Effect.succeed(Option.none())
      )
    })
  )

const await_ = Effect.fn("BatchPoll.await")(function* (
  batchId: BatchId,
  options: WatchOptions
): Effect.fn.Return<Batch, AwaitError, BatchClient | BatchConfig> {
  const wait = yield* begin(batchId, options)
  let batch = yield* next(wait)
  while (!isTerminal(batch.status)) batch = yield* next(wait)
  return yield* completed(batch)
})

export {
  /** Waits until the job is completed; a job that ends `failed` is `BatchFailed`. */
  await_ as await
}

/** What a wait knows; one for each `watch` or `await`. */
interface Wait {
  readonly batchId: BatchId
  readonly startedAt: number
  readonly deadlineAt: number
  readonly poll: Settings["poll"]
  readonly client: BatchClient["Type"]
  readonly notify: (notice: Notice) => Effect.Effect<void>
  readonly state: Ref.Ref<State>
}

interface State {
  readonly requests: number
  readonly polls: number
  readonly unknownInARow: number
  /** The unknown states that were told of. */
  readonly reported: ReadonlyArray<string>
  readonly last: Option.Option<Batch>
  /** A server's hint for the next pause, in milliseconds. */
  readonly hint: number
  readonly transcript: ReadonlyArray<typeof WaitEvent.Type>
}

const begin = (
  batchId: BatchId,
  options: WatchOptions
): Effect.Effect<Wait, never, BatchClient | BatchConfig> =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    return {
      batchId,
      startedAt,
      deadlineAt: startedAt + Duration.toMillis(options.deadline),
      poll: (yield* BatchConfig).poll,
      client: yield* BatchClient,
      notify: options.onNotice ?? logNotice,
      state: yield* Ref.make<State>({
        requests: 0,
        polls: 0,
        unknownInARow: 0,
        reported: [],
        last: Option.none(),
        hint: 0,
        transcript: []
      })
    }
  })

/** Pauses and asks until there is an answer. */
const next = (wait: Wait): Effect.Effect<Batch, WatchError> =>
  Effect.gen(function* () {
    while (true) {
      yield* pause(wait)
      const answer = yield* ask(wait)
      if (Either.isRight(answer)) return yield* accept(wait, answer.right)
      yield* excuse(wait, answer.left)
    }
  })

/**
 * The first request goes out at once, the last one just before the deadline; then the wait has failed. When the
 * server asks for more than is left, nothing is sent any more.
 */
const pause = (wait: Wait): Effect.Effect<void, WaitTimeout> =>
  Effect.gen(function* () {
    const { hint, polls, requests } = yield* Ref.get(wait.state)
    if (requests === 0) return
    const now = yield* Clock.currentTimeMillis
    const left = wait.deadlineAt - now
    const shortest = Duration.toMillis(wait.poll.minDelay)
    if (left > shortest && hint >= left) yield* Effect.sleep(Duration.millis(left))
    if (left <= shortest || hint >= left) return yield* timeout(wait)
    const planned = yield* jittered(wait.poll, polls, now - wait.startedAt)
    yield* Effect.sleep(Duration.millis(Math.max(shortest, hint, Math.min(planned, left - shortest))))
  })

/** Between half of the planned pause and all of it. */
const jittered = (poll: Settings["poll"], polls: number, elapsed: number): Effect.Effect<number> => {
  const cap = elapsed >= Duration.toMillis(poll.slowAfter) ? poll.slowMaxDelay : poll.maxDelay
  const growth = poll.factor ** Math.min(Math.max(0, polls - 1), 100)
  const planned = Math.min(Duration.toMillis(poll.initialDelay) * growth, Duration.toMillis(cap))
  return Effect.map(Random.next, (random) => Math.round(planned * (0.5 + random / 2)))
}

/** One status call, all its retries included, that may end at most one shortest pause after the deadline. */
const ask = (
  wait: Wait
): Effect.Effect<Either.Either<Batch, Excuse | undefined>, NotAuthorized | RequestRejected | BatchNotFound> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* Ref.update(wait.state, (state) => ({ ...state, requests: state.requests + 1 }))
    const patience = Math.max(wait.deadlineAt - now, Duration.toMillis(wait.poll.minDelay))
    return yield* wait.client.status(wait.batchId).pipe(
      Effect.map((batch): Either.Either<Batch, Excuse | undefined> => Either.right(batch)),
      Effect.catchTags({
        ApiUnavailable: (error) => Effect.succeed(Either.left(error)),
        RateLimited: (error) => Effect.succeed(Either.left(error)),
        MalformedResponse: (error) => Effect.succeed(Either.left(error))
      }),
      Effect.timeoutTo({
        duration: Duration.millis(patience),
        onSuccess: (answer) => answer,
        onTimeout: () => Either.left(undefined)
      })
    )
  })

/** Notes an answer; too many unknown states in a row are no answers of the batch API. */
const accept = (wait: Wait, batch: Batch): Effect.Effect<Batch, MalformedResponse> =>
  Effect.gen(function* () {
    const { reported, unknownInARow } = yield* Ref.get(wait.state)
    const unknown = isKnown(batch.status) ? 0 : unknownInARow + 1
    const unheard = unknown > 0 && !reported.includes(batch.status)
    const entry = { outcome: batch.status, resultCount: Option.some(batch.resultCount) }
    yield* note(wait, entry, (state) => ({
      ...state,
      polls: state.polls + 1,
      unknownInARow: unknown,
      reported: unheard ? [...reported, batch.status] : reported,
      last: Option.some(batch),
      hint: 0
    }))
    yield* Metric.increment(Telemetry.polls)
    if (unheard) yield* wait.notify({ _tag: "UnknownStatus", status: batch.status })
    if (unknown < wait.poll.unknownStatusLimit) return batch
    const detail = `${unknown} answers in a row have an unknown status, the last one ${JSON.stringify(batch.status)}`
    return yield* new MalformedResponse({ status: Option.none(), detail })
  })

/** Notes a request that brought no answer. It is no poll, so the cadence does not grow by it. */
const excuse = (wait: Wait, error: Excuse | undefined): Effect.Effect<void> =>
  Effect.gen(function* () {
    const hint = Duration.min(askedBy(error), wait.poll.maxHint)
    const entry = { outcome: error?._tag ?? "Deadline", resultCount: Option.none() }
    yield* note(wait, entry, (state) => ({ ...state, hint: Duration.toMillis(hint) }))
    if (error !== undefined) yield* wait.notify({ _tag: "RequestFailed", error })
  })

const askedBy = (error: Excuse | undefined): Duration.Duration => {
  if (error?._tag === "RateLimited") return error.retryAfter
  return error?._tag === "ApiUnavailable"
    ? Option.getOrElse(error.retryAfter, () => Duration.zero)
    : Duration.zero
}

const transcriptLength = 50

const note = (
  wait: Wait,
  entry: { readonly outcome: string; readonly resultCount: Option.Option<number> },
  change: (state: State) => State
): Effect.Effect<State> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Ref.updateAndGet(wait.state, (state) => ({
      ...change(state),
      transcript: [...state.transcript.slice(1 - transcriptLength), { at: now - wait.startedAt, ...entry }]
    }))
  )

const timeout = (wait: Wait): Effect.Effect<never, WaitTimeout> =>
  Effect.gen(function* () {
    const { last, polls, transcript } = yield* Ref.get(wait.state)
    return yield* new WaitTimeout({
      batchId: wait.batchId,
      lastStatus: Option.map(last, (batch) => batch.status),
      counts: {
        resultCount: Option.match(last, { onNone: () => 0, onSome: (batch) => batch.resultCount }),
        entitiesRequested: Option.match(last, {
          onNone: () => 0,
          onSome: (batch) => batch.entitiesRequested
        }),
        entitiesFulfilled: Option.match(last, { onNone: () => 0, onSome: (batch) => batch.entitiesFulfilled })
      },
      elapsed: Duration.millis((yield* Clock.currentTimeMillis) - wait.startedAt),
      polls,
      transcript
    })
  })

const completed = (batch: Batch): Effect.Effect<Batch, BatchFailed> =>
  batch.status === "failed" ? Effect.fail(batchFailed(batch)) : Effect.succeed(batch)

const logNotice = (notice: Notice): Effect.Effect<void> =>
  notice._tag === "RequestFailed"
    ? Effect.logWarning(`still waiting: ${notice.error.message}`)
    : Effect.logWarning(`unknown batch status ${JSON.stringify(notice.status)}, taken for a running one`)
