import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, Ref } from "effect"
import * as Condition from "../../src/disk/Condition.js"

describe("Condition", () => {
  it.effect("looks once at once, and again after every change, until something is found", () =>
    Effect.gen(function* () {
      const condition = yield* Condition.make
      const looks = yield* Ref.make(0)
      const look = Effect.map(
        Ref.updateAndGet(looks, (count) => count + 1),
        Option.liftPredicate((count) => count === 3)
      )
      const fiber = yield* Effect.fork(condition.until(look))
      yield* Effect.yieldNow()
      expect(yield* Ref.get(looks)).toBe(1)
      yield* condition.notify
      yield* Effect.yieldNow()
      yield* condition.notify
      expect(yield* Fiber.join(fiber)).toBe(3)
    })
  )

  it.effect("misses no change that happens during a look", () =>
    Effect.gen(function* () {
      const condition = yield* Condition.make
      const box = yield* Ref.make(Option.none<string>())
      const [looking, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const look = Effect.gen(function* () {
        const found = yield* Ref.get(box)
        yield* Deferred.succeed(looking, undefined)
        yield* Deferred.await(goOn)
        return found
      })
      const fiber = yield* Effect.fork(condition.until(look))
      yield* Deferred.await(looking)
      yield* Ref.set(box, Option.some("there"))
      yield* condition.notify
      yield* Deferred.succeed(goOn, undefined)
      expect(yield* Fiber.join(fiber)).toBe("there")
    })
  )

  it.effect("wakes everybody, and one that was interrupted takes nothing from the others", () =>
    Effect.gen(function* () {
      const condition = yield* Condition.make
      const box = yield* Ref.make(Option.none<number>())
      const waiters = yield* Effect.all(
        Array.from({ length: 20 }, () => Effect.fork(condition.until(Ref.get(box))))
      )
      yield* Effect.yieldNow()
      const [first, ...others] = waiters
      if (first !== undefined) yield* Fiber.interrupt(first)
      yield* Ref.set(box, Option.some(1))
      yield* condition.notify
      expect(yield* Fiber.join(Fiber.all(others))).toEqual(others.map(() => 1))
    })
  )
})
