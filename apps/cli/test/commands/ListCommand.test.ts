import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { lines, objects, over, world } from "../Batchctl.js"

it.scopedLive("a table of the newest jobs, and a notice when there are more", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const ids = yield* Effect.forEach([1, 2, 3], (records) => sandbox.createJob({ ...over, records }))
    const all = yield* run(["list"])
    expect(all).toMatchObject({ code: 0, stderr: "" })
    expect(lines(all.stdout).map((line) => line.slice(0, 36).trim())).toEqual([
      "BATCH ID",
      ...ids.toReversed()
    ])
    const two = yield* run(["list", "--limit", "2"])
    expect(lines(two.stdout)).toHaveLength(3)
    expect(two.stderr).toContain("2 shown, there are more")
  })
)

it.scopedLive("--all turns the pages; --json prints one job a line; --status selects", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    yield* Effect.forEach(Array.from({ length: 150 }), () => sandbox.createJob({ ...over, records: 0 }))
    const running = yield* sandbox.createJob({ stuck: true })
    const all = yield* run(["list", "--all", "--json"])
    expect(objects(all.stdout)).toHaveLength(151)
    const queries = (yield* sandbox.requests).map(({ query }) => query)
    expect(queries).toEqual(["limit=100", expect.stringMatching(/^limit=100&cursor=/)])
    const selected = yield* run(["list", "--status", "processing", "--json"])
    expect(objects(selected.stdout).map(({ batch_id }) => batch_id)).toEqual([running])
  })
)

it.scopedLive("what the API refuses is told in its words: 2", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const { code, stderr } = yield* run(["list", "--status", "done"])
    expect(code).toBe(2)
    expect(stderr).toContain("status must be one of pending, processing, completed, failed")
  })
)

it.scopedLive("an empty account is no failure and prints nothing on standard output", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    expect(yield* run(["list"])).toEqual({ code: 0, stdout: "", stderr: "no batches\n" })
  })
)

it.scopedLive("a reader that has seen enough ends it quietly", () =>
  Effect.gen(function* () {
    const { sandbox, shell } = yield* world()
    yield* Effect.forEach(Array.from({ length: 150 }), () => sandbox.createJob({ ...over, records: 0 }))
    const { stderr, stdout } = yield* shell("$B list --all --json | head -1; echo ${PIPESTATUS[0]}")
    expect(lines(stdout)[1]).toBe("0")
    expect(stderr).toBe("")
  })
)

it.scopedLive("--limit and --all exclude each other", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    expect(yield* run(["list", "--all", "--limit", "3"])).toMatchObject({ code: 2, stdout: "" })
    expect(yield* run(["list", "--limit", "0"])).toMatchObject({ code: 2, stdout: "" })
  })
)

it.scopedLive("a list that is cut shows what came, and is an error; a job on two pages is listed once", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const [a, b, c] = ["a", "b", "c"].map((letter) => ({
      batch_id: `${letter.repeat(8)}-89ab-4cde-8f01-23456789abcd`,
      status: "completed"
    }))
    const answer = (jobs: ReadonlyArray<unknown>, next_cursor: string | null, has_more: boolean) => ({
      on: { server: "api", path: "^/batch$" } as const,
      do: {
        respond: {
          status: 200,
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ jobs, next_cursor, has_more })
        }
      }
    })
    yield* sandbox.script(answer([a, b], "1", true), answer([b, c], null, false))
    const whole = yield* run(["list", "--all", "--json"])
    expect(whole).toMatchObject({ code: 0, stderr: "" })
    expect(objects(whole.stdout)).toEqual([a, b, c])
    yield* sandbox.script(answer([a, b], null, true), answer([a, b], null, true))
    const cut = yield* run(["list"])
    expect(cut.code).toBe(6)
    expect(lines(cut.stdout)).toHaveLength(3)
    expect(cut.stderr).toContain("the list says that there is more, but has no next_cursor that leads there")
    expect(objects((yield* run(["list", "--json"])).stdout)).toMatchObject([
      a,
      b,
      { error: { type: "MalformedResponse" } }
    ])
  })
)
