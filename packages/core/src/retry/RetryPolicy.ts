/**
 * When a failed request is tried again, and how long to pause before it. Pure but for the clock and the dice.
 *
 * @example
 * import { Effect } from "effect"
 * import { BatchConfig, RetryPolicy } from "@org/batch-core"
 *
 * const program = Effect.gen(function* () {
 *   const { retry } = yield* BatchConfig.BatchConfig
 *   return RetryPolicy.backoff(retry, { attempt: 2, throttled: false, random: 0.5 }) // 500 ms
 * })
 */
import type { Headers } from "@effect/platform"
import { Duration, Effect, Option, Random } from "effect"
import { longestTimer, type Settings } from "../model/BatchConfig.js"
import * as Telemetry from "../model/Telemetry.js"
import type * as Throttle from "./Throttle.js"

export {
  /** Node fires a longer timer at once, so no pause is longer than this. */
  longestTimer
}

/** Answers that are worth another try: the request was not at fault, or says so itself. */
export const isRetryableStatus = (status: number): boolean =>
  [408, 425, 429, 500, 502, 503, 504].includes(status)

/** A failed attempt: what to tell the caller if it was the last one, and whether and when to try again. */
export interface Failure<E> {
  /** `delay` is what the server asked for, or our own next pause; `beyond` when it asked for more than we wait. */
  readonly error: (attempts: number, delay: Duration.Duration, beyond: boolean) => E
  /** `Once` is for answers that cannot be decoded: a second one is final. */
  readonly retry: "Never" | "Once" | "Transient" | "Timeout" | "Throttled"
  /** How long the server asked us to wait. */
  readonly hint: Option.Option<Duration.Duration>
}

/**
 * What a server asks for in `Retry-After` (seconds or a date, measured against the server's own `Date`) and, on a
 * 429, in `x-ratelimit-reset` (seconds until capacity); the longer of the two. Negative and unreadable values
 * are no hint. `now` is in epoch milliseconds.
 */
export const retryAfter = (
  status: number,
  headers: Headers.Headers,
  now: number
): Option.Option<Duration.Duration> => {
  const asked = headers["retry-after"]
  const hints = [
    ...fromSeconds(asked),
    ...fromDate(asked).map((at) => Math.max(0, at - (fromDate(headers["date"])[0] ?? now)) / 1000),
    ...(status === 429 ? fromSeconds(headers["x-ratelimit-reset"]) : [])
  ]
  return hints.length === 0 ? Option.none() : Option.some(Duration.seconds(Math.max(...hints)))
}

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

/**
 * Runs one request to its end: tries, pauses and tries again, as often as the policy and the shared budget allow.
 * Every attempt passes the account's gate first. Fails with the error of the last attempt.
 */
export const run = <A, E>(
  attempt: Effect.Effect<A, Failure<E>>,
  options: { readonly retry: Settings["retry"]; readonly throttle: Throttle.Throttle }
): Effect.Effect<A, E> => go(attempt, options, { attempts: 1, undecodable: 0, spent: 0 })

interface Progress {
  readonly attempts: number
  readonly undecodable: number
  readonly spent: number
}

const go = <A, E>(
  attempt: Effect.Effect<A, Failure<E>>,
  options: { readonly retry: Settings["retry"]; readonly throttle: Throttle.Throttle },
  progress: Progress
): Effect.Effect<A, E> =>
  options.throttle.enter.pipe(
    Effect.zipRight(attempt),
    Effect.tap(() => options.throttle.deposit(Math.max(1, progress.spent))),
    Effect.catchAll((failure) => again(attempt, options, progress, failure))
  )

const again = <A, E>(
  attempt: Effect.Effect<A, Failure<E>>,
  options: { readonly retry: Settings["retry"]; readonly throttle: Throttle.Throttle },
  progress: Progress,
  failure: Failure<E>
): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    const { retry, throttle } = options
    const throttled = failure.retry === "Throttled"
    const delay = pause(retry, {
      attempt: progress.attempts,
      throttled,
      random: yield* Random.next,
      hint: failure.hint
    })
    if (throttled) yield* throttle.close(delay)
    const cost = failure.retry === "Timeout" ? retry.timeoutCost : retry.cost
    const hopeless = failure.retry === "Never"
    const beyond = !hopeless && Option.exists(failure.hint, Duration.greaterThan(retry.maxRetryAfter))
    const final =
      hopeless ||
      (failure.retry === "Once" && progress.undecodable > 0) ||
      progress.attempts > retry.limit ||
      beyond ||
      !(yield* throttle.withdraw(cost))
    if (final) {
      const asked = Option.getOrElse(failure.hint, () => delay)
      return yield* Effect.fail(failure.error(progress.attempts, asked, beyond))
    }
    yield* Telemetry.count(Telemetry.retries, "of", "api")
    yield* Effect.sleep(delay)
    return yield* go(attempt, options, {
      attempts: progress.attempts + 1,
      undecodable: progress.undecodable + (failure.retry === "Once" ? 1 : 0),
      spent: cost
    })
  })
