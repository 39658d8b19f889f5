/**
 * When a failed request is tried again, and how long to pause before it: one decision, and one loop around it, for
 * calls of the API, for files, and for calls of your own.
 *
 * @example
 * import { BatchConfig, RetryPolicy, Throttle } from "@org/batch-core"
 * import { Effect } from "effect"
 *
 * // a call of your own on a throttle of your own; `BatchClient.retry` has that of the client's calls
 * const polite = <A, E>(call: Effect.Effect<A, E>, throttle: Throttle.Throttle) =>
 *   Effect.flatMap(BatchConfig.BatchConfig, ({ retry }) =>
 *     RetryPolicy.run(RetryPolicy.judged(call), { retry, throttle })
 *   )
 *
 * // the same pauses without a throttle
 * const patient = <A, E>(call: Effect.Effect<A, E>) =>
 *   Effect.flatMap(BatchConfig.BatchConfig, ({ retry }) => Effect.retry(call, RetryPolicy.schedule(retry)))
 */
import { type Headers, HttpClientError } from "@effect/platform"
import {
  Cause,
  Clock,
  Data,
  Duration,
  Effect,
  Either,
  Option,
  Predicate,
  Random,
  Schedule,
  ScheduleDecision,
  ScheduleInterval
} from "effect"
import { longestHint, longestTimer, type Settings } from "../model/BatchConfig.js"
import * as DurationText from "../model/DurationText.js"
import * as Telemetry from "../model/Telemetry.js"
import type * as Throttle from "./Throttle.js"

export {
  /** Node fires a longer timer at once, so no pause is longer than this. */
  longestTimer
}

/**
 * Whether a status is worth another try: the request was not at fault, or the answer says so itself. Every 5xx is, those
 * of edges and proxies included, but for what the server will never do (501, 505); and a 204, whose answer got lost.
 */
export const isRetryableStatus = (status: number): boolean =>
  [204, 408, 425, 429].includes(status) || (status >= 500 && status < 600 && status !== 501 && status !== 505)

/**
 * How a failed attempt is tried again.
 *
 * | kind | pauses | |
 * | --- | --- | --- |
 * | `Never` | | no retry can mend it |
 * | `Once` | from `baseDelay` | an answer that cannot be decoded; a second one is final |
 * | `Transient` | from `baseDelay` | |
 * | `Timeout` | from `baseDelay` | costs `timeoutCost` tokens of the budget, the others `cost` |
 * | `Throttled` | from `throttledBaseDelay` | closes the gate for all calls meanwhile |
 * | `Overloaded` | from `throttledBaseDelay` | leaves the gate open |
 */
export type Kind = "Never" | "Once" | "Transient" | "Timeout" | "Throttled" | "Overloaded"

/** A failed attempt: what to tell the caller if it was the last one, and whether and when to try again. */
export interface Failure<E> {
  /** `delay` is what the server asked for, or our own next pause; `beyond` when it asked for more than we wait. */
  readonly error: (attempts: number, delay: Duration.Duration, beyond: boolean) => E
  readonly retry: Kind
  /** How long the server asked us to wait, if it did. */
  readonly hint: Option.Option<Duration.Duration>
  /** Whether the request provably did not reach anybody, so that even what starts something may be sent again. */
  readonly unsent?: boolean | undefined
  /** What went wrong, in words, for whoever watches the retries. */
  readonly detail?: string | undefined
  /**
   * Mends the cause, such as a dead link, in place of a pause: the next attempt follows at once and costs nothing. Where
   * it fails, the retries end with its failure.
   */
  readonly remedy?: Effect.Effect<void, E> | undefined
}

/** A failure that no retry can mend. */
export const final = <E>(error: E): Failure<E> => ({
  retry: "Never",
  hint: Option.none(),
  error: () => error
})

/** A failure that is worth another try, and is told as it is if no try helps. */
export const transient = <E>(error: E): Failure<E> => ({
  retry: "Transient",
  hint: Option.none(),
  error: () => error
})

