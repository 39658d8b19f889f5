import { describe, expect, it } from "@effect/vitest"
import {
  Chunk,
  Clock,
  Duration,
  Effect,
  Either,
  Exit,
  FastCheck as fc,
  Fiber,
  identity,
  Logger,
  Option,
  Random,
  Schema,
  Stream
} from "effect"
import type { Batch } from "../../src/model/Batch.js"
import * as BatchError from "../../src/model/BatchError.js"
import * as BatchPoll from "../../src/status/BatchPoll.js"
import {
  advance,
  asClock,
  batchId,
  completed,
  errorOf,
  job,
  play,
  type Script,
  script,
  type Step,
  suspended,
  systemError,
  upstream,
  valueOf
} from "../Script.js"

/** Pauses of 2 s × 1.5 up to 30 s, none shortened by the dice, add up to these times. */
const cadence = [0, 2000, 5000, 9500, 16_250, 26_375, 41_563, 64_344, 94_344, 124_344, 154_344]

const running: Step = { body: job({ status: "processing", result_count: 2, entities_requested: 9 }) }

describe("cadence", () => {
  it.effect("begins at once with 2 s, grows by half up to 30 s", () =>
    Effect.gen(function* () {
      const api = script((_, index) => (index < 10 ? running : completed))
      const played = yield* play(wait(api))
      expect(api.times()).toEqual(cadence)
      expect(valueOf(played)).toMatchObject({ status: "completed", resultCount: 7 })
      expect(played.at).toBe(154_344)
    })
  )

  it.effect("asks for this batch and for nothing else", () =>
    Effect.gen(function* () {
      const api = script([running, completed])
      yield* play(wait(api))
      expect(api.seen.map(({ method, url }) => [method, url])).toEqual([
        ["GET", `https://api.test/v1/batch/${batchId}`],
        ["GET", `https://api.test/v1/batch/${batchId}`]
      ])
    })
  )

  it.effect("is halved by the lowest dice, but a second at least", () =>
    Effect.gen(function* () {
      const api = script((_, index) => (index < 8 ? running : completed))
      yield* play(wait(api), { random: 0 })
      expect(gaps(api.times())).toEqual([1000, 1500, 2250, 3375, 5063, 7594, 11_391, 15_000])
      const short = script((_, index) => (index < 3 ? running : completed))
      yield* play(wait(short, { config: { poll: { initialDelay: "1 second", factor: 1 } } }), { random: 0 })
      expect(gaps(short.times())).toEqual([1000, 1000, 1000])
    })
  )

  it.effect.prop(
    "stays between half of each pause and all of it, whatever the dice show",
    [fc.string()],
    ([seed]) =>
      Effect.gen(function* () {
        const api = script((_, index) => (index < 9 ? running : completed))
        yield* play(Effect.withRandom(wait(api), Random.make(seed)))
        const planned = gaps(cadence)
        for (const [index, gap] of gaps(api.times()).entries()) {
          expect(gap).toBeGreaterThanOrEqual(Math.max(1000, Math.floor((planned[index] ?? 0) / 2)))
          expect(gap).toBeLessThanOrEqual(planned[index] ?? 0)
        }
        expect(new Set(gaps(api.times())).size).toBeGreaterThan(1)
      }),
    { fastCheck: { numRuns: 8 } }
  )

  it.effect("slows down to slowMaxDelay after an hour, and not before", () =>
    Effect.gen(function* () {
      const poll = { initialDelay: "20m", maxDelay: "20m", slowMaxDelay: "25m" }
      const api = script((_, index) => (index < 5 ? running : completed))
      yield* play(wait(api, { deadline: "3 hours", config: { poll } }), { within: "3 hours" })
      expect(gaps(api.times()).map((gap) => gap / 60_000)).toEqual([20, 20, 20, 25, 25])
    })
  )

  it.effect("obeys every figure of the settings", () =>
    Effect.gen(function* () {
      const poll = {
        initialDelay: "1s",
        factor: 3,
        maxDelay: "10s",
        minDelay: "4s",
        slowAfter: "30s",
        slowMaxDelay: "15s"
      }
      const api = script((_, index) => (index < 7 ? running : completed))
      yield* play(wait(api, { config: { poll } }))
      expect(gaps(api.times()).map((gap) => gap / 1000)).toEqual([4, 4, 9, 10, 10, 15, 15])
    })
  )

  it.effect("takes the time of an answer for no part of the pause", () =>
    Effect.gen(function* () {
      const api = script([{ ...running, after: "7 seconds" }, { ...running, after: "1 second" }, completed])
      yield* play(wait(api))
      expect(api.times()).toEqual([0, 9000, 13_000])
    })
  )
})

