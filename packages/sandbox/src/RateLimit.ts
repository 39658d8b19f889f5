/**
 * The rate limit of the API: requests per window, as the `x-ratelimit-*` headers tell it.
 */
import { Clock, Effect } from "effect"

/** So many requests in so many seconds. */
export interface Options {
  readonly limit: number
  readonly windowSeconds: number
}

/** Whether a request may pass, and the headers that say how much is left. `x-ratelimit-reset` counts seconds from now. */
export interface Passage {
  readonly allowed: boolean
  readonly headers: Readonly<Record<string, string>>
}

/** Make a limiter, whose effect counts a request. Its window is fixed and opens with its first request. */
export const make = ({ limit, windowSeconds }: Options): Effect.Effect<Effect.Effect<Passage>> =>
  Effect.sync(() => {
    let window = { until: -Infinity, used: 0 }
    return Effect.map(Clock.currentTimeMillis, (now) => {
      if (now >= window.until) window = { until: now + windowSeconds * 1000, used: 0 }
      const allowed = window.used < limit
      if (allowed) window.used++
      return {
        allowed,
        headers: {
          "x-ratelimit-limit": String(limit),
          "x-ratelimit-remaining": String(limit - window.used),
          "x-ratelimit-reset": String(Math.ceil((window.until - now) / 1000))
        }
      }
    })
  })
