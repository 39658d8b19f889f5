import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit } from "effect"
import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import * as ProcessExit from "../src/ProcessExit.js"
import * as Shutdown from "../src/Shutdown.js"
import { problem } from "./Caller.js"
import { eventually, impatient, launch, over, start } from "./Service.js"

const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

describe("a service that cannot start", () => {
  // Settings.test.ts has them all.
  it.scopedLive.each([
    ["PORT", { PORT: "http" }],
    ["CRUSTDATA_API_KEY", { CRUSTDATA_API_KEY: "secret key" }]
  ] as const)("says why in one line, and ends with 2: %s", ([setting, env]) =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* Effect.flatMap(launch(env), ({ outcome }) => outcome)
      expect([code, stdout, lines(stderr)]).toEqual([
        2,
        "",
        [expect.stringMatching(new RegExp(`^error: ${setting}: .{10,}$`, "u"))]
      ])
      expect(stderr).not.toContain("secret")
    })
  )

  it.scopedLive("ends with 9 when it cannot listen there", () =>
    Effect.gen(function* () {
      const taken = yield* Effect.acquireRelease(
        Effect.async<number>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => {
            const address = server.address()
            resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
          })
          server.unref()
        }),
        () => Effect.void
      )
      for (const [env, reason] of [
        [{ PORT: String(taken) }, /PORT.*in use.*EADDRINUSE/u],
        [{ HOST: "203.0.113.7", BATCH_SERVER_TOKENS: "token" }, /HOST.*EADDRNOTAVAIL/u],
        [{ HOST: "nowhere.invalid", BATCH_SERVER_TOKENS: "token" }, /HOST/u]
      ] as const) {
        const { code, stderr, stdout } = yield* Effect.flatMap(launch(env), ({ outcome }) => outcome)
        expect([code, stdout, lines(stderr)]).toEqual([9, "", [expect.stringMatching(reason)]])
      }
    })
  )
})

