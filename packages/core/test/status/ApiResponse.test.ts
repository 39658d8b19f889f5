import { Headers, HttpClientError, HttpClientRequest } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either, FastCheck as fc, Option, Redacted, Schema, TestClock } from "effect"
import * as ApiResponse from "../../src/status/ApiResponse.js"
import { FromJson } from "../../src/model/Batch.js"
import * as BatchError from "../../src/model/BatchError.js"
import { scrub } from "../../src/model/Masking.js"
import { link } from "../Arbitraries.js"
import { apiKey, job, systemError } from "../Script.js"

describe("status codes", () => {
  const statuses = Array.from({ length: 500 }, (_, index) => 100 + index)
  const meaning = (status: number) => {
    if (status < 200) return ["MalformedResponse", "Never"]
    if (status === 204) return ["MalformedResponse", "Transient"]
    if (status < 300) return ["MalformedResponse", "Once"]
    if (status < 400) return ["MalformedResponse", "Never"]
    if ([401, 402, 403].includes(status)) return ["NotAuthorized", "Never"]
    if (status === 429) return ["RateLimited", "Throttled"]
    if (status === 407) return ["ApiUnavailable", "Never"]
    const never = [501, 505]
    if ([408, 425].includes(status) || (status >= 500 && !never.includes(status)))
      return ["ApiUnavailable", "Transient"]
    return [status < 500 ? "RequestRejected" : "ApiUnavailable", "Never"]
  }

  it.effect("each mean what the table says, with the retry it says", () =>
    Effect.gen(function* () {
      for (const status of statuses) {
        const { error, retry } = yield* failed({ status })
        expect([status, error._tag, retry]).toEqual([status, ...meaning(status)])
      }
    })
  )

  it.effect.each([
    [401, "InvalidKey"],
    [402, "InsufficientCredits"],
    [403, "NotOnPlan"]
  ] as const)("%d is %s, in the words of the API", ([status, reason]) =>
    Effect.gen(function* () {
      const text = JSON.stringify({ error: { type: "t", message: "words", metadata: {} } })
      expect((yield* failed({ status, text })).error).toEqual(
        new BatchError.NotAuthorized({ reason, detail: "words" })
      )
    })
  )

  it.effect("400 brings the metadata that helps", () =>
    Effect.gen(function* () {
      const text = JSON.stringify({
        error: { message: "no such field", metadata: { available_fields: ["name"] } }
      })
      expect((yield* failed({ status: 400, text })).error).toEqual(
        new BatchError.RequestRejected({
          status: 400,
          detail: "no such field",
          metadata: Option.some({ available_fields: ["name"] })
        })
      )
    })
  )

  it.effect("a 4xx may have a meaning of its own for a call", () =>
    Effect.gen(function* () {
      const refusal = () =>
        new BatchError.RequestRejected({ status: 418, detail: "own", metadata: Option.none() })
      for (const [status, tag] of [
        [404, "own"],
        [409, "own"],
        [429, "429"],
        [503, "503"]
      ] as const) {
        const outcome = yield* Effect.flip(ApiResponse.interpret(answer({ status }), FromJson, refusal))
        const { message } = outcome.error(1, Duration.zero, false)
        expect([status, message.includes("own")]).toEqual([status, tag === "own"])
      }
    })
  )

  it.effect("a redirect names the place it points to, without its query", () =>
    Effect.gen(function* () {
      const { error } = yield* failed({
        status: 302,
        headers: { location: "https://user:5ec2e7@elsewhere.test/login?next=5ec2e7" }
      })
      expect(error).toEqual(
        new BatchError.MalformedResponse({
          status: Option.some(302),
          detail: "HTTP 302 redirects to https://elsewhere.test; is the base URL right?"
        })
      )
    })
  )
})

