import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { lines, objects, world } from "../Batchctl.js"

it.scopedLive("all is well: 0, and the key is only said to be set", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const { code, stderr, stdout } = yield* run(["doctor"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toMatch(/^ok {6}API key +set \(not shown\), from the environment$/m)
    expect(stdout).toMatch(/^ok {6}BATCH_POLL_MAX_DELAY +80ms, from the environment$/m)
    expect(stdout).toMatch(/^ok {6}log level +info, the default$/m)
    expect(stdout).toMatch(/clock +agrees/)
    expect(stdout).toMatch(/^ok {6}credits +1,000,000$/m)
    expect(stdout).toMatch(/^ok {6}requests +600 a minute$/m)
    expect(stdout).toMatch(/^ok {6}active jobs +0 of 5 at most$/m)
    // An account that cannot be asked all this is none the worse for it.
    const path = "^/(?:account|user)/"
    yield* sandbox.script({ on: { server: "api", path }, times: -1, do: { respond: { status: 404 } } })
    const older = yield* run(["doctor"])
    expect(older.code).toBe(0)
    expect(older.stdout).not.toMatch(/credits|a minute/u)
    expect(stdout).not.toContain(sandbox.apiKey)
  })
)

it.scopedLive(
  "what is wrong gives the code: no key, a refused key, an API that is not there, a bad setting",
  () =>
    Effect.gen(function* () {
      const { run, sandbox } = yield* world()
      expect((yield* run(["doctor"], { env: { CRUSTDATA_API_KEY: undefined } })).code).toBe(3)
      const refused = yield* run(["doctor", "--json"], { env: { CRUSTDATA_API_KEY: "wrong" } })
      expect(refused.code).toBe(3)
      expect(objects(refused.stdout)[0]).toMatchObject({ ok: false })
      expect((yield* run(["doctor"], { env: { BATCH_POLL_FACTOR: "0" } })).code).toBe(2)
      yield* sandbox.pauseApi
      expect((yield* run(["doctor"])).code).toBe(6)
    })
)

it.scopedLive("a proxy is shown without its password", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const { stdout } = yield* run(["doctor"], {
      env: { HTTPS_PROXY: "http://me:hunter2@proxy.example:3128", NO_PROXY: "127.0.0.1" }
    })
    expect(stdout).toContain("HTTPS_PROXY=http://***@proxy.example:3128")
    expect(stdout).not.toContain("hunter2")
  })
)

it.scopedLive(
  "says where each setting comes from: a flag, the environment, the profile file, or nowhere",
  () =>
    Effect.gen(function* () {
      const { folder, run, sandbox } = yield* world()
      mkdirSync(join(folder, ".config/batchctl"), { recursive: true })
      const profile = join(folder, ".config/batchctl/config")
      writeFileSync(profile, `CRUSTDATA_BASE_URL=${sandbox.baseUrl}\nBATCH_RETRY_LIMIT=2\n`, { mode: 0o600 })
      const { stdout } = yield* run(["doctor", "--log-level", "warning"], {
        env: { CRUSTDATA_BASE_URL: undefined }
      })
      expect(lines(stdout).map((line) => line.replaceAll(/ {2,}/gu, "  "))).toEqual(
        expect.arrayContaining([
          `ok  base URL  ${sandbox.baseUrl}, from the profile file`,
          "ok  API key  set (not shown), from the environment",
          "ok  BATCH_RETRY_LIMIT  2, from the profile file",
          "ok  log level  warning, from --log-level",
          `ok  profile file  ${profile}`
        ])
      )
      const alone = yield* run(["doctor"], { env: { CRUSTDATA_BASE_URL: undefined, HOME: "/nonexistent" } })
      expect(alone.stdout).toMatch(/base URL +https:\/\/api\.crustdata\.com, the default/)
    })
)
