import { Headers, HttpClientError, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, FastCheck as fc, Fiber, Option, Ref } from "effect"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as RetryPolicy from "../../src/retry/RetryPolicy.js"
import * as Throttle from "../../src/retry/Throttle.js"
import { advance, errorOf, play, valueOf } from "../Script.js"

/** Saturday, 10 o'clock. */
const now = Date.UTC(2025, 10, 1, 10)

const hint = (status: number, headers: Readonly<Record<string, string>>) =>
  Option.map(RetryPolicy.retryAfter(status, Headers.fromInput(headers), now), Duration.toMillis)

const asDate = (millis: number) => new Date(millis).toUTCString()

describe("isRetryableStatus", () => {
  it("holds for these and no others", () => {
    const retryable = Array.from({ length: 600 }, (_, status) => status).filter(RetryPolicy.isRetryableStatus)
    const ofServers = Array.from({ length: 100 }, (_, index) => 500 + index)
    expect(retryable).toEqual([
      204,
      408,
      425,
      429,
      ...ofServers.filter((status) => status !== 501 && status !== 505)
    ])
  })
})

describe("retryAfter", () => {
  it.each([
    ["0", 0],
    ["5", 5_000],
    [" 7 ", 7_000],
    ["1.5", 1_500],
    ["3600", 3_600_000],
    ["86400", 86_400_000]
  ])("Retry-After: %s means %d ms", (text, millis) => {
    expect(hint(429, { "retry-after": text })).toEqual(Option.some(millis))
    expect(hint(503, { "retry-after": text })).toEqual(Option.some(millis))
  })

  it.each([
    ["Sat, 01 Nov 2025 10:00:30 GMT", 30_000],
    ["Saturday, 01-Nov-25 10:00:30 GMT", 30_000],
    ["Sat Nov  1 10:00:30 2025", 30_000],
    ["Sat, 01 Nov 2025 10:00:00 GMT", 0],
    ["Sat, 01 Nov 2025 09:00:00 GMT", 0],
    ["Sun, 02 Nov 2025 10:00:00 GMT", 86_400_000]
  ])("Retry-After: %s means %d ms", (text, millis) => {
    expect(hint(503, { "retry-after": text })).toEqual(Option.some(millis))
  })

  it.prop(
    "measures a date against the server's own Date, however wrong our clock is",
    [fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: -100, max: 10_000 })],
    ([skewSeconds, seconds]) => {
      const serverNow = now + skewSeconds * 1000
      expect(
        hint(429, { "retry-after": asDate(serverNow + seconds * 1000), date: asDate(serverNow) })
      ).toEqual(Option.some(Math.max(0, seconds * 1000)))
    }
  )

  it.each(["", "yesterday", "5", "soon 2099"])("takes our own clock when the Date header is %j", (date) => {
    expect(hint(503, { "retry-after": asDate(now + 30_000), date })).toEqual(Option.some(30_000))
  })

  it.each([
    "-1",
    "-0.5",
    "+5",
    "garbage",
    "",
    " ",
    "NaN",
    "Infinity",
    "1e3",
    "0x10",
    "5s",
    "5 seconds",
    "soon 5",
    "soon 2099",
    "2025-11-01T10:00:30Z",
    "Mon",
    "Monday 5",
    "5, 6"
  ])("takes %j for no hint", (text) => {
    expect(hint(429, { "retry-after": text })).toEqual(Option.none())
    expect(hint(429, { "x-ratelimit-reset": text })).toEqual(Option.none())
    expect(hint(429, { "retry-after": text, "x-ratelimit-reset": "3" })).toEqual(Option.some(3_000))
  })

  it.each(["86401", "1795000000", "1795000000000", "9".repeat(400)])(
    "beyond a day is an epoch or nonsense, and none: %s",
    (text) => {
      expect(hint(429, { "retry-after": text })).toEqual(Option.none())
      expect(hint(429, { "x-ratelimit-reset": text })).toEqual(Option.none())
      expect(hint(429, { "retry-after": text, "x-ratelimit-reset": "5" })).toEqual(Option.some(5000))
      expect(hint(503, { "retry-after": text })).toEqual(Option.none())
    }
  )

  it("reads x-ratelimit-reset on a 429 only", () => {
    expect(hint(429, { "x-ratelimit-reset": "12" })).toEqual(Option.some(12_000))
    expect(hint(503, { "x-ratelimit-reset": "12" })).toEqual(Option.none())
    expect(hint(200, { "x-ratelimit-reset": "12" })).toEqual(Option.none())
  })

  it("reads none where the rate is not what was refused: there are requests left, as where no slot for a job is free", () => {
    const reset = { "x-ratelimit-reset": "57" }
    expect(hint(429, { ...reset, "x-ratelimit-remaining": "590" })).toEqual(Option.none())
    expect(hint(429, { ...reset, "x-ratelimit-remaining": "590", "retry-after": "5" })).toEqual(
      Option.some(5000)
    )
    for (const remaining of ["0", "-1", "", "some"]) {
      expect(hint(429, { ...reset, "x-ratelimit-remaining": remaining })).toEqual(Option.some(57_000))
    }
  })

  it.prop("takes the longer of the two", [fc.nat(86_400), fc.nat(86_400)], ([seconds, reset]) => {
    const headers = { "retry-after": String(seconds), "x-ratelimit-reset": String(reset) }
    expect(hint(429, headers)).toEqual(Option.some(1000 * Math.max(seconds, reset)))
  })

  it.prop(
    "never throws, and is never negative",
    [fc.string(), fc.string(), fc.string()],
    ([after, reset, date]) => {
      const read = hint(429, { "retry-after": after, "x-ratelimit-reset": reset, date })
      expect(Option.getOrElse(read, () => 0)).toBeGreaterThanOrEqual(0)
    }
  )
})

