import { Headers } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, FastCheck as fc, Fiber, Random } from "effect"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as Throttle from "../../src/retry/Throttle.js"
import { advance, play } from "../Script.js"

describe("gate", () => {
  it.effect("is open at first", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      expect(yield* entries(throttle, 3)).toEqual([0, 0, 0])
    })
  )

  it.effect.each([
    [0, 10_000],
    [0.25, 10_250],
    [1, 11_000]
  ] as const)("lets nobody in before its time; with dice at %d at %d ms", ([random, at]) =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.close("10 seconds")
      expect((yield* play(throttle.enter, { random })).at).toBe(at)
    })
  )

  it.effect("is not opened earlier by a shorter closure", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.close("10 seconds")
      yield* throttle.close("2 seconds")
      expect(yield* entries(throttle, 1)).toEqual([10_000])
    })
  )

  it.effect("stays closed for those who wait already when a longer closure comes", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.close("10 seconds")
      yield* Effect.fork(Effect.delay(throttle.close("20 seconds"), "9 seconds"))
      expect(yield* entries(throttle, 2)).toEqual([29_000, 29_000])
    })
  )

  it.effect.each(["121 seconds", "1 hour", Number.POSITIVE_INFINITY] as const)(
    "closed for %s opens after 120 s all the same",
    (pause) =>
      Effect.gen(function* () {
        const throttle = yield* make()
        yield* throttle.close(pause)
        expect(yield* entries(throttle, 1)).toEqual([120_000])
      })
  )

  it.effect("closed by one of ten fibers holds them all, and lets them in over a second", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.close("30 seconds")
      const fiber = yield* Effect.fork(Effect.withRandom(timesOf(throttle, 10), Random.make("ten fibers")))
      yield* advance("1 minute")
      const times = yield* Fiber.join(fiber)
      expect(Math.min(...times)).toBeGreaterThanOrEqual(30_000)
      expect(Math.max(...times)).toBeLessThanOrEqual(31_000)
      expect(new Set(times).size).toBe(10)
    })
  )

  it.effect("lets a waiting fiber be interrupted at once", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.close("1 minute")
      const fiber = yield* Effect.fork(throttle.enter)
      yield* advance("1 second")
      yield* Fiber.interrupt(fiber)
      expect(yield* Clock.currentTimeMillis).toBe(1000)
    })
  )

  it.effect("can be closed again and again before those who wait get in", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.close("10 millis")
      const fiber = yield* Effect.fork(timesOf(throttle, 1).pipe(quickly))
      for (let round = 0; round < 50; round++) {
        yield* advance("5 millis")
        yield* throttle.close("10 millis")
      }
      yield* advance("1 second")
      expect(yield* Fiber.join(fiber)).toEqual([260])
    })
  )
})

