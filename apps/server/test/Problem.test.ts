import { describe, expect, it } from "@effect/vitest"
import * as Batch from "@org/batch-core/Batch"
import * as BatchError from "@org/batch-core/BatchError"
import { RetrievalError } from "@org/batch-durable"
import { DateTime, Duration, Option, Schema } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Problem from "../src/Problem.js"

const batchId = Schema.decodeSync(Batch.BatchId)("01234567-89ab-4cde-8f01-23456789abcd")
const link = "https://bucket.test/a?X-Amz-Signature=feedface"
const detail = `see ${link}`
const file = `${batchId}.jsonl.gz`

const batch = Schema.decodeSync(Batch.FromJson)({
  batch_id: batchId,
  status: "failed",
  error_message: detail,
  download_url: link
})

const failures: ReadonlyArray<readonly [status: number, error: BatchError.BatchError]> = [
  [401, new BatchError.NotAuthorized({ reason: "InvalidKey", detail })],
  [402, new BatchError.NotAuthorized({ reason: "InsufficientCredits", detail })],
  [403, new BatchError.NotAuthorized({ reason: "NotOnPlan", detail })],
  [
    400,
    new BatchError.RequestRejected({ status: 422, detail, metadata: Option.some({ available_fields: [] }) })
  ],
  [400, new BatchError.RequestInvalid({ kind: "company/enrich", detail })],
  [
    502,
    new BatchError.SubmitUnknown({ kind: "company/enrich", count: 1, sentAt: DateTime.unsafeMake(0), detail })
  ],
  [400, new BatchError.InputInvalid({ path: "p", detail })],
  [400, new BatchError.CampaignRefused({ reason: "Balance", detail })],
  [504, new BatchError.CampaignTimeout({ campaign: "c", elapsed: Duration.minutes(1) })],
  [404, new BatchError.BatchNotFound({ batchId })],
  [429, new BatchError.RateLimited({ retryAfter: Duration.millis(1500), attempts: 4 })],
  [502, new BatchError.ApiUnavailable({ reason: "Server", status: Option.some(503), attempts: 4, detail })],
  [502, new BatchError.MalformedResponse({ status: Option.none(), detail })],
  [422, new BatchError.BatchFailed({ batch, errorMessage: detail })],
  [409, new BatchError.BatchNotCompleted({ batchId, status: "processing" })],
  [
    504,
    new BatchError.WaitTimeout({
      batchId,
      lastStatus: Option.some("processing"),
      counts: { resultCount: 1, entitiesRequested: 5, entitiesFulfilled: 1 },
      elapsed: Duration.seconds(60),
      polls: 9,
      transcript: [{ at: 0, outcome: detail, resultCount: Option.none() }]
    })
  ],
  [502, new BatchError.ResultsUnavailable({ reason: "Expired", batchId, detail })],
  [
    502,
    new BatchError.TransferFailed({ reason: "Stalled", file, status: Option.none(), attempts: 6, detail })
  ],
  [
    502,
    new BatchError.ResultsCorrupt({
      reason: "Gzip",
      file,
      expected: detail,
      actual: detail,
      kept: Option.none()
    })
  ],
  [507, new BatchError.StorageError({ reason: "NoSpace", path: file, detail })],
  [500, new BatchError.StorageError({ reason: "Denied", path: file, detail })],
  [502, new BatchError.RecordInvalid({ line: 3, offset: 90, detail, excerpt: detail })],
  [400, new BatchError.ColumnsNotFound({ columns: ["x"] })]
]

const bodyOf = (error: BatchError.BatchError): string => {
  const { body } = Problem.toResponse(Problem.fromError(error))
  return body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""
}

