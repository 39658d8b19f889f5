import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { lines, objects, over, world } from "../Batchctl.js"

it.scopedLive("--skip-existing: a nightly loop fetches what is missing, and asks nobody about the rest", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const [first, empty] = [
      yield* sandbox.createJob({ ...over, records: 1_200, recordBytes: 60 }),
      yield* sandbox.createJob({ ...over, records: 0 })
    ]
    const nightly = (...ids: ReadonlyArray<string>) =>
      run(["get", ...ids, "-o", "out/", "--format", "jsonl", "--skip-existing"])
    expect((yield* nightly(first, empty)).code).toBe(0)
    const before = (yield* sandbox.requests).length
    const again = yield* nightly(first, empty)
    expect(again.code).toBe(0)
    expect(again.stderr).toMatch(
      new RegExp(
        `^${first} is here already, complete and verified: 1,200 rows, [\\d.]+ kB, in out/${first}.jsonl$`,
        "mu"
      )
    )
    expect(again.stderr).toContain(`${empty} is here already, empty result (0 rows) in out/${empty}.jsonl\n`)
    expect((yield* sandbox.requests).length).toBe(before)

    const next = yield* sandbox.createJob({ ...over, records: 5 })
    const json = yield* run([
      "get",
      first,
      next,
      "-o",
      "out/",
      "--format",
      "jsonl",
      "--skip-existing",
      "--json"
    ])
    expect(objects(json.stdout)).toMatchObject([
      { batch_id: first, records: 1_200, output: `out/${first}.jsonl`, skipped: true },
      { batch_id: next, records: 5 }
    ])
    expect(objects(json.stdout)[1]).not.toHaveProperty("skipped")

    appendFileSync(join(folder, "out", `${first}.jsonl`), "{}\n")
    const changed = yield* nightly(first, next)
    expect(changed.code).toBe(9)
    expect(changed.stderr).toContain(
      "the destination exists already (it is not what its receipt says: expected "
    )
    expect(changed.stderr).toContain(`${next} is here already`)
    expect(changed.stderr).toContain(`batchctl get ${first} -o out/ --format jsonl --skip-existing --force\n`)
    const mended = yield* run([
      "get",
      first,
      next,
      "-o",
      "out/",
      "--format",
      "jsonl",
      "--skip-existing",
      "--force"
    ])
    expect(mended.code).toBe(0)
    expect(lines(readFileSync(join(folder, "out", `${first}.jsonl`), "utf8"))).toHaveLength(1_200)
    expect(mended.stderr).toContain(`${next} is here already`)
  })
)

it.scopedLive(
  "--skip-existing claims nothing of what has no receipt; with --parts the folder's receipts count",
  () =>
    Effect.gen(function* () {
      const { folder, run, sandbox } = yield* world()
      const ids = yield* Effect.forEach([2, 3], (parts) => sandbox.createJob({ ...over, records: 30, parts }))
      const [id = ""] = ids
      yield* run(["get", id, "-o", "rows.jsonl.gz"])
      const unknown = yield* run(["get", id, "-o", "rows.jsonl.gz", "--skip-existing"])
      expect(unknown.code).toBe(9)
      expect(unknown.stderr).toContain("exists already (no receipt beside it says what it is)")

      const nightly = ["get", ...ids, "-o", "parts/", "--parts", "--skip-existing"]
      expect((yield* run(nightly)).code).toBe(0)
      yield* sandbox.pauseApi
      const again = yield* run([...nightly, "--json"])
      expect(again.code).toBe(0)
      expect(objects(again.stdout)).toMatchObject(
        ids.map((batch_id) => ({ batch_id, records: 30, skipped: true }))
      )
      expect(readdirSync(join(folder, "parts"))).toHaveLength(7)
    })
)

it.scopedLive("everything local is checked before the first request: 9, and no word of a bug", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox, shell } = yield* world()
    const id = yield* sandbox.createJob({ stuck: true })
    const other = yield* sandbox.createJob({ ...over, records: 3 })
    yield* run(["get", other, "-o", "rows.jsonl", "--receipt"])
    yield* run(["get", other, "-o", "parts", "--parts"])
    yield* run(["get", other, "-o", "moved.jsonl", "--receipt"])
    writeFileSync(join(folder, "rows.jsonl"), "mine")
    writeFileSync(join(folder, "file"), "")
    mkdirSync(join(folder, "dir.jsonl.gz", `${id}.jsonl.gz`), { recursive: true })
    const before = (yield* sandbox.requests).length
    const gone = 'd=$(mktemp -d) && cd "$d" && rmdir "$d" && $B'
    const rows: ReadonlyArray<readonly [command: string, error: string, next: string]> = [
      [
        `$B get ${id} -o rows.jsonl`,
        "rows.jsonl: the destination exists already",
        `replace it: batchctl get ${id}`
      ],
      [
        `rm moved.jsonl; $B get ${id} -o moved.jsonl`,
        `it is the receipt of batch ${other}`,
        "another name with -o"
      ],
      [
        `$B download ${other} -o parts --parts`,
        `${other}.part-000.jsonl.gz: the destination exists`,
        "--force"
      ],
      [`$B get ${id} -o file/rows.jsonl`, "file: ", "choose another place with -o"],
      [`$B get ${id} -o dir.jsonl.gz`, "it is a folder", "choose another place with -o"],
      [`$B get ${id} -o /proc/no-such/rows.jsonl`, "/proc: ", "choose another place with -o"],
      [
        `ln -s nowhere link; $B get ${id} -o link`,
        "as a link to nowhere, which is not there",
        "another name with -o"
      ],
      [`TMPDIR=$PWD/none $B get ${id} -o -`, "the temporary folder ", "set TMPDIR to a folder"],
      [`${gone} get ${id}`, "the working folder has been deleted", "choose another place with -o"],
      [
        `${gone} get ${id} -o parts --parts`,
        "the working folder has been deleted",
        "choose another place with -o"
      ],
      [`${gone} verify rows.jsonl`, "rows.jsonl: it cannot be read", "give a results file"]
    ]
    for (const [command, error, next] of rows) {
      const { code, stderr } = yield* shell(command)
      expect({ command, code }).toEqual({ command, code: 9 })
      expect(stderr).toContain(error)
      expect(stderr).toContain(next)
      expect(stderr).not.toContain("bug")
    }
    expect((yield* sandbox.requests).length).toBe(before)
    expect(readFileSync(join(folder, "rows.jsonl"), "utf8")).toBe("mine")
  })
)

