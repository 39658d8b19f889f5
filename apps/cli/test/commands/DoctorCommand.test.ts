import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { objects, world } from "../Batchctl.js"

it.scopedLive("all is well: 0, and the key is only said to be set", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const { code, stderr, stdout } = yield* run(["doctor"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toMatch(/^ok {6}API key +set \(not shown\)$/m)
    expect(stdout).toMatch(/clock +agrees/)
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
