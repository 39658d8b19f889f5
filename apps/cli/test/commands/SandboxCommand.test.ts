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
    const account = ["--credits", "7", "--max-active", "2"]
    const sandbox = yield* start(["sandbox", "--port", "0", "--storage-port", "0", ...account])
    yield* sandbox.until(/# failed\nbatchctl .*\n/)
    const text = yield* sandbox.printed
    const env = Object.fromEntries(
      [...text.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name = "", value]) => [name, value])
    )
    const ids = [...text.matchAll(/^batchctl \w+ +([0-9a-f-]{36})/gm)].map(([, id = ""]) => id)
    const codes = yield* Effect.forEach(ids, (id) => run(["status", id, "--exit-status"], { env }))
    expect(codes.map(({ code }) => code)).toEqual([0, 5, 5, 0, 4])
    const [balance, submitted] = yield* Effect.promise(() =>
      Promise.all(
        [{ path: "/user/credits" }, { path: "/batch/company/enrich", body: '{"domains":["a.example"]}' }].map(
          async ({ body, path }) => {
            const headers = {
              authorization: `Bearer ${env.CRUSTDATA_API_KEY}`,
              "x-api-version": "2025-11-01"
            }
            const asked = body === undefined ? { headers } : { method: "POST", headers, body }
            const answer = await fetch(`${env.CRUSTDATA_BASE_URL}${path}`, asked)
            return [answer.status, await answer.text()]
          }
        )
      )
    )
    expect([balance, submitted]).toEqual([
      [200, '{"credits":7}'],
      [429, expect.stringContaining("At most 2 batches")]
    ])
  })
)

it.scopedLive("figures out of bounds are refused, and say what they may be", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const refused = yield* Effect.forEach(
      ["--port=65536", "--storage-port=-1", "--credits=-1", "--max-active=-1"],
      (flag) => run(["sandbox", flag])
    )
    expect(refused.map(({ code }) => code)).toEqual([2, 2, 2, 2])
    expect(refused[0]?.stderr).toContain("--port 65536 must be from 0 to 65535")
    expect(refused[3]?.stderr).toContain("--max-active -1 must be at least 0")
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
