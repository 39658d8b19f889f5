import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { lines, objects, over, world } from "../Batchctl.js"

const rows = (file: string): number => lines(gunzipSync(readFileSync(file)).toString()).length

it.scopedLive("waits, downloads and verifies; the file has its name only now", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ pendingMs: 0, processingMs: 500, records: 40, unresolved: 2 })
    const { code, stderr, stdout } = yield* run(["get", id])
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" })
    expect(stderr).toContain(`${id} complete and verified: 40 rows`)
    expect(readdirSync(folder)).toEqual([`${id}.jsonl.gz`])
    expect(rows(join(folder, `${id}.jsonl.gz`))).toBe(40)
  })
)

it.scopedLive("--json prints the receipt, --receipt keeps it, and verify agrees with it", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 40, parts: 3 })
    const { code, stdout } = yield* run(["get", id, "-o", "rows.jsonl", "--receipt", "--json", "--quiet"])
    expect(code).toBe(0)
    const [receipt] = objects(stdout)
    expect(receipt).toMatchObject({
      batch_id: id,
      status: "completed",
      format: "jsonl",
      records: 40,
      result_count: 40,
      complete: true
    })
    expect(objects(readFileSync(join(folder, "rows.jsonl"), "utf8"))).toHaveLength(40)
    expect(JSON.parse(readFileSync(join(folder, "rows.jsonl.receipt.json"), "utf8"))).toEqual(receipt)
    const verified = yield* run(["verify", "rows.jsonl", "--json"])
    expect(objects(verified.stdout)).toEqual([
      {
        file: "rows.jsonl",
        bytes: receipt?.["bytes"],
        records: 40,
        sha256: receipt?.["sha256"],
        verified: true,
        receipt
      }
    ])
  })
)

it.scopedLive("-o rows.csv: a table, whose receipt verify agrees with", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 40, parts: 3 })
    const { code, stdout } = yield* run(["get", id, "-o", "rows.csv", "--receipt", "--json", "--quiet"])
    expect(code).toBe(0)
    const [receipt] = objects(stdout)
    expect(receipt).toMatchObject({ format: "csv", records: 40, complete: true, output: "rows.csv" })
    const [header = ""] = lines(readFileSync(join(folder, "rows.csv"), "utf8"))
    expect(header).toMatch(
      /^original_identifier,internal_id,data\.crustdata_company_id,data\.basic_info\.name,/u
    )
    const verified = yield* run(["verify", "rows.csv", "--json"])
    expect(objects(verified.stdout)).toMatchObject([
      { records: 40, sha256: receipt?.["sha256"], verified: true }
    ])
    expect(readdirSync(folder).toSorted()).toEqual(["rows.csv", "rows.csv.receipt.json"])
  })
)

it.scopedLive("--columns: these and no others, in files and on standard output", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 12 })
    const table = ["--format", "csv", "--columns", "internal_id, data.nothing"]
    const { code, stdout } = yield* run(["get", id, "-o", "-", "--quiet", ...table])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^internal_id,data\.nothing\r\n(?:\d+,\r\n){12}$/u)
    expect((yield* run(["get", id, "-o", "out/", ...table])).code).toBe(0)
    expect(readFileSync(join(folder, "out", `${id}.csv`), "utf8")).toBe(stdout)
  })
)

it.scopedLive("--columns: one that no row has is told, and it is an error when none of them is there", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 12 })
    const some = yield* run([
      "get",
      id,
      "-o",
      "some.csv",
      "--columns",
      String.raw`internal_id,data.nothing,a\,b`
    ])
    expect(some.code).toBe(0)
    expect(some.stderr).toContain(`warning: ${id} no row has the columns data.nothing, a,b\n`)
    const none = yield* run(["get", id, "-o", "none.csv", "--columns", "x,y", "--json"])
    expect(none.code).toBe(2)
    expect(none.stderr).toContain("error: no row has any of the columns x, y")
    expect(none.stderr).toMatch(/next {3}correct --columns/u)
    expect(objects(none.stdout)).toMatchObject([{ error: { type: "ColumnsNotFound", columns: ["x", "y"] } }])
    expect(readdirSync(folder)).not.toContain("none.csv")
    const again = yield* run(["get", id, "-o", "none.csv", "--columns", "internal_id"])
    expect(again.code).toBe(0)
  })
)

