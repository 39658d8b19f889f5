import * as Core from "@org/batch-core/BatchError"
import { Duration, Option, Schema } from "effect"
import { describe, expect, expectTypeOf, it } from "vitest"
import * as Client from "../src/index.js"
import * as Failures from "../src/internal/Failures.js"

const batchId = "01234567-89ab-4cde-8f01-23456789abcd"

/** One of each failure, as it is encoded. */
const encoded = {
  NotAuthorized: { reason: "NotOnPlan", detail: "d" },
  RequestRejected: { status: 422, detail: "d", metadata: { available_fields: ["a"] } },
  RequestInvalid: { kind: "company/enrich", property: "domains", detail: "d" },
  SubmitUnknown: {
    kind: "company/enrich",
    count: 2,
    sent_at: "2026-01-02T03:04:05.000Z",
    detail: "d",
    request_id: "r"
  },
  InputInvalid: { path: "p", detail: "d" },
  CampaignRefused: { reason: "MaxCredits", detail: "d" },
  CampaignTimeout: { campaign: "c", elapsed: 90_000 },
  BatchNotFound: { batchId, detail: "d" },
  RateLimited: { retryAfter: 1500, attempts: 2 },
  ApiUnavailable: { reason: "Server", status: 503, attempts: 2, detail: "d", retryAfter: 2500, remedy: "r" },
  MalformedResponse: { detail: "d" },
  BatchFailed: { batch: { batch_id: batchId, status: "failed" }, errorMessage: "e" },
  BatchNotCompleted: { batchId, status: "processing" },
  WaitTimeout: {
    batchId,
    lastStatus: "pending",
    counts: { resultCount: 1, entitiesRequested: 2, entitiesFulfilled: 3 },
    elapsed: 90_000,
    polls: 4,
    transcript: [{ at: 1500, outcome: "pending", resultCount: 1 }]
  },
  ResultsUnavailable: { reason: "Missing", detail: "d" },
  TransferFailed: { reason: "Stalled", file: "f", attempts: 2, detail: "d" },
  ResultsCorrupt: { reason: "Gzip", file: "f", expected: "e", actual: "a", kept: "k" },
  StorageError: { reason: "NoSpace", path: "p", detail: "d" },
  RecordInvalid: { line: 1, offset: 0, detail: "d", excerpt: "x" },
  ColumnsNotFound: { columns: ["c"] }
} satisfies Record<Core.BatchError["_tag"], object>

/** The classes of a module by their names. */
const classesOf = (module: object) => new Map<string, unknown>(Object.entries(module))

const failures = Object.entries(encoded).map(([_tag, fields]) =>
  Schema.decodeUnknownSync(Core.BatchError)({ _tag, ...fields })
)

describe("failures", () => {
  it("have a class for each failure of the core, of its name and with its message", () => {
    expect(failures).toHaveLength(Core.BatchError.members.length)
    for (const failure of failures) {
      const error = Failures.of(failure)
      expect(error).toBeInstanceOf(classesOf(Client).get(failure._tag))
      expect(error).toBeInstanceOf(Client.BatchError)
      expect(error).toBeInstanceOf(Error)
      expect([error._tag, error.name, error.message]).toEqual([failure._tag, failure._tag, failure.message])
      expect(error.cause).toMatchObject({ name: failure._tag, message: failure.message })
      expect(JSON.parse(JSON.stringify(error))).toMatchObject({
        _tag: failure._tag,
        message: failure.message
      })
      expect(error.stack).toContain(failure.message)
    }
    expectTypeOf<Core.BatchError["_tag"]>().toExtend<Client.Failure["_tag"]>()
  })

  it("have every field of the core's, in plain values with their unit in the name", () => {
    const named: Readonly<Record<string, string>> = {
      retryAfter: "retryAfterSeconds",
      elapsed: "elapsedSeconds"
    }
    for (const failure of failures) {
      const fields = Object.keys(Failures.of(failure))
      const expected = Object.keys(failure).map((field) => named[field] ?? field)
      expect(expected.length).toBeGreaterThan(1)
      expect(fields).toEqual(expect.arrayContaining(expected))
      for (const value of Object.values(Failures.of(failure))) {
        expect(Option.isOption(value) || Duration.isDuration(value)).toBe(false)
      }
    }
    const of = (tag: string) => failures.filter(({ _tag }) => _tag === tag).map(Failures.of)[0]
    expect(of("RateLimited")).toMatchObject({ retryAfterSeconds: 1.5, attempts: 2 })
    expect(of("ApiUnavailable")).toMatchObject({
      retryAfterSeconds: 2.5,
      status: 503,
      remedy: "r",
      lasting: false
    })
    expect(of("RequestInvalid")).toMatchObject({ property: "domains", requestId: undefined })
    expect(of("SubmitUnknown")).toMatchObject({
      sentAt: new Date("2026-01-02T03:04:05.000Z"),
      count: 2,
      requestId: "r"
    })
    expect(of("MalformedResponse")).toMatchObject({ status: undefined })
    expect(of("WaitTimeout")).toMatchObject({
      elapsedSeconds: 90,
      lastStatus: "pending",
      transcript: [{ atSeconds: 1.5, outcome: "pending", resultCount: 1 }]
    })
    expect(of("BatchFailed")).toMatchObject({ batch: { batchId, createdAt: undefined }, errorMessage: "e" })
  })
})