describe("a service that is told to end", () => {
  it.scopedLive.each([
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const)("ends at once when nothing is under way: %s, %d", ([signal, code]) =>
    Effect.gen(function* () {
      const { get, kill, outcome } = yield* start()
      yield* get("/health")
      yield* kill(signal)
      const ended = yield* Effect.timeout(outcome, "20 seconds")
      expect([ended.code, ended.stderr]).toEqual([code, ""])
    })
  )

  it.scopedLive("sends away who waits, takes nobody new, and brings to their end the results under way", () =>
    Effect.gen(function* () {
      const { get, kill, open, outcome, sandbox } = yield* start()
      const stuck = yield* sandbox.createJob({ stuck: true })
      const id = yield* sandbox.createJob({ ...over, records: 10_000 })
      const whole = yield* get(`/batch/${id}/results`)
      const waiting = yield* Effect.forEach(["wait?timeout=10m", "results?wait=10m"], (path) =>
        Effect.fork(get(`/batch/${stuck}/${path}`))
      )
      const events = yield* open(`/batch/${stuck}/events`)
      yield* events.until(/event: status/u)
      const stream = yield* open(`/batch/${id}/results`)
      yield* stream.atLeast(1)
      yield* get("/health")
      yield* kill("SIGTERM")

      for (const fiber of waiting) {
        const answer = yield* fiber
        expect(problem(answer)).toMatchObject({ status: 503, type: "Draining" })
        expect(answer.headers["retry-after"]).toBe("5")
      }
      const followed = yield* events.whole
      expect(followed.body.toString()).not.toContain("event: end")
      expect(followed.broken).toBeUndefined()
      yield* eventually(Effect.exit(get("/health")), Exit.isFailure)
      expect(yield* Effect.exit(get(`/batch/${id}`))).toMatchObject({ _tag: "Failure" })

      const { body, broken } = yield* stream.whole
      expect([broken, body.equals(whole.body)]).toEqual([undefined, true])
      const { code, stderr, stdout } = yield* Effect.timeout(outcome, "20 seconds")
      expect([code, stderr]).toEqual([143, ""])
      expect(lines(stdout).filter((line) => line.includes(`"level":"error"`))).toEqual([
        expect.stringContaining("503"),
        expect.stringContaining("503")
      ])
    })
  )

  it.scopedLive("sends away who waits for a job of which nothing has been heard: 503 with Retry-After", () =>
    Effect.gen(function* () {
      const { calls, get, kill, outcome, sandbox } = yield* start()
      const id = yield* sandbox.createJob({ stuck: true })
      yield* sandbox.script({ on: { server: "api", path: id }, do: { hang: true } })
      const waiting = yield* Effect.forEach(["wait?timeout=10m", "results?wait=10m"], (path) =>
        Effect.fork(get(`/batch/${id}/${path}`))
      )
      yield* eventually(calls(id), ({ length }) => length > 0)
      // Its connection is later than theirs, and so is its answer.
      yield* get("/health")
      yield* kill("SIGTERM")
      for (const fiber of waiting) {
        const answer = yield* fiber
        expect(problem(answer)).toMatchObject({ status: 503, type: "Draining" })
        expect(answer.headers["retry-after"]).toBe("5")
      }
      expect((yield* Effect.timeout(outcome, "20 seconds")).code).toBe(143)
    })
  )

  it.scopedLive("ends at once when it is told twice", () =>
    Effect.gen(function* () {
      const { kill, open, outcome, sandbox } = yield* start()
      const id = yield* sandbox.createJob({ ...over, records: 10_000 })
      const stream = yield* open(`/batch/${id}/results`)
      yield* stream.atLeast(1)
      yield* kill("SIGTERM")
      expect(yield* Effect.timeoutOption(outcome, "300 millis")).toMatchObject({ _tag: "None" })
      yield* kill("SIGTERM")
      expect((yield* Effect.timeout(outcome, "20 seconds")).code).toBe(143)
      expect((yield* stream.whole).broken).toBeDefined()
    })
  )
})

describe("a service whose log is no longer read", () => {
  it.scopedLive("goes on, and ends as it is told", () =>
    Effect.gen(function* () {
      const { code, get, kill, sandbox, unread } = yield* start()
      const id = yield* sandbox.createJob(over)
      yield* unread
      for (const path of [
        `/batch/${id}`,
        `/batch/${id}/results`,
        "/health",
        "/batch/42",
        `/batch/${id}/wait`
      ]) {
        expect([path, (yield* get(path)).status]).toEqual([path, path === "/batch/42" ? 400 : 200])
        // What went wrong in writing a line comes to light a moment after it.
        yield* Effect.sleep("50 millis")
      }
      yield* kill("SIGTERM")
      expect(yield* Effect.timeout(code, "20 seconds")).toBe(143)
    })
  )
})

describe("a service whose grace is over", { timeout: 120_000 }, () => {
  it.scopedLive("cuts off whoever does not read, and ends", () =>
    Effect.gen(function* () {
      const env = { GRACE: "500", DEADLINE: "100000" }
      const { kill, open, outcome, sandbox } = yield* start({ env, program: yield* impatient })
      const id = yield* sandbox.createJob({ ...over, records: 10_000 })
      const stream = yield* open(`/batch/${id}/results`)
      yield* stream.atLeast(1)
      yield* kill("SIGTERM")
      const { code, stderr } = yield* outcome
      expect([code, stderr]).toEqual([143, ""])
      expect((yield* stream.whole).broken).toBeDefined()
    })
  )

  it.scopedLive.each([
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const)("ends whatever still hangs: %s, %d", ([signal, code]) =>
    Effect.gen(function* () {
      const env = { GRACE: "200", DEADLINE: "700", STUCK: "1" }
      const { kill, open, outcome, sandbox } = yield* start({ env, program: yield* impatient })
      const id = yield* sandbox.createJob({ ...over, records: 10_000 })
      const stream = yield* open(`/batch/${id}/results`)
      yield* stream.atLeast(1)
      yield* kill(signal)
      expect(yield* outcome).toMatchObject({
        code,
        stderr: `error: something still hangs 0.7 s after ${signal}\n`
      })
    })
  )

  it("ends before systemd kills it", () => {
    const unit = readFileSync(new URL("../batch-server.service", import.meta.url), "utf8")
    const [, seconds] = /^TimeoutStopSec=(\d+)$/mu.exec(unit) ?? []
    expect(Duration.toSeconds(Shutdown.grace)).toBe(30)
    expect(Duration.toSeconds(ProcessExit.deadline)).toBe(32)
    expect(Number(seconds)).toBeGreaterThan(32)
  })
})