describe("failed requests", () => {
  it.effect("do not end a wait and are asked at the cadence: an outage of 20 s in the middle", () =>
    Effect.gen(function* () {
      const api = script(({ at }) =>
        at >= 20_000 && at < 40_000
          ? { fails: systemError("ECONNREFUSED") }
          : at < 60_000
            ? running
            : completed
      )
      const { notices, played } = yield* watched(api)
      // One request, not retried; the pause grows by it, and comes back to where it was with the next answer.
      expect(api.times()).toEqual([0, 2000, 5000, 9500, 16_250, 26_375, 41_563, 56_751, 79_532])
      expect(valueOf(played).map((batch) => batch.status)).toEqual([
        ...Array.from({ length: 7 }, () => "processing"),
        "completed"
      ])
      expect(notices).toMatchObject([
        { _tag: "RequestFailed", error: { _tag: "ApiUnavailable", reason: "Network", attempts: 1 } }
      ])
    })
  )

  it.effect("slow the cadence down as answers do; the first answer brings it back to its beginning", () =>
    Effect.gen(function* () {
      const api = script((_, index) => (index < 8 ? { status: 500 } : index < 9 ? running : completed))
      yield* play(wait(api))
      expect(api.times()).toEqual([...cadence.slice(0, 9), 96_344])
    })
  )

  it.effect("are at most 12 in a minute, however short the pauses are set", () =>
    Effect.gen(function* () {
      const poll = { initialDelay: "100ms", maxDelay: "200ms", minDelay: "50ms" }
      const api = script([{ status: 502 }])
      yield* play(wait(api, { deadline: "10 minutes", config: { poll } }))
      expect(mostInAMinute(api.times())).toBe(12)
    })
  )

  it.effect("of forty waits of one key are at most 30 in a minute, and go on when the API is back", () =>
    Effect.gen(function* () {
      const api = script(({ at }) => (at < 300_000 ? { status: 502 } : completed))
      const waits = Effect.replicateEffect(
        BatchPoll.await(batchId, { deadline: "30 minutes", onNotice: () => Effect.void }),
        40,
        { concurrency: "unbounded" }
      ).pipe(Effect.provide(upstream(api)))
      expect(valueOf(yield* play(waits))).toHaveLength(40)
      expect(mostInAMinute(api.times().filter((at) => at < 300_000))).toBeLessThanOrEqual(30)
    })
  )

  it.effect("on a connection that was kept open and is found closed are asked again at once", () =>
    Effect.gen(function* () {
      const api = script([running, { fails: systemError("ECONNRESET") }, running, completed])
      const { notices } = yield* watched(api)
      expect(api.times()).toEqual([0, 2000, 2000, 5000])
      expect(notices).toEqual([])
    })
  )

  it.effect.each([
    ["ENOTFOUND", "name is unknown (ENOTFOUND); check the host name"],
    [
      "SELF_SIGNED_CERT_IN_CHAIN",
      "certificate is not trusted (SELF_SIGNED_CERT_IN_CHAIN); .*NODE_EXTRA_CA_CERTS"
    ],
    ["EPROXYREFUSED", "proxy.*NO_PROXY"],
    ["EPROXYUNREACHABLE", "proxy.*HTTPS_PROXY"]
  ] as const)("that will not heal (%s) end a wait at the third, and name the remedy", ([code, words]) =>
    Effect.gen(function* () {
      const api = script([{ fails: systemError(code, `the proxy p.test:3128: HTTP 407`) }])
      const error = errorOf(yield* play(wait(api)))
      expect(error._tag).toBe("ApiUnavailable")
      expect(error.message).toMatch(new RegExp(words.replaceAll(/[()]/gu, "\\$&"), "u"))
      expect(error.message).toContain("3 attempts")
      expect(api.times()).toEqual([0, 2000, 5000])
    })
  )

  it.effect("that will not heal are trouble like any other after a good answer", () =>
    Effect.gen(function* () {
      const api = script((_, index) =>
        index === 0 ? running : index < 6 ? { fails: systemError("ENOTFOUND") } : completed
      )
      expect(valueOf(yield* play(wait(api))).status).toBe("completed")
    })
  )

  it.effect.each([
    [{ status: 408 }],
    [{ status: 500 }],
    [{ status: 503 }],
    [{ status: 520 }],
    [{ status: 501 }],
    [{ status: 511 }],
    [{ status: 204, body: "" }],
    [{ status: 302 }],
    [{ status: 407 }],
    [{ status: 200, body: "<html>" }],
    [{ status: 200, body: { error: "come later" } }],
    [{ status: 200, body: job({ batch_id: "76543210-89ab-4cde-8f01-23456789abcd" }) }],
    [{ fails: systemError("CERT_HAS_EXPIRED") }]
  ] as const)("%j does not end a wait, and is no reason to ask again at once", ([step]) =>
    Effect.gen(function* () {
      const api = script([step, completed])
      expect(valueOf(yield* play(wait(api))).status).toBe("completed")
      expect(api.times()).toEqual([0, 2000])
    })
  )

  it.effect("a job that is completed without a count has ended", () =>
    Effect.gen(function* () {
      const api = script([{ body: job({ status: "completed", result_count: null }) }])
      expect(valueOf(yield* play(wait(api))).status).toBe("completed")
    })
  )

  it.effect.each([
    [400, {}, "RequestRejected"],
    [401, { message: "Invalid API key in request" }, "NotAuthorized"],
    [402, {}, "NotAuthorized"],
    [403, { error: { message: "not on your plan" } }, "NotAuthorized"],
    [422, {}, "RequestRejected"]
  ] as const)("%d %j ends a wait at once: %s", ([status, body, tag]) =>
    Effect.gen(function* () {
      const api = script([running, { status, body }, completed])
      const played = yield* play(wait(api))
      expect(errorOf(played)._tag).toBe(tag)
      expect(api.times()).toEqual([0, 2000])
      expect(played.at).toBe(2000)
    })
  )

  it.effect.each([
    [404, { error: { message: "no such batch" } }, "BatchNotFound"],
    [404, "<html>", "BatchNotFound"],
    [401, "<html>", "NotAuthorized"],
    [403, "", "NotAuthorized"]
  ] as const)(
    "%d %j ends a wait at once before a good answer, later at the third: %s",
    ([status, body, tag]) =>
      Effect.gen(function* () {
        const first = script([{ status, body }])
        expect(errorOf(yield* play(wait(first)))._tag).toBe(tag)
        expect(first.seen).toHaveLength(1)
        const stray = script((_, index) =>
          index === 1 || index === 2 || index === 4 ? { status, body } : running
        )
        expect(errorOf(yield* play(wait(stray, { deadline: "5 minutes" })))._tag).toBe("WaitTimeout")
        const lasting = script((_, index) => (index === 0 ? running : { status, body }))
        const error = errorOf(yield* play(wait(lasting)))
        expect(error._tag).toBe(tag)
        expect(lasting.seen).toHaveLength(4)
        if (typeof body === "object") expect(error.message).toContain("no such batch")
      })
  )

  it.effect("are logged as warnings when nobody listens", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) =>
        lines.push(`${logLevel.label} ${String(message)}`)
      )
      const queued = { body: job({ status: "queued" }) }
      const api = script([{ status: 501 }, queued, queued, queued, queued, queued, completed])
      const quiet = BatchPoll.await(batchId, { deadline: "10 minutes" }).pipe(
        Effect.provide(upstream(api)),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      yield* play(quiet)
      expect(lines).toEqual([
        "WARN still waiting: the API could not be asked (1 attempt): it answered HTTP 501",
        'WARN unknown batch status "queued", taken for a running one'
      ])
    })
  )
})

