import { it } from "@effect/vitest"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect } from "vitest"
import * as LocalPostgres from "../test/LocalPostgres.js"
import * as Process from "../test/Process.js"
import * as Stack from "../test/Stack.js"
import { since } from "./Fleet.js"

const built = fileURLToPath(new URL("../../../apps/server/dist/batch-server.js", import.meta.url))
if (!existsSync(built)) throw new Error(`run the task \`bundle\` first: there is no ${built}`)

const figure = (name: string, value: unknown) =>
  Effect.sync(() => console.log(`FIGURE ${name}: ${String(value)}`))

/** What came back. */
interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: string
}

/** The service as it is shipped. */
interface Service extends Process.Running {
  readonly ask: (method: string, path: string, body?: object) => Effect.Effect<Answer>
}

/** Starts the service, which may not come to listen. */
const launch = (variables: Readonly<Record<string, string>>) =>
  Effect.flatMap(Sandboxes.Sandbox, (sandbox) =>
    Process.start(
      {
        PORT: "0",
        CRUSTDATA_BASE_URL: sandbox.baseUrl,
        CRUSTDATA_API_KEY: sandbox.apiKey,
        BATCH_POLL_INITIAL_DELAY: "200ms",
        BATCH_POLL_MAX_DELAY: "500ms",
        BATCH_POLL_MIN_DELAY: "100ms",
        ...variables
      },
      built
    )
  )

const start = (variables: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const running = yield* launch(variables)
    const { message = "" } = yield* running.until((line) => line.message?.includes("listening on") === true)
    const url = /http:\/\/[\d.]+:\d+/u.exec(message)?.[0] ?? ""
    const ask: Service["ask"] = (method, path, body) =>
      Effect.promise(async () => {
        const headers = { "content-type": "application/json" }
        const options = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) }
        const answer = await fetch(`${url}${path}`, options)
        const retryAfter = answer.headers.get("retry-after")
        return { status: answer.status, retryAfter, body: await answer.text() }
      })
    return { ...running, ask }
  })

/** Hands a batch over to a file of its own; gives the retrieval's id. */
const handOver = (service: Service, batchId: string, path: string) =>
  Effect.map(
    service.ask("POST", "/retrievals", { batch_id: batchId, destination: { type: "folder", path } }),
    ({ body, status }) => {
      expect([status, body]).toEqual([202, body])
      return String(JSON.parse(body).retrieval_id)
    }
  )

const states = (service: Service, ids: ReadonlyArray<string>) =>
  Effect.forEach(ids, (id) =>
    Effect.map(service.ask("GET", `/retrievals/${id}`), ({ body }) => JSON.parse(body))
  )

/** Waits until downloads have begun and got bytes. */
const underWay = (service: Service, ids: ReadonlyArray<string>) =>
  Stack.eventually(states(service, ids), (all) =>
    all.every(({ progress, state }) => state === "running" && progress.bytes > 0)
  )

const allDone = (service: Service, ids: ReadonlyArray<string>) =>
  Stack.eventually(states(service, ids), (all) => all.every(({ state }) => state === "done"))

/** Bytes come, but slowly. */
const trickle = (bytesPerSecond: number) =>
  Effect.flatMap(Sandboxes.Sandbox, (sandbox) =>
    Effect.orDie(
      sandbox.script({ on: { server: "storage" }, do: { trickle: { bytesPerSecond } }, times: 100_000 })
    )
  )

const large = { records: 2000, recordBytes: 1000, pendingMs: 0, processingMs: 0 }

const sandbox = Sandboxes.layer({ rateLimit: { limit: 1_000_000, windowSeconds: 60 } })

