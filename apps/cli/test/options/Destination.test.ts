import { describe, expect, it } from "@effect/vitest"
import { BatchId } from "@org/batch-core/Batch"
import { Either, Option, Schema } from "effect"
import * as Destination from "../../src/options/Destination.js"

const id = Schema.decodeSync(BatchId)("01234567-89ab-4cde-8f01-23456789abcd")
const other = Schema.decodeSync(BatchId)("11234567-89ab-4cde-8f01-23456789abcd")

const resolve = (
  flags: {
    readonly o?: string
    readonly format?: string
    readonly columns?: string
    readonly bom?: boolean
    readonly ids?: Destination.Request["ids"]
    readonly parts?: boolean
    readonly json?: boolean
    readonly receipt?: boolean
    readonly skipExisting?: boolean
  },
  present: Destination.Present = "nothing"
): string => {
  const { columns, format, ids = [id], o, ...switches } = flags
  const request = {
    ids,
    output: Option.fromNullable(o),
    format: Option.fromNullable(format),
    columns: Option.fromNullable(columns),
    bom: false,
    parts: false,
    json: false,
    receipt: false,
    skipExisting: false,
    ...switches
  }
  return Either.match(Destination.resolve(request, present), {
    onLeft: (problem) => `refused: ${problem}`,
    onRight: (to) =>
      [
        to.format,
        ...(to.columns === undefined ? [] : [`(${to.columns.join(" ")})`]),
        to._tag === "Stdout" ? "stdout" : to.path(id),
        ...(to._tag === "Files" && to.note !== undefined ? [`note: ${to.note}`] : [])
      ].join(" ")
  })
}

describe("one batch", () => {
  it.each([
    [{}, `jsonl.gz ${id}.jsonl.gz`],
    [{ format: "jsonl" }, `jsonl ${id}.jsonl`],
    [{ o: "rows.jsonl.gz" }, "jsonl.gz rows.jsonl.gz"],
    [{ o: "rows.jsonl" }, "jsonl rows.jsonl"],
    [{ o: "rows.NDJSON" }, "jsonl rows.NDJSON"],
    [{ o: "rows.gz" }, "jsonl.gz rows.gz"],
    [{ o: "rows.txt", format: "jsonl.gz" }, "jsonl.gz rows.txt"],
    [{ o: "out", parts: true, receipt: true }, "jsonl.gz out"],
    [{ o: "rows.jsonl", format: "jsonl.gz" }, "jsonl.gz rows.jsonl"],
    [{ o: "rows.csv", format: "jsonl" }, "jsonl rows.csv"],
    [{ o: "out/" }, `jsonl.gz out/${id}.jsonl.gz`],
    [{ o: "out//", format: "jsonl" }, `jsonl out/${id}.jsonl`],
    [{ o: "/" }, `jsonl.gz /${id}.jsonl.gz`],
    [{ o: "rows.csv" }, "csv rows.csv"],
    [{ o: "rows.CSV", columns: "id, data.name" }, "csv (id data.name) rows.CSV"],
    [{ format: "csv" }, `csv ${id}.csv`],
    [{ o: "out/", format: "csv", columns: "id" }, `csv (id) out/${id}.csv`],
    [{ o: "-" }, "jsonl stdout"],
    [{ o: "-", format: "jsonl" }, "jsonl stdout"],
    [{ o: "-", format: "csv" }, "csv stdout"],
    [{ o: "-", format: "csv", columns: "id" }, "csv (id) stdout"],
    [{ o: "out", parts: true }, "jsonl.gz out"],
    [{ o: "out/", parts: true, format: "jsonl.gz" }, "jsonl.gz out"]
  ])("%j goes to %s", (flags, to) => expect(resolve(flags)).toBe(to))

  it.each(["rows", "rows.txt", "rows.bak"])("%s says no format, so what will be in it is told", (o) =>
    expect(resolve({ o })).toContain(
      `jsonl.gz ${o} note: ${o} names no format, so it gets jsonl.gz, as delivered`
    )
  )

  it("a folder that exists needs no slash", () =>
    expect(resolve({ o: "v1.jsonl" }, "directory")).toBe(`jsonl.gz v1.jsonl/${id}.jsonl.gz`))

  it.each([
    [{ o: "" }, "-o needs a path"],
    [{ o: "rows.tsv" }, "there is no format for .tsv .there are jsonl.gz, jsonl and csv;"],
    [{ o: "rows.parquet" }, "there is no format for .parquet"],
    [{ o: "rows.csv.gz" }, "there is no format for .csv.gz"],
    [{ o: "-", skipExisting: true }, "--skip-existing looks for a file, so it cannot go with -o -"],
    [{ format: "xlsx" }, "--format xlsx is not available: there are jsonl.gz, jsonl and csv"],
    [
      { columns: "id" },
      "--columns names the columns of csv, so it cannot go with jsonl.gz: add --format csv"
    ],
    [{ o: "-", columns: "id" }, "cannot go with jsonl: add --format csv"],
    [{ o: "rows.csv", columns: "" }, '--columns "" has an empty name in it'],
    [{ o: "rows.csv", columns: "id,,name" }, '--columns "id,,name" has an empty name in it'],
    [{ o: "rows.csv", columns: "id,name,id" }, '--columns "id,name,id" names id twice'],
    [{ o: "-", json: true }, "--json and -o -"],
    [{ o: "-", receipt: true }, "--receipt is written beside a file, so it cannot go with -o -"],
    [{ o: "-", parts: true }, "--parts needs a folder, so it cannot go with -o -"],
    [{ o: "-", format: "jsonl.gz" }, "cannot go with --format jsonl.gz"],
    [{ parts: true }, "--parts needs a folder"],
    [{ o: "out", parts: true, format: "jsonl" }, "cannot go with --format jsonl"],
    [{ o: "out", parts: true, format: "csv" }, "cannot go with --format csv"]
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
    [{ ids, o: "-" }, "jsonl stdout"],
    [{ ids, o: "out/", format: "csv" }, `csv out/${id}.csv`],
    [{ ids, o: "out", parts: true, receipt: true }, "jsonl.gz out"]
  ])("%j goes to %s", (flags, to) => expect(resolve(flags)).toBe(to))

  it.each([
    [{ ids, o: "rows.jsonl" }, "is one file, but there are 2 batches"],
    [{ ids, o: "-", format: "csv" }, "-o - writes one table, but there are 2 batches"]
  ])("%j is refused: %s", (flags, reason) => expect(resolve(flags)).toContain(reason))
})