/** Dice in [0, 1). */
const dice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

const { retry: defaults } = Effect.runSync(BatchConfig.make())

describe("backoff", () => {
  it("doubles its ceiling from 0.5 s up to 8 s, and from 1 s up to 30 s when throttled", () => {
    const ceilings = (throttled: boolean) =>
      [1, 2, 3, 4, 5, 6, 7, 1000].map((attempt) =>
        Duration.toMillis(RetryPolicy.backoff(defaults, { attempt, throttled, random: 1 }))
      )
    expect(ceilings(false)).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000, 8000])
    expect(ceilings(true)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  })

  it.prop(
    "is full jitter: any part of the ceiling, and nothing above it",
    [fc.integer({ min: 1, max: 2000 }), fc.boolean(), dice],
    ([attempt, throttled, random]) => {
      const of = (options: { random: number }) =>
        Duration.toMillis(RetryPolicy.backoff(defaults, { attempt, throttled, ...options }))
      expect(of({ random: 0 })).toBe(0)
      expect(Math.abs(of({ random }) - random * of({ random: 1 }))).toBeLessThanOrEqual(0.5)
    }
  )
})

describe("pause", () => {
  it.prop(
    "never undercuts a hint, and exceeds it by a second at most",
    [fc.integer({ min: 1, max: 20 }), fc.boolean(), dice, fc.option(fc.nat(1e10))],
    ([attempt, throttled, random, seconds]) => {
      const asked = Option.map(Option.fromNullable(seconds), Duration.seconds)
      const pause = Duration.toMillis(
        RetryPolicy.pause(defaults, { attempt, throttled, random, hint: asked })
      )
      const own = Duration.toMillis(RetryPolicy.backoff(defaults, { attempt, throttled, random }))
      const [least, most] = seconds === null ? [own, own] : [seconds * 1000, seconds * 1000 + 1000]
      const timer = 2 ** 31 - 1
      expect(pause).toBeGreaterThanOrEqual(Math.min(Math.max(own, least), timer))
      expect(pause).toBeLessThanOrEqual(Math.min(Math.max(own, most), timer))
    }
  )
})