it.scopedLive("--bom: a byte order mark first, in files and on standard output", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 3 })
    const { code, stdout } = yield* run(["get", id, "-o", "-", "--format", "csv", "--bom", "--quiet"])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^\u{feff}[a-z_]/u)
    expect((yield* run(["get", id, "-o", "rows.csv", "--bom", "--receipt"])).code).toBe(0)
    expect(readFileSync(join(folder, "rows.csv"), "utf8")).toBe(stdout)
    expect((yield* run(["verify", "rows.csv"])).code).toBe(0)
    const refused = yield* run(["get", id, "-o", "rows.jsonl", "--bom"])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain("--bom is for csv, so it cannot go with jsonl")
  })
)

it.scopedLive("a line beyond the limit is one only for csv, which names the variable", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 3, recordBytes: 4_000 })
    const env = { BATCH_TRANSFER_MAX_LINE_BYTES: "1024" }
    expect((yield* run(["get", id, "-o", "a.jsonl.gz", "--receipt"], { env })).code).toBe(0)
    expect((yield* run(["get", id, "-o", "a.jsonl", "--receipt"], { env })).code).toBe(0)
    expect((yield* run(["verify", "a.jsonl.gz", "a.jsonl"], { env })).code).toBe(0)
    const table = yield* run(["get", id, "-o", "a.csv"], { env })
    expect(table.code).toBe(7)
    expect(table.stderr).toContain("it is longer than 1,024 bytes (BATCH_TRANSFER_MAX_LINE_BYTES)")
  })
)

it.scopedLive(
  "a working folder that has been deleted is local trouble, before any request, and none for -o -",
  () =>
    Effect.gen(function* () {
      const { sandbox, shell } = yield* world()
      const id = yield* sandbox.createJob({ ...over, records: 3 })
      const gone = 'd=$(mktemp -d) && cd "$d" && rmdir "$d" &&'
      const file = yield* shell(`${gone} $B get ${id}`)
      expect(file.code).toBe(9)
      expect(file.stderr).toContain("the working folder has been deleted")
      expect(yield* sandbox.requests).toEqual([])
      const rows = yield* shell(`${gone} $B get ${id} -o - --quiet`)
      expect({ code: rows.code, rows: lines(rows.stdout).length }).toEqual({ code: 0, rows: 3 })
    })
)

it.scopedLive("-o -: verified rows on standard output, in argument order, and nothing left behind", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const slow = yield* sandbox.createJob({ pendingMs: 0, processingMs: 700, records: 3 })
    const fast = yield* sandbox.createJob({ ...over, records: 4 })
    const tmp = join(folder, "tmp")
    mkdirSync(tmp)
    const { code, stdout } = yield* run(["get", slow, fast, "-o", "-"], { env: { TMPDIR: tmp } })
    expect(code).toBe(0)
    expect(objects(stdout)).toHaveLength(7)
    const alone = yield* run(["get", fast, "-o", "-", "--quiet"])
    expect(stdout.endsWith(alone.stdout)).toBe(true)
    expect([readdirSync(folder), readdirSync(tmp)]).toEqual([["tmp"], []])
  })
)

it.scopedLive("-o - prints no byte of a result that turns out wrong", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 30, resultCount: 31 })
    const { code, stderr, stdout } = yield* run(["get", id, "-o", "-"], { env: { TMPDIR: folder } })
    expect({ code, stdout }).toEqual({ code: 7, stdout: "" })
    expect(stderr).toContain("31 rows")
    expect(readdirSync(folder)).toEqual([])
  })
)

it.scopedLive("a reader of -o - that has seen enough ends it quietly, and leaves nothing behind", () =>
  Effect.gen(function* () {
    const { folder, sandbox, shell } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 400 })
    const { stderr, stdout } = yield* shell(`$B get ${id} -o - --quiet | head -1; echo \${PIPESTATUS[0]}`, {
      env: { TMPDIR: folder }
    })
    expect(lines(stdout)[1]).toBe("0")
    expect(stderr).toBe("")
    expect(readdirSync(folder)).toEqual([])
  })
)

