import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { objects, over, world } from "../Batchctl.js"

const unset = { CRUSTDATA_API_KEY: undefined, CRUSTDATA_BASE_URL: undefined }

const profile = (home: string, text: string, mode = 0o600): void => {
  mkdirSync(join(home, ".config/batchctl"), { recursive: true })
  writeFileSync(join(home, ".config/batchctl/config"), text)
  chmodSync(join(home, ".config/batchctl/config"), mode)
}

it.scopedLive("the profile file sets what the environment does not; the environment wins", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    profile(
      folder,
      `# mine\nexport CRUSTDATA_API_KEY='${sandbox.apiKey}'\nCRUSTDATA_BASE_URL = ${sandbox.baseUrl}\n`
    )
    expect(yield* run(["status", id], { env: unset })).toMatchObject({ code: 0, stderr: "" })
    expect((yield* run(["status", id], { env: { ...unset, CRUSTDATA_API_KEY: "other" } })).code).toBe(3)
    expect((yield* run(["status", id], { env: { ...unset, CRUSTDATA_API_KEY: "" } })).code).toBe(0)
  })
)

it.scopedLive(
  "XDG_CONFIG_HOME names another place; a file with a key that others may read gets a warning",
  () =>
    Effect.gen(function* () {
      const { folder, run, sandbox } = yield* world()
      const id = yield* sandbox.createJob(over)
      profile(folder, `CRUSTDATA_API_KEY=${sandbox.apiKey}\n`, 0o644)
      const env = {
        CRUSTDATA_API_KEY: undefined,
        HOME: "/nonexistent",
        XDG_CONFIG_HOME: join(folder, ".config")
      }
      const { code, stderr } = yield* run(["status", id], { env })
      expect(code).toBe(0)
      expect(stderr).toContain(`others may read it: chmod 600 ${folder}`)
    })
)

it.scopedLive("a setting that cannot be used is named with the reason and the way out, in a line: 2", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    const { code, stderr, stdout } = yield* run(["status", id, "--json"], {
      env: { BATCH_POLL_MAX_DELAY: "soon" }
    })
    expect(code).toBe(2)
    expect(stderr).toContain(`error: BATCH_POLL_MAX_DELAY: "soon" is no duration: write it as 500ms, 30s`)
    expect(stderr).toContain(
      `next   correct or unset BATCH_POLL_MAX_DELAY, then batchctl status ${id} --json`
    )
    expect(objects(stdout)).toEqual([
      { error: expect.objectContaining({ type: "SettingsError", setting: "BATCH_POLL_MAX_DELAY" }) }
    ])
    expect(yield* sandbox.requests).toEqual([])
  })
)

it.scopedLive("a profile file that cannot be understood is named with its line, never with its value", () =>
  Effect.gen(function* () {
    const { folder, run } = yield* world()
    profile(folder, `CRUSTDATA_API_KEY=secret-one\nCRUSTDATA-KEY secret-two\n`)
    const { code, stderr } = yield* run(["list"])
    expect(code).toBe(2)
    expect(stderr).toContain("config: line 2 is not of the form KEY=value")
    expect(stderr).not.toContain("secret")
  })
)

it.scopedLive(
  "a profile file that cannot be read is a warning for those who need nothing from it, else 2",
  () =>
    Effect.gen(function* () {
      const { folder, run } = yield* world()
      // Not even the superuser can read a folder as a file.
      mkdirSync(join(folder, ".config/batchctl/config"), { recursive: true })
      const all = yield* run(["list"])
      expect(all.code).toBe(0)
      expect(all.stderr).toContain("warning: the profile file is not used: ")
      expect(all.stderr).toContain("config: cannot be read (it is a folder)")
      const { code, stderr } = yield* run(["list"], { env: { CRUSTDATA_API_KEY: undefined } })
      expect(code).toBe(2)
      expect(stderr).toContain("config: cannot be read (it is a folder)")
    })
)

it.scopedLive("a name in it that no setting has is told, with the nearest that there is", () =>
  Effect.gen(function* () {
    const { folder, run } = yield* world()
    profile(folder, "BATCH_POL_MAX_DELAY=1m\nBATCH_ZZZ=1\nBATCH_SERVER_TOKENS=abc\n")
    const { code, stderr } = yield* run(["list"])
    expect(code).toBe(0)
    expect(stderr).toContain("BATCH_POL_MAX_DELAY is no setting; did you mean BATCH_POLL_MAX_DELAY?")
    expect(stderr).toContain("BATCH_ZZZ is no setting, and is ignored")
    expect(stderr).not.toContain("TOKENS")
  })
)

it.scopedLive("a base URL that is none is shown, without what may be a secret", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const told = (url: string) =>
      Effect.map(run(["list"], { env: { CRUSTDATA_BASE_URL: url } }), ({ stderr }) => stderr)
    expect(yield* told("foo")).toContain(`CRUSTDATA_BASE_URL: "foo" is no base URL: write it as https://host`)
    expect(yield* told("https://me:hunter2@api.example/v1?k=hunter2")).toContain(`"***@api.example/v1?***"`)
  })
)
