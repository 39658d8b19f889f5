import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either } from "effect"
import * as WaitParameter from "../src/WaitParameter.js"

describe("WaitParameter.parse", () => {
  it.effect.each([
    [undefined, 60_000],
    ["0", 0],
    ["90", 90_000],
    ["1m30s", 90_000],
    ["250ms", 250],
    ["1h", 3_600_000],
    ["60m", 3_600_000]
  ] as const)("%s is %d ms", ([text, millis]) =>
    Effect.gen(function* () {
      expect(Duration.toMillis(yield* WaitParameter.parse("timeout", text, "60 seconds"))).toBe(millis)
    })
  )

  it.effect.each(["", "soon", "-1s", "3601s", "61m", "1d", "1e3", "Infinity", "NaN", "0x10"])(
    "%s is 400, and named",
    (text) =>
      Effect.gen(function* () {
        expect(yield* Effect.either(WaitParameter.parse("wait", text, 0))).toEqual(
          Either.left(
            expect.objectContaining({
              status: 400,
              type: "RequestRejected",
              message: expect.stringMatching(/^wait: /u)
            })
          )
        )
      })
  )
})
