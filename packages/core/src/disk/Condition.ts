/**
 * A change that others wait for: look, and if there is nothing yet, wait for the next change and look again. No
 * change between the look and the wait is missed.
 *
 * @example
 * import { Effect, Option, Ref } from "effect"
 * import * as Condition from "./Condition.js"
 *
 * const program = Effect.gen(function* () {
 *   const signal = yield* Condition.make
 *   const box = yield* Ref.make(Option.none<number>())
 *   yield* Effect.fork(Effect.zipRight(Ref.set(box, Option.some(1)), signal.notify))
 *   return yield* signal.until(Ref.get(box)) // 1
 * })
 */
import { Deferred, Effect, Option, Ref } from "effect"

/** Something that changes. */
export interface Condition {
  /** Says that something has changed. */
  readonly notify: Effect.Effect<void>
  /** Looks now and after every change, until the look finds something. */
  readonly until: <A, E, R>(look: Effect.Effect<Option.Option<A>, E, R>) => Effect.Effect<A, E, R>
}

/** Nothing has changed yet. */
export const make: Effect.Effect<Condition> = Effect.gen(function* () {
  const next = yield* Ref.make(yield* Deferred.make<void>())
  const notify = Effect.gen(function* () {
    const change = yield* Ref.getAndSet(next, yield* Deferred.make<void>())
    yield* Deferred.succeed(change, undefined)
  })
  const until = <A, E, R>(look: Effect.Effect<Option.Option<A>, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function* () {
      while (true) {
        const change = yield* Ref.get(next)
        const found = yield* look
        if (Option.isSome(found)) return found.value
        yield* Deferred.await(change)
      }
    })
  return { notify, until }
})
