/**
 * Waiting for a job: frugal, patient and bounded. A failed request never ends a wait that can still heal, and is not
 * repeated by itself: the cadence is the retry, and slows down with every request, answered or failed. What ends a wait:
 *
 * | what | when |
 * | --- | --- |
 * | the job has ended | at once |
 * | 400, 402, 422; 401 and 403 in the API's own words | at once |
 * | 404; 401 and 403 in anybody else's words | at once, but after a good answer at the third in a row |
 * | what will not heal: an unknown host, a certificate, a proxy that refuses | before any good answer, at the third in a row |
 * | the deadline | `WaitTimeout` if there was a good answer, else `ApiUnavailable` with the last reason |
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
import { Duration, Effect, Either, Metric, Option, Random, Ref, Stream } from "effect"
import { type Batch, type BatchId, isKnown, isTerminal } from "../model/Batch.js"
import { BatchClient } from "./BatchClient.js"
import { BatchConfig, longestTimer, type Settings } from "../model/BatchConfig.js"
import {
  ApiUnavailable,
  type AwaitError,
  type BatchFailed,
  batchFailed,
  type BatchNotFound,
  type MalformedResponse,
  type NotAuthorized,
  type RateLimited,
  type RequestRejected,
  type StatusError,
  type WaitEvent,
  WaitTimeout,
  type WatchError
} from "../model/BatchError.js"
import * as DurationText from "../model/DurationText.js"
import * as Telemetry from "../model/Telemetry.js"
import * as Monotonic from "../retry/Monotonic.js"

/** A failed request that does not end a wait; a refusal only after a good answer, while it may be a stray one. */
export type Excuse = RateLimited | ApiUnavailable | MalformedResponse | BatchNotFound | NotAuthorized

/** How long to wait: a duration, a text such as `"30 minutes"`, or a number of seconds, of which `Infinity` is one. */
export type Deadline = Duration.Duration | `${number} ${Duration.Unit}` | number

/** A deadline as a duration: a number alone counts seconds, as everywhere in this project. */
export const durationOf = (deadline: Deadline): Duration.Duration =>
  typeof deadline === "number" ? Duration.seconds(deadline) : Duration.decode(deadline)

/** Something that happened during a wait and did not end it. */
export type Notice =
  | { readonly _tag: "RequestFailed"; readonly error: Excuse }
  | { readonly _tag: "UnknownStatus"; readonly status: string }

/** How to wait. */
export interface WatchOptions {
  /** How long to wait, from now. There is no default: `Infinity` must be said. */
  readonly deadline: Deadline
  /**
   * Whether we submitted the job just now: the API may not know it yet, so that a 404 within a minute from now does not end
   * the wait. Default: no.
   */
  readonly submitted?: boolean | undefined
  /** Told of what happens and does not end the wait. By default it is logged as a warning. */
  readonly onNotice?: ((notice: Notice) => Effect.Effect<void>) | undefined
}

/** How to wait for the end alone. */
export interface AwaitOptions extends WatchOptions {
  /** Told of the answer to each poll. */
  readonly onStatus?: ((batch: Batch) => Effect.Effect<void>) | undefined
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
  options: AwaitOptions
): Effect.fn.Return<Batch, AwaitError, BatchClient | BatchConfig> {
  const wait = yield* begin(batchId, options)
  const told = Effect.tap(next(wait), (batch) => options.onStatus?.(batch) ?? Effect.void)
  let batch = yield* told
  while (!isTerminal(batch.status)) batch = yield* told
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
  /** Until when a 404 means that the API does not know the job yet. */
  readonly unknownUntil: number
  readonly poll: Settings["poll"]
  readonly client: BatchClient["Type"]
  readonly notify: (notice: Notice) => Effect.Effect<void>
  readonly state: Ref.Ref<State>
}

