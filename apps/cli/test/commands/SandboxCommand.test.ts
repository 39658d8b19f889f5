import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { world } from "../Batchctl.js"

it.scopedLive("runs until it is interrupted; what it prints is a script that works", () =>
  Effect.gen(function* () {
    const { run, start } = yield* world()
    const sandbox = yield* start(["sandbox", "--port", "0"])
    yield* sandbox.until(/# failed\nbatchctl .*\n/)
    yield* sandbox.kill("SIGINT")
    const { code, stdout } = yield* Effect.timeout(sandbox.outcome, "20 seconds")
    expect(code).toBe(130)
    expect(stdout).toMatch(/^export CRUSTDATA_BASE_URL=http:\/\/127\.0\.0\.1:\d+$/m)
    expect(stdout.match(/^# .+\nbatchctl (?:get|wait) /gm)).toHaveLength(5)
    expect((yield* run(["list"])).code).toBe(0)
  })
)

it.scopedLive("its jobs answer to the key that it prints", () =>
  Effect.gen(function* () {
    const { run, start } = yield* world()
    const sandbox = yield* start(["sandbox", "--port", "0", "--storage-port", "0"])
    yield* sandbox.until(/# failed\nbatchctl .*\n/)
    const text = yield* sandbox.printed
    const env = Object.fromEntries(
      [...text.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name = "", value]) => [name, value])
    )
    const ids = [...text.matchAll(/^batchctl \w+ +([0-9a-f-]{36})/gm)].map(([, id = ""]) => id)
    const codes = yield* Effect.forEach(ids, (id) => run(["status", id, "--exit-status"], { env }))
    expect(codes.map(({ code }) => code)).toEqual([0, 5, 5, 0, 4])
  })
)

it.scopedLive("a port that is taken is our own trouble: 9", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const { code, stderr } = yield* run(["sandbox", "--port", new URL(sandbox.baseUrl).port])
    expect(code).toBe(9)
    expect(stderr).toContain("--port 0")
  })
)