describe("hints", () => {
  const hours = 3_600_000

  it.effect.each([
    ["429 for longer than we retry", 429, { "retry-after": "300" }, 300_000],
    ["429 by its reset", 429, { "x-ratelimit-reset": "300" }, 300_000],
    ["429 by a date", 429, { "retry-after": new Date(300_000).toUTCString() }, 300_000],
    ["429 for an hour", 429, { "retry-after": "3600" }, hours],
    ["429 for a day", 429, { "retry-after": "86400" }, hours],
    ["503 for longer than we retry", 503, { "retry-after": "300" }, 300_000],
    ["503 for a day", 503, { "retry-after": "86400" }, hours]
  ] as const)("%s: no request before its time, or an hour at most", ([, status, headers, next]) =>
    Effect.gen(function* () {
      const api = script([{ status, headers }, completed])
      const { notices, played } = yield* watched(api, { deadline: "5 hours" })
      expect(valueOf(played)).toHaveLength(1)
      expect(api.times()).toEqual([0, next])
      expect(notices).toMatchObject([{ _tag: "RequestFailed", error: { _tag: "RateLimited" } }])
    })
  )

  it.effect.each([
    ["429", { status: 429, headers: { "retry-after": "60" } }],
    ["503", { status: 503, headers: { "retry-after": "60" } }]
  ] as const)("of a %s hold for the next poll", ([, step]) =>
    Effect.gen(function* () {
      const api = script((_, index) => (index < 4 ? step : completed))
      const { notices } = yield* watched(api, { random: 0 })
      expect(api.times()).toEqual([0, 60_000, 120_000, 180_000, 240_000])
      expect(notices).toHaveLength(4)
    })
  )

  it.effect.each([
    [429, { "retry-after": "1795000000" }],
    [429, { "x-ratelimit-reset": "1795000000", "x-ratelimit-remaining": "0" }],
    [503, { "retry-after": "86401" }]
  ] as const)("beyond a day (%d, %j) are none", ([status, headers]) =>
    Effect.gen(function* () {
      const api = script([running, { status, headers }, completed])
      expect(valueOf(yield* play(wait(api), { random: 0 })).status).toBe("completed")
      expect(api.times()).toEqual([0, 1000, 2500])
    })
  )

  it.effect.each(["0", "garbage", "-5"])("never shorten a pause: %s", (text) =>
    Effect.gen(function* () {
      const limited: Step = { status: 429, headers: { "retry-after": text } }
      const api = script((_, index) => (index < 4 ? running : index < 5 ? limited : completed))
      yield* play(wait(api), { random: 0 })
      expect(gaps(api.times())).toEqual([1000, 1500, 2250, 3375, 5063])
    })
  )

  it.effect("hold for one pause only", () =>
    Effect.gen(function* () {
      const api = script([{ status: 429, headers: { "retry-after": "300" } }, running, running, completed])
      yield* play(wait(api, { deadline: "1 hour" }))
      expect(api.times()).toEqual([0, 300_000, 302_000, 305_000])
    })
  )

  it.effect("are bounded by maxHint", () =>
    Effect.gen(function* () {
      const api = script([{ status: 429, headers: { "retry-after": "3600" } }, completed])
      yield* play(wait(api, { config: { poll: { maxHint: "10m" } } }))
      expect(api.times()).toEqual([0, 600_000])
    })
  )

  it.effect(
    "that reach beyond the deadline are obeyed too: no last probe, and the wait lasts as long as asked",
    () =>
      Effect.gen(function* () {
        const api = script([running, { status: 429, headers: { "retry-after": "3600" } }, completed])
        const played = yield* play(wait(api, { deadline: "10 minutes" }))
        expect(api.times()).toEqual([0, 2000])
        expect(played.at).toBe(600_000)
        expect(errorOf(played)).toMatchObject({
          _tag: "WaitTimeout",
          elapsed: Duration.minutes(10),
          polls: 1
        })
      })
  )

  it.effect("that end within the last second before the deadline leave room for the last probe", () =>
    Effect.gen(function* () {
      const api = script([{ status: 429, headers: { "retry-after": "599.5" } }, completed])
      const played = yield* play(wait(api, { deadline: "10 minutes" }))
      expect(api.times()).toEqual([0, 599_500])
      expect(valueOf(played).status).toBe("completed")
    })
  )
})

