import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { spawned } from "./Spawned.js"

it.scopedLive("prints three commands that work, without a key and past a proxy, and clears up", () =>
  Effect.gen(function* () {
    const folder = yield* temporary
    const demo = yield* spawned("demo.js", { TMPDIR: folder, HTTP_PROXY: "http://127.0.0.1:1" })
    yield* demo.until(/logged here/u)
    const commands = [...(yield* demo.printed).matchAll(/^curl .*$/gmu)].map(([command]) => command)
    const [status, events, results, ...more] = yield* Effect.forEach(commands, run, { concurrency: 3 })
    expect(more).toEqual([])
    // The job goes on by the clock, however long it takes until somebody looks.
    expect(status).toMatch(/^\{"batch_id":"[0-9a-f-]{36}","status":"(?:pending|processing|completed)"/u)
    expect(events).toMatch(/event: status\ndata: .*"status":"(?:processing|completed)"/u)
    expect(results).toMatch(/^(?:\{"original_identifier":"company-\d+\.example",.*\n){3}$/u)
    yield* demo.kill("SIGINT")
    expect(yield* demo.code).toBe(130)
    expect(readdirSync(folder)).toEqual([])
  })
)

it.scopedLive("takes another port where its own is taken, and says so", () =>
  Effect.gen(function* () {
    yield* taken(8787)
    const demo = yield* spawned("demo.js", {})
    const url = yield* demo.until(/^ {2}service +(\S+) {2}\(8787 is taken\)$/mu)
    expect(new URL(url).port).not.toBe("8787")
    const health = yield* Effect.promise(async () => (await fetch(`${url}/health`)).json())
    expect(health).toEqual({ status: "ok", store: "not in use" })
    yield* demo.kill("SIGTERM")
    expect(yield* demo.code).toBe(143)
  })
)

/** Runs a line as a shell does, with a proxy that nothing can pass, until a job is under way; what it printed. */
const run = (line: string): Effect.Effect<string> =>
  Effect.async((resume) => {
    const env = { PATH: process.env["PATH"], http_proxy: "http://127.0.0.1:1" }
    const script = `${line} | sed -E '/"status":"(processing|completed)"/q'`
    const shell = execFile("bash", ["-c", script], { env }, (_, stdout) => resume(Effect.succeed(stdout)))
    return Effect.sync(() => shell.kill("SIGKILL"))
  })

/** Holds a port, or takes it as soon as whoever has it lets it go. */
const taken = (port: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(Effect.sync(createServer), (server) =>
      Effect.sync(() => server.close())
    )
    const hold = Effect.async<boolean>((resume) => {
      const end = (isHeld: boolean) => () => resume(Effect.sync(() => (server.removeAllListeners(), isHeld)))
      server.once("error", end(false)).once("listening", end(true)).listen(port, "127.0.0.1")
    })
    if (yield* hold) return
    yield* Effect.forkScoped(Effect.repeat(Effect.delay(hold, "5 millis"), { until: (isHeld) => isHeld }))
  })

const temporary: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "batch-server-demo-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)
