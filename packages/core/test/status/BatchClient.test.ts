import { HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Clock,
  Duration,
  Effect,
  Exit,
  Fiber,
  identity,
  Option,
  Random,
  Redacted,
  Schema,
  Stream
} from "effect"
import { BatchId } from "../../src/model/Batch.js"
import * as BatchClient from "../../src/status/BatchClient.js"
import * as BatchError from "../../src/model/BatchError.js"
import {
  advance,
  apiKey,
  batchId,
  completed,
  errorOf,
  job,
  play,
  type Script,
  script,
  systemError,
  upstream,
  valueOf
} from "../Script.js"

describe("status", () => {
  it.effect("asks for one batch and gives the answer, raw as it came", () =>
    Effect.gen(function* () {
      const json = job({ result_count: 3, added_later: [{ url: "https://bucket.test/?sig=1" }] })
      const api = script([{ body: json }])
      const batch = valueOf(yield* play(status(api)))
      expect(api.seen).toMatchObject([{ at: 0, method: "GET", url: `https://api.test/v1/batch/${batchId}` }])
      expect(batch.resultCount).toBe(3)
      expect(Redacted.value(batch.raw)).toEqual(json)
    })
  )

  it.effect.each(["e", "batch", "https", "0123456789abcde"])(
    "gives the answer as it came also when the key %j occurs in it by chance",
    (key) =>
      Effect.gen(function* () {
        const json = job({
          status: "completed",
          result_count: 7,
          download_url: "https://bucket.test/batch/0123456789abcde?sig=e"
        })
        const api = script([{ body: json }])
        const batch = valueOf(yield* play(status(api, { apiKey: Redacted.make(key) })))
        expect(Redacted.value(batch.raw)).toEqual(json)
      })
  )

  it.effect.each([408, 425, 500, 502, 503, 504])(
    "tries %d three times more, after up to 0.5, 1 and 2 s",
    (code) =>
      Effect.gen(function* () {
        const api = script([{ status: code }])
        const played = yield* play(status(api))
        expect(api.times()).toEqual([0, 500, 1500, 3500])
        expect(played.at).toBe(3500)
        expect(errorOf(played)).toEqual(
          new BatchError.ApiUnavailable({
            reason: "Server",
            status: Option.some(code),
            attempts: 4,
            detail: `it answered HTTP ${code}`
          })
        )
      })
  )

  it.effect("tries 429 three times more, after up to 1, 2 and 4 s", () =>
    Effect.gen(function* () {
      const api = script([{ status: 429 }])
      const played = yield* play(status(api))
      expect(api.times()).toEqual([0, 1000, 3000, 7000])
      expect(errorOf(played)).toEqual(
        new BatchError.RateLimited({ retryAfter: Duration.seconds(8), attempts: 4 })
      )
    })
  )

  it.effect.each([
    [301, "MalformedResponse"],
    [304, "MalformedResponse"],
    [400, "RequestRejected"],
    [401, "NotAuthorized"],
    [402, "NotAuthorized"],
    [403, "NotAuthorized"],
    [404, "BatchNotFound"],
    [405, "RequestRejected"],
    [409, "RequestRejected"],
    [410, "RequestRejected"],
    [422, "RequestRejected"],
    [501, "ApiUnavailable"],
    [505, "ApiUnavailable"],
    [407, "ApiUnavailable"]
  ] as const)("does not try %d again: %s", ([code, tag]) =>
    Effect.gen(function* () {
      const api = script([{ status: code, headers: { location: "https://elsewhere.test" } }, completed])
      const played = yield* play(status(api))
      expect(api.times()).toEqual([0])
      expect(errorOf(played)._tag).toBe(tag)
    })
  )

  it.effect("names the batch that was not found", () =>
    Effect.gen(function* () {
      const played = yield* play(status(script([{ status: 404, body: "<html>nginx</html>" }])))
      expect(errorOf(played)).toEqual(new BatchError.BatchNotFound({ batchId }))
    })
  )

  it.effect.each(["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "EPROTO", "ETIMEDOUT"])(
    "tries again when the connection fails with %s, before the answer or in it",
    (code) =>
      Effect.gen(function* () {
        const api = script([{ fails: systemError(code) }, { breaks: systemError(code) }, completed])
        expect(valueOf(yield* play(status(api))).status).toBe("completed")
        expect(api.times()).toEqual([0, 500, 1500])
      })
  )

  it.effect("tells which host could not be reached", () =>
    Effect.gen(function* () {
      const api = script([{ fails: systemError("ENOTFOUND") }])
      const played = yield* play(status(api))
      expect(api.times()).toEqual([0, 500, 1500, 3500])
      expect(errorOf(played)).toEqual(
        new BatchError.ApiUnavailable({
          reason: "Network",
          status: Option.none(),
          attempts: 4,
          detail: "api.test: the host name is unknown (ENOTFOUND)",
          lasting: true,
          remedy: Option.some(
            "check the host name (CRUSTDATA_BASE_URL); if only a proxy is reached from here, set HTTPS_PROXY"
          )
        })
      )
    })
  )

  it.effect("does not try again when the certificate is wrong", () =>
    Effect.gen(function* () {
      const api = script([{ fails: systemError("CERT_HAS_EXPIRED") }, completed])
      expect(errorOf(yield* play(status(api)))).toMatchObject({ _tag: "ApiUnavailable", attempts: 1 })
      expect(api.times()).toEqual([0])
    })
  )

  it.effect.each(["", "<html>Sign in</html>", "[]", '{"batch_id":', JSON.stringify(job({ status: null }))])(
    "tries a 200 with the body %j once more",
    (body) =>
      Effect.gen(function* () {
        const hopeless = script([{ body }])
        expect(errorOf(yield* play(status(hopeless)))._tag).toBe("MalformedResponse")
        expect(hopeless.times()).toEqual([0, 500])
      })
  )

  it.effect("takes the second answer when the first was no JSON", () =>
    Effect.gen(function* () {
      const api = script([{ body: "<html>" }, completed])
      expect(valueOf(yield* play(status(api))).resultCount).toBe(7)
      expect(api.times()).toEqual([0, 500])
    })
  )

  it.effect("takes an answer about another batch for none", () =>
    Effect.gen(function* () {
      const other = "76543210-89ab-4cde-8f01-23456789abcd"
      const api = script([{ body: job({ batch_id: other }) }])
      const error = errorOf(yield* play(status(api)))
      expect(error._tag).toBe("MalformedResponse")
      expect(error.message).toContain(`the answer is about batch ${other}, not ${batchId}`)
      expect(api.times()).toEqual([0, 500])
    })
  )

  it.effect("knows a batch by its id in any case", () =>
    Effect.gen(function* () {
      const api = script([{ body: job() }])
      const upper = BatchId.make(batchId.toUpperCase())
      expect(valueOf(yield* play(Effect.provide(BatchClient.status(upper), upstream(api)))).batchId).toBe(
        batchId
      )
    })
  )

  it.effect("asks nothing without a key", () =>
    Effect.gen(function* () {
      const api = script([completed])
      expect(errorOf(yield* play(status(api, { apiKey: undefined })))).toMatchObject({
        _tag: "NotAuthorized",
        reason: "InvalidKey"
      })
      expect(api.seen).toEqual([])
    })
  )

  it.effect("follows no redirect with the key", () =>
    Effect.gen(function* () {
      const api = script([{ status: 307, headers: { location: "https://elsewhere.test/batch?a=5ec2e7" } }])
      const error = errorOf(yield* play(status(api)))
      expect(error.message).toBe(
        "the answer is not the batch API's: HTTP 307 redirects to https://elsewhere.test; is the base URL right?"
      )
      expect(api.seen.map((request) => new URL(request.url).host)).toEqual(["api.test"])
    })
  )

  it.effect("shows no key that is echoed, by answers or by sockets", () =>
    Effect.gen(function* () {
      const steps = [
        { status: 401, body: { error: { message: `bad key ${apiKey}` } } },
        { status: 400, body: { error: { message: "no", metadata: { headers: [`Bearer ${apiKey}`] } } } },
        { status: 500, body: `Bearer ${apiKey}` },
        { status: 200, body: `{"batch_id":"${apiKey}","status":"pending"}` },
        { fails: new Error(`Bearer ${apiKey}`) }
      ]
      for (const step of steps) {
        const error = errorOf(yield* play(status(script([step]))))
        const encoded = JSON.stringify(Schema.encodeSync(AnyStatusError)(error))
        for (const shown of [error.message, encoded, Cause.pretty(Cause.fail(error))]) {
          expect(shown).not.toContain(apiKey)
        }
      }
    })
  )

  it.effect("shows no key that is echoed in the answer about a job either", () =>
    Effect.gen(function* () {
      const echo = `the key ${apiKey} was revoked`
      const api = script([{ body: job({ status: "failed", error_message: echo, added_later: [echo] }) }])
      const batch = valueOf(yield* play(status(api)))
      expect(batch.errorMessage).toEqual(Option.some("the key *** was revoked"))
      const failed = new BatchError.BatchFailed({
        batch,
        errorMessage: Option.getOrThrow(batch.errorMessage)
      })
      const encoded = JSON.stringify(Schema.encodeSync(BatchError.BatchFailed)(failed))
      expect(failed.message + encoded + JSON.stringify(Redacted.value(batch.raw))).not.toContain(apiKey)
    })
  )

  it.effect.each(["sandbox-key", 'k/e"y', "f3c91b7ad2e84650f3c91b7/a+d.2e84"])(
    "shows no key %s in an answer that echoes it, however it is written, and breaks no link",
    (key) =>
      Effect.gen(function* () {
        const echo = `the key "${key}" was revoked`
        const link = "https://bucket.test/sandbox-key/0?sig=sandbox-key"
        const body = JSON.stringify(job({ status: "failed", error_message: echo, download_url: link }))
        for (const text of [body, body.replaceAll("/", String.raw`\/`)]) {
          const batch = valueOf(yield* play(status(script([{ body: text }]), { apiKey: Redacted.make(key) })))
          expect(Redacted.value(batch.raw)).toMatchObject({
            error_message: 'the key "***" was revoked',
            download_url: link
          })
        }
      })
  )

  it.effect("bounds the answer: a mebibyte of a job, eight of a page", () =>
    Effect.gen(function* () {
      const ofPage = Effect.flatMap(BatchClient.BatchClient, ({ page }) => page())
      for (const [mebibytes, call] of [
        [1, Effect.asVoid(BatchClient.status(batchId))],
        [8, Effect.asVoid(ofPage)]
      ] as const) {
        const longest = JSON.stringify({ ...job(), jobs: [], pad: "" })
        const pad = (bytes: number) =>
          longest.replace('"pad":""', `"pad":"${"a".repeat(bytes - longest.length)}"`)
        const api = script([{ body: pad(mebibytes * 1_048_576) }, { body: pad(mebibytes * 1_048_576 + 1) }])
        const asked = Effect.provide(Effect.zipRight(call, Effect.flip(call)), upstream(api))
        expect(valueOf(yield* play(asked))).toMatchObject({
          _tag: "MalformedResponse",
          detail: `HTTP 200 with a body of more than ${mebibytes} MiB`
        })
        expect(api.seen).toHaveLength(2)
      }
    })
  )
})

describe("time", () => {
  it.effect.each(["head", "body"] as const)("gives up an attempt after 30 s when the %s never ends", (part) =>
    Effect.gen(function* () {
      const api = script([{ hangs: part }])
      const played = yield* play(status(api))
      expect(api.times()).toEqual([0, 30_500, 61_500, 93_500])
      expect(api.seen.map((request) => request.abortedAt)).toEqual([30_000, 60_500, 91_500, 123_500])
      expect(played.at).toBe(123_500)
      expect(errorOf(played)).toEqual(
        new BatchError.ApiUnavailable({
          reason: "Timeout",
          status: Option.none(),
          attempts: 4,
          detail: "no complete answer within 30 s"
        })
      )
    })
  )

  it.effect("counts head and body together", () =>
    Effect.gen(function* () {
      const api = script([{ after: "20 seconds", hangs: "body" }, completed])
      expect(valueOf(yield* play(status(api))).status).toBe("completed")
      expect(api.seen[0]?.abortedAt).toBe(30_000)
      expect(api.times()).toEqual([0, 30_500])
    })
  )

  it.effect("takes an answer that comes just in time, and aborts nothing", () =>
    Effect.gen(function* () {
      const api = script([{ ...completed, after: "29 seconds" }])
      expect((yield* play(status(api))).at).toBe(29_000)
      expect(api.seen.map((request) => request.abortedAt)).toEqual([undefined])
    })
  )

  it.effect.each(["head", "body"] as const)("aborts the request at once when interrupted in the %s", (part) =>
    Effect.gen(function* () {
      const api = script([{ hangs: part }])
      const fiber = yield* Effect.fork(status(api))
      yield* advance("5 seconds")
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      expect(yield* Clock.currentTimeMillis).toBe(5000)
      expect(api.seen.map((request) => request.abortedAt)).toEqual([5000])
    })
  )
})

describe("hints", () => {
  const at = (seconds: number) => new Date(seconds * 1000).toUTCString()

  it.effect.each([
    ["0 s", { "retry-after": "0" }, 1000],
    ["5 s", { "retry-after": "5" }, 6000],
    ["a date", { "retry-after": at(5) }, 6000],
    ["a date by the server's clock", { "retry-after": at(100_005), date: at(100_000) }, 6000],
    ["a date that is past", { "retry-after": at(0), date: at(1000) }, 1000],
    ["120 s", { "retry-after": "120" }, 121_000],
    ["a reset", { "x-ratelimit-reset": "9" }, 10_000],
    ["both", { "retry-after": "5", "x-ratelimit-reset": "9" }, 10_000],
    ["garbage", { "retry-after": "soon" }, 1000],
    ["a negative one", { "retry-after": "-5", "x-ratelimit-reset": "-5" }, 1000]
  ] as const)("%s: a 429 is tried again no sooner", ([, headers, second]) =>
    Effect.gen(function* () {
      const api = script([{ status: 429, headers }, completed])
      expect(valueOf(yield* play(status(api))).status).toBe("completed")
      expect(api.times()).toEqual([0, second])
    })
  )

  it.effect("are a minimum even when the dice are at their lowest", () =>
    Effect.gen(function* () {
      const api = script([{ status: 429, headers: { "retry-after": "5" } }, completed])
      yield* play(status(api), { random: 0 })
      expect(api.times()).toEqual([0, 5000])
    })
  )

  it.effect("of a 503 are obeyed too", () =>
    Effect.gen(function* () {
      const api = script([{ status: 503, headers: { "retry-after": "60" } }])
      const played = yield* play(status(api), { random: 0 })
      expect(api.times()).toEqual([0, 60_000, 120_000, 180_000])
      expect(errorOf(played)).toMatchObject({
        _tag: "ApiUnavailable",
        retryAfter: Option.some(Duration.seconds(60))
      })
    })
  )

  it.effect("of an answer that is final anyway are told all the same", () =>
    Effect.gen(function* () {
      const api = script([{ status: 501, headers: { "retry-after": "3600" } }])
      expect(errorOf(yield* play(status(api)))).toMatchObject({
        _tag: "ApiUnavailable",
        retryAfter: Option.some(Duration.hours(1))
      })
    })
  )

  it.effect.each([
    [429, { "retry-after": "3600" }, 3600],
    [429, { "retry-after": "86400" }, 86_400],
    [429, { "x-ratelimit-reset": "3600" }, 3600],
    [429, { "retry-after": at(7200), date: at(0) }, 7200],
    [503, { "retry-after": "121" }, 121]
  ] as const)(
    "%d with %j is beyond our patience: it fails at once and says when",
    ([code, headers, seconds]) =>
      Effect.gen(function* () {
        const api = script([{ status: code, headers }, completed])
        const played = yield* play(status(api))
        expect(api.times()).toEqual([0])
        expect(played.at).toBe(0)
        expect(errorOf(played)).toEqual(
          new BatchError.RateLimited({ retryAfter: Duration.seconds(seconds), attempts: 1 })
        )
      })
  )
})

describe("one account, one throttle", () => {
  const clientOf = (api: ReturnType<typeof script>, options: Parameters<typeof upstream>[1] = {}) =>
    Effect.provide(BatchClient.BatchClient, upstream(api, options))

  it.effect("one 429 stops ten fibers, and all get through when the gate opens", () =>
    Effect.gen(function* () {
      const api = script((_, index) =>
        index === 0 ? { status: 429, headers: { "retry-after": "10" } } : completed
      )
      const client = yield* clientOf(api)
      const fiber = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, index) => index),
        (index) => Effect.delay(client.status(batchId), Duration.millis(100 * index)),
        { concurrency: "unbounded" }
      ).pipe(Effect.withRandom(Random.make("ten fibers")), Effect.fork)
      yield* advance("1 minute")
      expect(yield* Fiber.join(fiber)).toHaveLength(10)
      const [first, ...others] = api.times()
      expect(first).toBe(0)
      expect(others).toHaveLength(10)
      expect(Math.min(...others)).toBeGreaterThanOrEqual(10_000)
      expect(Math.max(...others)).toBeLessThanOrEqual(12_000)
    })
  )

  it.effect("ten fibers that are refused together come back together, after the hint, not before", () =>
    Effect.gen(function* () {
      const api = script((_, index) =>
        index < 10 ? { status: 429, headers: { "x-ratelimit-reset": "30" } } : completed
      )
      const client = yield* clientOf(api)
      const all = Effect.all(
        Array.from({ length: 10 }, () => client.status(batchId)),
        { concurrency: 10 }
      )
      expect(valueOf(yield* play(Effect.withRandom(all, Random.make("dice"))))).toHaveLength(10)
      expect(api.times().slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 0))
      const again = api.times().slice(10)
      expect(again).toHaveLength(10)
      expect(Math.min(...again)).toBeGreaterThanOrEqual(30_000)
      expect(Math.max(...again)).toBeLessThanOrEqual(33_000)
    })
  )

  it.effect("a good answer that leaves nothing stops the next request", () =>
    Effect.gen(function* () {
      const headers = { "x-ratelimit-limit": "10", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "20" }
      const api = script([{ ...completed, headers }, completed])
      const client = yield* clientOf(api)
      yield* play(Effect.zip(client.status(batchId), client.status(batchId)), { random: 0 })
      expect(api.times()).toEqual([0, 20_000])
    })
  )

  it.effect("clients of two keys do not stop each other", () =>
    Effect.gen(function* () {
      const limited = script([{ status: 429, headers: { "retry-after": "100" } }, completed])
      const free = script([completed])
      const one = yield* clientOf(limited)
      const two = yield* clientOf(free, { apiKey: Redacted.make("another") })
      yield* play(Effect.all([one.status(batchId), two.status(batchId)], { concurrency: 2 }), { random: 0 })
      expect([limited.times(), free.times()]).toEqual([[0, 100_000], [0]])
    })
  )

  it.effect("retries end when the budget of all calls is used up, and successes refill it", () =>
    Effect.gen(function* () {
      const api = script((_, index) => (index < 6 || index > 11 ? { status: 500 } : completed))
      const client = yield* clientOf(api, { retry: { budget: 20 } })
      const requests = Effect.fn(function* () {
        const before = api.seen.length
        yield* play(client.status(batchId), { random: 0 })
        return api.seen.length - before
      })
      const counts: Array<number> = []
      for (let call = 0; call < 9; call++) counts.push(yield* requests())
      expect(counts).toEqual([4, 2, 1, 1, 1, 1, 1, 1, 2])
    })
  )
})