describe("the built service with an embedded store", () => {
  it.scopedLive("stops a download within a second, hands over on SIGTERM, and refuses a second process", () =>
    Effect.gen(function* () {
      const folder = yield* Stack.emptyFolder
      const variables = { BATCH_SERVER_STATE: folder }
      const staged = Effect.promise(() =>
        readdir(join(folder, "retrievals", ".retrievals")).catch((): Array<string> => [])
      )
      const { createJob, clearFaults } = yield* Sandboxes.Sandbox
      const service = yield* start(variables)
      yield* trickle(2000)
      const batch = yield* createJob(large)
      const ids = yield* Effect.forEach([0, 1, 2, 3, 4], (n) => handOver(service, batch, `d${n}.jsonl`))
      yield* underWay(service, ids)

      const [stopped = "", ...rest] = ids
      const asked = process.hrtime.bigint()
      const answer = yield* service.ask("DELETE", `/retrievals/${stopped}`)
      expect([answer.status, JSON.parse(answer.body).state]).toEqual([200, "cancelled"])
      yield* Stack.eventually(staged, (names) => !names.includes(stopped))
      yield* figure("seconds from DELETE until nothing of the download is left", since(asked))
      expect(since(asked)).toBeLessThan(5)
      expect((yield* staged).toSorted()).toEqual(rest.toSorted())

      const begun = process.hrtime.bigint()
      const second = yield* launch(variables)
      expect(yield* second.exit).toBe(9)
      yield* figure("seconds from the start of a second service to its end with 9", since(begun))
      expect(since(begun)).toBeLessThan(10)
      expect(second.stderr()).toContain(join(folder, "store"))

      const ending = process.hrtime.bigint()
      yield* service.kill("SIGTERM")
      expect(yield* service.exit).toBe(143)
      yield* figure("seconds from SIGTERM to the end, with four downloads under way", since(ending))
      expect(since(ending)).toBeLessThan(10)

      yield* clearFaults
      const next = yield* start(variables)
      yield* allDone(next, rest)
      const [cancelled] = yield* states(next, [stopped])
      expect(cancelled.state).toBe("cancelled")
      const files = yield* Effect.promise(() => readdir(join(folder, "retrievals")))
      expect(files.toSorted()).toEqual([".retrievals", "d1.jsonl", "d2.jsonl", "d3.jsonl", "d4.jsonl"])
    }).pipe(Effect.provide(sandbox))
  )
})

describe.skipIf(!LocalPostgres.isAvailable)("the built service on PostgreSQL", () => {
  it.scopedLive(
    "is one process that takes in and two that carry out, and outlives a PostgreSQL that is away",
    () =>
      Effect.gen(function* () {
        const folder = yield* Stack.emptyFolder
        const server = yield* LocalPostgres.make
        const { clearFaults, createJob } = yield* Sandboxes.Sandbox
        const variables = { BATCH_SERVER_STORE: server.url, BATCH_SERVER_FOLDER: folder }
        const role = (name: string) => start({ ...variables, BATCH_SERVER_ROLE: name })
        const [api, one, two] = yield* Effect.all([role("api"), role("worker"), role("worker")], {
          concurrency: 3
        })
        const batch = yield* createJob(large)
        yield* allDone(api, [yield* handOver(api, batch, "first.jsonl")])
        expect((yield* one.ask("GET", "/retrievals")).status).toBe(404)

        yield* trickle(20_000)
        const ids = yield* Effect.forEach([0, 1, 2, 3, 4], (n) => handOver(api, batch, `p${n}.jsonl`))
        yield* underWay(api, ids)
        yield* server.stop
        for (const [method, path, body] of [
          ["POST", "/retrievals", { batch_id: batch, destination: { type: "folder", path: "later.jsonl" } }],
          ["GET", "/retrievals", undefined],
          ["GET", `/retrievals/${ids[0]}`, undefined],
          ["DELETE", `/retrievals/${ids[0]}`, undefined]
        ] as const) {
          const { body: said, retryAfter, status } = yield* api.ask(method, path, body)
          expect([method, status, JSON.parse(said).error.type]).toEqual([method, 503, "StoreUnavailable"])
          expect(Number(retryAfter)).toBeGreaterThan(0)
        }
        for (const { ask } of [api, one, two]) {
          expect((yield* ask("GET", "/ready")).status).toBe(503)
          expect((yield* ask("GET", "/health")).status).toBe(200)
        }
        const begun = process.hrtime.bigint()
        const inVain = yield* launch(variables)
        expect(yield* inVain.exit).toBe(9)
        const waited = since(begun)
        yield* figure("seconds that a start waits for PostgreSQL", waited)
        expect(waited).toBeGreaterThan(55)
        expect(waited).toBeLessThan(120)
        expect(inVain.stderr()).toContain("127.0.0.1")

        yield* server.start
        yield* clearFaults
        yield* Stack.eventually(api.ask("GET", "/ready"), ({ status }) => status === 200)
        yield* allDone(api, ids)

        // one of the two ends while it downloads, the other goes on with what it had
        yield* trickle(20_000)
        const more = yield* Effect.forEach([5, 6, 7, 8], (n) => handOver(api, batch, `p${n}.jsonl`))
        yield* underWay(api, more)
        const ending = process.hrtime.bigint()
        yield* one.kill("SIGTERM")
        expect(yield* one.exit).toBe(143)
        yield* figure("seconds from SIGTERM to the end of a worker", since(ending))
        expect(since(ending)).toBeLessThan(10)
        yield* clearFaults
        yield* allDone(api, more)
        yield* figure("seconds until the other one had done all", since(ending))
        for (const { exit, kill } of [two, api]) {
          yield* kill("SIGTERM")
          expect(yield* exit).toBe(143)
        }
      }).pipe(Effect.provide(sandbox))
  )
})
