/**
 * The monotonic clock, for deadlines, pauses and ages: nobody can set it, and it never goes back. The wall clock is
 * for dates only, such as a server's and a receipt's.
 *
 * @example
 * import { Effect } from "effect"
 * import { Monotonic } from "@org/batch-core"
 *
 * const ageOf = (since: number) => Effect.map(Monotonic.now, (now) => now - since) // in milliseconds
 */
import { type Clock, Effect } from "effect"

const nanosPerMilli = 1_000_000n

/** Whole milliseconds by a clock of the caller's, for code that cannot wait for an effect. */
export const unsafeNow = (clock: Clock.Clock): number =>
  Number(clock.unsafeCurrentTimeNanos() / nanosPerMilli)

/** Whole milliseconds since a moment that only this process knows: good for differences, and for nothing else. */
export const now: Effect.Effect<number> = Effect.clockWith((clock) =>
  Effect.map(clock.currentTimeNanos, (nanos) => Number(nanos / nanosPerMilli))
)

/** How late a timer may be before the process must have been asleep, in milliseconds. */
const tolerance = 1000

/** Whether the process must have been asleep at a moment at which it should have gone on. */
export const sleptPast = (moment: number): Effect.Effect<boolean> =>
  Effect.map(now, (reached) => reached > moment + tolerance)