describe("a pause beyond our patience", () => {
  it.effect("is everybody's: until it is over nobody asks, and nobody waits either", () =>
    Effect.gen(function* () {
      const api = script([{ status: 429, headers: { "retry-after": "600" } }, completed])
      const program = Effect.gen(function* () {
        const client = yield* BatchClient.BatchClient
        const ask = Effect.flip(client.status(batchId))
        expect(yield* ask).toMatchObject({
          _tag: "RateLimited",
          retryAfter: Duration.minutes(10),
          attempts: 1
        })
        yield* Effect.sleep("1 minute")
        expect(yield* ask).toMatchObject({
          _tag: "RateLimited",
          retryAfter: Duration.minutes(9),
          attempts: 0
        })
        expect(yield* Effect.flip(client.page())).toMatchObject({ retryAfter: Duration.minutes(9) })
        expect(yield* Clock.currentTimeMillis).toBe(60_000)
        yield* Effect.sleep("9 minutes")
        return (yield* client.status(batchId)).status
      })
      expect(valueOf(yield* play(Effect.provide(program, upstream(api))))).toBe("completed")
      expect(api.times()).toEqual([0, 600_000])
    })
  )

  it.effect("never holds longer than a quarter of an hour: what a server asks for may be a slip", () =>
    Effect.gen(function* () {
      const api = script([{ status: 429, headers: { "retry-after": "86400" } }, completed])
      const program = Effect.gen(function* () {
        const client = yield* BatchClient.BatchClient
        yield* Effect.flip(client.status(batchId))
        yield* Effect.sleep("15 minutes")
        return (yield* client.status(batchId)).status
      })
      expect(valueOf(yield* play(Effect.provide(program, upstream(api)), { within: "2 hours" }))).toBe(
        "completed"
      )
    })
  )
})

