import { describe, expect, it } from "@effect/vitest"
import { Batch, BatchId, FromJson } from "@org/batch-core/Batch"
import type { Event } from "@org/batch-core/Retrieval"
import { Duration, Schema } from "effect"
import * as Progress from "../../src/progress/Progress.js"
import * as ProgressLine from "../../src/progress/ProgressLine.js"

const id = Schema.decodeSync(BatchId)("01234567-89ab-4cde-8f01-23456789abcd")
const other = Schema.decodeSync(BatchId)("11234567-89ab-4cde-8f01-23456789abcd")
const plain = { columns: 100, rows: 24, unicode: false, color: false }

const batch = (status: string, resultCount: number): Batch =>
  Schema.decodeSync(FromJson)({ batch_id: id, status, result_count: resultCount, entities_requested: 1_000 })

const status = (state: string, resultCount: number): Event => ({
  _tag: "Status",
  batch: batch(state, resultCount)
})

const planned: Event = { _tag: "Planned", batch: batch("completed", 1_000), source: "merged", files: 1 }

const progress = (bytes: number, records: number, totalBytes?: number): Event => ({
  _tag: "Progress",
  bytes,
  totalBytes,
  resumedBytes: 0,
  records
})

/** What is known after events at their times. */
const after = (...events: ReadonlyArray<readonly [at: number, event: Event]>): Progress.Job =>
  events.reduce((job, [at, event]) => Progress.apply(job, event, at), Progress.start(id, 0))

describe("while waiting", () => {
  it("shows the state, the rows so far and the time", () => {
    expect(ProgressLine.live([after()], plain, 1_000)).toEqual(["- 01234567 asking   1.0 s"])
    const job = after([0, status("processing", 240)])
    expect(ProgressLine.live([job], plain, 65_000)[0]).toMatch(
      /^[|/\\-] 01234567 processing, 240 of 1,000 rows {3}1 min 5 s$/
    )
  })

  it("a log gets a line for each change of state and for nothing else", () => {
    const events = [
      status("pending", 0),
      status("pending", 0),
      status("processing", 5),
      status("processing", 9),
      status("completed", 1_000)
    ]
    const { lines } = events.reduce(
      ({ job, lines }, event, index) => ({
        job: Progress.apply(job, event, index * 1_000),
        lines: [...lines, ProgressLine.change(job, event, index * 1_000)]
      }),
      { job: Progress.start(id, 0), lines: new Array<string | undefined>() }
    )
    expect(lines).toEqual([
      `${id} pending`,
      undefined,
      `${id} processing, 5 of 1,000 rows after 2.0 s`,
      undefined,
      `${id} completed, 1,000 rows after 4.0 s`
    ])
  })
})