describe("run", () => {
  it.effect("asks once when all goes well", () =>
    Effect.gen(function* () {
      const { played, times } = yield* tries(["ok"])
      expect(valueOf(played)).toBe("ok")
      expect(times).toEqual([0])
    })
  )

  it.effect("pauses at most 0.5, 1 and 2 s before three retries", () =>
    Effect.gen(function* () {
      const { played, times } = yield* tries(["Transient"], { random: 1 })
      expect(times).toEqual([0, 500, 1500, 3500])
      expect(errorOf(played)).toEqual({ last: "Transient", attempts: 4, delay: 4000, beyond: false })
      expect(played.at).toBe(3500)
    })
  )

  it.effect("pauses at most 1, 2 and 4 s when throttled", () =>
    Effect.gen(function* () {
      const { played, times } = yield* tries(["Throttled"], { random: 1 })
      expect(times).toEqual([0, 1000, 3000, 7000])
      expect(errorOf(played)).toEqual({ last: "Throttled", attempts: 4, delay: 8000, beyond: false })
    })
  )

  it.effect("follows the dice", () =>
    Effect.gen(function* () {
      expect((yield* tries(["Transient"], { random: 0.5 })).times).toEqual([0, 250, 750, 1750])
    })
  )

  it.effect("may not pause at all", () =>
    Effect.gen(function* () {
      expect((yield* tries(["Transient"], { random: 0 })).times).toEqual([0, 0, 0, 0])
    })
  )

  it.effect("stops at the first success", () =>
    Effect.gen(function* () {
      const { played, times } = yield* tries(["Transient", "Timeout", "ok"], { random: 1 })
      expect(valueOf(played)).toBe("ok")
      expect(times).toEqual([0, 500, 1500])
    })
  )

  it.effect("does not retry what no retry can mend", () =>
    Effect.gen(function* () {
      const { played, times } = yield* tries(["Never"])
      expect(times).toEqual([0])
      expect(errorOf(played)).toMatchObject({ last: "Never", attempts: 1 })
    })
  )

  it.effect("retries an answer that cannot be decoded once, also when something else comes between", () =>
    Effect.gen(function* () {
      expect((yield* tries(["Once"], { random: 0 })).times).toHaveLength(2)
      const mixed = yield* tries(["Once", "Transient", "Once", "ok"], { random: 0 })
      expect(mixed.times).toHaveLength(3)
      expect(errorOf(mixed.played)).toMatchObject({ last: "Once", attempts: 3 })
    })
  )

  it.effect("never retries with a limit of 0", () =>
    Effect.gen(function* () {
      expect((yield* tries(["Transient"], { retry: { limit: 0 } })).times).toEqual([0])
    })
  )

  it.effect("bears the highest limit", () =>
    Effect.gen(function* () {
      const retry = { limit: 100, baseDelay: "0s", cost: 0 }
      const { played, times } = yield* tries(["Transient"], { retry })
      expect(times).toEqual(Array.from({ length: 101 }, () => 0))
      expect(errorOf(played)).toMatchObject({ attempts: 101 })
    })
  )

  describe("hints", () => {
    it.effect.each([
      ["Throttled", 5, 0, 5_000],
      ["Throttled", 5, 1, 6_000],
      ["Transient", 5, 0, 5_000],
      ["Throttled", 0, 0, 0],
      ["Throttled", 0, 1, 1_000],
      ["Transient", 0.2, 1, 1_200],
      ["Throttled", 120, 0, 120_000],
      ["Throttled", 120, 1, 121_000]
    ] as const)("%s with a hint of %d s and dice at %d", ([kind, seconds, random, second]) =>
      Effect.gen(function* () {
        const { played, times } = yield* tries([[kind, seconds], "ok"], { random })
        expect(times).toEqual([0, second])
        expect(valueOf(played)).toBe("ok")
      })
    )

    it.effect.each([
      ["Throttled", 120.001],
      ["Throttled", 3600],
      ["Transient", 3600],
      ["Throttled", 9_999_999_999]
    ] as const)("%s with a hint of %d s fails at once and says when", ([kind, seconds]) =>
      Effect.gen(function* () {
        const { played, times } = yield* tries([[kind, seconds], "ok"])
        expect(times).toEqual([0])
        expect(played.at).toBe(0)
        expect(errorOf(played)).toEqual({ last: kind, attempts: 1, delay: seconds * 1000, beyond: true })
      })
    )
  })

  describe("budget", () => {
    it.effect("ends the retries of all calls when it is used up", () =>
      Effect.gen(function* () {
        const retry = { budget: 12, cost: 5 }
        const throttle = yield* throttleOf(retry)
        const first = yield* tries(["Transient"], { retry, throttle, random: 0 })
        const second = yield* tries(["Transient"], { retry, throttle, random: 0 })
        expect([first.times.length, second.times.length]).toEqual([3, 1])
        expect(errorOf(second.played)).toMatchObject({ attempts: 1 })
      })
    )

    it.effect("pays 5 for a retry and 10 for one after a timeout", () =>
      Effect.gen(function* () {
        const throttle = yield* throttleOf({})
        yield* tries(["Timeout"], { throttle, random: 0 })
        expect(yield* throttle.withdraw(471)).toBe(false)
        expect(yield* throttle.withdraw(470)).toBe(true)
        yield* throttle.deposit(500)
        yield* tries(["Transient"], { throttle, random: 0 })
        expect(yield* throttle.withdraw(486)).toBe(false)
        expect(yield* throttle.withdraw(485)).toBe(true)
      })
    )

    it.effect("gets 1 for a success, and the price of the retry that succeeded", () =>
      Effect.gen(function* () {
        const throttle = yield* throttleOf({})
        yield* throttle.withdraw(500)
        yield* tries(["ok"], { throttle })
        expect(yield* throttle.withdraw(2)).toBe(false)
        expect(yield* throttle.withdraw(1)).toBe(true)
        yield* throttle.deposit(20)
        yield* tries(["Timeout", "Transient", "ok"], { throttle, random: 0 })
        expect(yield* throttle.withdraw(11)).toBe(false)
        expect(yield* throttle.withdraw(10)).toBe(true)
      })
    )

    it.effect("is not charged for what is not retried", () =>
      Effect.gen(function* () {
        const throttle = yield* throttleOf({})
        yield* tries(["Never"], { throttle })
        yield* tries([["Throttled", 3600]], { throttle })
        yield* tries(["Once"], { throttle, retry: { limit: 0 } })
        expect(yield* throttle.withdraw(500)).toBe(true)
      })
    )
  })

  it.effect("closes the gate for all when throttled, also by the last attempt", () =>
    Effect.gen(function* () {
      const throttle = yield* throttleOf({})
      yield* tries([["Throttled", 3600]], { throttle, random: 0, within: "0 seconds" })
      const other = yield* play(throttle.enter, { random: 0 })
      expect(other.at).toBe(120_000)
    })
  )

  it.effect("passes the gate before every attempt, the retries too", () =>
    Effect.gen(function* () {
      const throttle = yield* throttleOf({})
      yield* Effect.fork(Effect.delay(throttle.close("1 minute"), "100 millis"))
      const { times } = yield* tries(["Transient", "ok"], { throttle, random: 1 })
      expect(times).toEqual([0, 61_100])
    })
  )

  it.effect("leaves the gate open after any other failure", () =>
    Effect.gen(function* () {
      const throttle = yield* throttleOf({})
      yield* tries([["Transient", 60], "Never"], { throttle, random: 0, within: "0 seconds" }).pipe(
        Effect.exit
      )
      expect((yield* play(throttle.enter, { random: 0 })).at).toBe(0)
    })
  )

  it.effect("counts failures anew after progress, and gives back what they cost", () =>
    Effect.gen(function* () {
      const { retry } = yield* BatchConfig.make({ retry: { limit: 2 } })
      const throttle = yield* Throttle.make(retry)
      let [tries, gained] = [0, 0]
      const attempt = Effect.suspend(() => {
        tries += 1
        if (tries % 2 === 0) gained += 1
        return tries < 9 ? Effect.fail(failure("Timeout")) : Effect.succeed(tries)
      })
      const played = yield* play(RetryPolicy.run(attempt, { retry, throttle, progress: () => gained }), {
        random: 0
      })
      expect(valueOf(played)).toBe(9)
      expect(yield* throttle.withdraw(500)).toBe(true)
      yield* throttle.deposit(500)
      const stuck = Effect.fail(failure("Transient"))
      const lost = yield* play(RetryPolicy.run(stuck, { retry, throttle, progress: () => gained }))
      expect(errorOf(lost)).toMatchObject({ attempts: 3 })
    })
  )

  it.effect("mends what has a remedy at once, without a pause, a price or a count", () =>
    Effect.gen(function* () {
      const { retry } = yield* BatchConfig.make({ retry: { limit: 0, budget: 0 } })
      const throttle = yield* Throttle.make(retry)
      let mended = 0
      const remedy = Effect.sync(() => void (mended += 1))
      const attempt = Effect.suspend(() =>
        mended < 3 ? Effect.fail({ ...failure("Never"), remedy }) : Effect.succeed("ok")
      )
      const played = yield* play(RetryPolicy.run(attempt, { retry, throttle }))
      expect([valueOf(played), played.at, mended]).toEqual(["ok", 0, 3])
    })
  )

  it.effect("ends with the failure of a remedy", () =>
    Effect.gen(function* () {
      const { retry } = yield* BatchConfig.make()
      const throttle = yield* Throttle.make(retry)
      const hopeless = { ...RetryPolicy.final("dead"), remedy: Effect.fail("no fresh link") }
      const played = yield* play(RetryPolicy.run(Effect.fail(hopeless), { retry, throttle }))
      expect(errorOf(played)).toBe("no fresh link")
    })
  )

  it.effect("tells of each pause before it begins, with what went wrong", () =>
    Effect.gen(function* () {
      const { retry } = yield* BatchConfig.make()
      const throttle = yield* Throttle.make(retry)
      const told: Array<string> = []
      const onPause = ({ detail }: RetryPolicy.Failure<unknown>, delay: Duration.Duration) =>
        Effect.map(
          Clock.currentTimeMillis,
          (at) => void told.push(`${at} ${detail} ${Duration.toMillis(delay)}`)
        )
      const attempt = Effect.fail({ ...failure("Overloaded"), detail: "HTTP 503" })
      yield* play(RetryPolicy.run(attempt, { retry, throttle, onPause }), { random: 1 })
      expect(told).toEqual(["0 HTTP 503 1000", "1000 HTTP 503 2000", "3000 HTTP 503 4000"])
    })
  )

  it.effect("leaves the gate open when the host is overloaded, and pauses as when it limits us", () =>
    Effect.gen(function* () {
      const throttle = yield* throttleOf({})
      const { times } = yield* tries(["Overloaded", "ok"], { throttle, random: 1 })
      expect(times).toEqual([0, 1000])
      yield* tries([["Overloaded", 3600]], { throttle, random: 0, within: "0 seconds" })
      expect((yield* play(throttle.enter, { random: 0, within: "0 seconds" })).at).toBe(3_600_000)
    })
  )

  it.effect("runs a call of one's own in one line, and fails with its own failure", () =>
    Effect.gen(function* () {
      const { retry } = yield* BatchConfig.make()
      const throttle = yield* Throttle.make(retry)
      let calls = 0
      const call = Effect.suspend(() => Effect.fail(`failure ${(calls += 1)}`))
      const played = yield* play(
        RetryPolicy.run(Effect.mapError(call, RetryPolicy.transient), { retry, throttle }),
        { random: 1 }
      )
      expect([errorOf(played), played.at]).toEqual(["failure 4", 3500])
    })
  )

  it.effect("is interrupted at once while it pauses", () =>
    Effect.gen(function* () {
      const throttle = yield* throttleOf({})
      const { retry } = yield* BatchConfig.make()
      const fiber = yield* Effect.fork(
        RetryPolicy.run(Effect.fail(failure("Throttled", 60)), { retry, throttle })
      )
      yield* advance("1 second")
      const exit = yield* Fiber.interrupt(fiber)
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(yield* Clock.currentTimeMillis).toBe(1000)
    })
  )
})

