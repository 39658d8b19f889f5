import { it } from "@effect/vitest"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import * as BatchError from "@org/batch-core/BatchError"
import { Duration, Effect, Option } from "effect"
import { describe, expect } from "vitest"
import * as Cadence from "../src/Cadence.js"
import { isFinal } from "../src/Looks.js"
import * as Stack from "./Stack.js"

const look = (isKnown: boolean, suspicion = "", suspected = 0) => ({ isKnown, suspicion, suspected })

describe("whether a failure ends the wait for a batch", () => {
  it.effect("is as in BatchPoll: a stray refusal after a good answer does not", () =>
    Effect.gen(function* () {
      const missing = new BatchError.BatchNotFound({ batchId: yield* Stack.otherId })
      const refused = (fromApi: boolean) =>
        new BatchError.NotAuthorized({ reason: "InvalidKey", detail: "no", fromApi })
      const away = new BatchError.ApiUnavailable({
        reason: "Network",
        status: Option.none(),
        attempts: 1,
        detail: "away"
      })
      expect(isFinal(missing, look(false))).toBe(true)
      expect(isFinal(missing, look(true))).toBe(false)
      expect(isFinal(missing, look(true, "BatchNotFound", 1))).toBe(false)
      expect(isFinal(missing, look(true, "BatchNotFound", 2))).toBe(true)
      expect(isFinal(missing, look(true, "ApiUnavailable", 9))).toBe(false)
      expect(isFinal(refused(true), look(true))).toBe(true)
      expect(isFinal(refused(false), look(true))).toBe(false)
      expect(isFinal(refused(false), look(false))).toBe(true)
      expect(isFinal(away, look(false, "ApiUnavailable", 99))).toBe(false)
      const rejected = new BatchError.RequestRejected({ status: 400, detail: "no", metadata: Option.none() })
      expect(isFinal(rejected, look(true))).toBe(true)
    })
  )
})

describe("the cadence", () => {
  it.effect("grows with each look, within the settings, and obeys a server up to a bound", () =>
    Effect.gen(function* () {
      const { poll } = yield* BatchConfig.make()
      const after = (requests: number, elapsed: Duration.DurationInput, asked?: Duration.DurationInput) =>
        Effect.map(
          Cadence.next(poll, { requests, elapsed: Duration.decode(elapsed) }, Duration.decode(asked ?? 0)),
          Duration.toMillis
        )
      for (let times = 0; times < 50; times++) {
        const [one, five, many, late] = [
          yield* after(1, 0),
          yield* after(5, "1 minute"),
          yield* after(500, "10 minutes"),
          yield* after(500, "2 hours")
        ]
        expect(one).toBeGreaterThanOrEqual(1000)
        expect(one).toBeLessThanOrEqual(2000)
        expect(five).toBeGreaterThanOrEqual(5062)
        expect(five).toBeLessThanOrEqual(10_125)
        expect(many).toBeGreaterThanOrEqual(15_000)
        expect(many).toBeLessThanOrEqual(30_000)
        expect(late).toBeLessThanOrEqual(60_000)
      }
      expect(yield* after(1, 0, "40 seconds")).toBe(40_000)
      expect(yield* after(1, 0, "40 hours")).toBe(3_600_000)
    })
  )
})
