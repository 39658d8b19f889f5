import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { json } from "./Caller.js"
import { eventually, launch, over, start, temporary } from "./Service.js"
import { spawned } from "./Spawned.js"

const run = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(spawned("batch-server.js", {}, args), ({ outcome }) => outcome)

it.scopedLive("--help and --version explain it, on standard output; whatever else is refused", () =>
  Effect.gen(function* () {
    const [help, version, wrong] = yield* Effect.all([run("--help"), run("--version"), run("--port=1")], {
      concurrency: 3
    })
    expect(help).toEqual({ code: 0, stderr: "", stdout: expect.stringMatching(/^batch-server .*Usage: /su) })
    for (const name of [
      "CRUSTDATA_API_KEY_FILE",
      "BATCH_SERVER_TOKENS",
      "CORS_ORIGINS",
      "OTEL_EXPORTER_OTLP_HEADERS"
    ]) {
      expect(help.stdout).toContain(name)
    }
    expect(version).toEqual({ code: 0, stderr: "", stdout: "0.0.0\n" })
    expect(wrong).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/^error: .*--help.*\n$/u)
    })
  })
)

it.scopedLive("secrets are taken from files, and the start says how it is set, without them", () =>
  Effect.gen(function* () {
    const folder = yield* temporary
    const files = { key: join(folder, "key"), tokens: join(folder, "tokens") }
    writeFileSync(files.key, "sandbox-key\n")
    writeFileSync(files.tokens, "first-token\nsecond-token\n")
    const { get, logs, sandbox } = yield* start({
      env: {
        CRUSTDATA_API_KEY: undefined,
        CRUSTDATA_API_KEY_FILE: files.key,
        BATCH_SERVER_TOKENS_FILE: files.tokens
      }
    })
    for (const [token, status] of [
      ["first-token", 200],
      ["second-token", 200],
      ["first-token,second-token", 401]
    ] as const) {
      expect([token, (yield* get("/batch", { authorization: `Bearer ${token}` })).status]).toEqual([
        token,
        status
      ])
    }
    const lines = yield* eventually(logs, (all) => all.filter(({ path }) => path === "/batch").length >= 3)
    const [first] = lines
    expect(first).toMatchObject({
      message: expect.stringMatching(/^batch-server 0\.0\.0 listening on http:/u),
      version: "0.0.0",
      upstream: sandbox.baseUrl,
      mode: "one key for all callers",
      tokens: 2
    })
    expect(JSON.stringify(lines)).not.toMatch(/-token|sandbox-key/u)
    // Without CORS_ORIGINS no page of another origin may read anything.
    const { headers } = yield* get("/health", { origin: "https://app.example" })
    expect(headers["access-control-allow-origin"]).toBeUndefined()
  })
)

it.scopedLive("a file that cannot be used is named", () =>
  Effect.gen(function* () {
    const empty = join(yield* temporary, "empty")
    writeFileSync(empty, "\n")
    const outcomes = yield* Effect.forEach(
      [
        { CRUSTDATA_API_KEY_FILE: "/nonexistent/key" },
        { BATCH_SERVER_TOKENS_FILE: empty },
        { CRUSTDATA_API_KEY: "a-key", CRUSTDATA_API_KEY_FILE: empty },
        { OTEL_EXPORTER_OTLP_HEADERS: "no header" },
        { CORS_ORIGINS: "https://app.example/path" }
      ],
      (env) => Effect.flatMap(launch(env), ({ outcome }) => outcome),
      { concurrency: 3 }
    )
    expect(outcomes.map(({ code }) => code)).toEqual([2, 2, 2, 2, 2])
    expect(outcomes.map(({ stderr }) => stderr.split(":", 2).join(":"))).toEqual([
      "error: CRUSTDATA_API_KEY_FILE",
      "error: BATCH_SERVER_TOKENS_FILE",
      "error: CRUSTDATA_API_KEY_FILE",
      "error: OTEL_EXPORTER_OTLP_HEADERS",
      "error: CORS_ORIGINS"
    ])
    expect(outcomes.map(({ stderr }) => stderr).join("")).not.toContain("a-key")
  })
)

it.scopedLive("pages of the origins that are named may read answers, and no others", () =>
  Effect.gen(function* () {
    const { ask, get, sandbox } = yield* start({
      env: { CORS_ORIGINS: "https://app.example,http://localhost:3000" }
    })
    const id = yield* sandbox.createJob(over)
    yield* get(`/batch/${id}`)
    const asked = {
      "access-control-request-method": "GET",
      "access-control-request-headers": "authorization"
    }
    for (const [origin, allowed] of [
      ["https://app.example", "https://app.example"],
      ["http://localhost:3000", "http://localhost:3000"],
      ["https://evil.example", undefined],
      ["https://app.example.evil", undefined],
      ["null", undefined]
    ] as const) {
      const preflight = yield* ask("/batch", { method: "OPTIONS", headers: { origin, ...asked } })
      expect([origin, preflight.status]).toEqual([origin, allowed === undefined ? 405 : 204])
      const answer = yield* get("/batch/42", { origin })
      const kept = yield* get(`/batch/${id}`, { origin })
      expect(kept.status).toBe(200)
      for (const { headers } of [preflight, answer, kept]) {
        expect([origin, headers["access-control-allow-origin"]]).toEqual([origin, allowed])
        expect(headers.vary).toContain("origin")
      }
      expect(answer.headers["access-control-expose-headers"]?.includes("x-request-id")).toBe(
        allowed === undefined ? undefined : true
      )
    }
    expect(json(yield* get("/health"))).toEqual({ status: "ok", store: "not in use" })
  })
)