describe("unknown states", () => {
  const state = (status: string): Step => ({ body: job({ status }) })

  it.effect("sleep like running ones", () =>
    Effect.gen(function* () {
      const api = script((_, index) => (index < 4 ? state("queued") : completed))
      const { notices, played } = yield* watched(api)
      expect(api.times()).toEqual(cadence.slice(0, 5))
      expect(valueOf(played).map((batch) => batch.status)).toEqual([
        "queued",
        "queued",
        "queued",
        "queued",
        "completed"
      ])
      expect(notices).toEqual([])
    })
  )

  it.effect("are told of once after five in a row, and never end a wait", () =>
    Effect.gen(function* () {
      const api = script((_, index) => (index < 40 ? state("queued") : completed))
      const { notices, played } = yield* watched(api)
      expect(api.times().slice(0, 11)).toEqual(cadence)
      expect(valueOf(played).at(-1)?.status).toBe("completed")
      expect(notices).toEqual([{ _tag: "UnknownStatus", status: "queued" }])
    })
  )

  it.effect("are counted across failed requests and anew after a known one", () =>
    Effect.gen(function* () {
      const states = "queued queued - queued queued pending queued paused queued paused queued paused"
      const steps = states.split(" ").map((status) => (status === "-" ? { status: 501 } : state(status)))
      const api = script((_, index) => steps[index] ?? completed)
      const { notices, played } = yield* watched(api)
      expect(valueOf(played).at(-1)?.status).toBe("completed")
      expect(
        notices.map((notice) => (notice._tag === "UnknownStatus" ? notice.status : notice._tag))
      ).toEqual(["RequestFailed", "queued", "paused"])
    })
  )

  it.effect("are never taken for the end, whatever their case", () =>
    Effect.gen(function* () {
      const api = script([state("Completed"), state("COMPLETED"), state("Failed"), state("done"), completed])
      const { notices, played } = yield* watched(api)
      expect(valueOf(played).at(-1)?.status).toBe("completed")
      expect(api.times()).toEqual(cadence.slice(0, 5))
      expect(notices).toEqual([])
    })
  )

  it.effect("are told of as soon as the setting says", () =>
    Effect.gen(function* () {
      const api = script([state("queued"), state("queued"), completed])
      const { notices } = yield* watched(api, { config: { poll: { unknownStatusLimit: 2 } } })
      expect(notices).toHaveLength(1)
    })
  )
})

