import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { objects, over, world } from "../Batchctl.js"

it.scopedLive("agrees with the receipt, offline and without a key; says what was checked", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 20 })
    yield* run(["get", id, "-o", "rows.jsonl.gz", "--receipt"])
    yield* sandbox.pauseApi
    const { code, stdout } = yield* run(["verify", "rows.jsonl.gz"], {
      env: { CRUSTDATA_API_KEY: undefined }
    })
    expect(code).toBe(0)
    expect(stdout).toContain(`rows       20\n`)
    expect(stdout).toContain(`receipt    batch ${id}, 20 rows announced\n`)
  })
)

it.scopedLive("a byte that changed since: 7", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 20 })
    yield* run(["get", id, "-o", "rows.jsonl.gz", "--receipt"])
    const file = join(folder, "rows.jsonl.gz")
    const bytes = readFileSync(file)
    bytes[1_000] = (bytes[1_000] ?? 0) ^ 0xff
    writeFileSync(file, bytes)
    const { code, stdout } = yield* run(["verify", "rows.jsonl.gz", "--json"])
    expect(code).toBe(7)
    expect(objects(stdout)).toEqual([
      {
        file: "rows.jsonl.gz",
        batch_id: id,
        error: expect.objectContaining({ type: "ResultsCorrupt", expected: expect.any(String) })
      }
    ])
  })
)

it.scopedLive("no such file: 9", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const { code, stderr } = yield* run(["verify", "nothing.jsonl.gz"])
    expect(code).toBe(9)
    expect(stderr).toContain("nothing.jsonl.gz")
  })
)

it.scopedLive(
  "without a receipt: what is known and what is not, never verified; a cut last line or row is 7",
  () =>
    Effect.gen(function* () {
      const { folder, run, sandbox } = yield* world()
      const id = yield* sandbox.createJob({ ...over, records: 20 })
      yield* run(["get", id, "-o", "rows.jsonl"])
      yield* run(["get", id, "-o", "rows.csv"])
      const lines = yield* run(["verify", "rows.jsonl"])
      expect(lines).toMatchObject({ code: 0, stderr: "" })
      expect(lines.stdout).toContain("checked    structure, and that every line can be read\n")
      expect(lines.stdout).toContain("not known  whose rows these are, and whether they are all")
      const table = yield* run(["verify", "rows.csv"])
      expect(table.stdout).toContain("checked    structure, and that every row can be read\n")
      expect(lines.stdout + table.stdout).not.toMatch(/verified/iu)
      expect(objects((yield* run(["verify", "rows.csv", "--json"])).stdout)).toMatchObject([
        { file: "rows.csv", records: 20, verified: false, receipt: null }
      ])

      for (const name of ["rows.jsonl", "rows.csv"]) {
        writeFileSync(join(folder, name), readFileSync(join(folder, name)).subarray(0, -5))
        const cut = yield* run(["verify", name])
        expect(cut).toMatchObject({ code: 7, stdout: "" })
        expect(cut.stderr).toContain(`error: ${name}, line `)
        expect(cut.stderr).toContain("has no line end: the file is cut off there")
        expect(cut.stderr).toContain(`next   download it again: batchctl get <batch-id> --force -o ${name}\n`)
      }
    })
)

it.scopedLive(
  "several files: every one is checked; the first that failed gives the code; --quiet and --json",
  () =>
    Effect.gen(function* () {
      const { folder, run, sandbox } = yield* world()
      const id = yield* sandbox.createJob({ ...over, records: 20 })
      yield* run(["get", id, "-o", "good.jsonl", "--receipt"])
      yield* run(["get", id, "-o", "bad.txt", "--format", "jsonl", "--receipt"])
      appendFileSync(join(folder, "bad.txt"), "{}\n")
      const mixed = yield* run(["verify", "good.jsonl", "nothing", "bad.txt", "good.jsonl"])
      expect(mixed.code).toBe(9)
      expect(mixed.stdout.match(/^verified /gmu)).toHaveLength(2)
      expect(mixed.stderr).toContain("error: nothing: it cannot be read (no such file or folder)\n")
      expect(mixed.stderr).not.toContain("destination")
      expect(mixed.stderr).toContain("next   give a results file, or a folder with results\n")
      expect(mixed.stderr).toMatch(
        /error: bad.txt has the wrong length: expected [\d,]+ bytes, got [\d,]+ bytes\n/u
      )
      expect(mixed.stderr).toContain(
        `next   download it again: batchctl get ${id} -o bad.txt --force --receipt --format jsonl\n`
      )
      const asJson = yield* run(["verify", "bad.txt", "good.jsonl", "nothing", "--json", "--quiet"])
      expect(asJson.code).toBe(7)
      expect(objects(asJson.stdout)).toMatchObject([
        { file: "bad.txt", batch_id: id, error: { type: "ResultsCorrupt" } },
        { file: "good.jsonl", verified: true, records: 20 },
        { file: "nothing", error: { type: "StorageError", reason: "Unreadable" } }
      ])
      const quiet = yield* run(["verify", "good.jsonl", "bad.txt", "--quiet"])
      expect(quiet).toMatchObject({ code: 7, stdout: "" })
      expect(yield* run(["verify", "good.jsonl", "--quiet"])).toEqual({ code: 0, stdout: "", stderr: "" })
      expect((yield* run(["verify", "--bogus", "good.jsonl"])).code).toBe(2)
    })
)

it.scopedLive("a folder: part files of several batches by their receipts; one without results: 9", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const ids = [
      yield* sandbox.createJob({ ...over, records: 30, parts: 3 }),
      yield* sandbox.createJob({ ...over, records: 1_500, recordBytes: 60, parts: 2 })
    ]
    const get = yield* run(["get", ...ids, "-o", "parts", "--parts", "--receipt", "--json"])
    expect({ code: get.code, printed: objects(get.stdout).length }).toEqual({ code: 0, printed: 2 })
    const receipts = readdirSync(join(folder, "parts")).filter((name) => name.endsWith(".receipt.json"))
    expect(receipts.toSorted()).toEqual(ids.map((id) => `${id}.receipt.json`).toSorted())
    const found = yield* run(["verify", "parts/"])
    expect(found.code).toBe(0)
    expect(found.stdout).toContain("file       parts/, 3 part files\n")
    expect(found.stdout).toContain(`receipt    batch ${ids[1]}, 1,500 rows announced\n`)
    expect(found.stdout.match(/^verified /gmu)).toHaveLength(2)
    rmSync(join(folder, "parts", `${ids[0]}.part-001.jsonl.gz`))
    const short = yield* run(["verify", "parts"])
    expect(short.code).toBe(9)
    expect(short.stderr).toContain(
      `next   download it again: batchctl get ${ids[0]} -o parts --force --receipt --parts\n`
    )
    mkdirSync(join(folder, "empty"))
    const empty = yield* run(["verify", "empty"])
    expect(empty).toMatchObject({ code: 9, stdout: "" })
    expect(empty.stderr).toContain("empty: it cannot be read (the folder holds no results)")
  })
)
