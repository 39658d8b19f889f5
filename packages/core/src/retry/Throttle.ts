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
import { Duration, Effect, Exit, Option, Random, Ref } from "effect"
import { longestHint, longestTimer, type Settings } from "../model/BatchConfig.js"
import * as DurationText from "../model/DurationText.js"
import * as Telemetry from "../model/Telemetry.js"
import * as Monotonic from "./Monotonic.js"

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
  /**
   * Runs a poll when there is a place for it: polls under way and those that failed in the last minute are together
   * `pollsAMinute` at most, however many wait. Polls that are answered cost nothing.
   */
  readonly sparingly: <A, E, R>(poll: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Learns from `x-ratelimit-remaining` and `x-ratelimit-reset` (seconds until capacity) of any answer. */
  readonly observe: (headers: Headers.Headers) => Effect.Effect<void>
  /** Takes tokens from the retry budget; `false` when there are too few. */
  readonly withdraw: (tokens: number) => Effect.Effect<boolean>
  /** Gives tokens back after a success, up to the budget's size. */
  readonly deposit: (tokens: number) => Effect.Effect<void>
}

/** Failed polls of one account in a minute: siblings of the batch API allow 10 to 30 requests. */
export const pollsAMinute = 30

/** What `x-ratelimit-*` says: places left, until when on the monotonic clock, in milliseconds. */
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
        const now = yield* Monotonic.now
        const opensAt = yield* knock(now)
        if (opensAt <= now) return
        const spread = Math.round(Duration.toMillis(retry.throttledBaseDelay) * (yield* Random.next))
        const pause = Duration.min(Duration.millis(opensAt - now + spread), longestTimer)
        yield* Telemetry.debug(
          () => `pause of ${DurationText.format(pause)}: this account is limited until then`
        )
        yield* Effect.sleep(pause)
      }
    })

    const polls = yield* Ref.make<Polls>({ underWay: 0, failedAt: [] })
    const turn = yield* Effect.makeSemaphore(1)
    const leave = (exit: Exit.Exit<unknown, unknown>) =>
      Effect.flatMap(Monotonic.now, (now) =>
        Ref.update(polls, ({ failedAt, underWay }) => ({
          underWay: underWay - 1,
          failedAt: Exit.isFailure(exit) && !Exit.isInterrupted(exit) ? [...failedAt, now] : failedAt
        }))
      )

    return {
      enter,
      sparingly: (poll) =>
        Effect.uninterruptibleMask((restore) =>
          restore(turn.take(1)).pipe(
            Effect.zipRight(Effect.ensuring(place(polls, restore), turn.release(1))),
            Effect.zipRight(Effect.onExit(restore(poll), leave))
          )
        ),
      close: (pause) =>
        Effect.flatMap(Monotonic.now, (now) =>
          Ref.update(state, (current) => ({
            ...current,
            closedUntil: Math.max(current.closedUntil, now + bounded(Duration.decode(pause)))
          }))
        ),
      refuse: (pause) =>
        Effect.flatMap(Monotonic.now, (now) =>
          Ref.update(refusedUntil, (known) => Math.max(known, now + Duration.toMillis(pause)))
        ),
      refused: Effect.zipWith(Ref.get(refusedUntil), Monotonic.now, (until, now) =>
        until > now ? Option.some(Duration.millis(until - now)) : Option.none()
      ),
      observe: (headers) =>
        Effect.flatMap(Monotonic.now, (now) => {
          const remaining = count(headers["x-ratelimit-remaining"])
          const reset = count(headers["x-ratelimit-reset"])
          if (remaining === undefined || reset === undefined || reset > Duration.toSeconds(longestHint))
            return Effect.void
          const seen = { remaining, windowEnds: now + bounded(Duration.seconds(reset)) }
          return Ref.update(state, (current) => ({ ...current, ...merge(current, seen) }))
        }),
      withdraw: (tokens) =>
        Ref.modify(budget, (held) => (held < tokens ? [false, held] : [true, held - tokens])),
      deposit: (tokens) => Ref.update(budget, (held) => Math.min(retry.budget, held + tokens))
    }
  })

interface Polls {
  readonly underWay: number
  /** When polls of the last minute failed. */
  readonly failedAt: ReadonlyArray<number>
}

const minute = 60_000

/** Takes a place for a poll, however long that takes; only the pauses in between can be interrupted. */
const place = (
  polls: Ref.Ref<Polls>,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (true) {
      const now = yield* Monotonic.now
      const pause = yield* Ref.modify(polls, ({ failedAt, underWay }) => {
        const recent = failedAt.filter((at) => at > now - minute)
        const isFree = underWay + recent.length < pollsAMinute
        const opensAt = (recent[0] ?? now) + minute
        return [
          isFree ? 0 : Math.min(1000, opensAt - now),
          { underWay: underWay + (isFree ? 1 : 0), failedAt: recent }
        ]
      })
      if (pause === 0) return
      yield* restore(Effect.sleep(Duration.millis(pause)))
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