describe("Problem", () => {
  it.each(failures.map(([status, error]) => [error._tag, status, error] as const))(
    "%s is told by %d, in the shape of every error and without a link's query",
    (tag, status, error) => {
      const response = Problem.toResponse(Problem.fromError(error))
      expect([response.status, response.headers["cache-control"]]).toEqual([status, "no-store"])
      const body = bodyOf(error)
      expect(JSON.parse(body)).toEqual({
        error: { type: tag, message: error.message, metadata: expect.anything() }
      })
      expect(body).not.toContain("feedface")
    }
  )

  it("metadata is what the API added, or else the fields of the failure", () => {
    const metadata = (error: BatchError.BatchError): unknown => JSON.parse(bodyOf(error)).error.metadata
    expect(metadata(new BatchError.BatchNotFound({ batchId }))).toEqual({ batch_id: batchId })
    expect(
      metadata(new BatchError.RequestRejected({ status: 400, detail, metadata: Option.some({ a: [1] }) }))
    ).toEqual({ a: [1] })
    expect(
      metadata(new BatchError.RequestRejected({ status: 400, detail, metadata: Option.none() }))
    ).toBeNull()
    expect(metadata(new BatchError.BatchFailed({ batch, errorMessage: "no" }))).toEqual({
      batch: {
        batch_id: batchId,
        status: "failed",
        error_message: "see https://bucket.test/a?***",
        download_url: "https://bucket.test/a?***"
      }
    })
  })

  it("metadata is in snake_case, durations in seconds", () => {
    const metadata = failures.map(([, error]) => JSON.parse(bodyOf(error)).error.metadata)
    for (const name of JSON.stringify(metadata).match(/"\w+":/gu) ?? []) expect(name).toMatch(/^"[a-z_]+":$/u)
    expect(
      JSON.parse(bodyOf(new BatchError.RateLimited({ retryAfter: Duration.millis(1500), attempts: 2 })))
    ).toMatchObject({
      error: { metadata: { retry_after_seconds: 1.5, attempts: 2 } }
    })
    const waited = failures.find(([, { _tag }]) => _tag === "WaitTimeout")?.[1]
    expect(waited === undefined ? {} : JSON.parse(bodyOf(waited)).error.metadata).toMatchObject({
      batch_id: batchId,
      last_status: "processing",
      counts: { result_count: 1, entities_requested: 5, entities_fulfilled: 1 },
      elapsed_seconds: 60,
      transcript: [{ at_seconds: 0 }]
    })
  })

  it("says when to come again, in whole seconds that are never too few", () => {
    const after = (error: BatchError.BatchError) =>
      Problem.toResponse(Problem.fromError(error)).headers["retry-after"]
    expect(after(new BatchError.RateLimited({ retryAfter: Duration.millis(1001), attempts: 1 }))).toBe("2")
    expect(after(new BatchError.BatchNotCompleted({ batchId, status: "pending" }))).toBe("5")
    expect(
      after(
        new BatchError.ApiUnavailable({
          reason: "Server",
          status: Option.some(503),
          attempts: 4,
          detail,
          retryAfter: Option.some(Duration.seconds(30))
        })
      )
    ).toBe("30")
    expect(after(new BatchError.BatchNotFound({ batchId }))).toBeUndefined()
  })

  it("never says to come again later than in an hour", () => {
    const hours = Duration.hours(5)
    const failures = [
      new BatchError.RateLimited({ retryAfter: hours, attempts: 1 }),
      new BatchError.ApiUnavailable({
        reason: "Server",
        status: Option.some(503),
        attempts: 4,
        detail,
        retryAfter: Option.some(hours)
      })
    ]
    for (const error of failures) {
      expect(Problem.toResponse(Problem.fromError(error)).headers["retry-after"]).toBe("3600")
      expect(bodyOf(error), "in seconds or milliseconds").not.toContain("18000")
    }
  })
})

const ofRetrievals = [
  new RetrievalError.RetrievalInvalid({ field: "notify", detail }),
  new RetrievalError.RetrievalNotFound({ retrievalId: batchId }),
  new RetrievalError.RetrievalConflict({ retrievalId: batchId, state: "done", detail }),
  new RetrievalError.StoreUnavailable({ detail, retryAfter: Duration.seconds(5) }),
  new RetrievalError.StoreRefused({ reason: "InUse", place: "p", detail })
]

it("docs/errors.md gives every failure its statuses", () => {
  const text = readFileSync(fileURLToPath(new URL("../../../docs/errors.md", import.meta.url)), "utf8")
  const listed = [...text.matchAll(/^\| `(\w+)` .*\| ([\d, ]+?) *\|$/gmu)].flatMap(
    ([, tag = "", statuses = ""]) => statuses.split(", ").map((status) => `${tag} ${status}`)
  )
  const given = [
    ...failures.map(([, error]) => `${error._tag} ${Problem.fromError(error).status}`),
    ...ofRetrievals.map((error) => `${error._tag} ${Problem.fromRetrievalError(error).status}`)
  ]
  expect(listed.toSorted()).toEqual([...new Set(given)].toSorted())
})
