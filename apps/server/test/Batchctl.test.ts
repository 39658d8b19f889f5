import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { type Environment, spawned } from "./Spawned.js"
import { nobody, over, quick, start, temporary } from "./Service.js"

for (const [name, env, key] of [
  ["a key of its own", { BATCH_SERVER_TOKENS: "token-of-the-service" }, "token-of-the-service"],
  ["the keys of its callers", { CRUSTDATA_API_KEY: undefined }, "sandbox-key"]
] as const) {
  it.scopedLive(`batchctl works over a service with ${name} as over the API itself`, () =>
    Effect.gen(function* () {
      const { get, port, sandbox } = yield* start({ env })
      const folder = yield* temporary
      const batchctl = (...args: ReadonlyArray<string>) =>
        run(args, {
          ...quick,
          HOME: folder,
          CRUSTDATA_BASE_URL: `http://127.0.0.1:${port}`,
          CRUSTDATA_API_KEY: key
        })
      const file = join(folder, "rows.jsonl.gz")
      const id = yield* sandbox.createJob({ ...over, processingMs: 700, records: 300, parts: 3 })

      const { code, stdout } = yield* batchctl("get", id, "-o", file, "--json")
      expect(code).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({ batch_id: id, complete: true, records: 300 })
      const rows = yield* get(`/batch/${id}/results`, { authorization: `Bearer ${key}` })
      expect(gunzipSync(readFileSync(file)).equals(rows.body)).toBe(true)

      const failed = yield* sandbox.createJob({ ...over, outcome: "failed", errorMessage: "no provider" })
      const wrong = {
        HOME: folder,
        CRUSTDATA_BASE_URL: `http://127.0.0.1:${port}`,
        CRUSTDATA_API_KEY: "wrong-key"
      }
      const [status, list, ofFailed, ofNobody, ofStranger] = yield* Effect.all(
        [
          batchctl("status", id),
          batchctl("list", "--json"),
          batchctl("get", failed, "-o", join(folder, "failed")),
          batchctl("get", nobody, "-o", join(folder, "nobody")),
          run(["status", id], wrong)
        ],
        { concurrency: 3 }
      )
      expect(status.stdout).toContain("300 found of 300 requested")
      expect(list.stdout).toContain(id)
      expect(ofFailed).toMatchObject({ code: 4, stderr: expect.stringContaining("no provider") })
      expect([ofNobody.code, ofStranger.code]).toEqual([8, 3])
    })
  )
}

// ----------------------------------------------------------------------------------------------------------------

const run = (args: ReadonlyArray<string>, env: Environment) =>
  Effect.scoped(Effect.flatMap(spawned("../../cli/dist/batchctl.js", env, args), ({ outcome }) => outcome))
