import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { alongside } from "../../src/disk/Companion.js"

const never = Effect.forever(Effect.sleep("1 second"))

/** Says when its uninterruptible step of ten seconds begins and ends. */
const stepping = (said: Array<string>) =>
  Effect.forever(
    Effect.sync(() => said.push("step begins")).pipe(
      Effect.zipRight(Effect.sleep("10 seconds")),
      Effect.zipRight(Effect.sync(() => said.push("step ends"))),
      Effect.uninterruptible
    )
  )

describe("alongside", () => {
  it.effect("gives what the effect gives, and ends the companion", () =>
    Effect.gen(function* () {
      let ended = false
      const companion = Effect.onInterrupt(never, () => Effect.sync(() => (ended = true)))
      const fiber = yield* Effect.fork(alongside(Effect.as(Effect.sleep("5 seconds"), "result"), companion))
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(fiber)).toBe("result")
      expect(ended).toBe(true)
    })
  )

  it.effect("fails as either fails, and ends the other", () =>
    Effect.gen(function* () {
      const failing = Effect.zipRight(Effect.sleep("5 seconds"), Effect.fail("lost"))
      for (const pair of [alongside(never, failing), alongside(failing, never)]) {
        const fiber = yield* Effect.fork(pair)
        yield* TestClock.adjust("5 seconds")
        expect(yield* Effect.flip(Fiber.join(fiber))).toBe("lost")
      }
    })
  )

  for (const [name, end] of [
    ["interrupted", (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.asVoid(Fiber.interrupt(fiber))],
    ["ended by a neighbour's failure", () => Effect.void]
  ] as const) {
    it.effect(`waits for a step that must not be interrupted when it is ${name}`, () =>
      Effect.gen(function* () {
        const said: Array<string> = []
        const neighbour =
          name === "interrupted"
            ? Effect.never
            : Effect.zipRight(Effect.sleep("2 seconds"), Effect.fail("bad"))
        const fiber = yield* Effect.all([neighbour, alongside(Effect.never, stepping(said))], {
          concurrency: "unbounded"
        }).pipe(Effect.ensuring(Effect.sync(() => said.push("all ended"))), Effect.fork)
        yield* TestClock.adjust("3 seconds")
        yield* Effect.fork(end(fiber))
        yield* TestClock.adjust("3 seconds")
        expect(said).toEqual(["step begins"])
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.await(fiber)
        expect(said).toEqual(["step begins", "step ends", "all ended"])
      })
    )
  }
})
