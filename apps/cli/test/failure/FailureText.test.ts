import { describe, expect, it } from "@effect/vitest"
import { BatchId, FromJson } from "@org/batch-core/Batch"
import * as BatchError from "@org/batch-core/BatchError"
import { Duration, Option, Schema } from "effect"
import { SandboxUnavailable, SettingsError, UsageError } from "../../src/failure/CliError.js"
import type { Failure } from "../../src/failure/CliError.js"
import * as FailureText from "../../src/failure/FailureText.js"
import { restored } from "../../src/terminal/Wrap.js"

/** The lines as they are printed. */
const linesOf = (...of: Parameters<typeof FailureText.lines>): ReadonlyArray<string> =>
  FailureText.lines(...of).map(restored)

const batchId = Schema.decodeSync(BatchId)("01234567-89ab-4cde-8f01-23456789abcd")
const link = "https://bucket.example/merged.jsonl.gz?X-Amz-Signature=0123abcd"
const last = Schema.decodeSync(FromJson)({
  batch_id: batchId,
  status: "completed",
  result_count: 7,
  download_url: link
})

const circumstances = {
  commandLine: {
    argv: ["download", batchId, "ffffffff-89ab-4cde-8f01-23456789abcd", "-o", "my out/", "--json"],
    debug: false,
    valued: () => new Set(["-o"])
  },
  batchId,
  last
}

const corrupt = { file: "rows.jsonl.gz", expected: "7 rows", actual: "6 rows", kept: Option.none() }
const storage = { path: "out/x", detail: "as it is" }
const unavailable = { batchId, detail: `see ${link}` }
const same = `batchctl download ${batchId} -o 'my out/' --json`

const failures: ReadonlyArray<readonly [Failure, code: number, next: string]> = [
  [new BatchError.NotAuthorized({ reason: "InvalidKey", detail: "x" }), 3, "set CRUSTDATA_API_KEY"],
  [new BatchError.NotAuthorized({ reason: "InsufficientCredits", detail: "x" }), 3, same],
  [
    new BatchError.RequestRejected({ status: 400, detail: "x", metadata: Option.none() }),
    2,
    "batchctl doctor"
  ],
  [new BatchError.BatchNotFound({ batchId }), 8, "batchctl list"],
  [new BatchError.RateLimited({ retryAfter: Duration.minutes(3), attempts: 4 }), 6, `in 3 min: ${same}`],
  [
    new BatchError.ApiUnavailable({ reason: "Network", status: Option.none(), attempts: 4, detail: "x" }),
    6,
    same
  ],
  [new BatchError.MalformedResponse({ status: Option.none(), detail: "x" }), 6, "CRUSTDATA_BASE_URL"],
  [new BatchError.BatchFailed({ batch: last, errorMessage: "x" }), 4, `batchctl status ${batchId}`],
  [
    new BatchError.BatchNotCompleted({ batchId, status: "pending" }),
    5,
    `batchctl get ${batchId} -o 'my out/' --json`
  ],
  [
    new BatchError.WaitTimeout({
      batchId,
      lastStatus: Option.some("processing"),
      counts: { resultCount: 3, entitiesRequested: 7, entitiesFulfilled: 3 },
      elapsed: Duration.seconds(90),
      polls: 12,
      transcript: []
    }),
    5,
    same
  ],
  [new BatchError.ResultsUnavailable({ reason: "Missing", ...unavailable }), 7, `batchctl status ${batchId}`],
  [new BatchError.ResultsUnavailable({ reason: "Expired", ...unavailable }), 7, same],
  [
    new BatchError.TransferFailed({
      reason: "Stalled",
      file: "f",
      status: Option.none(),
      attempts: 6,
      detail: link
    }),
    6,
    same
  ],
  [new BatchError.ResultsCorrupt({ reason: "RowCount", ...corrupt }), 7, `${same} --allow-incomplete`],
  [new BatchError.ResultsCorrupt({ reason: "Gzip", ...corrupt }), 7, same],
  [new BatchError.StorageError({ reason: "Exists", ...storage }), 9, `${same} --force`],
  [new BatchError.StorageError({ reason: "NoSpace", ...storage }), 9, `make room, then ${same}`],
  [new BatchError.StorageError({ reason: "Denied", ...storage }), 9, same],
  [
    new BatchError.RecordInvalid({ line: 3, offset: 9, detail: "it is no JSON", excerpt: "{" }),
    7,
    `${same} --format jsonl`
  ],
  [new BatchError.ColumnsNotFound({ columns: ["x"] }), 2, same],
  [
    new UsageError({ detail: "x", hint: Option.none(), batchId: Option.none() }),
    2,
    "batchctl download --help"
  ],
  [new SettingsError({ setting: "BATCH_X", detail: "x" }), 2, "correct or unset BATCH_X"],
  [new SandboxUnavailable({ detail: "x" }), 9, "batchctl sandbox --port 0"]
]

describe.each(failures)("%s", (failure, code, next) => {
  it(`exits with ${code} and names what to run next`, () => {
    expect(FailureText.exitCode(failure)).toBe(code)
    const lines = linesOf(failure, circumstances)
    expect(lines[0]).toMatch(/^error: \S/)
    expect(lines).toContainEqual(expect.stringContaining(`  batch  ${batchId}`))
    expect(lines.at(-1)).toContain(`  next   `)
    expect(lines.at(-1)).toContain(next)
  })

  it("is one JSON object with the failure's own fields, and no secret anywhere", () => {
    const json = JSON.stringify(FailureText.json(failure, circumstances))
    expect(JSON.parse(json)).toEqual({
      batch_id: batchId,
      error: expect.objectContaining({ type: failure._tag, message: expect.any(String) })
    })
    expect(json + linesOf(failure, circumstances).join("\n")).not.toContain("0123abcd")
  })
})

it("a wait that timed out tells all that is needed to go on", () => {
  const timeout = failures.map(([failure]) => failure).filter((failure) => failure._tag === "WaitTimeout")
  expect(timeout.map((failure) => FailureText.json(failure, { batchId }))).toEqual([
    {
      batch_id: batchId,
      error: {
        type: "WaitTimeout",
        message: expect.stringContaining("still running"),
        batchId,
        lastStatus: "processing",
        counts: { resultCount: 3, entitiesRequested: 7, entitiesFulfilled: 3 },
        elapsed: 90_000,
        polls: 12,
        transcript: []
      }
    }
  ])
  const lines = timeout.flatMap((failure) => linesOf(failure, circumstances))
  // One figure for the time in one message.
  expect(lines.filter((line) => /\d (?:s|min)\b/u.test(line))).toEqual([
    expect.stringMatching(
      /^error: .* was still running after 1 min 30 s and 12 polls \(last seen processing with 3 rows\)/u
    )
  ])
})

it("a bug says so, without a stack unless debugging", () => {
  const defect = new Error(`broke at ${link}`)
  const quiet = FailureText.bug(defect, { batchId, debug: false }).join("\n")
  expect(quiet).toContain("this is a bug in batchctl: broke at https://bucket.example/merged.jsonl.gz?***")
  expect(quiet).toContain("issue tracker")
  expect(quiet).not.toContain("FailureText.test")
  expect(FailureText.bug(defect, { debug: true }).join("\n")).toContain("FailureText.test")
})
