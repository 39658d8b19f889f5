import { describe, expect, it } from "@effect/vitest"
import { Cause, DateTime, Duration, Either, FastCheck as fc, Option, Predicate, Schema } from "effect"
import { Batch } from "../../src/model/Batch.js"
import * as BatchError from "../../src/model/BatchError.js"
import { link } from "../Arbitraries.js"
import { batch, batchId } from "../Script.js"

/** One failure of each class (and of each form of its message), with the same text wherever a text may stand. */
const everyFailure = (text: string) => {
  const failed = batch({
    status: "failed",
    error_message: text,
    download_url: "https://bucket.test/a?b=1",
    more: text
  })
  return [
    new BatchError.NotAuthorized({ reason: "InvalidKey", detail: text }),
    new BatchError.RequestRejected({
      status: 400,
      detail: text,
      metadata: Option.some({ available_fields: ["name"], help: [text] })
    }),
    new BatchError.RequestInvalid({ kind: text, property: Option.some(text), detail: text }),
    new BatchError.SubmitUnknown({
      kind: text,
      count: 3,
      sentAt: DateTime.unsafeMake("2026-11-28T12:00:00Z"),
      requestId: Option.some(text),
      detail: text
    }),
    new BatchError.InputInvalid({ path: text, detail: text }),
    new BatchError.CampaignRefused({ reason: "Balance", detail: text }),
    new BatchError.CampaignTimeout({ campaign: "c0ffee", elapsed: Duration.minutes(30) }),
    new BatchError.BatchNotFound({ batchId }),
    new BatchError.RateLimited({ retryAfter: Duration.seconds(90), attempts: 4 }),
    new BatchError.ApiUnavailable({ reason: "Server", status: Option.some(503), attempts: 1, detail: text }),
    new BatchError.MalformedResponse({ status: Option.some(200), detail: text }),
    new BatchError.BatchFailed({ batch: failed, errorMessage: text }),
    new BatchError.BatchNotCompleted({ batchId, status: text }),
    new BatchError.WaitTimeout({
      batchId,
      lastStatus: Option.some(text),
      counts: { resultCount: 1, entitiesRequested: 5, entitiesFulfilled: 1 },
      elapsed: Duration.seconds(1800),
      polls: 60,
      transcript: [{ at: 0, outcome: text, resultCount: Option.some(1) }]
    }),
    new BatchError.WaitTimeout({
      batchId,
      lastStatus: Option.none(),
      counts: { resultCount: 0, entitiesRequested: 0, entitiesFulfilled: 0 },
      elapsed: Duration.millis(1500),
      polls: 0,
      transcript: [{ at: 0, outcome: text, resultCount: Option.none() }]
    }),
    new BatchError.ResultsUnavailable({ reason: "Expired", batchId, detail: text }),
    new BatchError.TransferFailed({
      reason: "Protocol",
      file: text,
      status: Option.none(),
      attempts: 6,
      detail: text
    }),
    new BatchError.ResultsCorrupt({
      reason: "RowCount",
      file: text,
      expected: text,
      actual: text,
      kept: Option.some(text)
    }),
    new BatchError.StorageError({ reason: "Denied", path: text, detail: text }),
    new BatchError.RecordInvalid({ line: 7, offset: 4096, detail: text, excerpt: text }),
    new BatchError.ColumnsNotFound({ columns: [text, "a"] })
  ] as const
}

const Any = Schema.Union(
  BatchError.NotAuthorized,
  BatchError.RequestRejected,
  BatchError.RequestInvalid,
  BatchError.SubmitUnknown,
  BatchError.InputInvalid,
  BatchError.CampaignRefused,
  BatchError.CampaignTimeout,
  BatchError.BatchNotFound,
  BatchError.RateLimited,
  BatchError.ApiUnavailable,
  BatchError.MalformedResponse,
  BatchError.BatchFailed,
  BatchError.BatchNotCompleted,
  BatchError.WaitTimeout,
  BatchError.ResultsUnavailable,
  BatchError.TransferFailed,
  BatchError.ResultsCorrupt,
  BatchError.StorageError,
  BatchError.RecordInvalid,
  BatchError.ColumnsNotFound
)

const encode = Schema.encodeSync(Any)