describe("while downloading", () => {
  const job = after(
    [0, planned],
    [1_000, progress(0, 0, 4_000_000)],
    [3_000, progress(2_000_000, 480, 4_000_000)]
  )

  it("shows a bar with percent, bytes, rows, rate and time left", () => {
    expect(ProgressLine.live([job], plain, 3_000)).toEqual([
      "01234567 ###############...............   50%  2.0 MB of 4.0 MB  480 rows  1.0 MB/s  eta 2.0 s"
    ])
  })

  it.each([20, 30, 40, 60, 79, 80, 100, 200])("stays below %d columns, whatever is known", (columns) => {
    const unknownSize = after(
      [0, planned],
      [1_000, progress(5, 0)],
      [9_000, progress(123_456_789_012, 123_456_789)]
    )
    const resumed = Progress.apply(
      job,
      { _tag: "Progress", bytes: 3_000_000, totalBytes: 4_000_000, resumedBytes: 1_000_000, records: 9 },
      4_000
    )
    for (const one of [after(), job, unknownSize, resumed]) {
      for (const jobs of [[one], [one, one]]) {
        const widths = ProgressLine.live(jobs, { ...plain, columns }, 10_000).map(({ length }) => length)
        expect(Math.max(...widths)).toBeLessThan(columns)
      }
    }
  })

  it("colours nothing but the bar, and only when asked", () => {
    const coloured = ProgressLine.live([job], { ...plain, color: true, unicode: true }, 3_000)[0]
    expect(coloured?.replaceAll("\u001b", "ESC")).toMatch(/^01234567 ESC\[36m█+░+ESC\[0m {3}50%/)
  })

  it("a rate needs some time and some bytes", () => {
    expect(Progress.rate(after([0, planned], [0, progress(5, 0)]), 100)).toBeUndefined()
    expect(Progress.rate(after([0, planned], [0, progress(5, 0)]), 5_000)).toBeUndefined()
    expect(Progress.rate(job, 3_000)).toBe(1_000_000)
    expect(Progress.eta(job, 3_000)).toBe(2_000)
  })

  it("starting over shows nothing of what is thrown away", () => {
    const again = Progress.apply(job, { _tag: "Restarted", detail: "replaced" }, 3_500)
    expect(ProgressLine.live([again], plain, 3_600)[0]).toMatch(/  0 B  0 rows$/)
  })

  it("starting over does not make a negative rate", () => {
    const again = Progress.apply(job, { _tag: "Restarted", detail: "replaced" }, 3_500)
    expect(Progress.rate(Progress.apply(again, progress(10, 0, 4_000_000), 4_000), 9_000)).toBeUndefined()
  })
})

it("several batches have a line each while there is room, and one for all of them", () => {
  const done = Progress.end(after([0, planned], [0, progress(900, 10, 900)]), "done", 1_000)
  const waiting = { ...Progress.start(other, 0), batch: batch("processing", 3) }
  const all = "3 batches: 1 done, 2 waiting  10 rows  12 s"
  const one = "| 11234567 processing, 3 of 1,000 rows   12 s"
  expect(ProgressLine.live([done, waiting, waiting], plain, 12_000)).toEqual([one, one, all])
  expect(ProgressLine.live([done, waiting, waiting], { ...plain, rows: 3 }, 12_000)).toEqual([all])
})

it("what went wrong and was mended is told", () => {
  const told = (event: Event) => ProgressLine.notice(after(), event)
  expect(told({ _tag: "Retrying", file: "part-001", detail: "reset", delay: Duration.millis(1_500) })).toBe(
    `${id} part-001: reset; trying again in 1.5 s`
  )
  expect(told({ _tag: "LinkRefreshed" })).toContain("had expired; a fresh one")
  expect(told({ _tag: "LinkRefreshed", detail: "HTTP 404" })).toContain(
    "was of no use (HTTP 404); a fresh one"
  )
  const delay = Duration.seconds(2)
  for (const [cause, detail, text] of [
    [
      "NoLink",
      "it announces 3 rows, but no link to them yet",
      "it announces 3 rows, but no link to them yet"
    ],
    [
      "Missing",
      "x.jsonl.gz: HTTP 404 NoSuchKey",
      "its results are not there yet (x.jsonl.gz: HTTP 404 NoSuchKey)"
    ],
    ["RowCount", "2 rows, of 3 announced", "its rows are not as many as it says (2 rows, of 3 announced)"]
  ] as const) {
    const line = told({ _tag: "Settling", cause, detail, delay })
    expect(line).toContain(`is completed, but ${text}; asking again in 2`)
    expect(line).not.toContain("expired")
  }
  expect(told({ _tag: "Incomplete", records: 9, resultCount: 10 })).toMatch(
    /^warning: .*9 rows where 10 were announced/
  )
  expect(told({ _tag: "Planned", batch: batch("completed", 0), source: "none", files: 0 })).toContain(
    "the result is empty"
  )
  expect(told(status("processing", 1))).toBeUndefined()
})

describe("what is told of a table", () => {
  const of = (event: Event) => ProgressLine.notice(Progress.start(id, 0), event)

  it("columns that no row has, and cells that Excel cuts", () => {
    expect(of({ _tag: "ColumnsAbsent", columns: ["a", "b.c"] })).toBe(
      `warning: ${id} no row has the columns a, b.c`
    )
    expect(of({ _tag: "LongCells", cells: 2, column: "a", row: 1234, characters: 40_000 })).toBe(
      `warning: ${id} 2 cells beyond the 32,767 characters that Excel takes; the longest has 40,000, in row 1,234 of a`
    )
  })
})