describe("retry", () => {
  const own = (api: Script) =>
    api.client.get("https://own.test/").pipe(Effect.flatMap(HttpClientResponse.filterStatusOk))

  it.effect("puts a call of one's own on the gate of the client's calls", () =>
    Effect.gen(function* () {
      const api = script((_, index) =>
        index === 0 ? { status: 429, headers: { "retry-after": "30" } } : completed
      )
      const both = [
        BatchClient.retry(own(api)),
        Effect.delay(BatchClient.status(batchId), "1 second")
      ] as const
      const played = yield* play(Effect.all(both, { concurrency: 2 }).pipe(Effect.provide(upstream(api))), {
        random: 0
      })
      expect(valueOf(played)[0].status).toBe(200)
      expect(api.seen.map(({ at, url }) => `${at} ${new URL(url).host}`).toSorted()).toEqual([
        "0 own.test",
        "30000 api.test",
        "30000 own.test"
      ])
    })
  )

  it.effect("and on their budget, and fails with its own failure", () =>
    Effect.gen(function* () {
      const api = script([{ status: 503 }])
      const calls = Effect.all([
        Effect.flip(BatchClient.retry(own(api))),
        Effect.flip(BatchClient.status(batchId))
      ])
      const layer = upstream(api, { retry: { budget: 10 } })
      const [first, second] = valueOf(yield* play(Effect.provide(calls, layer)))
      expect([first._tag, second]).toMatchObject(["ResponseError", { _tag: "ApiUnavailable", attempts: 1 }])
      expect(api.seen.map(({ url }) => new URL(url).host)).toEqual([
        "own.test",
        "own.test",
        "own.test",
        "api.test"
      ])
    })
  )

  it.effect("makes no call that is not worth it, and none while the API wants none", () =>
    Effect.gen(function* () {
      const api = script([
        { status: 404 },
        { status: 503 },
        { status: 429, headers: { "retry-after": "3600" } }
      ])
      const calls = Effect.all([
        Effect.flip(BatchClient.retry(own(api))),
        Effect.flip(BatchClient.retry(own(api), { while: () => false })),
        Effect.flip(BatchClient.status(batchId)),
        Effect.flip(BatchClient.retry(own(api)))
      ])
      const errors = valueOf(yield* play(Effect.provide(calls, upstream(api)), { within: "1 minute" }))
      expect(errors.map(({ _tag }) => _tag)).toEqual([
        "ResponseError",
        "ResponseError",
        "RateLimited",
        "RateLimited"
      ])
      expect(api.seen).toHaveLength(3)
    })
  )
})