describe("schedule", () => {
  const called = (options: { readonly failures: number; readonly hint?: number; readonly random: number }) =>
    Effect.gen(function* () {
      const { retry } = yield* BatchConfig.make()
      const times: Array<number> = []
      const begun = yield* Clock.currentTimeMillis
      const call = Effect.flatMap(Clock.currentTimeMillis, (at) =>
        times.push(at - begun) > options.failures
          ? Effect.succeed("ok")
          : Effect.fail({ seconds: options.hint })
      )
      const hintOf = (error: { readonly seconds: number | undefined }) =>
        Option.map(Option.fromNullable(error.seconds), Duration.seconds)
      const played = yield* play(Effect.retry(call, RetryPolicy.schedule(retry, hintOf)), {
        random: options.random
      })
      return { played, times }
    })

  it.effect("pauses as run does, and ends with the last failure", () =>
    Effect.gen(function* () {
      const { played, times } = yield* called({ failures: 9, random: 1 })
      expect(times).toEqual([0, 500, 1500, 3500])
      expect(errorOf(played)).toEqual({ seconds: undefined })
    })
  )

  it.effect("pauses at least as long as a failure asks for, and not at all beyond our patience", () =>
    Effect.gen(function* () {
      expect((yield* called({ failures: 1, hint: 60, random: 0 })).times).toEqual([0, 60_000])
      expect((yield* called({ failures: 1, hint: 121, random: 0 })).times).toEqual([0])
    })
  )
})