it.scopedLive("a full disk behind standard output is our own trouble: 9", () =>
  Effect.gen(function* () {
    const { sandbox, shell } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 30 })
    const { stderr, stdout } = yield* shell(`$B get ${id} -o - --quiet > /dev/full; echo $?`)
    expect(stdout).toBe("9\n")
    expect(stderr).toContain("the disk is full")
  })
)

it.scopedLive("several ids into a folder that is made for them", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const ids = yield* Effect.forEach([5, 6, 0], (records) => sandbox.createJob({ ...over, records }))
    const { code, stdout } = yield* run(["get", ...ids, "-o", "out/", "--format", "jsonl", "--json"])
    expect(code).toBe(0)
    expect(
      objects(stdout)
        .map(({ records }) => records)
        .toSorted()
    ).toEqual([0, 5, 6])
    expect(readdirSync(join(folder, "out")).toSorted()).toEqual(ids.map((id) => `${id}.jsonl`).toSorted())
  })
)

it.scopedLive("several ids: every one is carried to its end; the first that failed gives the code", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const failed = yield* sandbox.createJob({ ...over, outcome: "failed" })
    const good = yield* sandbox.createJob({ ...over, records: 5 })
    const { code, stdout } = yield* run([
      "get",
      "00000000-0000-4000-8000-000000000000",
      failed,
      good,
      "--json"
    ])
    expect(code).toBe(8)
    expect(objects(stdout)).toHaveLength(3)
    expect(readdirSync(folder)).toEqual([`${good}.jsonl.gz`])
    expect((yield* run(["get", failed, "00000000-0000-4000-8000-000000000000"])).code).toBe(4)
  })
)

it.scopedLive("an empty result is a success without a request for a file, and a notice says so", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 0, unresolved: 7 })
    const { code, stderr } = yield* run(["get", id])
    expect(code).toBe(0)
    expect(stderr).toContain("the result is empty")
    expect(rows(join(folder, `${id}.jsonl.gz`))).toBe(0)
    expect((yield* sandbox.requests).filter(({ server }) => server === "storage")).toEqual([])
  })
)

it.scopedLive("an existing destination stays untouched, before any request; --force replaces it", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 5 })
    const file = join(folder, `${id}.jsonl.gz`)
    writeFileSync(file, "mine")
    const { code, stderr } = yield* run(["get", id])
    expect(code).toBe(9)
    expect(stderr).toContain(`batchctl get ${id} --force`)
    expect(readFileSync(file, "utf8")).toBe("mine")
    expect(yield* sandbox.requests).toEqual([])
    expect((yield* run(["get", id, "--force"])).code).toBe(0)
    expect(rows(file)).toBe(5)
  })
)

it.scopedLive("a corrupt file never gets the name that was asked for: 7, with expected and actual", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 200 })
    yield* sandbox.script({
      id: "flip",
      on: { server: "storage" },
      times: -1,
      do: { flipByte: { at: 5_000 } }
    })
    const { code, stderr, stdout } = yield* run(["get", id, "--json"])
    expect(code).toBe(7)
    expect(objects(stdout)[0]).toMatchObject({ batch_id: id, error: { type: "ResultsCorrupt" } })
    expect(stderr).toContain(`batch  ${id}, last seen completed with 200 rows`)
    expect(existsSync(join(folder, `${id}.jsonl.gz`))).toBe(false)
  })
)

it.scopedLive("a result that is short: 7, and --allow-incomplete keeps it with a warning", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 30, resultCount: 31 })
    const short = yield* run(["get", id])
    expect(short.code).toBe(7)
    expect(short.stderr).toContain(`batchctl get ${id} --allow-incomplete`)
    const kept = yield* run(["get", id, "--allow-incomplete"])
    expect(kept.code).toBe(0)
    expect(kept.stderr).toContain("warning:")
    expect(rows(join(folder, `${id}.jsonl.gz`))).toBe(30)
  })
)

