import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Option, Ref, TestClock } from "effect"
import type { Batch } from "../../src/model/Batch.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import { ApiUnavailable, type StatusError } from "../../src/model/BatchError.js"
import * as ResultLinks from "../../src/transfer/ResultLinks.js"
import * as Script from "../Script.js"

const hour = 3_600_000

describe("Links", () => {
  it.effect("give the same link until it is about to expire, then ask once for all", () =>
    Effect.gen(function* () {
      const { calls, links } = yield* makeLinks()
      const first = yield* links.get("merged")
      yield* TestClock.adjust("54 minutes")
      expect(yield* links.get("merged")).toEqual(first)
      yield* TestClock.adjust("61 seconds")
      const fresh = yield* Effect.all([links.get("merged"), links.get(0), links.get("merged")], {
        concurrency: 3
      })
      expect(fresh.map(({ generation }) => generation)).toEqual([1, 1, 1])
      expect(yield* calls).toBe(1)
    })
  )

  it.effect("are renewed once, however many find them dead", () =>
    Effect.gen(function* () {
      const { calls, links, refreshed } = yield* makeLinks()
      const stale = yield* links.get("merged")
      yield* Effect.all(
        Array.from({ length: 16 }, () => links.renew(stale)),
        { concurrency: 16 }
      )
      expect([yield* calls, yield* refreshed, yield* links.refreshes]).toEqual([1, 1, 1])
      expect((yield* links.get("merged")).generation).toBe(1)
      yield* links.renew(stale)
      expect(yield* calls).toBe(1)
    })
  )

  it.effect("a link that is signed for a moment is not renewed for ever", () =>
    Effect.gen(function* () {
      const { calls, links } = yield* makeLinks({ lifetime: () => 0 })
      for (let n = 0; n < 50; n++) yield* links.get("merged")
      expect(yield* calls).toBe(0)
    })
  )

  it.effect(
    "a link that every status answer repeats is asked for a few times only as its end comes near",
    () =>
      Effect.gen(function* () {
        const { calls, links } = yield* makeLinks({ endsAt: hour })
        yield* TestClock.adjust("50 minutes")
        for (let n = 0; n < 130; n++) {
          yield* links.get("merged")
          yield* TestClock.adjust("5 seconds")
        }
        expect(yield* calls).toBeLessThanOrEqual(6)
      })
  )

  it.effect("expire by the storage's clock, whatever ours says", () =>
    Effect.gen(function* () {
      const { links } = yield* makeLinks()
      const link = yield* links.get("merged")
      expect(yield* links.isExpired(link)).toBe(false)
      yield* links.observeDate(new Date(2 * hour).toUTCString())
      expect(yield* links.isExpired(link)).toBe(true)
      yield* links.observeDate("nonsense")
      yield* links.observeDate(undefined)
      expect(yield* links.isExpired(link)).toBe(true)
      yield* links.observeDate(new Date(0).toUTCString())
      yield* TestClock.adjust("59 minutes")
      expect(yield* links.isExpired(link)).toBe(false)
      yield* TestClock.adjust("1 minute")
      expect(yield* links.isExpired(link)).toBe(true)
    })
  )

  it.effect("our clock may be wrong by years", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("3650 days")
      const { calls, links } = yield* makeLinks({ endsAt: hour })
      yield* links.observeDate(new Date(0).toUTCString())
      const link = yield* links.get("merged")
      expect(yield* links.isExpired(link)).toBe(false)
      expect(yield* calls).toBe(0)
    })
  )

  it.effect("fail as the API does, and are asked for again afterwards", () =>
    Effect.gen(function* () {
      const down = new ApiUnavailable({
        reason: "Network",
        status: Option.none(),
        attempts: 4,
        detail: "down"
      })
      const answers = [Either.left(down), Either.right({})]
      const { links } = yield* makeLinks({ answers })
      const stale = yield* links.get("merged")
      expect(yield* Effect.flip(links.renew(stale))).toEqual(down)
      yield* links.renew(stale)
      expect((yield* links.get("merged")).generation).toBe(1)
    })
  )

  for (const [name, fields] of [
    ["fewer parts", { download_urls: [] }],
    ["another state", { status: "processing" }]
  ] as const) {
    it.effect(`of a job with ${name} are links to something else`, () =>
      Effect.gen(function* () {
        const { links } = yield* makeLinks({ answers: [Either.right(fields)] })
        const error = yield* Effect.flip(links.renew(yield* links.get("merged")))
        expect(error).toMatchObject({ _tag: "ResultsUnavailable", reason: "Changed" })
      })
    )
  }

  it.effect("go on with a job whose count has changed, and say so", () =>
    Effect.gen(function* () {
      const { links } = yield* makeLinks({ answers: [Either.right({ result_count: 8 })] })
      yield* links.renew(yield* links.get("merged"))
      expect((yield* links.batch).resultCount).toBe(8)
      expect((yield* links.get("merged")).generation).toBe(1)
    })
  )

  it.effect("stay what they are when an answer has none", () =>
    Effect.gen(function* () {
      const { links } = yield* makeLinks({
        answers: [Either.right({ download_url: null, download_urls: [] })]
      })
      const before = yield* links.get("merged")
      yield* links.renew(before)
      expect(yield* links.get("merged")).toEqual({ ...before, generation: 1 })
    })
  )

  for (const [url, allowHttp, allowed] of [
    ["https://files.test/x", false, true],
    ["http://files.test/x", false, false],
    ["http://files.test/x", true, true],
    ["ftp://files.test/x", true, false],
    ["file:///etc/passwd", true, false]
  ] as const) {
    it.effect(
      `${url} is ${allowed ? "accepted" : "refused"} when plain http is ${allowHttp ? "fine" : "not"}`,
      () =>
        Effect.gen(function* () {
          const { links } = yield* makeLinks({ url, allowHttp })
          const link = yield* Effect.either(links.get("merged"))
          expect(Either.isRight(link)).toBe(allowed)
          if (Either.isLeft(link)) expect(link.left).toMatchObject({ reason: "NoLink" })
        })
    )
  }

  it.effect("a part that is not listed has no link", () =>
    Effect.gen(function* () {
      const { links } = yield* makeLinks()
      expect(yield* Effect.flip(links.get(7))).toMatchObject({ _tag: "ResultsUnavailable", reason: "NoLink" })
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

/** Links of an hour, signed anew with every status answer unless `endsAt` says otherwise. */
const makeLinks = (
  options: {
    readonly url?: string
    readonly allowHttp?: boolean
    readonly endsAt?: number
    readonly lifetime?: () => number
    readonly answers?: ReadonlyArray<Either.Either<Readonly<Record<string, unknown>>, StatusError>>
  } = {}
) =>
  Effect.gen(function* () {
    const { transfer } = yield* BatchConfig.make()
    const calls = yield* Ref.make(0)
    const refreshed = yield* Ref.make(0)
    const sign = (fields: Readonly<Record<string, unknown>>) =>
      Effect.map(Effect.clock, (clock): Batch => {
        const end = options.endsAt ?? clock.unsafeCurrentTimeMillis() + (options.lifetime?.() ?? hour)
        const url = `${options.url ?? "https://files.test/x"}?Expires=${end / 1000}`
        return Script.batch({
          status: "completed",
          result_count: 7,
          download_url: url,
          download_urls: [url],
          ...fields
        })
      })
    const status = () =>
      Effect.flatMap(
        Ref.getAndUpdate(calls, (count) => count + 1),
        (count) => Effect.flatMap(options.answers?.[count] ?? Either.right({}), sign)
      ).pipe(
        Effect.delay("10 millis"),
        Effect.fork,
        Effect.tap(() => TestClock.adjust("10 millis")),
        Effect.flatMap((fiber) => fiber)
      )
    const links = yield* ResultLinks.make(yield* sign({}), {
      client: { status },
      settings: { baseUrl: options.allowHttp === true ? "http://api.test" : Script.baseUrl, transfer },
      onRefresh: () => Ref.update(refreshed, (count) => count + 1)
    })
    return { calls: Ref.get(calls), refreshed: Ref.get(refreshed), links }
  })