/**
 * What a failure of any call is worth: of an answer of `HttpClient` its status and its `Retry-After` decide (429 closes
 * the gate), a connection that failed and a timeout are tried again, a request that cannot be made or an answer that
 * cannot be decoded is not; and any other failure is tried again. `now` is in epoch milliseconds.
 */
export const judge = <E>(error: E, now: number): Failure<E> => {
  if (Cause.isTimeoutException(error)) return { ...transient(error), retry: "Timeout" }
  if (!HttpClientError.isHttpClientError(error)) return transient(error)
  if (error.reason !== "StatusCode") return error.reason === "Transport" ? transient(error) : final(error)
  const { headers, status } = error.response
  const isRefused = !isRetryableStatus(status) || (status === 429 && isAbsurd(status, headers, now))
  const hint = retryAfter(status, headers, now)
  return {
    ...transient(error),
    hint,
    retry: isRefused ? "Never" : status === 429 ? "Throttled" : "Transient"
  }
}

/** A call whose failures are judged by `judge`, for `run`; what `while` does not hold for is not tried again. */
export const judged = <A, E, R>(
  call: Effect.Effect<A, E, R>,
  options: { readonly while?: ((error: E) => boolean) | undefined } = {}
): Effect.Effect<A, Failure<E>, R> =>
  Effect.catchAll(call, (error) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.fail(options.while?.(error) === false ? final(error) : judge(error, now))
    )
  )

/**
 * What a server asks for in `Retry-After` (seconds or a date, measured against the server's own `Date`) and, on a
 * 429 with no requests left, in `x-ratelimit-reset` (seconds until capacity); the longer of the two. Negative and
 * unreadable values, and those beyond a day, are no hint. `now` is in epoch milliseconds.
 */
export const retryAfter = (
  status: number,
  headers: Headers.Headers,
  now: number
): Option.Option<Duration.Duration> => {
  const hints = asked(status, headers, now).filter((seconds) => seconds <= Duration.toSeconds(longestHint))
  return hints.length === 0 ? Option.none() : Option.some(Duration.seconds(Math.max(...hints)))
}

/** Whether a server asks for a pause, but for none that can be believed: when to come again is unknown then. */
export const isAbsurd = (status: number, headers: Headers.Headers, now: number): boolean => {
  const hints = asked(status, headers, now)
  return hints.length > 0 && hints.every((seconds) => seconds > Duration.toSeconds(longestHint))
}

/** Every pause that the headers ask for, in seconds. */
const asked = (status: number, headers: Headers.Headers, now: number): ReadonlyArray<number> => {
  const text = headers["retry-after"]
  return [
    ...fromSeconds(text),
    ...fromDate(text).map((at) => Math.max(0, at - (fromDate(headers["date"])[0] ?? now)) / 1000),
    ...(status === 429 && !isRateLeft(headers) ? fromSeconds(headers["x-ratelimit-reset"]) : [])
  ]
}

/** Whether a server says that there are requests left: what it refuses is something else, such as a slot for a job. */
const isRateLeft = (headers: Headers.Headers): boolean =>
  fromSeconds(headers["x-ratelimit-remaining"]).some((remaining) => remaining > 0)

const fromSeconds = (text: string | undefined): ReadonlyArray<number> =>
  text !== undefined && /^\s*\d+(?:\.\d+)?\s*$/u.test(text)
    ? [Math.min(Number(text), Number.MAX_SAFE_INTEGER / 1000)]
    : []