describe("deadline", () => {
  it.effect("is preceded by a last probe, a second before it", () =>
    Effect.gen(function* () {
      const api = script([running])
      const played = yield* play(wait(api, { deadline: "10 seconds" }))
      expect(api.times()).toEqual([0, 2000, 5000, 9000])
      expect(errorOf(played)._tag).toBe("WaitTimeout")
      expect(played.at).toBe(9000)
    })
  )

  it.effect("is not missed when the job completes just before it", () =>
    Effect.gen(function* () {
      const api = script(({ at }) => (at < 9000 ? running : completed))
      expect(valueOf(yield* play(wait(api, { deadline: "10 seconds" }))).status).toBe("completed")
    })
  )

  it.effect("does not bring the last probe nearer than a second to the one before", () =>
    Effect.gen(function* () {
      const api = script([running])
      yield* play(wait(api, { deadline: Duration.millis(3010) }))
      expect(api.times()).toEqual([0, 2000, 3000])
    })
  )

  it.effect("of 0 asks once, and takes that answer", () =>
    Effect.gen(function* () {
      const done = script([completed])
      expect(valueOf(yield* play(wait(done, { deadline: 0 }))).status).toBe("completed")
      const busy = script([running])
      const start = yield* Clock.currentTimeMillis
      const played = yield* play(wait(busy, { deadline: 0 }))
      expect(errorOf(played)).toMatchObject({ _tag: "WaitTimeout", polls: 1, elapsed: Duration.zero })
      expect(played.at - start).toBe(0)
      expect(busy.seen).toHaveLength(1)
    })
  )

  it.effect("of 0 waits a second for that answer", () =>
    Effect.gen(function* () {
      const api = script([{ hangs: "head" }])
      const played = yield* play(wait(api, { deadline: 0 }))
      expect(played.at).toBe(1000)
      expect(errorOf(played)).toMatchObject({ _tag: "ApiUnavailable", reason: "Timeout", attempts: 1 })
      expect(api.seen.map((request) => request.abortedAt)).toEqual([1000])
    })
  )

  it.effect("of a number alone counts seconds", () =>
    Effect.gen(function* () {
      const played = yield* play(wait(script([running]), { deadline: 30 }))
      expect(errorOf(played)).toMatchObject({ _tag: "WaitTimeout", elapsed: Duration.seconds(29) })
    })
  )

  it.effect(
    "runs on the monotonic clock: one that is set back or forward in the middle changes nothing",
    () =>
      Effect.gen(function* () {
        for (const step of [-3_600_000, 3_600_000]) {
          const start = yield* Clock.currentTimeMillis
          const api = script([running])
          const played = yield* play(
            withSteppedClock(wait(api, { deadline: "10 seconds" }), start + 4000, step)
          )
          expect(errorOf(played)).toMatchObject({ _tag: "WaitTimeout", elapsed: Duration.seconds(9) })
          expect(api.seen).toHaveLength(4)
          expect(played.at - start).toBe(9000)
        }
      })
  )

  it.effect("that a process has slept past is followed by one more request", () =>
    Effect.gen(function* () {
      // The timers of a process that was suspended fire when it is woken, all late.
      const inPause = script((_, index) => (index < 2 ? running : completed))
      expect(valueOf(yield* play(suspended(wait(inPause, { deadline: "10 seconds" }), 3000))).status).toBe(
        "completed"
      )
      expect(inPause.seen).toHaveLength(3)
      const inRequest = script((_, index) =>
        index < 1 ? running : index < 2 ? { hangs: "head" } : completed
      )
      expect(valueOf(yield* play(suspended(wait(inRequest, { deadline: "10 seconds" }), 3000))).status).toBe(
        "completed"
      )
      expect(inRequest.seen).toHaveLength(3)
      const busy = script([running])
      expect(errorOf(yield* play(suspended(wait(busy, { deadline: "10 seconds" }), 3000)))._tag).toBe(
        "WaitTimeout"
      )
      expect(busy.seen).toHaveLength(3)
    })
  )

  it.effect("of Infinity never comes", () =>
    Effect.gen(function* () {
      const month = 30 * 24 * 3_600_000
      const poll = { initialDelay: "5d", maxDelay: "5d", slowMaxDelay: "5d" }
      const api = script(({ at }) => (at < month ? running : completed))
      const played = yield* play(wait(api, { deadline: Infinity, config: { poll } }), { within: "40 days" })
      expect(valueOf(played).status).toBe("completed")
      expect(played.at).toBe(month)
    })
  )

  it.effect("ends a request that never answers, and the wait with it", () =>
    Effect.gen(function* () {
      const api = script([{ hangs: "body" }])
      const played = yield* play(wait(api, { deadline: "10 seconds" }))
      expect(played.at).toBe(10_000)
      expect(api.seen).toMatchObject([{ at: 0, abortedAt: 10_000 }])
      expect(errorOf(played)._tag).toBe("ApiUnavailable")
      expect(errorOf(played).message).toContain("(1 attempt): no good answer in 10 s")
    })
  )

  it.effect("ends requests that time out", () =>
    Effect.gen(function* () {
      const api = script([running, { hangs: "head" }])
      const played = yield* play(wait(api, { deadline: "1 minute" }))
      expect(api.seen).toMatchObject([
        { at: 0, abortedAt: undefined },
        { at: 2000, abortedAt: 32_000 },
        { at: 35_000, abortedAt: 60_000 }
      ])
      expect(played.at).toBe(60_000)
      expect(errorOf(played)).toMatchObject({
        _tag: "WaitTimeout",
        polls: 1,
        lastStatus: Option.some("processing")
      })
    })
  )

  it.effect("ends a last probe that does not answer", () =>
    Effect.gen(function* () {
      const api = script(({ at }) => (at < 9000 ? running : { hangs: "head" }))
      const played = yield* play(wait(api, { deadline: "10 seconds" }))
      expect(api.times()).toEqual([0, 2000, 5000, 9000])
      expect(played.at).toBe(10_000)
    })
  )

  it.effect("ends a wait at the gate that another wait's 429 closed", () =>
    Effect.gen(function* () {
      const api = script([{ status: 429, headers: { "retry-after": "100" } }, completed])
      const waitFor = (deadline: BatchPoll.Deadline) =>
        BatchPoll.await(batchId, { deadline, onNotice: () => Effect.void }).pipe(
          Effect.either,
          Effect.zip(Clock.currentTimeMillis)
        )
      const played = yield* Effect.all(
        [waitFor("5 minutes"), Effect.delay(waitFor("30 seconds"), "1 second")],
        { concurrency: 2 }
      ).pipe(Effect.provide(upstream(api)), play)
      const [[first], [second, secondAt]] = valueOf(played)
      expect(api.times()).toEqual([0, 102_000])
      expect(Either.isRight(first)).toBe(true)
      expect(secondAt).toBe(31_000)
      expect(Option.map(Either.getLeft(second), ({ _tag }) => _tag)).toEqual(Option.some("ApiUnavailable"))
    })
  )

  const upTo = fc.array(
    fc.constantFrom<Step>(
      running,
      { ...running, after: "3 seconds" },
      { status: 429 },
      { status: 429, headers: { "retry-after": "7" } },
      { status: 500 },
      { status: 501 },
      { hangs: "head" },
      { hangs: "body" },
      { fails: systemError("ECONNRESET") }
    ),
    { minLength: 1, maxLength: 12 }
  )

  it.effect.prop(
    "of any length is kept, without hurry, whatever the dice and the API do",
    [fc.integer({ min: 0, max: 60_000 }), fc.string(), upTo],
    ([deadline, seed, steps]) =>
      Effect.gen(function* () {
        const answers: Array<Step> = []
        const api = script((_, index) => {
          const step = steps[index % steps.length] ?? running
          answers.push(step)
          return step
        })
        const start = yield* Clock.currentTimeMillis
        const played = yield* play(
          Effect.withRandom(wait(api, { deadline: Duration.millis(deadline) }), Random.make(seed))
        )
        expect(["WaitTimeout", "ApiUnavailable"]).toContain(errorOf(played)._tag)
        expect(played.at - start).toBeLessThanOrEqual(deadline + 1000)
        expect(api.times()[0]).toBe(start)
        for (const [index, request] of api.seen.entries()) {
          const step = answers[index] ?? running
          const next = api.seen[index + 1]?.at ?? Infinity
          const answered = request.at + (step.after === undefined ? 0 : 3000)
          if (step.body !== undefined) expect(next - answered).toBeGreaterThanOrEqual(1000)
          if (step.headers !== undefined) expect(next - request.at).toBeGreaterThanOrEqual(7000)
          if (step.hangs !== undefined) expect(request.abortedAt).toBeLessThanOrEqual(request.at + 30_000)
        }
      }),
    { fastCheck: { numRuns: 20 } }
  )
})

