import { describe, expect, it } from "@effect/vitest"
import { Clock, Duration, Effect, Option } from "effect"
import type { Batch } from "../../src/model/Batch.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as Settling from "../../src/transfer/Settling.js"
import * as Script from "../Script.js"

const link = "https://files.test/x?Signature=1"
const done = { status: "completed", result_count: 7 }

describe("links", () => {
  it.effect(
    "are asked for again at the cadence of polling, for two minutes, and once more at their end",
    () =>
      Effect.gen(function* () {
        const { pauses, times, until } = yield* ask(() => done)
        expect(times).toEqual([2, 5, 9.5, 16.25, 26.375, 41.563, 64.345, 94.345, 120].map((s) => s * 1000))
        expect(times.filter((at) => at <= 60_000).length).toBeLessThanOrEqual(12)
        expect(until.downloadUrl).toEqual(Option.none())
        expect(pauses.every(({ cause }) => cause === "NoLink")).toBe(true)
      })
  )

  it.effect("are taken when they come, also after an answer that is older than the one before", () =>
    Effect.gen(function* () {
      const { times, until } = yield* ask((nth) =>
        nth === 0 ? { status: "processing" } : nth < 3 ? done : { ...done, download_url: link }
      )
      expect(times).toHaveLength(4)
      expect(Option.isSome(until.downloadUrl)).toBe(true)
    })
  )

  for (const [name, fields] of [
    ["a job that has them", { ...done, download_url: link }],
    ["a job with parts", { ...done, download_urls: [link] }],
    ["an empty result", { ...done, result_count: 0 }],
    ["a running job", { status: "processing" }],
    ["a failed job", { status: "failed" }]
  ] as const) {
    it.effect(`of ${name} are not waited for`, () =>
      Effect.gen(function* () {
        expect((yield* ask(() => done, fields)).times).toEqual([])
      })
    )
  }

  it.effect("of a job that fails meanwhile are given up", () =>
    Effect.gen(function* () {
      const { times, until } = yield* ask(() => ({ status: "failed" }))
      expect([times.length, until.status]).toEqual([1, "failed"])
    })
  )
})

describe("recount", () => {
  for (const [settle, every] of [
    ["2m", 10_000],
    ["6s", 3000]
  ] as const) {
    it.effect(`asks twice in 20 s, or in the time that is allowed: ${settle}`, () =>
      Effect.gen(function* () {
        const times: Array<number> = []
        const recount = Settling.recount({
          settings: yield* BatchConfig.make({ transfer: { settle } }),
          ask: Effect.map(Clock.currentTimeMillis, (at) => {
            times.push(at)
            return Option.some(Script.batch(done))
          }),
          isNews: () => Effect.succeed(false),
          onPause: () => Effect.void
        })
        const played = yield* Script.play(recount.next("6 rows"))
        expect(Script.valueOf(played)).toEqual(Option.none())
        expect(times).toEqual([every, 2 * every])
      })
    )
  }

  it.effect("ends with the first news, and goes on from there", () =>
    Effect.gen(function* () {
      let asked = 0
      const recount = Settling.recount({
        settings: yield* BatchConfig.make(),
        ask: Effect.sync(() => {
          asked += 1
          return asked === 1 ? Option.some(Script.batch(done)) : Option.none()
        }),
        isNews: () => Effect.succeed(true),
        onPause: () => Effect.void
      })
      expect(Option.isSome(Script.valueOf(yield* Script.play(recount.next("6 rows"))))).toBe(true)
      expect(Script.valueOf(yield* Script.play(recount.next("6 rows")))).toEqual(Option.none())
      expect(Script.valueOf(yield* Script.play(recount.next("6 rows")))).toEqual(Option.none())
      expect(asked).toBe(2)
    })
  )
})

describe("isSameResult", () => {
  const one = Script.batch({ ...done, download_url: link, download_urls: [link] })
  for (const [name, fields, same] of [
    ["another signature", { download_url: "https://files.test/x?Signature=2", download_urls: [link] }, true],
    ["another place", { download_url: "https://files.test/y?Signature=1", download_urls: [link] }, false],
    ["another count", { result_count: 8, download_url: link, download_urls: [link] }, false],
    ["fewer parts", { download_url: link, download_urls: [] }, false]
  ] as const) {
    it(`${name}: ${same ? "the same" : "another"}`, () =>
      expect(Settling.isSameResult(one, Script.batch({ ...done, ...fields }))).toBe(same))
  }
})

// ----------------------------------------------------------------------------------------------------------------

/** Waits for the links of a job, whose states are told one after the other; with pauses as long as they may be. */
const ask = (
  fields: (nth: number) => Readonly<Record<string, unknown>>,
  first: Readonly<Record<string, unknown>> = done
) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    const pauses: Array<Settling.Pause> = []
    const settings = yield* BatchConfig.make()
    const status = () =>
      Effect.map(Clock.currentTimeMillis, (at): Batch => Script.batch(fields(times.push(at) - 1)))
    const onPause = (pause: Settling.Pause) => Effect.sync(() => void pauses.push(pause))
    const waited = Settling.links(Script.batch(first), { client: { status }, settings, onPause })
    const until = Script.valueOf(yield* Script.play(waited))
    expect(pauses.every(({ delay }) => Duration.toMillis(delay) > 0)).toBe(true)
    return { times, pauses, until }
  })
