import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { objects, world } from "../Batchctl.js"

it.scopedLive("tells the whole story without a key, past a proxy, and keeps file and receipt", () =>
  Effect.gen(function* () {
    const { folder, run } = yield* world()
    const env = {
      TMPDIR: folder,
      CRUSTDATA_API_KEY: undefined,
      CRUSTDATA_BASE_URL: undefined,
      HTTP_PROXY: "http://127.0.0.1:1"
    }
    const { code, stderr, stdout } = yield* run(["demo"], { env })
    expect({ code, errors: /error/.test(stderr) }).toEqual({ code: 0, errors: false })
    expect(stdout).toContain("1. Submit 1,000 companies")
    expect(stdout).toContain("rows      1,000 of 1,000 announced by the API")
    expect(stdout).toContain(`{"original_identifier":"company-1.example"`)
    expect(stdout).toContain("Try next")
    expect(stderr).toContain("processing")
    const [kept = ""] = readdirSync(folder)
    expect(readdirSync(join(folder, kept)).toSorted()).toEqual([
      "companies.jsonl",
      "companies.jsonl.receipt.json"
    ])
    expect(objects(readFileSync(join(folder, kept, "companies.jsonl"), "utf8"))).toHaveLength(1_000)
  })
)

it.scopedLive("--records out of bounds is refused", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    expect((yield* run(["demo", "--records", "0"])).code).toBe(2)
    expect((yield* run(["demo", "--records", "10001"])).code).toBe(2)
  })
)