type Kind = RetryPolicy.Kind

type Try = "ok" | Kind | readonly [Kind, hintSeconds: number]

describe("judge", () => {
  const request = HttpClientRequest.get("https://own.test/")
  const answer = (status: number, headers: Readonly<Record<string, string>> = {}) =>
    new HttpClientError.ResponseError({
      request,
      response: HttpClientResponse.fromWeb(request, new Response(null, { status, headers })),
      reason: "StatusCode"
    })
  const failed = (reason: "Transport" | "Encode" | "InvalidUrl") =>
    new HttpClientError.RequestError({ request, reason })

  it.each([
    [answer(429, { "retry-after": "7" }), "Throttled", 7000],
    [answer(429, { "retry-after": "1764432000" }), "Never", undefined],
    [answer(503, { "retry-after": asDate(now + 5000) }), "Transient", 5000],
    [answer(500), "Transient", undefined],
    [answer(501), "Never", undefined],
    [answer(404), "Never", undefined],
    [failed("Transport"), "Transient", undefined],
    [failed("InvalidUrl"), "Never", undefined],
    [new Cause.TimeoutException(), "Timeout", undefined],
    ["own", "Transient", undefined]
  ])("%s is %s", (error, kind, millis) => {
    const { error: told, hint, retry } = RetryPolicy.judge<unknown>(error, now)
    expect([retry, Option.getOrUndefined(Option.map(hint, Duration.toMillis))]).toEqual([kind, millis])
    expect(told(1, Duration.zero, false)).toBe(error)
  })
})