it.scopedLive("--parts keeps the part files as delivered", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 30, parts: 3 })
    expect((yield* run(["get", id, "--parts", "-o", "parts"])).code).toBe(0)
    const files = readdirSync(join(folder, "parts"))
      .filter((name) => name.endsWith(".jsonl.gz"))
      .toSorted()
    expect(files).toEqual([0, 1, 2].map((part) => `${id}.part-00${part}.jsonl.gz`))
    expect(files.reduce((sum, file) => sum + rows(join(folder, "parts", file)), 0)).toBe(30)
  })
)

it.scopedLive("download of a job that is running: 5, and the get that waits for it", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ stuck: true })
    const { code, stderr } = yield* run(["download", id, "-o", "my rows.jsonl"])
    expect(code).toBe(5)
    expect(stderr).toContain(`next   batchctl get ${id} -o 'my rows.jsonl'`)
  })
)

it.scopedLive("impossible combinations are refused before any request, naming the flags", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    const refused = (...flags: ReadonlyArray<string>) =>
      Effect.map(run(["get", id, ...flags]), ({ code, stderr }) => ({ code, line: lines(stderr)[0] }))
    expect(yield* refused("-o", "-", "--json")).toEqual({
      code: 2,
      line: expect.stringContaining("--json and -o -")
    })
    expect((yield* refused("--parts")).line).toContain("--parts needs a folder")
    expect((yield* refused("--format", "xlsx")).line).toContain(
      "--format xlsx is not available: there are jsonl.gz, jsonl and csv"
    )
    expect(yield* refused("-o", "rows.jsonl", "--columns", "internal_id")).toEqual({
      code: 2,
      line: expect.stringContaining("--columns names the columns of csv, so it cannot go with jsonl")
    })
    expect((yield* refused("-o", "rows.csv", "--columns", "id,id")).line).toContain("names id twice")
    expect(
      (yield* refused("-o", "-", "--format", "csv", "00000000-0000-4000-8000-000000000000")).line
    ).toContain("-o - writes one table, but there are 2 batches")
    expect((yield* refused("--concurrency", "65")).line).toContain("--concurrency 65")
    expect(yield* sandbox.requests).toEqual([])
  })
)

it.scopedLive.each([
  ["SIGINT", 130],
  ["SIGTERM", 143]
] as const)("%s in the middle of a transfer leaves at once; the same command goes on", ([signal, code]) =>
  Effect.gen(function* () {
    const { folder, run, sandbox, start } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 300 })
    yield* sandbox.script({
      id: "slow",
      on: { server: "storage" },
      times: -1,
      do: { trickle: { bytesPerSecond: 30_000 } }
    })
    const get = yield* start(["get", id, "-o", "rows.jsonl.gz"])
    yield* get.until(/fetching/)
    yield* Effect.repeat(Effect.zipRight(Effect.sleep(20), sandbox.requests), {
      until: (requests) =>
        requests.some(({ bytesSent, server }) => server === "storage" && bytesSent > 20_000)
    })
    yield* get.kill(signal)
    const outcome = yield* Effect.timeout(get.outcome, "20 seconds")
    expect(outcome.code).toBe(code)
    expect(outcome.stderr).toContain(`next   batchctl get ${id} -o rows.jsonl.gz\n`)
    expect(existsSync(join(folder, "rows.jsonl.gz"))).toBe(false)
    yield* sandbox.clearFaults
    expect((yield* run(["get", id, "-o", "rows.jsonl.gz"])).code).toBe(0)
    expect(rows(join(folder, "rows.jsonl.gz"))).toBe(300)
  })
)

it.scopedLive("interrupted with several ids: the command that goes on names those that are left", () =>
  Effect.gen(function* () {
    const { sandbox, start } = yield* world()
    const stuck = yield* sandbox.createJob({ stuck: true })
    const done = yield* sandbox.createJob({ ...over, records: 3 })
    const get = yield* start(["get", done, stuck, "-o", "out/"])
    yield* get.until(/complete and verified/)
    yield* get.kill("SIGINT")
    const { code, stderr } = yield* get.outcome
    expect(code).toBe(130)
    expect(stderr).toContain(`next   batchctl get ${stuck} -o out/\n`)
  })
)