describe("every failure", () => {
  it("is in these tests", () => {
    const exported = Object.values(BatchError).flatMap((value) =>
      Predicate.hasProperty(value, "_tag") && Predicate.isString(value._tag) ? [value._tag] : []
    )
    expect(exported).toHaveLength(20)
    expect(new Set(everyFailure("x").map((error) => error._tag))).toEqual(new Set(exported))
  })

  it.prop(
    "shows no query string, in no way",
    [link, fc.string()],
    ([{ secret, url }, words]) => {
      for (const error of everyFailure(`${words} ${url} there`)) {
        const ways = [error.message, error.stack, String(error), Cause.pretty(Cause.fail(error))]
        for (const way of [...ways, JSON.stringify(encode(error))]) {
          expect(way).not.toContain(secret)
        }
      }
    },
    { fastCheck: { numRuns: 40 } }
  )

  it("is JSON when encoded, with its tag, and decodes to itself", () => {
    for (const error of everyFailure("x")) {
      const json: unknown = JSON.parse(JSON.stringify(encode(error)))
      expect(json).toMatchObject({ _tag: error._tag })
      const again = Either.getOrThrow(Schema.decodeUnknownEither(Any)(json))
      expect(again.message).toBe(error.message)
      expect(encode(again)).toEqual(json)
    }
  })

  it("has a message of one line that says something", () => {
    for (const error of everyFailure("x")) {
      expect(error.message).toMatch(/^[^\n]{10,}$/u)
      expect(error.message).not.toMatch(/undefined|null|\[object|NaN|_tag/u)
    }
  })
})

describe("messages", () => {
  const messageOf = (tag: string) =>
    everyFailure("TEXT").flatMap((error) => (error._tag === tag ? [error.message] : []))

  it.each([
    ["NotAuthorized", ["the API key was not accepted: TEXT"]],
    ["RequestRejected", ["the API refused the request (HTTP 400): TEXT"]],
    ["RequestInvalid", ["the request for TEXT (TEXT) is not valid: TEXT"]],
    [
      "SubmitUnknown",
      [
        "whether the API took the job is not known: TEXT with 3 inputs, sent at 2026-11-28T12:00:00.000Z: TEXT; request TEXT; it was not sent again, since it would be billed twice if it was taken"
      ]
    ],
    ["InputInvalid", ["the list in TEXT cannot be used: TEXT"]],
    ["CampaignRefused", ["nothing was submitted: TEXT"]],
    ["CampaignTimeout", ["campaign c0ffee was not at its end after 30 min; its jobs go on"]],
    ["BatchNotFound", [`the API knows no batch ${batchId} for this account`]],
    ["RateLimited", ["the API is limiting this account's requests (4 attempts): try again in 1 min 30 s"]],
    ["ApiUnavailable", ["the API could not be asked (1 attempt): TEXT"]],
    ["MalformedResponse", ["the answer is not the batch API's: TEXT"]],
    ["BatchFailed", [`batch ${batchId} failed upstream: TEXT`]],
    ["BatchNotCompleted", [`batch ${batchId} is still TEXT: there are no results yet`]],
    [
      "WaitTimeout",
      [
        `batch ${batchId} was still running after 30 min and 60 polls (last seen TEXT with 1 row); the job itself goes on`,
        `batch ${batchId} was still running after 1.5 s and 0 polls (its state is not known); the job itself goes on`
      ]
    ],
    ["RecordInvalid", ["line 7 (byte 4,096) is no record, since TEXT: TEXT"]]
  ])("%s", (tag, messages) => {
    expect(messageOf(tag)).toEqual(messages)
  })

  it("NotAuthorized tells a bad key, an empty account and a small plan apart", () => {
    const reasons = ["InvalidKey", "InsufficientCredits", "NotOnPlan"] as const
    expect(reasons.map((reason) => new BatchError.NotAuthorized({ reason, detail: "x" }).message)).toEqual([
      "the API key was not accepted: x",
      "the account has no credits left for this: x",
      "the account's plan does not include this: x"
    ])
  })

  it("ApiUnavailable says when to come back, if the server did", () => {
    const error = new BatchError.ApiUnavailable({
      reason: "Server",
      status: Option.some(503),
      attempts: 4,
      detail: "it answered HTTP 503",
      retryAfter: Option.some(Duration.seconds(60))
    })
    expect(error.message).toBe(
      "the API could not be asked (4 attempts): it answered HTTP 503; it asks to be tried again in 1 min"
    )
  })
})

describe("encodings", () => {
  it("tell durations in milliseconds", () => {
    expect(encode(new BatchError.RateLimited({ retryAfter: Duration.seconds(90), attempts: 4 }))).toEqual({
      _tag: "RateLimited",
      retryAfter: 90_000,
      attempts: 4
    })
  })

  it("keep all that is needed to wait on", () => {
    const [timeout] = everyFailure("processing").flatMap((error) =>
      error._tag === "WaitTimeout" ? [error] : []
    )
    expect(timeout && encode(timeout)).toEqual({
      _tag: "WaitTimeout",
      batchId,
      lastStatus: "processing",
      counts: { resultCount: 1, entitiesRequested: 5, entitiesFulfilled: 1 },
      elapsed: 1_800_000,
      polls: 60,
      transcript: [{ at: 0, outcome: "processing", resultCount: 1 }]
    })
  })

  it("have the API's own fields for a failed job", () => {
    const [failed] = everyFailure("TEXT").flatMap((error) => (error._tag === "BatchFailed" ? [error] : []))
    expect(failed && encode(failed)).toMatchObject({
      _tag: "BatchFailed",
      errorMessage: "TEXT",
      batch: {
        batch_id: batchId,
        status: "failed",
        error_message: "TEXT",
        download_url: "https://bucket.test/a?***"
      }
    })
    expect(failed?.batch).toBeInstanceOf(Batch)
  })
})