interface State {
  readonly requests: number
  readonly polls: number
  /** How far the cadence has grown: by a step with each request. */
  readonly step: number
  /** Where the cadence was before the trouble, if there is trouble: a good answer brings it back there. */
  readonly stepBefore: Option.Option<number>
  /** When the failed requests of the last minute were sent. */
  readonly failedAt: ReadonlyArray<number>
  /** When the last request was sent. */
  readonly askedAt: number
  /** Whether the process slept past the deadline, so that what it knows is old. */
  readonly overslept: boolean
  /** The tag of the last failures in a row that may be final, and how many they are. */
  readonly suspicion: readonly [tag: string, times: number]
  readonly lastExcuse: Option.Option<Excuse>
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
    const startedAt = yield* Monotonic.now
    return {
      batchId,
      startedAt,
      deadlineAt: startedAt + Duration.toMillis(durationOf(options.deadline)),
      unknownUntil: options.submitted === true ? startedAt + Duration.toMillis(longestLag) : 0,
      poll: (yield* BatchConfig).poll,
      client: yield* BatchClient,
      notify: options.onNotice ?? logNotice,
      state: yield* Ref.make<State>({
        requests: 0,
        polls: 0,
        step: 0,
        stepBefore: Option.none(),
        failedAt: [],
        askedAt: startedAt,
        overslept: false,
        suspicion: ["", 0],
        lastExcuse: Option.none(),
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
 * server asks for more than is left, nothing is sent any more. A process that slept past the deadline asks once more.
 */
const pause = (wait: Wait): Effect.Effect<void, WaitTimeout | ApiUnavailable> =>
  Effect.gen(function* () {
    const { overslept, requests, step, ...state } = yield* Ref.get(wait.state)
    if (requests === 0 || overslept) return
    const now = yield* Monotonic.now
    const left = wait.deadlineAt - now
    const shortest = Duration.toMillis(wait.poll.minDelay)
    const asked = Math.max(state.hint, frugal(state.failedAt, now))
    if (left > shortest && asked >= left) yield* sleep(wait, left, "as much as is left")
    else if (left > shortest) {
      const planned = yield* jittered(wait.poll, step, now - wait.startedAt)
      const millis = Math.max(shortest, asked, Math.min(planned, left - shortest))
      return yield* sleep(wait, millis, asked < millis ? "the cadence" : why(state.hint, asked))
    }
    if (!(yield* Ref.get(wait.state)).overslept) return yield* timeout(wait)
  })

const why = (hint: number, asked: number): string =>
  hint >= asked ? "the server asked for it" : `${mostFailures} requests failed within a minute`

const sleep = (wait: Wait, millis: number, reason: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Telemetry.debug(() => `batch ${wait.batchId}: pause of ${DurationText.format(millis)} (${reason})`)
    const until = (yield* Monotonic.now) + millis
    yield* Effect.sleep(Duration.min(Duration.millis(millis), longestTimer))
    yield* wake(wait, until)
  })

/** Notes when the process slept past the deadline, since it did not come to this point when it should have. */
const wake = (wait: Wait, expectedAt: number): Effect.Effect<void> =>
  Effect.flatMap(Effect.all([Monotonic.sleptPast(expectedAt), Monotonic.now]), ([slept, now]) =>
    slept && now > wait.deadlineAt
      ? Ref.update(wait.state, (state) => ({ ...state, overslept: true }))
      : Effect.void
  )

/** How long the API may not know a job that we have submitted. */
export const longestLag = Duration.minutes(1)

const minute = 60_000

/** Failed requests of one wait in a minute, whatever the settings say. */
const mostFailures = 12

/** How long to pause so that no more requests than that fail within a minute. */
const frugal = (failedAt: ReadonlyArray<number>, now: number): number =>
  Math.max(0, (failedAt.at(-mostFailures) ?? now - minute) + minute - now)

/**
 * The cadence: between half of the planned pause and all of it, in milliseconds. `step` is how far it has grown, by a step
 * with each request; `elapsed` are the milliseconds since the wait began.
 */
export const jittered = (poll: Settings["poll"], step: number, elapsed: number): Effect.Effect<number> => {
  const cap = elapsed >= Duration.toMillis(poll.slowAfter) ? poll.slowMaxDelay : poll.maxDelay
  const growth = poll.factor ** Math.min(Math.max(0, step - 1), 100)
  const planned = Math.min(Duration.toMillis(poll.initialDelay) * growth, Duration.toMillis(cap))
  return Effect.map(Random.next, (random) => Math.round(planned * (0.5 + random / 2)))
}

/** How long the one request may take that is made after the process slept past the deadline. */
export const lastChance = Duration.seconds(10)

/** One request, that may end at most one shortest pause after the deadline. */
const ask = (
  wait: Wait
): Effect.Effect<Either.Either<Batch, Excuse | undefined>, NotAuthorized | RequestRejected | BatchNotFound> =>
  Effect.gen(function* () {
    const now = yield* Monotonic.now
    const { last, overslept } = yield* Ref.getAndUpdate(wait.state, (state) => ({
      ...state,
      requests: state.requests + 1,
      askedAt: now,
      overslept: false
    }))
    const shortest = Duration.toMillis(overslept ? lastChance : wait.poll.minDelay)
    const patience = Math.max(wait.deadlineAt - now, shortest)
    const answer = yield* wait.client.status(wait.batchId, { once: true }).pipe(
      Effect.map((batch): Either.Either<Batch, Excuse | undefined> => Either.right(batch)),
      Effect.catchIf(
        (error): error is Excuse =>
          error._tag !== "RequestRejected" &&
          (Option.isSome(last) ? !isFinal(error) : !isRefusal(error) || isLag(wait, error, now)),
        (error) => Effect.succeed(Either.left(error))
      ),
      Effect.timeoutTo({
        duration: Duration.millis(patience),
        onSuccess: (answer) => answer,
        onTimeout: () => Either.left(undefined)
      })
    )
    yield* wake(wait, now + patience)
    return answer
  })

const isRefusal = (error: Excuse): error is BatchNotFound | NotAuthorized =>
  error._tag === "BatchNotFound" || error._tag === "NotAuthorized"

/** Whether a 404 is of a job that we submitted so recently that the API may not know it yet. */
const isLag = ({ unknownUntil }: Wait, error: Excuse, now: number): boolean =>
  error._tag === "BatchNotFound" && now < unknownUntil

/** Whether a refusal ends a wait that the API has answered before: what the vendor says itself of the key, not of the job. */
export const isFinal = (error: Excuse): boolean =>
  error._tag === "NotAuthorized" && (error.fromApi || error.reason === "InsufficientCredits")

/** Notes an answer, and tells of a state that stays unknown. */
const accept = (wait: Wait, batch: Batch): Effect.Effect<Batch> =>
  Effect.gen(function* () {
    const { reported, unknownInARow } = yield* Ref.get(wait.state)
    const unknown = isKnown(batch.status) ? 0 : unknownInARow + 1
    const unheard = unknown >= wait.poll.unknownStatusLimit && !reported.includes(batch.status)
    const entry = { outcome: batch.status, resultCount: Option.some(batch.resultCount) }
    yield* note(wait, entry, (state) => ({
      ...state,
      polls: state.polls + 1,
      step: Option.getOrElse(state.stepBefore, () => state.step) + 1,
      stepBefore: Option.none(),
      suspicion: ["", 0],
      unknownInARow: unknown,
      reported: unheard ? [...reported, batch.status] : reported,
      last: Option.some(batch),
      hint: 0
    }))
    yield* Metric.increment(Telemetry.polls)
    if (unheard) yield* wait.notify({ _tag: "UnknownStatus", status: batch.status })
    return batch
  })

/** How often in a row a failure must come that may be final, to be believed. */
export const believedAt = 3

/** Notes a request that brought no answer; one that may be final ends the wait when it has come often enough. */
const excuse = (wait: Wait, error: Excuse | undefined): Effect.Effect<void, WatchError> =>
  Effect.gen(function* () {
    const hint = Duration.min(askedBy(error), wait.poll.maxHint)
    const entry = { outcome: error?._tag ?? "Deadline", resultCount: Option.none() }
    const { last, requests, suspicion } = yield* note(wait, entry, (state) => ({
      ...state,
      step: state.step + 1,
      stepBefore: Option.orElseSome(state.stepBefore, () => state.step),
      failedAt: [...state.failedAt, state.askedAt].slice(-mostFailures),
      suspicion: [error?._tag ?? "", (state.suspicion[0] === error?._tag ? state.suspicion[1] : 0) + 1],
      lastExcuse: Option.orElse(Option.fromNullable(error), () => state.lastExcuse),
      hint: Duration.toMillis(hint)
    }))
    if (error === undefined) return
    const isEarly = isLag(wait, error, yield* Monotonic.now)
    if (!isEarly && suspicion[1] >= believedAt) {
      if (error._tag === "ApiUnavailable" && error.lasting && Option.isNone(last))
        return yield* new ApiUnavailable({ ...error, attempts: requests })
      if (isRefusal(error)) return yield* Effect.fail(error)
    }
    yield* wait.notify({ _tag: "RequestFailed", error })
  })

/** How long a server asked to wait, by the failure of a poll. */
export const askedBy = (error: StatusError | undefined): Duration.Duration => {
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
  Effect.flatMap(Monotonic.now, (now) =>
    Ref.updateAndGet(wait.state, (state) => ({
      ...change(state),
      transcript: [...state.transcript.slice(1 - transcriptLength), { at: now - wait.startedAt, ...entry }]
    }))
  )

const timeout = (wait: Wait): Effect.Effect<never, WaitTimeout | ApiUnavailable> =>
  Effect.gen(function* () {
    const { last, lastExcuse, polls, requests, transcript } = yield* Ref.get(wait.state)
    const elapsed = Duration.millis((yield* Monotonic.now) - wait.startedAt)
    if (Option.isNone(last)) return yield* unanswered({ requests, elapsed, lastExcuse })
    const { entitiesFulfilled, entitiesRequested, resultCount, status } = last.value
    return yield* new WaitTimeout({
      batchId: wait.batchId,
      lastStatus: Option.some(status),
      counts: { resultCount, entitiesRequested, entitiesFulfilled },
      elapsed,
      polls,
      transcript
    })
  })

/** The failure of a wait in which the API gave no good answer: with the last reason that was more than the deadline. */
export const unanswered = (wait: {
  readonly requests: number
  readonly elapsed: Duration.Duration
  readonly lastExcuse: Option.Option<Excuse>
}): ApiUnavailable => {
  const { elapsed, requests: attempts } = wait
  const waited = `no good answer in ${DurationText.format(elapsed)}`
  const server = { reason: "Server", status: Option.none<number>(), attempts } as const
  if (Option.isNone(wait.lastExcuse))
    return new ApiUnavailable({ ...server, reason: "Timeout", detail: waited })
  const error = wait.lastExcuse.value
  switch (error._tag) {
    case "ApiUnavailable": {
      const { detail, reason } = error
      if (reason === "Timeout") return new ApiUnavailable({ ...error, attempts, detail: waited })
      return new ApiUnavailable({ ...error, attempts, detail: `${waited}; the last time ${detail}` })
    }
    case "RateLimited": {
      const detail = "each time it limited this account's requests (HTTP 429)"
      return new ApiUnavailable({
        ...server,
        detail,
        status: Option.some(429),
        retryAfter: Option.some(error.retryAfter)
      })
    }
    default:
      return new ApiUnavailable({ ...server, detail: `${waited}; the last time ${error.message}` })
  }
}

const completed = (batch: Batch): Effect.Effect<Batch, BatchFailed> =>
  batch.status === "failed" ? Effect.fail(batchFailed(batch)) : Effect.succeed(batch)

const logNotice = (notice: Notice): Effect.Effect<void> =>
  notice._tag === "RequestFailed"
    ? Effect.logWarning(`still waiting: ${notice.error.message}`)
    : Effect.logWarning(`unknown batch status ${JSON.stringify(notice.status)}, taken for a running one`)