describe("page", () => {
  it.effect("asks with the options that are set, and no others", () =>
    Effect.gen(function* () {
      const api = script([{ body: { jobs: [], next_cursor: null, has_more: false } }])
      const client = yield* Effect.provide(BatchClient.BatchClient, upstream(api))
      yield* play(client.page())
      yield* play(client.page({ status: "processing", limit: 100, cursor: batchId }))
      yield* play(client.page({ status: "a b&c=d", limit: undefined }))
      expect(api.seen.map((request) => request.url)).toEqual([
        "https://api.test/v1/batch",
        `https://api.test/v1/batch?status=processing&limit=100&cursor=${batchId}`,
        "https://api.test/v1/batch?status=a+b%26c%3Dd"
      ])
    })
  )

  it.effect.each([
    [{ next_cursor: batchId, has_more: true }, Option.some(batchId)],
    [{ next_cursor: batchId }, Option.some(batchId)],
    [{ next_cursor: batchId, has_more: null }, Option.some(batchId)],
    [{ next_cursor: batchId, has_more: false }, Option.none()],
    [{ next_cursor: null, has_more: true }, Option.none()],
    [{ next_cursor: "", has_more: true }, Option.none()],
    [{}, Option.none()]
  ] as const)("%j goes on at %s", ([fields, cursor]) =>
    Effect.gen(function* () {
      const body = { jobs: [job({ added_later: 1 })], ...fields, added_later: 2 }
      const client = yield* Effect.provide(BatchClient.BatchClient, upstream(script([{ body }])))
      const page = valueOf(yield* play(client.page()))
      expect(page.nextCursor).toEqual(cursor)
      expect(page.jobs.map((batch) => batch.batchId)).toEqual([batchId])
      expect(Redacted.value(page.raw)).toEqual(body)
      expect(JSON.stringify(page.raw)).not.toContain("added_later")
    })
  )

  it.effect.each([{}, { jobs: {} }])("%j is no page", (body) =>
    Effect.gen(function* () {
      const api = script([{ body }])
      const client = yield* Effect.provide(BatchClient.BatchClient, upstream(api))
      expect(errorOf(yield* play(client.page()))._tag).toBe("MalformedResponse")
      expect(api.times()).toEqual([0, 500])
    })
  )

  it.effect("an item that is no job spoils no page, and stands in the raw answer", () =>
    Effect.gen(function* () {
      const body = { jobs: [{}, job(), { ...job(), batch_id: 7 }, null], next_cursor: 7 }
      const client = yield* Effect.provide(BatchClient.BatchClient, upstream(script([{ body }])))
      const page = valueOf(yield* play(client.page()))
      expect(page.jobs.map((found) => found.batchId)).toEqual([batchId])
      expect(page.nextCursor).toEqual(Option.some("7"))
    })
  )

  it.effect("a list that says there is more, but not where, is not called whole", () =>
    Effect.gen(function* () {
      const api = script([{ body: { jobs: [job()], next_cursor: null, has_more: true } }])
      const seen: Array<string> = []
      const listed = BatchClient.list().pipe(
        Stream.runForEach((found) => Effect.sync(() => seen.push(found.batchId))),
        Effect.provide(upstream(api))
      )
      expect(errorOf(yield* play(listed)).message).toContain("there is more")
      expect(seen).toEqual([batchId])
    })
  )

  it.effect("404 is no missing batch here", () =>
    Effect.gen(function* () {
      const client = yield* Effect.provide(BatchClient.BatchClient, upstream(script([{ status: 404 }])))
      expect(errorOf(yield* play(client.page()))).toMatchObject({ _tag: "RequestRejected", status: 404 })
    })
  )
})