describe("hints", () => {
  const hintOf = (status: number, headers: Readonly<Record<string, string>>) =>
    Effect.map(failed({ status, headers }), ({ hint }) => hint)

  it.effect("are read of every answer that may be tried again", () =>
    Effect.gen(function* () {
      for (const status of [408, 425, 429, 500, 502, 503, 504]) {
        expect(yield* hintOf(status, { "retry-after": "7" })).toEqual(Option.some(Duration.seconds(7)))
      }
      expect(yield* hintOf(429, { "x-ratelimit-reset": "9" })).toEqual(Option.some(Duration.seconds(9)))
    })
  )

  it.effect("that are dates count from now", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2025, 10, 1, 10))
      expect(yield* hintOf(503, { "retry-after": "Sat, 01 Nov 2025 10:00:30 GMT" })).toEqual(
        Option.some(Duration.seconds(30))
      )
    })
  )

  it.effect("are told to the caller, by what they ask for", () =>
    Effect.gen(function* () {
      const busy = yield* Effect.flip(interpret({ status: 503, headers: { "retry-after": "60" } }))
      expect(busy.error(4, Duration.seconds(60), false)).toEqual(
        new BatchError.ApiUnavailable({
          reason: "Server",
          status: Option.some(503),
          attempts: 4,
          detail: "it answered HTTP 503",
          retryAfter: Option.some(Duration.seconds(60))
        })
      )
      expect(busy.error(1, Duration.hours(1), true)).toEqual(
        new BatchError.RateLimited({ retryAfter: Duration.hours(1), attempts: 1 })
      )
      const throttled = yield* Effect.flip(interpret({ status: 429 }))
      expect(throttled.error(4, Duration.seconds(8), false)).toEqual(
        new BatchError.RateLimited({ retryAfter: Duration.seconds(8), attempts: 4 })
      )
    })
  )
})

describe("2xx", () => {
  it.effect.each([200, 201, 299])("%d that decodes is the value", (status) =>
    Effect.gen(function* () {
      const batch = yield* interpret({ status, text: JSON.stringify(job({ result_count: 4 })) })
      expect(batch.resultCount).toBe(4)
    })
  )

  it.effect.each([
    ["", "HTTP 200 with an empty body"],
    [" \n", "HTTP 200 with an empty body"],
    ["<!doctype html><p>Sign in", "HTTP 200 with a web page instead of JSON"],
    ["[]", "HTTP 200 with a body that is no JSON object"],
    ["null", "HTTP 200 with a body that is no JSON object"],
    ["ok", "HTTP 200 with a body that is no JSON object"],
    ['{"batch_id":', "HTTP 200 with a body that is no JSON object"],
    ['{"a":https://bucket.test/?5ec2e7}', "HTTP 200 with a body that is no JSON object"],
    ["{}", "HTTP 200, batch_id: is missing"],
    [
      '{"batch_id":"7","status":"pending"}',
      'HTTP 200, batch_id: "7" is no batch id: a batch id is a UUID such as'
    ],
    [JSON.stringify({ error: { message: "come later" } }), "HTTP 200 with an error: come later"]
  ] as const)("with the body %j is malformed", ([text, detail]) =>
    Effect.gen(function* () {
      const { error, hint, retry } = yield* failed({ status: 200, text })
      expect([error._tag, retry, hint]).toEqual(["MalformedResponse", "Once", Option.none()])
      expect(error.message).toContain(`the answer is not the batch API's: ${detail}`)
    })
  )

  it.prop("of any other kind is malformed, never a defect", [fc.oneof(fc.string(), fc.json())], ([text]) => {
    const outcome = Effect.runSync(Effect.either(interpret({ status: 200, text })))
    const tag = Either.isLeft(outcome) ? outcome.left.error(1, Duration.zero, false)._tag : "a value"
    expect(tag).toBe("MalformedResponse")
  })
})

describe("said", () => {
  it.each([
    ['{"error":{"type":"t","message":"words","metadata":{}}}', "words"],
    ['{"error":{"message":"words"}}', "words"],
    ['{"error":{"message":"","detail":"words"}}', "words"],
    ['{"error":{"type":"words"}}', "words"],
    ['{"error":"words"}', "words"],
    ['{"error":null,"message":"words"}', "words"],
    ['{"message":"words"}', "words"],
    ['{"detail":"words"}', "words"],
    ["words", "words"],
    ["two\r\n\twords ", "two words"],
    ["red \u001b[31mwords\u0007\u009b", "red [31mwords"],
    ['{"detail":[{"msg":"words"}]}', '{"detail":[{"msg":"words"}]}']
  ])("of %j is %j", (text, words) => {
    expect(ApiResponse.said(answer({ status: 400, text }))).toEqual(Option.some(words))
  })

  it.each(["", "  \n", "<html>Bad gateway</html>", "  <?xml version='1.0'?>"])("of %j is nothing", (text) => {
    expect(ApiResponse.said(answer({ status: 502, text }))).toEqual(Option.none())
  })

  it.prop(
    "is one line of 300 characters at most, without control characters",
    [fc.string({ minLength: 250, maxLength: 600 })],
    ([text]) => {
      const words = Option.getOrElse(ApiResponse.said(answer({ status: 500, text })), () => "")
      expect(words.length).toBeLessThanOrEqual(300)
      expect(words).not.toMatch(/\p{Cc}/u)
    }
  )
})

