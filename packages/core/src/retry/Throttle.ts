/**
 * What all calls of one account share, so that many fibers together behave like one polite client: a gate that one
 * 429 closes for everybody, a limiter learnt from `x-ratelimit-*`, and a budget of retries.
 *
 * @example
 * import { Effect } from "effect"
 * import { BatchConfig, Throttle } from "@org/batch-core"
 *
 * const program = Effect.gen(function* () {
 *   const { retry } = yield* BatchConfig.BatchConfig
 *   const throttle = yield* Throttle.make(retry)
 *   yield* throttle.close("10 seconds") // the next `enter`, of any fiber, waits that long
 *   yield* throttle.enter
 * })
 */
import type { Headers } from "@effect/platform"
import { Clock, Duration, Effect, Option, Random, Ref } from "effect"
import { longestTimer, type Settings } from "../model/BatchConfig.js"

/** The throttle of one account: make one for each key. */
export interface Throttle {
  /** Waits until the gate is open and the limiter has room, then takes a place. */
  readonly enter: Effect.Effect<void>
  /** Closes the gate for everybody, for at most `maxRetryAfter`. A shorter closure never shortens a longer one. */
  readonly close: (pause: Duration.DurationInput) => Effect.Effect<void>
  /** Notes that no call may be made for so long: the server asked for a pause beyond `maxRetryAfter`. */
  readonly refuse: (pause: Duration.DurationInput) => Effect.Effect<void>
  /** How long no call may be made yet, if so. Calls fail at once then: nobody waits that long at the gate. */
  readonly refused: Effect.Effect<Option.Option<Duration.Duration>>
  /** Learns from `x-ratelimit-remaining` and `x-ratelimit-reset` (seconds until capacity) of any answer. */
  readonly observe: (headers: Headers.Headers) => Effect.Effect<void>
  /** Takes tokens from the retry budget; `false` when there are too few. */
  readonly withdraw: (tokens: number) => Effect.Effect<boolean>
  /** Gives tokens back after a success, up to the budget's size. */
  readonly deposit: (tokens: number) => Effect.Effect<void>
}

/** What `x-ratelimit-*` says: places left, until when in epoch milliseconds. */
interface Window {
  readonly windowEnds: number
  readonly remaining: number
}

interface State extends Window {
  readonly closedUntil: number
}

/**
 * Makes the throttle of one account. At first its gate is open, its limiter has no limit, since no answer has told one,
 * and its budget holds `retry.budget` tokens.
 */
export const make = (retry: Settings["retry"]): Effect.Effect<Throttle> =>
  Effect.gen(function* () {
    const state = yield* Ref.make<State>({
      closedUntil: 0,
      windowEnds: 0,
      remaining: Number.POSITIVE_INFINITY
    })
    const budget = yield* Ref.make(retry.budget)
    const refusedUntil = yield* Ref.make(0)
    const bounded = (pause: Duration.Duration) => Duration.toMillis(Duration.min(pause, retry.maxRetryAfter))

    /** Takes a place, or tells when to try again. */
    const knock = (now: number) =>
      Ref.modify(state, (current) => {
        const opensAt = Math.max(current.closedUntil, current.remaining > 0 ? 0 : current.windowEnds)
        return opensAt > now ? [opensAt, current] : [now, { ...current, remaining: current.remaining - 1 }]
      })

    const enter = Effect.gen(function* () {
      while (true) {
        const now = yield* Clock.currentTimeMillis
        const opensAt = yield* knock(now)
        if (opensAt <= now) return
        const spread = Duration.toMillis(retry.throttledBaseDelay) * (yield* Random.next)
        yield* Effect.sleep(Duration.min(Duration.millis(opensAt - now + spread), longestTimer))
      }
    })

    return {
      enter,
      close: (pause) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Ref.update(state, (current) => ({
            ...current,
            closedUntil: Math.max(current.closedUntil, now + bounded(Duration.decode(pause)))
          }))
        ),
      refuse: (pause) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Ref.update(refusedUntil, (known) => Math.max(known, now + Duration.toMillis(pause)))
        ),
      refused: Effect.zipWith(Ref.get(refusedUntil), Clock.currentTimeMillis, (until, now) =>
        until > now ? Option.some(Duration.millis(until - now)) : Option.none()
      ),
      observe: (headers) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const remaining = count(headers["x-ratelimit-remaining"])
          const reset = count(headers["x-ratelimit-reset"])
          if (remaining === undefined || reset === undefined) return Effect.void
          const seen = { remaining, windowEnds: now + bounded(Duration.seconds(reset)) }
          return Ref.update(state, (current) => ({ ...current, ...merge(current, seen) }))
        }),
      withdraw: (tokens) =>
        Ref.modify(budget, (held) => (held < tokens ? [false, held] : [true, held - tokens])),
      deposit: (tokens) => Ref.update(budget, (held) => Math.min(retry.budget, held + tokens))
    }
  })

/**
 * Answers about one window may overtake each other, so the lowest figure holds; a window that ends a second later,
 * which is what headers are rounded to, is another one, and its figure stands alone.
 */
const merge = (known: Window, seen: Window): Window =>
  seen.windowEnds < known.windowEnds + 1000
    ? {
        remaining: Math.min(known.remaining, seen.remaining),
        windowEnds: Math.min(known.windowEnds, seen.windowEnds)
      }
    : seen

const count = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/u.test(text.trim()) ? Number(text) : undefined