describe("WaitTimeout", () => {
  it.effect("carries all that is needed to go on", () =>
    Effect.gen(function* () {
      const api = script([
        { body: job({ status: "pending" }) },
        { status: 501 },
        {
          body: job({ status: "processing", result_count: 4, entities_requested: 9, entities_fulfilled: 3 })
        },
        { status: 429, headers: { "retry-after": "60" } }
      ])
      const error = errorOf(yield* play(wait(api, { deadline: "10 seconds" })))
      expect(error).toBeInstanceOf(BatchError.WaitTimeout)
      expect(Schema.encodeUnknownSync(BatchError.WaitTimeout)(error)).toEqual({
        _tag: "WaitTimeout",
        batchId,
        lastStatus: "processing",
        counts: { resultCount: 4, entitiesRequested: 9, entitiesFulfilled: 3 },
        elapsed: 10_000,
        polls: 2,
        transcript: [
          { at: 0, outcome: "pending", resultCount: 0 },
          { at: 2000, outcome: "ApiUnavailable" },
          { at: 5000, outcome: "processing", resultCount: 4 },
          { at: 8000, outcome: "RateLimited" }
        ]
      })
      expect(error.message).toBe(
        `batch ${batchId} was still running after 10 s and 2 polls (last seen processing with 4 rows); the job itself goes on`
      )
    })
  )

  it.effect.each([
    [
      { status: 502 },
      "the API could not be asked (3 attempts): no good answer in 4.0 s; the last time it answered HTTP 502"
    ],
    [{ status: 200, body: "<html>" }, "the last time the answer is not the batch API's"],
    [{ status: 200, body: { error: { message: "come later" } } }, "come later"],
    [{ status: 429 }, "limited this account's requests (HTTP 429)"]
  ] as const)("is not said of a job that never answered: %j", ([step, words]) =>
    Effect.gen(function* () {
      const error = errorOf(yield* play(wait(script([step]), { deadline: "5 seconds" })))
      expect(error._tag).toBe("ApiUnavailable")
      expect(error.message).toContain(words)
    })
  )

  it.effect("has the last fifty events in its transcript", () =>
    Effect.gen(function* () {
      const config = { poll: { initialDelay: "1s", factor: 1 } }
      const api = script((_, index) => ({ body: job({ result_count: index }) }))
      const error = errorOf(yield* play(wait(api, { deadline: Duration.millis(60_500), config })))
      if (error._tag !== "WaitTimeout") return expect(error._tag).toBe("WaitTimeout")
      expect(error.polls).toBe(61)
      expect(error.transcript.map((event) => Option.getOrNull(event.resultCount))).toEqual(
        Array.from({ length: 50 }, (_, index) => index + 11)
      )
    })
  )
})