const httpDate = /^\s*((?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? .*\d\d:\d\d:\d\d(?: \d{4})?)(?: GMT)?\s*$/iu

/** Any form of an HTTP date, all of them GMT, in epoch milliseconds. `Date.parse` alone finds a date in `soon 5`. */
const fromDate = (text: string | undefined): ReadonlyArray<number> =>
  [...(httpDate.exec(text ?? "") ?? [])]
    .slice(1)
    .map((date) => Date.parse(`${date} GMT`))
    .filter((at) => !Number.isNaN(at))

/**
 * The pause after failed attempt number `attempt` (from 1): full jitter below an exponential ceiling, so between 0
 * and `base` × 2^(attempt−1), at most `max`. `random` is in [0, 1).
 */
export const backoff = (
  retry: Settings["retry"],
  options: { readonly attempt: number; readonly throttled: boolean; readonly random: number }
): Duration.Duration => {
  const [base, max] = options.throttled
    ? [retry.throttledBaseDelay, retry.throttledMaxDelay]
    : [retry.baseDelay, retry.maxDelay]
  const ceiling = Math.min(
    Duration.toMillis(max),
    Duration.toMillis(base) * 2 ** Math.min(options.attempt - 1, 40)
  )
  return Duration.millis(Math.round(ceiling * options.random))
}

/** A server's hint is a minimum: the pause is never shorter, and a little longer so that not all come back at once. */
export const pause = (
  retry: Settings["retry"],
  options: {
    readonly attempt: number
    readonly throttled: boolean
    readonly random: number
    readonly hint: Option.Option<Duration.Duration>
  }
): Duration.Duration => {
  const own = backoff(retry, options)
  return Option.match(options.hint, {
    onNone: () => own,
    onSome: (hint) => {
      const spread = Math.round(Duration.toMillis(retry.throttledBaseDelay) * options.random)
      return Duration.min(Duration.max(own, Duration.sum(hint, Duration.millis(spread))), longestTimer)
    }
  })
}

/** What follows on a failed attempt: a pause that costs so many tokens of the budget, or the end. */
export type Decision = Data.TaggedEnum<{
  Pause: { readonly delay: Duration.Duration; readonly cost: number }
  /** `beyond` when the server asked for a longer pause than `maxRetryAfter`. */
  GiveUp: { readonly delay: Duration.Duration; readonly beyond: boolean }
}>

const { GiveUp, Pause } = Data.taggedEnum<Decision>()

/** Decides after failed attempt number `attempt` (from 1). `random` is in [0, 1). */
export const decide = (
  retry: Settings["retry"],
  failure: Pick<Failure<unknown>, "retry" | "hint">,
  options: {
    readonly attempt: number
    readonly random: number
    /** Answers before this one that could not be decoded. */
    readonly undecodable?: number | undefined
    /** Retries at most. Default: `retry.limit`. */
    readonly limit?: number | undefined
  }
): Decision => {
  const { attempt, limit = retry.limit, random, undecodable = 0 } = options
  const { hint } = failure
  const throttled = failure.retry === "Throttled" || failure.retry === "Overloaded"
  const delay = pause(retry, { attempt, throttled, random, hint })
  const hopeless = failure.retry === "Never"
  const beyond = !hopeless && Option.exists(hint, Duration.greaterThan(retry.maxRetryAfter))
  if (hopeless || beyond || attempt > limit || (failure.retry === "Once" && undecodable > 0)) {
    return GiveUp({ delay, beyond })
  }
  return Pause({ delay, cost: failure.retry === "Timeout" ? retry.timeoutCost : retry.cost })
}

/** How to run attempts. */
export interface RunOptions {
  readonly retry: Settings["retry"]
  /** The gate that every attempt passes first, and the budget that retries are paid from. */
  readonly throttle: Throttle.Throttle
  /** Retries at most, since the last progress. Default: `retry.limit`. */
  readonly limit?: number | undefined
  /**
   * Grows with what attempts gain, also those that fail in the end: after progress, failures are counted anew, and what
   * they cost comes back. Default: nothing is gained before a success.
   */
  readonly progress?: (() => number) | undefined
  /** Told before each pause. */
  readonly onPause?:
    ((failure: Failure<unknown>, delay: Duration.Duration) => Effect.Effect<void>) | undefined
  /** The label of the metric `batch_retries_total`. Default `api`. */
  readonly of?: string | undefined
}

interface Attempts {
  readonly failed: number
  readonly undecodable: number
  /** Tokens that come back with a success or with progress. */
  readonly spent: number
  readonly progress: number
}

/**
 * Runs one request to its end: tries, pauses and tries again, as often as the policy and the shared budget allow.
 * Every attempt passes the throttle's gate first. Fails with the error of the last attempt.
 */
export const run = <A, E, R>(
  attempt: Effect.Effect<A, Failure<E>, R>,
  options: RunOptions
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const { progress = () => 0, throttle } = options
    let attempts: Attempts = { failed: 0, undecodable: 0, spent: 0, progress: progress() }
    while (true) {
      yield* throttle.enter
      const outcome = yield* Effect.either(attempt)
      if (Either.isRight(outcome)) {
        yield* throttle.deposit(Math.max(1, attempts.spent))
        return outcome.right
      }
      if (outcome.left.remedy !== undefined) {
        yield* outcome.left.remedy
        continue
      }
      if (progress() > attempts.progress) {
        yield* throttle.deposit(attempts.spent)
        attempts = { ...attempts, failed: 0, spent: 0, progress: progress() }
      }
      attempts = yield* again(outcome.left, options, { ...attempts, failed: attempts.failed + 1 })
    }
  })