it.scopedLive("-oFILE is -o FILE; a name that says no format is told what it will hold", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 3 })
    const glued = yield* run(["get", id, "-orows.txt"])
    expect(glued.code).toBe(0)
    expect(glued.stderr).toContain(
      "note: rows.txt names no format, so it gets jsonl.gz, as delivered (see --format)"
    )
    expect([...readFileSync(join(folder, "rows.txt")).subarray(0, 2)]).toEqual([0x1f, 0x8b])
    const taken = yield* run(["get", id, "-orows.txt"])
    expect(taken.stderr).toContain(`batchctl get ${id} -o rows.txt --force\n`)
    const said = yield* run(["get", id, "-orows.dat", "--format", "jsonl"])
    expect(said.stderr).not.toContain("note:")
    const piped = yield* run(["get", id, "-o-", "--quiet"])
    expect({ code: piped.code, rows: objects(piped.stdout).length }).toEqual({ code: 0, rows: 3 })
    const refused = yield* run(["get", id, "-orows.csv.gz"])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain("there is no format for .csv.gz")
  })
)

it.scopedLive("what a csv refuses, the command under it takes: another name, without a table's flags", () =>
  Effect.gen(function* () {
    const { folder, sandbox, shell } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 3, recordBytes: 4_000 })
    const env = { BATCH_TRANSFER_MAX_LINE_BYTES: "1024" }
    const flags = "--format csv --bom --columns internal_id --quiet"
    for (const [output, next] of [
      ["rows.csv", `batchctl get ${id} --quiet -o rows.jsonl`],
      ["out/", `batchctl get ${id} -o out/ --quiet --format jsonl`]
    ] as const) {
      const table = yield* shell(`$B get ${id} -o ${output} ${flags}`, { env })
      expect(table.code).toBe(7)
      expect(table.stderr).toContain(`next   take the rows as they are: ${next}\n`)
      expect((yield* shell(next.replace("batchctl", "$B"), { env })).code).toBe(0)
    }
    expect(lines(readFileSync(join(folder, "rows.jsonl"), "utf8"))).toHaveLength(3)
  })
)

it.scopedLive("what was kept as corrupt goes with a later success; numbers and parts are told one way", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const job = { ...over, records: 1_008, recordBytes: 60, parts: 1 }
    const id = yield* sandbox.createJob({ ...job, resultCount: 1_009 })
    const short = yield* run(["get", id, "-o", "rows.jsonl"])
    expect(short.code).toBe(7)
    expect(short.stderr).toContain(
      "expected 1,009 rows (result_count), got 1,008 rows in the merged file and 1,008 rows in the part file;"
    )
    expect(short.stderr).not.toMatch(/1008|1009/u)
    expect(readdirSync(folder).filter((name) => name.endsWith(".corrupt")).length).toBeGreaterThan(0)
    const kept = yield* run(["get", id, "-o", "rows.jsonl", "--allow-incomplete"])
    expect(kept.code).toBe(0)
    expect(readdirSync(folder)).toEqual(["rows.jsonl"])
  })
)

it.scopedLive("a file system that cannot sync is told once, and is no failure", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 30, parts: 3 })
    const preload = join(folder, "without-sync.mjs")
    writeFileSync(
      preload,
      `import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
const refused = Object.assign(new Error("EINVAL: invalid argument, fsync"), { code: "EINVAL", syscall: "fsync" })
fs.fsync = (_, done) => process.nextTick(done, refused)
syncBuiltinESMExports()
`
    )
    const env = { NODE_OPTIONS: `--import ${preload}` }
    const get = yield* run(["get", id, "-o", "rows.jsonl", "--receipt"], { env })
    expect(get.code).toBe(0)
    expect(get.stderr.match(/^warning: .*$/gmu)).toEqual([
      `warning: ${id} the file system of rows.jsonl.gz.partial cannot sync (EINVAL): what is not on the disk yet is lost when the power fails`
    ])
    expect((yield* run(["get", id, "-o", "quiet.csv", "--quiet"], { env })).stderr).toBe("")
    expect(existsSync(join(folder, "rows.jsonl.receipt.json"))).toBe(true)
  })
)