describe("the end", () => {
  it.effect("of a failed job is BatchFailed, with the job and its reason", () =>
    Effect.gen(function* () {
      const api = script([running, { body: job({ status: "failed", error_message: "out of names" }) }])
      const error = errorOf(yield* play(wait(api)))
      expect(error).toMatchObject({
        _tag: "BatchFailed",
        errorMessage: "out of names",
        batch: { batchId, status: "failed" }
      })
      expect(api.times()).toEqual([0, 2000])
    })
  )

  it.effect.each([null, ""])("of a job that failed without a reason (%j) says so", (error_message) =>
    Effect.gen(function* () {
      const api = script([{ body: job({ status: "failed", error_message }) }])
      expect(errorOf(yield* play(wait(api))).message).toBe(
        `batch ${batchId} failed upstream: no reason was given`
      )
    })
  )

  it.effect("of a job that completed before the wait takes one request", () =>
    Effect.gen(function* () {
      const api = script([completed])
      expect((yield* play(wait(api))).at).toBe(0)
      expect(api.seen).toHaveLength(1)
    })
  )
})

describe("watch", () => {
  it.effect.each(["completed", "failed"])("gives each answer and ends with %s", (status) =>
    Effect.gen(function* () {
      const api = script([
        { body: job({ status: "pending" }) },
        running,
        { status: 501 },
        running,
        { body: job({ status, result_count: 7 }) }
      ])
      const { played } = yield* watched(api)
      expect(valueOf(played).map((batch) => batch.status)).toEqual([
        "pending",
        "processing",
        "processing",
        status
      ])
      expect(api.seen).toHaveLength(5)
    })
  )

  it.effect("asks only when it is read, and then counts the pause from there", () =>
    Effect.gen(function* () {
      const api = script([running, running, completed])
      yield* watched(api, { each: () => Effect.sleep("1 minute") })
      expect(api.times()).toEqual([0, 62_000, 125_000])
    })
  )

  it.effect("can be left after the first answer", () =>
    Effect.gen(function* () {
      const api = script([running])
      const { played } = yield* watched(api, { take: 1 })
      expect(valueOf(played)).toHaveLength(1)
      expect(played.at).toBe(0)
      expect(api.seen).toHaveLength(1)
    })
  )

  it.effect("fails with the deadline after the answers so far", () =>
    Effect.gen(function* () {
      const api = script([running])
      const given: Array<Batch> = []
      const { played } = yield* watched(api, {
        deadline: "6 seconds",
        each: (batch) => Effect.sync(() => given.push(batch))
      })
      expect(errorOf(played)).toMatchObject({ _tag: "WaitTimeout", polls: 3 })
      expect(given).toHaveLength(3)
      expect(api.times()).toEqual([0, 2000, 5000])
    })
  )

  it.effect("begins anew each time it is run", () =>
    Effect.gen(function* () {
      const api = script([running])
      const watch = BatchPoll.watch(batchId, { deadline: "4 seconds" }).pipe(Stream.runDrain, Effect.flip)
      const [first, second] = valueOf(
        yield* play(Effect.zip(watch, watch).pipe(Effect.provide(upstream(api))))
      )
      expect(api.times()).toEqual([0, 2000, 3000, 3000, 5000, 6000])
      expect(second).toEqual(first)
    })
  )
})

