import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Either, Option } from "effect"
import * as BatchClient from "../../src/status/BatchClient.js"
import * as SubmitRequest from "../../src/model/SubmitRequest.js"
import {
  apiKey,
  batchId,
  errorOf,
  play,
  script,
  type Step,
  systemError,
  upstream,
  valueOf
} from "../Script.js"

const request = Either.getOrThrow(
  SubmitRequest.make("company/enrich", { domains: ["acme.com"], fields: ["nmae"] })
)

const accepted: Step = {
  body: { batch_id: batchId, entity: "company", action: "enrich" },
  headers: { "x-request-id": "r-9" }
}

const submit = (...steps: readonly [Step, ...ReadonlyArray<Step>]) => {
  const api = script(steps)
  return Effect.map(play(Effect.provide(BatchClient.submit(request), upstream(api))), (played) => ({
    api,
    played
  }))
}

const aggregate = Object.assign(new AggregateError([systemError("ECONNREFUSED")], ""), {
  code: "ECONNREFUSED"
})

describe("post", () => {
  it.effect("sends once, with the version of the API, and gives the job with the id of its request", () =>
    Effect.gen(function* () {
      const { api, played } = yield* submit({ ...accepted, status: 202 })
      expect(api.seen).toMatchObject([
        {
          at: 0,
          method: "POST",
          url: "https://api.test/v1/batch/company/enrich",
          headers: { "x-api-version": "2025-11-01" }
        }
      ])
      expect(valueOf(played)).toMatchObject({ batchId, status: "pending", requestId: Option.some("r-9") })
    })
  )

  it.effect("tries a 429 again, when the API says", () =>
    Effect.gen(function* () {
      const { api, played } = yield* submit({ status: 429, headers: { "x-ratelimit-reset": "7" } }, accepted)
      expect(valueOf(played).batchId).toBe(batchId)
      expect(api.seen).toHaveLength(2)
      expect(api.times()[1]).toBeGreaterThanOrEqual(7000)
      expect(api.times()[1]).toBeLessThanOrEqual(9000)
      const limited = yield* submit({ status: 429, headers: { "x-request-id": "r-1" } })
      const [first = 0] = limited.api.times()
      expect(limited.api.times().map((time) => time - first)).toEqual([0, 1000, 3000, 7000])
      expect(errorOf(limited.played)).toMatchObject({ _tag: "RateLimited", requestId: Option.some("r-1") })
    })
  )

  it.effect.each([
    ["refused", systemError("ECONNREFUSED")],
    ["refused at all addresses", aggregate],
    ["to nobody's name", systemError("ENOTFOUND", "getaddrinfo ENOTFOUND api.test")],
    ["that timed out as it was opened", Object.assign(systemError("ETIMEDOUT"), { syscall: "connect" })]
  ] as const)("tries again what provably reached nobody: a connection %s", ([, fails]) =>
    Effect.gen(function* () {
      const { api, played } = yield* submit({ fails }, { fails }, accepted)
      expect(valueOf(played).batchId).toBe(batchId)
      expect(api.times()).toEqual([0, 500, 1500])
      const never = yield* submit({ fails })
      expect(errorOf(never.played)._tag).toBe("ApiUnavailable")
    })
  )

  it.effect.each([
    ["a reset", { fails: systemError("ECONNRESET", "read ECONNRESET") }, false],
    ["a closed pipe", { fails: systemError("EPIPE", "write EPIPE") }, false],
    [
      "a time-out of a connection that was there",
      { fails: Object.assign(systemError("ETIMEDOUT"), { syscall: "read" }) },
      false
    ],
    [
      "an answer that breaks off",
      { breaks: systemError("ECONNRESET"), headers: { "x-request-id": "r-9" } },
      true
    ],
    ["an answer that never comes", { hangs: "head" }, false],
    ["an answer that never ends", { hangs: "body" }, false],
    ["500", { status: 500, headers: { "x-request-id": "r-9" } }, true],
    ["503 with a hint", { status: 503, headers: { "x-request-id": "r-9", "retry-after": "2" } }, true],
    [
      "503 with a long hint",
      { status: 503, headers: { "x-request-id": "r-9", "retry-after": "7200" } },
      true
    ],
    ["504", { status: 504 }, false],
    ["408", { status: 408, headers: { "x-request-id": "r-9" } }, true],
    ["303", { status: 303, headers: { location: "/batch/x" } }, false],
    ["a page", { body: "<html>", headers: { "x-request-id": "r-9" } }, true],
    ["204", { status: 204, body: "" }, false],
    ["no batch_id", { body: { status: "pending" }, headers: { "x-request-id": "r-9" } }, true],
    ["an answer that is too long", { body: "x".repeat(1_048_577), headers: { "x-request-id": "r-9" } }, true]
  ] as const)("never sends again after %s", ([, step, hasId]) =>
    Effect.gen(function* () {
      const { api, played } = yield* submit(step, accepted)
      expect(api.times()).toEqual([0])
      expect(errorOf(played)).toMatchObject({
        _tag: "SubmitUnknown",
        kind: "company/enrich",
        count: 1,
        sentAt: DateTime.unsafeMake(0),
        requestId: hasId ? Option.some("r-9") : Option.none()
      })
    })
  )

  it.effect.each([
    [400, "RequestRejected"],
    [401, "NotAuthorized"],
    [402, "NotAuthorized"],
    [403, "NotAuthorized"],
    [404, "RequestRejected"],
    [409, "RequestRejected"],
    [413, "RequestRejected"],
    [422, "RequestRejected"],
    [301, "MalformedResponse"],
    [307, "MalformedResponse"],
    [407, "ApiUnavailable"],
    [501, "ApiUnavailable"]
  ] as const)("takes %d for a refusal: %s", ([status, tag]) =>
    Effect.gen(function* () {
      const body = { error: { type: "x", message: `the key ${apiKey} is odd` } }
      const { api, played } = yield* submit({ status, body, headers: { "x-request-id": "r-2" } }, accepted)
      expect(api.times()).toEqual([0])
      const error = errorOf(played)
      expect(error._tag).toBe(tag)
      if (status !== 407) expect(error.requestId).toEqual(Option.some("r-2"))
      expect(`${error.message} ${JSON.stringify(error)}`).not.toContain(apiKey)
    })
  )

  it.effect("says which field was meant", () =>
    Effect.gen(function* () {
      const metadata = { available_fields: ["name", "basic_info.name", "headcount"] }
      const { played } = yield* submit({
        status: 400,
        body: { error: { message: "unknown field nmae", metadata } }
      })
      expect(errorOf(played).message).toContain("did you mean name instead of nmae?")
    })
  )

  it.effect("shows the key in no failure, wherever the peer puts it", () =>
    Effect.gen(function* () {
      for (const step of [
        { status: 500, body: apiKey },
        { body: apiKey },
        { fails: new Error(`no ${apiKey}`) }
      ] as const) {
        const error = errorOf((yield* submit(step)).played)
        expect(`${error.message} ${JSON.stringify(error)}`).not.toContain(apiKey)
      }
    })
  )
})