describe("list", () => {
  it.effect("goes from page to page, newest first, to the last", () =>
    Effect.gen(function* () {
      const api = pages({ "": ["a", "b"], b: ["c", "d"], d: ["e"] })
      expect(valueOf(yield* play(list(api)))).toEqual(["a", "b", "c", "d", "e"].map(idOf))
      expect(cursors(api)).toEqual([null, idOf("b"), idOf("d")])
    })
  )

  it.effect("a job that has been pushed to the next page meanwhile comes once", () =>
    Effect.gen(function* () {
      const api = pages({ "": ["a", "b"], b: ["b", "a", "c"] })
      expect(valueOf(yield* play(list(api)))).toEqual(["a", "b", "c"].map(idOf))
      expect(cursors(api)).toEqual([null, idOf("b")])
    })
  )

  it.effect("asks for a page only when it is read", () =>
    Effect.gen(function* () {
      const api = pages({ "": ["a", "b"], b: ["c", "d"], d: ["e"] })
      expect(valueOf(yield* play(list(api, {}, Stream.take(2))))).toEqual(["a", "b"].map(idOf))
      expect(cursors(api)).toEqual([null])
      const slow = pages({ "": ["a", "b"], b: ["c"] })
      const start = yield* Clock.currentTimeMillis
      yield* play(
        list(
          slow,
          {},
          Stream.tap(() => Effect.sleep("1 minute"))
        )
      )
      expect(slow.times().map((time) => time - start)).toEqual([0, 120_000])
    })
  )

  it.effect("keeps its options from page to page, and can start at a cursor", () =>
    Effect.gen(function* () {
      const api = pages({ a: ["b"], b: ["c"] })
      const options = { status: "completed", limit: 1, cursor: idOf("a") }
      expect(valueOf(yield* play(list(api, options)))).toEqual(["b", "c"].map(idOf))
      expect(api.seen.map((request) => new URL(request.url).search)).toEqual([
        `?status=completed&limit=1&cursor=${idOf("a")}`,
        `?status=completed&limit=1&cursor=${idOf("b")}`
      ])
    })
  )

  it.effect("goes on behind a page without jobs", () =>
    Effect.gen(function* () {
      const api = script((_, index) => ({
        body: {
          jobs: index === 0 ? [] : [job()],
          next_cursor: index === 0 ? "x" : null,
          has_more: index === 0
        }
      }))
      expect(valueOf(yield* play(list(api)))).toEqual([batchId])
    })
  )

  it.effect.each([
    [{ "": ["a"], a: ["a"] }, 2],
    [{ "": ["a"], a: ["b"], b: ["a"] }, 3],
    [{ "": ["a"], a: ["b"], b: ["c"], c: ["d"], d: ["b"] }, 5]
  ] as const)("does not walk in circles: %j", ([circle, requests]) =>
    Effect.gen(function* () {
      const api = pages(circle)
      const played = yield* play(list(api, {}, Stream.take(50)))
      expect(errorOf(played)).toMatchObject({ _tag: "MalformedResponse" })
      expect(api.seen).toHaveLength(requests)
    })
  )

  it.effect("does not come back to the cursor it started at", () =>
    Effect.gen(function* () {
      const api = pages({ a: ["b"], b: ["a"] })
      const played = yield* play(list(api, { cursor: idOf("a") }, Stream.take(50)))
      expect(errorOf(played)).toMatchObject({ _tag: "MalformedResponse" })
      expect(api.seen).toHaveLength(2)
    })
  )

  it.effect("fails where a page fails, after the jobs before it", () =>
    Effect.gen(function* () {
      const api = script((_, index) =>
        index === 0 ? { body: { jobs: [job()], next_cursor: batchId, has_more: true } } : { status: 401 }
      )
      const seen: Array<string> = []
      const played = yield* play(
        list(
          api,
          {},
          Stream.tap((batch) => Effect.sync(() => seen.push(batch.batchId)))
        )
      )
      expect(errorOf(played)._tag).toBe("NotAuthorized")
      expect(seen).toEqual([batchId])
    })
  )
})