/** Pauses before another attempt, or fails. */
const again = <E>(
  failure: Failure<E>,
  { limit, of = "api", onPause, progress, retry, throttle }: RunOptions,
  attempts: Attempts
): Effect.Effect<Attempts, E> =>
  Effect.gen(function* () {
    const { failed, spent, undecodable } = attempts
    const random = yield* Random.next
    const decision = decide(retry, failure, { attempt: failed, random, undecodable, limit })
    if (failure.retry === "Throttled") yield* throttle.close(decision.delay)
    if (decision._tag === "GiveUp" || !(yield* throttle.withdraw(decision.cost))) {
      const asked = Option.getOrElse(failure.hint, () => decision.delay)
      return yield* Effect.fail(failure.error(failed, asked, decision._tag === "GiveUp" && decision.beyond))
    }
    if (onPause !== undefined) yield* onPause(failure, decision.delay)
    yield* Telemetry.debug(
      () =>
        `${of}: attempt ${failed} failed (${reasonOf(failure, failed)}); pause of ${DurationText.format(decision.delay)}`
    )
    yield* Telemetry.count(Telemetry.retries, "of", of)
    yield* Effect.sleep(decision.delay)
    return {
      ...attempts,
      undecodable: undecodable + (failure.retry === "Once" ? 1 : 0),
      // A single request gives back the price of the try that succeeded; one that makes progress, of all since then.
      spent: (progress === undefined ? 0 : spent) + decision.cost
    }
  })

const reasonOf = <E>(failure: Failure<E>, attempts: number): string => {
  const error = failure.error(
    attempts,
    Option.getOrElse(failure.hint, () => Duration.zero),
    false
  )
  return failure.detail ?? (Predicate.isError(error) ? error.message : failure.retry)
}

/**
 * The same pauses as a schedule, for `Effect.retry`: full jitter from `baseDelay` on, `limit` times at most, each pause
 * at least as long as `hintOf` says that the failure asks for. Gives the pauses. It knows no gate and no budget.
 */
export const schedule = <E = unknown>(
  retry: Settings["retry"],
  hintOf: (error: E) => Option.Option<Duration.Duration> = Option.none
): Schedule.Schedule<Duration.Duration, E> =>
  Schedule.makeWithState(1, (now, error, attempt) =>
    Effect.map(Random.next, (random) => {
      const decision = decide(retry, { retry: "Transient", hint: hintOf(error) }, { attempt, random })
      const { delay } = decision
      return decision._tag === "GiveUp"
        ? ([attempt, delay, ScheduleDecision.done] as const)
        : ([
            attempt + 1,
            delay,
            ScheduleDecision.continueWith(ScheduleInterval.after(now + Duration.toMillis(delay)))
          ] as const)
    })
  )