const failure = (kind: Kind, seconds?: number) => ({
  retry: kind,
  hint: Option.map(Option.fromNullable(seconds), Duration.seconds),
  error: (attempts: number, delay: Duration.Duration, beyond: boolean) => ({
    last: kind,
    attempts,
    delay: Duration.toMillis(delay),
    beyond
  })
})

const throttleOf = (retry: NonNullable<BatchConfig.Options["retry"]>) =>
  Effect.flatMap(BatchConfig.make({ retry }), (settings) => Throttle.make(settings.retry))

/** Runs a call that ends as the list says, its last entry for ever, and tells when it was tried. */
const tries = (
  list: readonly [Try, ...ReadonlyArray<Try>],
  options: {
    readonly random?: number
    readonly retry?: NonNullable<BatchConfig.Options["retry"]>
    readonly throttle?: Throttle.Throttle
    readonly within?: Duration.DurationInput
  } = {}
) =>
  Effect.gen(function* () {
    const { retry } = yield* BatchConfig.make({ retry: options.retry })
    const throttle = options.throttle ?? (yield* Throttle.make(retry))
    const times = yield* Ref.make<ReadonlyArray<number>>([])
    const attempt = Effect.gen(function* () {
      const at = yield* Clock.currentTimeMillis
      const before = yield* Ref.getAndUpdate(times, (known) => [...known, at])
      const next = list[before.length] ?? list.at(-1) ?? list[0]
      if (next === "ok") return "ok" as const
      return yield* Effect.fail(typeof next === "string" ? failure(next) : failure(...next))
    })
    const played = yield* play(RetryPolicy.run(attempt, { retry, throttle }), options)
    return { played, times: yield* Ref.get(times) }
  })
