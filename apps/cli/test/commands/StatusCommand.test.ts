import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { objects, over, world } from "../Batchctl.js"

it.scopedLive("shows a job in aligned lines, with the host of the links and nothing more of them", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 12, unresolved: 3, parts: 2 })
    const { code, stderr, stdout } = yield* run(["status", id])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toContain(
      `batch      ${id}\nstatus     completed\njob        company enrich, 15 identifiers\n`
    )
    expect(stdout).toContain("results    12 rows\nentities   12 found of 15 requested\n")
    expect(stdout).toContain(`a merged file and 2 part files on ${new URL(sandbox.storageUrl).host}`)
    expect(stdout).not.toContain("Signature")
  })
)

it.scopedLive("prints the API's own JSON, links masked unless asked for", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 3 })
    const masked = objects((yield* run(["status", id, "--json"])).stdout)
    expect(masked).toEqual([expect.objectContaining({ batch_id: id, status: "completed", result_count: 3 })])
    expect(masked[0]?.["download_url"]).toMatch(/merged\.jsonl\.gz\?\*\*\*$/)
    const shown = objects((yield* run(["status", id, "--json", "--show-urls"])).stdout)
    expect(shown[0]?.["download_url"]).toMatch(/X-Amz-Signature=[0-9a-f]{64}/)
  })
)

it.scopedLive("--exit-status tells how jobs stand; the first in argument order counts", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const done = yield* sandbox.createJob({ ...over, records: 1 })
    const failed = yield* sandbox.createJob({ ...over, outcome: "failed" })
    const running = yield* sandbox.createJob({ stuck: true })
    const code = (...ids: ReadonlyArray<string>) =>
      Effect.map(run(["status", ...ids, "--exit-status", "--json"]), (outcome) => outcome.code)
    expect(yield* code(done)).toBe(0)
    expect(yield* code(failed)).toBe(4)
    expect(yield* code(running)).toBe(5)
    expect(yield* code(done, running, failed)).toBe(5)
  })
)

it.scopedLive(
  "several ids: all are asked, printed in argument order, and one that is given twice is asked once",
  () =>
    Effect.gen(function* () {
      const { run, sandbox } = yield* world()
      const unknown = "00000000-0000-4000-8000-000000000000"
      const ids = yield* Effect.forEach([1, 2, 3], (records) => sandbox.createJob({ ...over, records }))
      const { code, stderr, stdout } = yield* run(["status", unknown, ...ids, ...ids, "--json"])
      expect(code).toBe(8)
      expect(objects(stdout).map(({ batch_id }) => batch_id)).toEqual([unknown, ...ids])
      expect(objects(stdout)[0]).toEqual({
        batch_id: unknown,
        error: {
          type: "BatchNotFound",
          message: expect.stringContaining(unknown),
          batchId: unknown,
          detail: expect.stringContaining("not found"),
          request_id: expect.any(String)
        }
      })
      expect(stderr).toContain("next   batchctl list")
      expect((yield* sandbox.requests).length).toBe(4)
    })
)

it.scopedLive("a bad id is refused before any request, and named", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    const { code, stderr, stdout } = yield* run(["status", id, "batch-17", "--json"])
    expect(code).toBe(2)
    expect(stderr).toContain(`error: "batch-17" is no batch id`)
    expect(objects(stdout)).toEqual([
      expect.objectContaining({
        batch_id: "batch-17",
        error: expect.objectContaining({ type: "UsageError" })
      })
    ])
    expect(yield* sandbox.requests).toEqual([])
  })
)

it.scopedLive("no key, a bad key: 3, with what to set", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    const none = yield* run(["status", id], { env: { CRUSTDATA_API_KEY: undefined } })
    expect(none.code).toBe(3)
    expect(none.stderr).toContain("no key is set; set CRUSTDATA_API_KEY")
    expect(yield* sandbox.requests).toEqual([])
    const bad = yield* run(["status", id, "--json"], { env: { CRUSTDATA_API_KEY: "not-the-key" } })
    expect(bad.code).toBe(3)
    expect(objects(bad.stdout)).toEqual([
      { batch_id: id, error: expect.objectContaining({ type: "NotAuthorized", reason: "InvalidKey" }) }
    ])
    expect(bad.stdout + bad.stderr).not.toContain("not-the-key")
  })
)

it.scopedLive("a 429 storm: retried with the server's patience, then 6 with when to come back", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    yield* sandbox.script(
      { id: "brief", on: { server: "api" }, times: 2, do: { respond: { status: 429 } } },
      {
        id: "storm",
        on: { server: "api" },
        times: -1,
        do: { respond: { status: 429, headers: { "retry-after": "7200" } } }
      }
    )
    const { code, stderr } = yield* run(["status", id])
    expect(code).toBe(6)
    expect(stderr).toContain("(3 attempts)")
    expect(stderr).toContain(`next   in 2 h: batchctl status ${id}`)
    expect(yield* sandbox.faults).toEqual([
      { id: "brief", consumed: 2, expected: 2 },
      { id: "storm", consumed: 1, expected: "forever" }
    ])
  })
)

it.scopedLive("an API that is not there: 6, naming host, reason, attempts and the command to run again", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob(over)
    yield* sandbox.pauseApi
    const { code, stderr } = yield* run(["status", id, "--json"])
    expect(code).toBe(6)
    expect(stderr).toMatch(/could not be asked \(4 attempts\): 127\.0\.0\.1:\d+: connection refused/)
    expect(stderr).toContain(`batch  ${id}, its status is not known`)
    expect(stderr).toContain(`next   batchctl status ${id} --json`)
  })
)