describe("secrets", () => {
  const statuses = [200, 302, 400, 401, 402, 403, 404, 409, 422, 429, 500, 501, 503]

  it.prop(
    "neither key nor query survives, whatever the API answers",
    [link, fc.constantFrom(...statuses), fc.integer({ min: 0, max: 400 })],
    ([{ secret, url }, status, padding]) => {
      const words = `${"x".repeat(padding)} ${apiKey} ${url}`
      const bodies = [
        words,
        JSON.stringify({ error: { message: words, metadata: { a: [url, words] } } }),
        JSON.stringify({ message: words }).replaceAll("/", String.raw`\/`),
        JSON.stringify({ batch_id: words, status: [words] }),
        `{"batch_id":"${url}" ${words}`
      ]
      for (const text of bodies) {
        const { error } = Effect.runSync(failed({ status, text, headers: { location: url } }))
        const shown = [error.message, error, Schema.encodeSync(Encodable)(error)].map((way) =>
          JSON.stringify(way)
        )
        expect(shown.join()).not.toContain(secret)
        expect(shown.join()).not.toContain(apiKey)
      }
    }
  )

  it.effect.each([200, 400])(
    "not even the beginning of a key survives that is cut off with the words of a %d",
    (status) =>
      Effect.gen(function* () {
        for (let padding = 230; padding < 300; padding++) {
          const text = JSON.stringify({
            batch_id: "x".repeat(padding) + apiKey,
            message: "x".repeat(padding) + apiKey
          })
          expect((yield* failed({ status, text })).error.message).not.toContain(apiKey.slice(0, 3))
        }
      })
  )

  it.effect("a short key that occurs in an answer by chance does not change it", () =>
    Effect.gen(function* () {
      const text = JSON.stringify(job({ entity: "a", download_url: "https://bucket.test/a?a=a" }))
      const clean = (shown: string) => scrub(shown, Redacted.make("a"))
      const batch = yield* ApiResponse.interpret(
        answer({ status: 200, text }),
        FromJson,
        ApiResponse.refused,
        clean
      )
      expect(Redacted.value(batch.raw)).toEqual(JSON.parse(text))
    })
  )
})

describe("no answer", () => {
  const error = (cause: unknown) =>
    new HttpClientError.RequestError({
      request: HttpClientRequest.get("https://api.test/v1/batch"),
      reason: "Transport",
      cause
    })

  it("is worth another try when the connection broke", () => {
    const failure = ApiResponse.unreachable(error(systemError("ECONNRESET")))
    expect(failure.retry).toBe("Transient")
    expect(failure.error(4, Duration.zero, false)).toEqual(
      new BatchError.ApiUnavailable({
        reason: "Network",
        status: Option.none(),
        attempts: 4,
        detail: "api.test: the connection was reset (ECONNRESET)"
      })
    )
  })

  it("is final when the certificate is wrong", () => {
    expect(ApiResponse.unreachable(error(systemError("CERT_HAS_EXPIRED"))).retry).toBe("Never")
  })

  it("does not show the key", () => {
    const failure = ApiResponse.unreachable(error(new Error(`Bearer ${apiKey}`)), Redacted.make(apiKey))
    expect(failure.error(1, Duration.zero, false).message).not.toContain(apiKey)
  })

  it("in time is a timeout, which costs more", () => {
    const failure = ApiResponse.timedOut(Duration.seconds(30))
    expect(failure.retry).toBe("Timeout")
    expect(failure.error(1, Duration.zero, false).message).toBe(
      "the API could not be asked (1 attempt): no complete answer within 30 s"
    )
  })
})

const Encodable = Schema.Union(
  BatchError.NotAuthorized,
  BatchError.RequestRejected,
  BatchError.RateLimited,
  BatchError.ApiUnavailable,
  BatchError.MalformedResponse
)

const answer = (parts: {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly text?: string
}): ApiResponse.ApiResponse => ({ text: "", ...parts, headers: Headers.fromInput(parts.headers) })

const interpret = (parts: Parameters<typeof answer>[0]) =>
  ApiResponse.interpret(answer(parts), FromJson, ApiResponse.refused, (text) =>
    scrub(text, Redacted.make(apiKey))
  )

/** The failure that an answer is, and what it says after its first attempt. */
const failed = (parts: Parameters<typeof answer>[0]) =>
  Effect.map(Effect.flip(interpret(parts)), (failure) => ({
    retry: failure.retry,
    hint: failure.hint,
    error: failure.error(1, Duration.zero, false)
  }))