describe("interruption", () => {
  it.effect.each([
    ["in a pause", 1500, [running], [undefined]],
    ["in a request", 2500, [running, { hangs: "head" }], [undefined, 2500]],
    ["in a body", 2500, [running, { hangs: "body" }], [undefined, 2500]],
    ["in the pause after a failure", 2300, [running, { status: 500 }], [undefined, undefined]],
    [
      "at the gate",
      2500,
      [running, { status: 429, headers: { "retry-after": "60" } }],
      [undefined, undefined]
    ]
  ] as const)("%s happens at once", ([, at, steps, aborted]) =>
    Effect.gen(function* () {
      const api = script(steps)
      const fiber = yield* Effect.fork(Effect.withRandom(wait(api), Random.fixed([1])))
      yield* advance(Duration.millis(at))
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      expect(yield* Clock.currentTimeMillis).toBe(at)
      expect(api.seen.map((request) => request.abortedAt)).toEqual(aborted)
      yield* advance("5 minutes")
      expect(api.seen).toHaveLength(aborted.length)
    })
  )
})

interface Options {
  readonly deadline?: BatchPoll.Deadline
  readonly config?: Parameters<typeof upstream>[1]
}

const wait = (api: Script, { config, deadline = "30 minutes" }: Options = {}) =>
  BatchPoll.await(batchId, { deadline, onNotice: () => Effect.void }).pipe(
    Effect.provide(upstream(api, config))
  )

/** A watch to its end, with what it gave and what it noticed. */
const watched = (
  api: Script,
  options: Options & {
    readonly random?: number
    readonly take?: number
    readonly each?: (batch: Batch) => Effect.Effect<unknown>
  } = {}
) =>
  Effect.gen(function* () {
    const notices: Array<BatchPoll.Notice> = []
    const played = yield* BatchPoll.watch(batchId, {
      deadline: options.deadline ?? "30 minutes",
      onNotice: (notice) => Effect.sync(() => notices.push(notice))
    }).pipe(
      options.each === undefined ? identity : Stream.tap(options.each),
      Stream.take(options.take ?? Number.MAX_SAFE_INTEGER),
      Stream.runCollect,
      Effect.map(Chunk.toReadonlyArray),
      Effect.provide(upstream(api, options.config)),
      (effect) => play(effect, { random: options.random ?? 1, within: "6 hours" })
    )
    return { notices, played }
  })

/** The wall clock of an effect is set by `step` milliseconds at a moment; the monotonic one goes on. */
const withSteppedClock = <A, E, R>(effect: Effect.Effect<A, E, R>, at: number, step: number) =>
  Effect.flatMap(Clock.clockWith(Effect.succeed), (clock) => {
    const shifted = () => clock.unsafeCurrentTimeMillis() + (clock.unsafeCurrentTimeMillis() >= at ? step : 0)
    return Effect.withClock(effect, {
      ...asClock(clock),
      unsafeCurrentTimeMillis: shifted,
      currentTimeMillis: Effect.sync(shifted)
    })
  })

const mostInAMinute = (times: ReadonlyArray<number>): number =>
  Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 60_000).length))

const gaps = (times: ReadonlyArray<number>): ReadonlyArray<number> =>
  times.slice(1).map((time, index) => time - (times[index] ?? 0))
