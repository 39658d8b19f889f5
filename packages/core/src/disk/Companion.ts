/**
 * An effect with a companion that runs beside it until it ends, such as a lock's heartbeat beside a download. Unlike a
 * race, nothing of either goes on when this has ended, however it ended: a step that must not be interrupted is waited
 * for. (The loser of `Effect.raceFirst` is not, when the race itself is interrupted.)
 *
 * @example
 * import { Effect } from "effect"
 * import { alongside } from "./Companion.js"
 *
 * const program = alongside(Effect.sleep("1 minute"), Effect.forever(Effect.zipRight(Effect.sleep("1 second"), Effect.log("tick"))))
 */
import { Deferred, Effect, Fiber } from "effect"

/** Runs `effect` while `companion` runs beside it. A failure of either ends both, and is the failure of this. */
export const alongside = <A, E, R, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  companion: Effect.Effect<never, E2, R2>
): Effect.Effect<A, E | E2, R | R2> =>
  Effect.gen(function* () {
    const ended = yield* Deferred.make<void>()
    const beside = Effect.acquireUseRelease(
      Effect.fork(Effect.interruptible(companion)),
      (fiber) => Effect.raceFirst(Deferred.await(ended), Fiber.join(fiber)),
      Fiber.interrupt
    )
    const main = Effect.ensuring(effect, Deferred.succeed(ended, undefined))
    const [result] = yield* Effect.all([main, beside], { concurrency: 2 })
    return result
  })
