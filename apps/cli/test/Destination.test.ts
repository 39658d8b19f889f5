import { describe, expect, it } from "@effect/vitest"
import { BatchId } from "@org/batch-core/Batch"
import { Either, Option, Schema } from "effect"
import * as Destination from "../src/Destination.js"

const id = Schema.decodeSync(BatchId)("01234567-89ab-4cde-8f01-23456789abcd")
const other = Schema.decodeSync(BatchId)("11234567-89ab-4cde-8f01-23456789abcd")

const resolve = (
  flags: {
    readonly o?: string
    readonly format?: string
    readonly ids?: Destination.Request["ids"]
    readonly parts?: boolean
    readonly json?: boolean
    readonly receipt?: boolean
  },
  present: Destination.Present = "nothing"
): string => {
  const { format, ids = [id], json = false, o, parts = false, receipt = false } = flags
  const request = {
    ids,
    output: Option.fromNullable(o),
    format: Option.fromNullable(format),
    parts,
    json,
    receipt
  }
  return Either.match(Destination.resolve(request, present), {
    onLeft: (problem) => `refused: ${problem}`,
    onRight: (to) => (to._tag === "Stdout" ? "stdout" : `${to.format} ${to.path(id)}`)
  })
}

describe("one batch", () => {
  it.each([
    [{}, `jsonl.gz ${id}.jsonl.gz`],
    [{ format: "jsonl" }, `jsonl ${id}.jsonl`],
    [{ o: "rows.jsonl.gz" }, "jsonl.gz rows.jsonl.gz"],
    [{ o: "rows.jsonl" }, "jsonl rows.jsonl"],
    [{ o: "rows.NDJSON" }, "jsonl rows.NDJSON"],
    [{ o: "rows" }, "jsonl.gz rows"],
    [{ o: "rows.jsonl", format: "jsonl.gz" }, "jsonl.gz rows.jsonl"],
    [{ o: "rows.csv", format: "jsonl" }, "jsonl rows.csv"],
    [{ o: "out/" }, `jsonl.gz out/${id}.jsonl.gz`],
    [{ o: "out//", format: "jsonl" }, `jsonl out/${id}.jsonl`],
    [{ o: "/" }, `jsonl.gz /${id}.jsonl.gz`],
    [{ o: "-" }, "stdout"],
    [{ o: "-", format: "jsonl" }, "stdout"],
    [{ o: "out", parts: true }, "jsonl.gz out"],
    [{ o: "out/", parts: true, format: "jsonl.gz" }, "jsonl.gz out"]
  ])("%j goes to %s", (flags, to) => expect(resolve(flags)).toBe(to))

  it("a folder that exists needs no slash", () =>
    expect(resolve({ o: "v1.jsonl" }, "directory")).toBe(`jsonl.gz v1.jsonl/${id}.jsonl.gz`))

  it.each([
    [{ o: "" }, "-o needs a path"],
    [{ o: "rows.csv" }, "there is no format for .csv"],
    [{ o: "rows.parquet" }, "there is no format for .parquet"],
    [{ format: "csv" }, "--format csv is not available: there are jsonl.gz and jsonl"],
    [{ o: "-", json: true }, "--json and -o -"],
    [{ o: "-", receipt: true }, "--receipt is written beside a file, so it cannot go with -o -"],
    [{ o: "-", parts: true }, "--parts needs a folder, so it cannot go with -o -"],
    [{ o: "-", format: "jsonl.gz" }, "cannot go with --format jsonl.gz"],
    [{ parts: true }, "--parts needs a folder"],
    [{ o: "out", parts: true, format: "jsonl" }, "cannot go with --format jsonl"]
  ])("%j is refused: %s", (flags, reason) =>
    expect(resolve(flags)).toMatch(new RegExp(`^refused: .*${reason}`))
  )

  it("a file is no folder", () => {
    expect(resolve({ o: "out/" }, "file")).toContain("-o out/ ends in / but is a file")
    expect(resolve({ o: "out", parts: true }, "file")).toContain("-o out is a file")
  })
})

describe("several batches", () => {
  const ids = [id, other]

  it.each([
    [{ ids }, `jsonl.gz ${id}.jsonl.gz`],
    [{ ids, o: "out/" }, `jsonl.gz out/${id}.jsonl.gz`],
    [{ ids, o: "-" }, "stdout"]
  ])("%j goes to %s", (flags, to) => expect(resolve(flags)).toBe(to))

  it.each([
    [{ ids, o: "rows.jsonl" }, "is one file, but there are 2 batches"],
    [{ ids, o: "out", parts: true, receipt: true }, "one batch at a time"]
  ])("%j is refused: %s", (flags, reason) => expect(resolve(flags)).toContain(reason))
})
