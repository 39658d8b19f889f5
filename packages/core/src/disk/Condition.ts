/**
 * A condition variable: fibers look at state that they share and, while they do not find what they want, wait for the
 * next change and look again. No change between the look and the wait is missed.
 *
 * @example
 * import { Effect, Option, Ref } from "effect"
 * import * as Condition from "./Condition.js"
 *
 * const program = Effect.gen(function* () {
 *   const changed = yield* Condition.make
 *   const box = yield* Ref.make(Option.none<number>())
 *   yield* Effect.fork(Effect.zipRight(Ref.set(box, Option.some(1)), changed.notify))
 *   return yield* changed.until(Ref.get(box)) // 1
 * })
 */
import { Deferred, Effect, Option, Ref } from "effect"

/** A condition variable over state that several fibers share. */
export interface Condition {
  /** Wakes all who wait, after a change of the state. */
  readonly notify: Effect.Effect<void>
  /** Looks now and after every change, until the look finds something. */
  readonly until: <A, E, R>(look: Effect.Effect<Option.Option<A>, E, R>) => Effect.Effect<A, E, R>
}

/** Makes a condition variable; whoever changes the state that is looked at must `notify` afterwards. */
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
