import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, Scope, TestClock } from "effect"
import * as Connections from "../../src/transfer/Connections.js"
import * as Condition from "../../src/disk/Condition.js"

describe("Connections", () => {
  it.scoped("begins with a few, never with more than may be", () =>
    Effect.gen(function* () {
      expect(yield* (yield* start({ initial: 4, most: 16 })).connections.allowed).toBe(4)
      expect(yield* (yield* start({ initial: 4, most: 2 })).connections.allowed).toBe(2)
    })
  )

  it.scoped("adds one after every second that gained, up to the most, and tells so", () =>
    Effect.gen(function* () {
      const { changed, connections } = yield* start({ initial: 2, most: 4 })
      const open = yield* Effect.all(Array.from({ length: 4 }, () => connections.open))
      const told = yield* Effect.fork(
        changed.until(
          Effect.map(
            connections.allowed,
            Option.liftPredicate((count) => count === 3)
          )
        )
      )
      const seen: Array<number> = []
      for (const bytes of [100, 200, 400, 800]) {
        for (const connection of open) connection.received(bytes)
        yield* TestClock.adjust("1 second")
        seen.push(yield* connections.allowed)
      }
      expect(seen).toEqual([3, 4, 4, 4])
      expect(yield* Fiber.join(told)).toBe(3)
    })
  )

  it.scoped("adds none in a second that brought as much as before, or in which some were idle", () =>
    Effect.gen(function* () {
      const { connections } = yield* start({ initial: 2, most: 9 })
      const scope = yield* Scope.make()
      const first = yield* connections.open
      const second = yield* Scope.extend(connections.open, scope)
      const third = yield* connections.open
      const after = (bytes: number) =>
        Effect.gen(function* () {
          first.received(bytes)
          second.received(bytes)
          third.received(bytes)
          yield* TestClock.adjust("1 second")
          return yield* connections.allowed
        })
      expect(yield* after(1000)).toBe(3)
      expect(yield* after(1040)).toBe(3)
      expect(yield* after(1060)).toBe(4)
      expect(yield* after(9000)).toBe(4)
      expect(yield* after(0)).toBe(4)
    })
  )

  it.scoped("halves down to one when it is refused, and grows again from there", () =>
    Effect.gen(function* () {
      const { connections } = yield* start({ initial: 16, most: 16 })
      const counts: Array<number> = []
      for (let n = 0; n < 6; n++) {
        yield* Effect.scoped(Effect.flatMap(connections.open, ({ refused }) => refused))
        counts.push(yield* connections.allowed)
      }
      expect(counts).toEqual([8, 4, 2, 1, 1, 1])
      yield* TestClock.adjust("1 second")
      const connection = yield* connections.open
      connection.received(10)
      yield* TestClock.adjust("1 second")
      expect(yield* connections.allowed).toBe(2)
    })
  )

  it.scoped("a burst of refusals halves once, and a second with one adds none", () =>
    Effect.gen(function* () {
      const { connections } = yield* start({ initial: 8, most: 16 })
      const open = yield* Effect.all(Array.from({ length: 8 }, () => connections.open))
      yield* Effect.all(open.map(({ refused }) => refused))
      expect(yield* connections.allowed).toBe(4)
      for (const connection of open) connection.received(1000)
      yield* TestClock.adjust("1 second")
      expect(yield* connections.allowed).toBe(4)
      for (const connection of open) connection.received(1000)
      yield* TestClock.adjust("1 second")
      expect(yield* connections.allowed).toBe(5)
    })
  )

  it.scoped("replaces the one that is five seconds in a row much slower than the others, and no other", () =>
    Effect.gen(function* () {
      const { connections } = yield* start({ initial: 4, most: 4 })
      const open = yield* Effect.all(Array.from({ length: 4 }, () => connections.open))
      const replacedAfter = (rates: ReadonlyArray<number>) =>
        Effect.gen(function* () {
          for (const [index, connection] of open.entries()) connection.received(rates[index] ?? 0)
          yield* TestClock.adjust("1 second")
          return open.map((connection) => connection.isReplaced())
        })
      const none = [false, false, false, false]
      for (let n = 0; n < 5; n++) expect(yield* replacedAfter([100, 100, 100, 19])).toEqual(none)
      expect(yield* replacedAfter([100, 100, 100, 50])).toEqual(none)
      for (let n = 0; n < 4; n++) expect(yield* replacedAfter([100, 100, 100, 0])).toEqual(none)
      expect(yield* replacedAfter([100, 100, 100, 0])).toEqual([false, false, false, true])
    })
  )

  it.scoped("compares no two, and forgets those that are closed", () =>
    Effect.gen(function* () {
      const { connections } = yield* start({ initial: 4, most: 4 })
      const scope = yield* Scope.make()
      const [slow, fast] = [yield* connections.open, yield* connections.open]
      const third = yield* Scope.extend(connections.open, scope)
      third.received(100)
      yield* TestClock.adjust("1 second")
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      for (let n = 0; n < 20; n++) {
        fast.received(100)
        yield* TestClock.adjust("1 second")
      }
      expect([slow.isReplaced(), fast.isReplaced()]).toEqual([false, false])
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

const start = (options: { readonly initial: number; readonly most: number }) =>
  Effect.gen(function* () {
    const changed = yield* Condition.make
    return { changed, connections: yield* Connections.make({ ...options, changed }) }
  })
