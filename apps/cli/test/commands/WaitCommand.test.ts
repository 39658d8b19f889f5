import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { lines, objects, over, world } from "../Batchctl.js"

it.scopedLive(
  "waits to the end: one line a change on standard error, the final state on standard output",
  () =>
    Effect.gen(function* () {
      const { run, sandbox } = yield* world()
      const id = yield* sandbox.createJob({ ...over, records: 20 })
      for (const [index, status] of ["pending", "processing"].entries()) {
        const body = JSON.stringify({ batch_id: id, status })
        yield* sandbox.script({
          on: { server: "api", nth: index + 1 },
          do: { respond: { status: 200, body } }
        })
      }
      const { code, stderr, stdout } = yield* run(["wait", id])
      expect(code).toBe(0)
      expect(stdout).toBe(`${id} completed, 20 rows, 20 found of 20 requested\n`)
      expect(lines(stderr)).toEqual([
        `${id} pending`,
        expect.stringMatching(/^[0-9a-f-]+ processing.* after /),
        expect.stringMatching(/^[0-9a-f-]+ completed, 20 rows after /)
      ])
    })
)

it.scopedLive("--json prints the API's own JSON, one object a batch; --quiet says nothing", () =>
  Effect.gen(function* () {
    const { sandbox, start } = yield* world()
    const slow = yield* sandbox.createJob({ stuck: true, records: 5 })
    const fast = yield* sandbox.createJob({ ...over, records: 6 })
    const wait = yield* start(["wait", slow, fast, "--json", "--quiet"])
    yield* wait.until(/completed/)
    yield* sandbox.job(slow).complete
    const { code, stderr, stdout } = yield* wait.outcome
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(objects(stdout).map(({ batch_id, status }) => [batch_id, status])).toEqual([
      [fast, "completed"],
      [slow, "completed"]
    ])
  })
)

it.scopedLive("a failed job is a final state, and exit code 4", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, outcome: "failed", errorMessage: "no such provider" })
    const { code, stderr, stdout } = yield* run(["wait", id, "--json"])
    expect(code).toBe(4)
    expect(objects(stdout)).toEqual([
      expect.objectContaining({
        batch_id: id,
        status: "failed",
        error_message: "no such provider",
        error: expect.objectContaining({ type: "BatchFailed", errorMessage: "no such provider" })
      })
    ])
    expect(stderr).toContain("no such provider")
  })
)

it.scopedLive("the deadline passes: 5, all that is known, and the command that goes on", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ stuck: true, records: 9 })
    const { code, stderr, stdout } = yield* run(["wait", id, "--timeout", "3s", "--json"])
    expect(code).toBe(5)
    expect(objects(stdout)).toEqual([
      {
        batch_id: id,
        error: expect.objectContaining({
          type: "WaitTimeout",
          lastStatus: "processing",
          polls: expect.any(Number)
        })
      }
    ])
    expect(stderr).toContain(`next   batchctl wait ${id} --timeout 3s --json`)
    expect(stderr).toContain(`batch  ${id}, last seen processing`)
  })
)

it.scopedLive("an API that goes away for a while does not end the wait", () =>
  Effect.gen(function* () {
    const { sandbox, start } = yield* world()
    const id = yield* sandbox.createJob({ stuck: true, records: 4 })
    const wait = yield* start(["wait", id, "--timeout", "10m"])
    yield* wait.until(/processing/)
    yield* sandbox.pauseApi
    yield* wait.until(/still waiting: the API could not be asked/)
    yield* Effect.orDie(sandbox.resumeApi)
    yield* sandbox.job(id).complete
    const { code, stdout } = yield* wait.outcome
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${id} completed, 4 rows, 4 found of 4 requested\n` })
  })
)

it.scopedLive("a 429 storm does not end the wait either", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 4 })
    yield* sandbox.script({ id: "storm", on: { server: "api" }, times: 9, do: { respond: { status: 429 } } })
    expect((yield* run(["wait", id, "--timeout", "10m"])).code).toBe(0)
    expect(yield* sandbox.faults).toEqual([{ id: "storm", consumed: 9, expected: 9 }])
  })
)

it.scopedLive("asking again is useless: an unknown id ends the wait at once with 8", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = "00000000-0000-4000-8000-000000000000"
    expect((yield* run(["wait", id])).code).toBe(8)
    expect(yield* sandbox.requests).toHaveLength(1)
  })
)

it.scopedLive("a bad --timeout is refused and explained", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    const { code, stderr } = yield* run(["wait", id, "--timeout", "soon"])
    expect(code).toBe(2)
    expect(stderr).toContain(`--timeout "soon" is no duration`)
    expect(yield* sandbox.requests).toEqual([])
  })
)

it.scopedLive.each([
  ["SIGINT", 130],
  ["SIGTERM", 143]
] as const)("%s leaves at once with %d and the command that goes on", ([signal, code]) =>
  Effect.gen(function* () {
    const { sandbox, start } = yield* world()
    const id = yield* sandbox.createJob({ stuck: true })
    const wait = yield* start(["wait", id, "--timeout", "10m"])
    yield* wait.until(/processing/)
    yield* wait.kill(signal)
    const outcome = yield* Effect.timeout(wait.outcome, "20 seconds")
    expect(outcome.code).toBe(code)
    expect(outcome.stdout).toBe("")
    expect(outcome.stderr).toContain(
      `interrupted: the wait has ended, the job goes on\n  next   batchctl wait ${id} --timeout 10m\n`
    )
  })
)