describe("limiter", () => {
  it.effect("lets in as many as remain, and the others when the window ends", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(2, 30))
      expect(yield* entries(throttle, 4)).toEqual([0, 0, 30_000, 30_000])
    })
  )

  it.effect("waits for the window to end when nothing remains", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(0, 30))
      expect(yield* entries(throttle, 2)).toEqual([30_000, 30_000])
    })
  )

  it.effect("spreads those who waited over a second", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(0, 30))
      expect((yield* play(throttle.enter, { random: 0.5 })).at).toBe(30_500)
    })
  )

  it.effect("does not wait when nothing remains and the window ends now", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(0, 0))
      expect(yield* entries(throttle, 3)).toEqual([0, 0, 0])
    })
  )

  it.effect("knows no limit any more once the window has ended", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(1, 30))
      yield* advance("30 seconds")
      expect(yield* entries(throttle, 5)).toEqual([30_000, 30_000, 30_000, 30_000, 30_000])
    })
  )

  it.effect("waits 120 s at most", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(0, 86_400))
      expect(yield* entries(throttle, 1)).toEqual([120_000])
    })
  )

  it.effect.each([
    [{ "x-ratelimit-remaining": "0" }],
    [{ "x-ratelimit-reset": "30" }],
    [{ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon" }],
    [{ "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "30" }],
    [{ "x-ratelimit-remaining": "none", "x-ratelimit-reset": "30" }],
    [{ "x-ratelimit-remaining": "", "x-ratelimit-reset": "" }],
    [{ "x-ratelimit-limit": "0" }]
  ])("learns nothing from %j", ([headers]) =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(Headers.fromInput(headers))
      expect(yield* entries(throttle, 3)).toEqual([0, 0, 0])
    })
  )

  it.effect("is not fooled by answers that overtake each other", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(1, 30))
      yield* throttle.observe(limits(3, 30))
      expect(yield* entries(throttle, 2)).toEqual([0, 30_000])
    })
  )

  it.effect("counts requests whose answers are still to come", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(2, 30))
      expect(yield* entries(throttle, 2, "0 seconds")).toEqual([0, 0])
      yield* throttle.observe(limits(1, 30))
      expect(yield* entries(throttle, 1)).toEqual([30_000])
    })
  )

  it.effect("starts afresh with a new window", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(0, 10))
      yield* advance("9 seconds")
      yield* throttle.observe(limits(9, 60))
      expect(yield* entries(throttle, 9, "0 seconds")).toEqual(Array.from({ length: 9 }, () => 9000))
      expect(yield* entries(throttle, 1)).toEqual([69_000])
    })
  )

  it.effect.each([1000, 200])("does not slow down under a window that slides, at one call in %d ms", (step) =>
    Effect.gen(function* () {
      const throttle = yield* make()
      for (let call = 0; call < 15; call++) {
        expect(yield* entries(throttle, 1, "0 seconds")).toEqual([call * step])
        yield* throttle.observe(limits(9, 60))
        yield* advance(step)
      }
    })
  )

  it.effect("takes the rounding of the header for what it is: still the same window", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      yield* throttle.observe(limits(2, 30))
      yield* advance("900 millis")
      yield* throttle.observe(limits(2, 30))
      expect(yield* entries(throttle, 3)).toEqual([900, 900, 30_000])
    })
  )
})

describe("budget", () => {
  it.prop(
    "never lends more than it holds, and never holds more than its size",
    [
      fc.integer({ min: 0, max: 40 }),
      fc.array(fc.record({ deposit: fc.boolean(), tokens: fc.integer({ min: 0, max: 15 }) }), {
        maxLength: 40
      })
    ],
    ([budget, steps]) =>
      Effect.runSync(
        Effect.gen(function* () {
          const throttle = yield* make({ budget })
          let held = budget
          for (const { deposit, tokens } of steps) {
            if (deposit) {
              yield* throttle.deposit(tokens)
              held = Math.min(budget, held + tokens)
            } else {
              expect(yield* throttle.withdraw(tokens)).toBe(tokens <= held)
              held -= tokens <= held ? tokens : 0
            }
          }
        })
      )
  )

  it.effect("is 500 tokens", () =>
    Effect.gen(function* () {
      const throttle = yield* make()
      expect(yield* throttle.withdraw(501)).toBe(false)
      expect(yield* throttle.withdraw(500)).toBe(true)
      expect(yield* throttle.withdraw(1)).toBe(false)
    })
  )
})

const make = (retry: NonNullable<BatchConfig.Options["retry"]> = {}) =>
  Effect.flatMap(BatchConfig.make({ retry }), (settings) => Throttle.make(settings.retry))

const limits = (remaining: number, reset: number) =>
  Headers.fromInput({ "x-ratelimit-remaining": String(remaining), "x-ratelimit-reset": String(reset) })

/** When each of some fibers, started now, gets in; in order. */
const timesOf = (throttle: Throttle.Throttle, fibers: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.all(
    Array.from({ length: fibers }, () => Effect.zipRight(throttle.enter, Clock.currentTimeMillis)),
    { concurrency: "unbounded" }
  ).pipe(Effect.map((times) => times.toSorted((a, b) => a - b)))

/** With dice that add nothing to a pause. */
const quickly = Effect.withRandom(Random.fixed([0]))

const entries = (
  throttle: Throttle.Throttle,
  fibers: number,
  within: "0 seconds" | "5 minutes" = "5 minutes"
) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(quickly(timesOf(throttle, fibers)))
    yield* advance(within)
    return yield* Fiber.join(fiber)
  })
