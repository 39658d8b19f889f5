/** Results as others write them: blank lines, byte order marks, missing line ends, and bytes behind the end. */
import { expect, it } from "@effect/vitest"
import { count } from "@org/batch-core/CountText"
import type { Fault } from "@org/batch-sandbox"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { lines, objects, over, type World, world } from "./Batchctl.js"

const records = 5

const job = { ...over, records, recordBytes: 500 }

const always = (effects: Fault.Effects, path?: string): Fault.Rule => ({
  on: { server: "storage", ...(path === undefined ? {} : { path }) },
  times: -1,
  do: effects
})

/** The rows of a job as a sound host delivers them. */
const soundRows = ({ run }: World, id: string) =>
  Effect.map(run(["get", id, "-o", "-", "--quiet"]), ({ stdout }) => lines(stdout))

/** Fetches into a file of the folder, and gives its receipt and what it holds. */
const fetchInto = ({ folder, run }: World, id: string, output: string, ...args: ReadonlyArray<string>) =>
  Effect.map(run(["get", id, "-o", output, "--json", ...args]), ({ code, stderr, stdout }) => {
    expect({ code, stderr }).toMatchObject({ code: 0 })
    const bytes = readFileSync(join(folder, output))
    const text = (output.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString()
    return { receipt: objects(stdout)[0], text, stderr }
  })

it.scopedLive("blank lines are no records: counted apart, kept in JSON lines, skipped in a table", () =>
  Effect.gen(function* () {
    const here = yield* world()
    // One count is without the blank lines, the other with them.
    for (const announced of [records, records + 2]) {
      const id = yield* here.sandbox.createJob({ ...job, downloadUrls: false, resultCount: announced })
      yield* here.sandbox.script(always({ text: { blankLines: 1 } }, id))
      const facts = { records, blank_lines: 2, result_count: announced, complete: true }
      const kept = yield* fetchInto(here, id, `${announced}.jsonl`)
      expect(kept.receipt).toMatchObject(facts)
      expect(lines(kept.text)).toHaveLength(records)
    }
    const id = yield* here.sandbox.createJob({ ...job, downloadUrls: false })
    yield* here.sandbox.script(always({ text: { blankLines: 1 } }, id))
    const raw = yield* fetchInto(here, id, "rows.jsonl.gz")
    expect(raw.receipt).toMatchObject({ records, blank_lines: 2 })
    expect(raw.text).toMatch(/^[^\n]+\n\n[^\n]/u)
    const table = yield* fetchInto(here, id, "rows.csv")
    expect(table.receipt).toMatchObject({ records, complete: true })
    expect(table.text.trimEnd().split("\r\n")).toHaveLength(records + 1)
    expect(table.text).not.toMatch(/^,*\r$/mu)
    const short = yield* here.sandbox.createJob({ ...job, downloadUrls: false, resultCount: records + 1 })
    yield* here.sandbox.script(always({ text: { blankLines: 1 } }, short))
    expect((yield* here.run(["get", short, "-o", "short.jsonl"])).code).toBe(7)
    expect(existsSync(join(here.folder, "short.jsonl"))).toBe(false)
  })
)

it.scopedLive("a byte order mark is skipped where text is read, and kept in the bytes as delivered", () =>
  Effect.gen(function* () {
    const here = yield* world()
    const id = yield* here.sandbox.createJob({ ...job, downloadUrls: false })
    const sound = yield* soundRows(here, id)
    yield* here.sandbox.script(always({ text: { bom: true, unterminated: true } }, id))
    expect(lines((yield* fetchInto(here, id, "rows.jsonl")).text)).toEqual(sound)
    expect((yield* fetchInto(here, id, "rows.csv")).text).toMatch(/^[a-z_]/u)
    const raw = yield* fetchInto(here, id, "rows.jsonl.gz")
    expect(raw.text).toBe(`\u{feff}${sound.join("\n")}`)
    expect(raw.receipt).toMatchObject({ records, complete: true })
    expect(raw.receipt).not.toHaveProperty("blank_lines")
  })
)

it.scopedLive("parts without their last line feed, and with zeros behind them, are joined row by row", () =>
  Effect.gen(function* () {
    const here = yield* world()
    const id = yield* here.sandbox.createJob({ ...job, parts: 3, downloadUrl: false })
    const sound = yield* soundRows(here, id)
    yield* here.sandbox.script(
      always({ text: { unterminated: true } }, `${id}/part-000`),
      always({ extraBytes: { n: 512, kind: "zeros" } }, `${id}/part-001`),
      always({ text: { unterminated: true } }, `${id}/part-002`)
    )
    for (const output of ["rows.jsonl", "rows.jsonl.gz"]) {
      const { receipt, text } = yield* fetchInto(here, id, output, "--receipt")
      expect(lines(text)).toEqual(sound)
      expect(receipt).toMatchObject({ records, complete: true, source: "parts" })
    }
    const table = yield* fetchInto(here, id, "rows.csv", "--receipt")
    expect(table.receipt).toMatchObject({ records, complete: true })
    const verified = yield* here.run(["verify", "rows.jsonl.gz"])
    expect(verified).toMatchObject({ code: 0, stderr: "" })
  })
)

it.scopedLive("a part of 0 bytes is an empty part", () =>
  Effect.gen(function* () {
    const here = yield* world()
    const six = { ...job, records: 6, parts: 3, downloadUrl: false, resultCount: 4 }
    const id = yield* here.sandbox.createJob(six)
    yield* here.sandbox.script(always({ emptied: true }, `${id}/part-001`))
    const { receipt, text } = yield* fetchInto(here, id, "rows.jsonl")
    expect(lines(text)).toHaveLength(4)
    expect(receipt).toMatchObject({
      records: 4,
      complete: true,
      parts: [{ records: 2 }, { index: 1, bytes: 0, records: 0 }, { records: 2 }]
    })
  })
)

it.scopedLive("behind the last member zeros are accepted, and other bytes refused with their place", () =>
  Effect.gen(function* () {
    const here = yield* world()
    const id = yield* here.sandbox.createJob({ ...job, downloadUrls: false })
    const clean = yield* fetchInto(here, id, "clean.jsonl.gz")
    yield* here.sandbox.script(always({ extraBytes: { n: 512, kind: "zeros" } }, id))
    const padded = yield* fetchInto(here, id, "padded.jsonl.gz")
    expect(padded.text).toBe(clean.text)
    yield* here.sandbox.clearFaults
    yield* here.sandbox.script(always({ extraBytes: { n: 512, kind: "junk" } }, id))
    const { code, stderr, stdout } = yield* here.run(["get", id, "-o", "junk.jsonl.gz", "--json"])
    expect(code).toBe(7)
    expect(objects(stdout)).toMatchObject([{ error: { type: "ResultsCorrupt", reason: "Gzip" } }])
    expect(stderr).toContain(`other bytes from byte ${count(Number(clean.receipt?.["bytes"]))} on`)
    expect(existsSync(join(here.folder, "junk.jsonl.gz"))).toBe(false)
  })
)

it.scopedLive("cells that Excel would cut are told once, with the longest of them", () =>
  Effect.gen(function* () {
    const here = yield* world()
    const id = yield* here.sandbox.createJob({ ...over, records: 3, recordBytes: 300_000 })
    const { receipt, stderr, text } = yield* fetchInto(here, id, "rows.csv")
    expect(receipt).toMatchObject({ records: 3, complete: true })
    const told = lines(stderr).filter((line) => line.includes("32,767 characters"))
    expect(told).toEqual([
      expect.stringMatching(/^warning: .* cells? beyond .*; the longest has [\d,]+, in row [1-3] of data\./u)
    ])
    const characters = Number(/the longest has ([\d,]+)/u.exec(stderr)?.[1]?.replaceAll(",", ""))
    const cells = [...text.matchAll(/"((?:[^"]|"")*)"/gu)].map(
      ([, cell = ""]) => cell.replaceAll('""', '"').length
    )
    expect(Math.max(...cells)).toBe(characters)
    expect((yield* fetchInto(here, id, "rows.jsonl")).stderr).not.toContain("32,767")
  })
)
