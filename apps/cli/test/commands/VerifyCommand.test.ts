import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
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
      { error: expect.objectContaining({ type: "ResultsCorrupt", expected: expect.any(String) }) }
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
