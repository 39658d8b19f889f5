/** Waits in trouble: what is said of it, how often, and how they end. */
import { expect, it } from "@effect/vitest"
import type { Fault } from "@org/batch-sandbox"
import { Effect } from "effect"
import { lines, objects, over, world } from "./Batchctl.js"

const forever = (effects: Fault.Effects, nth = 1): Fault.Rule => ({
  on: { server: "api", nth },
  times: -1,
  do: effects
})

/** The times that a message tells. */
const figures = (text: string): ReadonlyArray<string> => text.match(/\d[\d.]* (?:s|min|h)\b/gu) ?? []

it.scopedLive("never answered: 6 with the last reason and the number of requests, each kind told once", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ stuck: true })
    yield* sandbox.script(
      { on: { server: "api" }, times: 1, do: { respond: { status: 502 } } },
      { on: { server: "api" }, times: 1, do: { garbage: {} } },
      forever({ respond: { status: 503 } })
    )
    const { code, stderr, stdout } = yield* run(["wait", id, "--timeout", "10s", "--json"])
    const asked = (yield* sandbox.requests).length
    expect(code).toBe(6)
    expect(objects(stdout)).toMatchObject([
      { batch_id: id, error: { type: "ApiUnavailable", reason: "Server", status: 503, attempts: asked } }
    ])
    const said = lines(stderr)
    const notices = said.filter((line) => line.includes("still waiting"))
    expect(notices).toEqual([
      expect.stringContaining(
        `${id} still waiting: the API could not be asked (1 attempt): it answered HTTP 502; request `
      ),
      expect.stringContaining("the answer is not the batch API's"),
      expect.stringContaining(
        `${id} still waiting: the API could not be asked (1 attempt): it answered HTTP 503; request `
      )
    ])
    expect(said.every((line) => line.split(id).length <= 2)).toBe(true)
    const [error = ""] = said.filter((line) => line.startsWith("error: "))
    expect(error).toContain(`the API could not be asked (${asked} attempts): no good answer in `)
    expect(error).toContain("; the last time it answered HTTP 503")
    expect(figures(error)).toHaveLength(1)
    expect(stderr.match(/attempts/gu)).toHaveLength(1)
    expect(stderr).not.toContain("still running")
    expect(asked).toBeLessThanOrEqual(12)
  })
)

it.scopedLive("5 and `still running` need one good answer, however much fails behind it", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ stuck: true })
    yield* sandbox.script(forever({ respond: { status: 502 } }, 2))
    const { code, stderr, stdout } = yield* run(["wait", id, "--timeout", "8s", "--json"])
    expect(code).toBe(5)
    expect(objects(stdout)).toMatchObject([
      { batch_id: id, error: { type: "WaitTimeout", lastStatus: expect.stringMatching(/./u), polls: 1 } }
    ])
    const [error = ""] = lines(stderr).filter((line) => line.startsWith("error: "))
    expect(error).toContain("was still running after")
    expect(error).toContain("and 1 poll (last seen")
    expect(figures(error)).toHaveLength(1)
    expect(lines(stderr).filter((line) => line.includes("still waiting"))).toHaveLength(1)
    expect((yield* sandbox.requests).length).toBeLessThanOrEqual(13)
  })
)

it.scopedLive("a wait shorter than a second, and a pause of an hour, are told as they are", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ stuck: true })
    yield* sandbox.script(forever({ respond: { status: 503 } }))
    const brief = yield* run(["wait", id, "--timeout", "300ms"])
    expect(brief.code).toBe(6)
    expect(brief.stderr).toMatch(/no good answer in \d+(?:\.\d)? s\b/u)
    yield* sandbox.clearFaults
    yield* sandbox.script(forever({ respond: { status: 429, headers: { "retry-after": "3600" } } }))
    const limited = yield* run(["status", id])
    expect(limited.code).toBe(6)
    expect(limited.stderr).toContain("try again in 1 h; request ")
  })
)

it.scopedLive("an API that nobody listens for is counted once", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    yield* sandbox.pauseApi
    const { code, stderr } = yield* run(["status", id])
    expect(code).toBe(6)
    expect(stderr).toContain("the API could not be asked (4 attempts): ")
    expect(stderr).toContain("connection refused (ECONNREFUSED)")
    expect(stderr.match(/attempts?\b/gu)).toHaveLength(1)
    yield* Effect.orDie(sandbox.resumeApi)
  })
)

it.scopedLive("odd fields spoil nothing, and are told once at debug level only", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    const odd = {
      result_count: "many",
      created_at: "yesterday",
      error_message: { code: 7 },
      download_url: null
    }
    const answer = (status: string) => ({
      respond: { status: 200, body: `\ufeff${JSON.stringify({ batch_id: id, status, ...odd })}` }
    })
    const wait = (...flags: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        yield* sandbox.clearFaults
        yield* sandbox.script(
          { on: { server: "api" }, times: 3, do: answer("processing") },
          forever(answer("failed"))
        )
        return yield* run(["wait", id, ...flags])
      })
    const silent = yield* wait()
    expect(silent.code).toBe(4)
    expect(silent.stderr).not.toContain("cannot be read")
    const { code, stderr } = yield* wait("--log-level", "debug")
    expect(code).toBe(4)
    const told = lines(stderr).filter((line) => line.includes("cannot be read"))
    expect(told.length).toBeGreaterThan(1)
    expect(new Set(told).size).toBe(told.length)
    expect(told).toContain(`debug: result_count of batch ${id} cannot be read, and is taken for absent`)
  })
)