const AnyStatusError = Schema.Union(
  BatchError.NotAuthorized,
  BatchError.RequestRejected,
  BatchError.BatchNotFound,
  BatchError.RateLimited,
  BatchError.ApiUnavailable,
  BatchError.MalformedResponse
)

const status = (api: ReturnType<typeof script>, options: Parameters<typeof upstream>[1] = {}) =>
  Effect.provide(BatchClient.status(batchId), upstream(api, options))

/** An id for a letter. */
const idOf = (letter: string) => BatchId.make(`${letter.repeat(8)}-89ab-4cde-8f01-23456789abcd`)

/** A list of pages, each under the cursor that leads to it; a page leads on to its last job, if there is such a page. */
const pages = (known: Readonly<Record<string, ReadonlyArray<string>>>) =>
  script(({ url }) => {
    const cursor = new URL(url).searchParams.get("cursor")?.[0] ?? ""
    const jobs = known[cursor] ?? []
    const last = jobs.at(-1) ?? ""
    const more = known[last] !== undefined
    return {
      body: {
        jobs: jobs.map((letter) => job({ batch_id: idOf(letter) })),
        next_cursor: more ? idOf(last) : null,
        has_more: more
      }
    }
  })

const cursors = (api: ReturnType<typeof script>) =>
  api.seen.map((request) => new URL(request.url).searchParams.get("cursor"))

type Jobs = ReturnType<typeof BatchClient.list>

const list = (
  api: ReturnType<typeof script>,
  options: BatchClient.ListOptions = {},
  f: (jobs: Jobs) => Jobs = identity
) =>
  f(BatchClient.list(options)).pipe(
    Stream.map((batch) => batch.batchId),
    Stream.runCollect,
    Effect.map(Chunk.toReadonlyArray),
    Effect.provide(upstream(api))
  )
