import { describe, expect, it } from "@effect/vitest"
import { Signature } from "@org/batch-durable"
import type { Sandbox } from "@org/batch-sandbox"
import { Effect, Either, Schema, type Scope } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { type Answer, ask, json, problem } from "./Caller.js"
import { eventually, launch, nobody, over, quick, type Started, start, temporary } from "./Service.js"

const post = (body: unknown, headers: Readonly<Record<string, string>> = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body)
})

const Retrieval = Schema.Struct({
  retrieval_id: Schema.String,
  state: Schema.String,
  attempt: Schema.Number,
  destination: Schema.Struct({ type: Schema.String, path: Schema.String }),
  format: Schema.String,
  receipt: Schema.NullOr(Schema.Struct({ records: Schema.Number, complete: Schema.Boolean })),
  error: Schema.NullOr(Schema.Struct({ type: Schema.String, message: Schema.String }))
})

const retrieval = (answer: Answer) => Schema.decodeUnknownSync(Retrieval)(json(answer))

const Page = Schema.Struct({
  retrievals: Schema.Array(Retrieval),
  next_cursor: Schema.NullOr(Schema.String),
  has_more: Schema.Boolean
})

const page = (answer: Answer) => Schema.decodeUnknownSync(Page)(json(answer))

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

/** What a service with a store in a folder of the test is set to. */
const settings = (folder: string) => ({
  ...quick,
  BATCH_SERVER_STATE: folder,
  BATCH_SERVER_WEBHOOK_SECRET: secret,
  BATCH_SERVER_TOKENS: "token-of-one,token-of-another"
})

const of = (token: string) => ({ authorization: `Bearer ${token}` })

const one = of("token-of-one")

/** The retrieval at its end. */
const ended = ({ get }: Started, id: string, headers: Readonly<Record<string, string>> = one) =>
  Effect.map(
    eventually(
      Effect.map(get(`/retrievals/${id}`, headers), retrieval),
      ({ state }) => state !== "waiting" && state !== "running"
    ),
    (found) => found
  )

const isRefused = (answer: Answer, status: number, type: string) =>
  expect(problem(answer)).toMatchObject({ status, type })

/** Whatever lies in a folder, as text. */
const contents = (folder: string): string =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => readFileSync(join(parentPath, name), "latin1"))
    .join("\n")

interface Call {
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** Somebody who wants to be told. */
const listener: Effect.Effect<
  { readonly url: string; readonly calls: ReadonlyArray<Call> },
  never,
  Scope.Scope
> = Effect.gen(function* () {
  const calls: Array<Call> = []
  const server = yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const made = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (text: string) => (body += text))
        request.on("end", () => {
          calls.push({ headers: request.headers, body })
          response.end()
        })
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
    }),
    (made) =>
      Effect.sync(() => made.closeAllConnections()).pipe(Effect.zipRight(Effect.sync(() => made.close())))
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}/told`, calls }
})

const stuck = (sandbox: Sandbox.Service) => sandbox.createJob({ stuck: true })

describe("/retrievals", () => {
  it.scopedLive("has no store before the first is handed over, delivers it, and tells of it", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const service = yield* start({ env: settings(folder) })
      const { ask, get, kill, metric, outcome, sandbox } = service
      const hand = (body: unknown, headers: Readonly<Record<string, string>> = one) =>
        ask("/retrievals", post(body, headers))

      // nothing is there, and nothing comes of asking
      expect(json(yield* get("/retrievals", one))).toEqual({
        retrievals: [],
        next_cursor: null,
        has_more: false
      })
      isRefused(yield* get(`/retrievals/${nobody}`, one), 404, "RetrievalNotFound")
      isRefused(yield* get("/retrievals?state=odd", one), 400, "RequestRejected")
      isRefused(yield* get("/retrievals?limit=many", one), 400, "RequestRejected")
      isRefused(yield* get("/retrievals?batch_id=1", one), 400, "RequestRejected")
      isRefused(yield* get("/retrievals"), 401, "NotAuthorized")
      isRefused(yield* hand({ batch_id: "1", destination: { type: "folder" } }), 400, "RequestRejected")
      isRefused(yield* hand("{"), 400, "RequestRejected")
      isRefused(
        yield* hand({ batch_id: nobody, destination: { type: "folder" }, notfiy: {} }),
        400,
        "RequestRejected"
      )
      isRefused(
        yield* ask("/retrievals", { ...post({}), headers: { ...one, "content-type": "text/plain" } }),
        415,
        "UnsupportedMediaType"
      )
      expect((yield* ask("/webhooks/crustdata", post({ batch_id: nobody }))).status).toBe(202)
      expect(json(yield* get("/health"))).toEqual({ status: "ok", store: "not in use" })
      expect(existsSync(join(folder, "store"))).toBe(false)

      // handed over, carried out, told
      const told = yield* listener
      const id = yield* sandbox.createJob(over)
      const wanted = { batch_id: id, destination: { type: "folder", path: "a/" }, notify: { url: told.url } }
      const created = yield* hand(wanted)
      expect(created.status).toBe(202)
      const { retrieval_id } = retrieval(created)
      expect(created.headers["location"]).toBe(`/retrievals/${retrieval_id}`)
      const events = yield* get(`/retrievals/${retrieval_id}/events`, one)
      expect(events.headers["content-type"]).toBe("text/event-stream")
      expect(events.body.toString()).toMatch(
        /event: retrieval\ndata: .*\n\n(?:.|\n)*event: end\ndata: .*"done"/u
      )
      const lastId = /id: (.*)\nevent: end/u.exec(events.body.toString())?.[1] ?? ""
      const again = { ...one, "last-event-id": lastId }
      expect((yield* get(`/retrievals/${retrieval_id}/events`, again)).status).toBe(204)
      const done = yield* ended(service, retrieval_id)
      expect(done).toMatchObject({
        state: "done",
        destination: { type: "folder", path: `a/${id}.jsonl.gz` },
        receipt: { records: 20, complete: true },
        error: null
      })
      const delivered = gunzipSync(readFileSync(join(folder, "retrievals", "a", `${id}.jsonl.gz`)))
      expect(delivered.equals((yield* get(`/batch/${id}/results`, one)).body)).toBe(true)
      const [call] = yield* eventually(
        Effect.sync(() => told.calls),
        ({ length }) => length > 0
      )
      expect(JSON.parse(call?.body ?? "")).toMatchObject({ retrieval_id, state: "done" })
      const signed = Either.getOrThrow(Signature.parse(secret))
      const webhook = String(call?.headers["webhook-id"])
      expect(call?.headers).toMatchObject(
        Signature.headers(signed, {
          id: webhook,
          timestamp: Number(call?.headers["webhook-timestamp"]),
          body: call?.body ?? ""
        })
      )

      // the same again, from whoever has a token of the service
      const same = yield* hand(wanted, of("token-of-another"))
      expect([same.status, retrieval(same).retrieval_id]).toEqual([200, retrieval_id])
      isRefused(yield* hand({ ...wanted, notify: { url: `${told.url}/2` } }), 409, "RetrievalConflict")
      isRefused(
        yield* hand({ ...wanted, destination: { type: "folder", path: "../out/" } }),
        400,
        "RetrievalInvalid"
      )
      isRefused(
        yield* ask(`/retrievals/${retrieval_id}`, { method: "DELETE", headers: one }),
        409,
        "RetrievalConflict"
      )
      isRefused(yield* ask(`/retrievals/${retrieval_id}/retry`, post("", one)), 409, "RetrievalConflict")

      // stopped, tried again, stopped for good
      const waiting = yield* stuck(sandbox)
      const other = retrieval(
        yield* hand({ batch_id: waiting, destination: { type: "folder" } })
      ).retrieval_id
      const followed = yield* service.open(`/retrievals/${other}/events`, one)
      // it tells when the next look is due, though looks tell nothing new
      yield* Effect.timeout(followed.until(/(?:^event: retrieval$[^]*?){4}/mu), "60 seconds")
      const stopped = yield* ask(`/retrievals/${other}`, { method: "DELETE", headers: one })
      expect([stopped.status, retrieval(stopped).state]).toEqual([200, "cancelled"])
      yield* Effect.timeout(followed.until(/event: end\ndata: .*"cancelled"/u), "10 seconds")
      const retried = yield* ask(`/retrievals/${other}/retry`, post("", one))
      expect([retried.status, retrieval(retried)]).toEqual([
        202,
        expect.objectContaining({ state: "waiting", attempt: 2 })
      ])
      expect(page(yield* get("/retrievals?state=waiting", one)).retrievals).toHaveLength(1)
      expect(page(yield* get(`/retrievals?batch_id=${id}`, one)).retrievals).toHaveLength(1)
      const first = page(yield* get("/retrievals?limit=1", one))
      expect([first.has_more, first.retrievals[0]?.retrieval_id]).toEqual([true, other])
      const rest = page(yield* get(`/retrievals?limit=1&cursor=${first.next_cursor ?? ""}`, one))
      expect([rest.has_more, rest.retrievals[0]?.retrieval_id]).toEqual([false, retrieval_id])
      isRefused(yield* get("/retrievals?cursor=odd", one), 400, "RetrievalInvalid")

      // what is known of it from outside
      expect(json(yield* get("/ready"))).toMatchObject({ status: "ready", store: "ok" })
      expect(json(yield* get("/health"))).toEqual({ status: "ok", store: "open" })
      expect(yield* Effect.map(get("/metrics", one), ({ body }) => body.toString())).toMatch(
        /^batch_server_retrievals\{state="done"\} 1$[^]*^batch_server_retrievals_oldest_due_seconds \d/mu
      )
      expect(yield* metric("nothing")).toBe(0)

      // hints are taken from anybody, and prove nothing
      for (const body of [{ batch_id: waiting }, { batch_id: nobody }, "{", ""]) {
        expect((yield* ask("/webhooks/crustdata", post(body))).status).toBe(202)
      }
      isRefused(yield* ask("/webhooks/crustdata", post("x".repeat(70_000))), 413, "RequestRejected")

      // another process may not have it, and says so at once; this one ends in order
      const second = yield* launch({
        ...settings(folder),
        CRUSTDATA_BASE_URL: sandbox.baseUrl,
        CRUSTDATA_API_KEY: sandbox.apiKey
      })
      const refused = yield* second.outcome
      expect([refused.code, refused.stdout, refused.stderr]).toEqual([
        9,
        "",
        expect.stringContaining(join(folder, "store"))
      ])
      yield* kill("SIGTERM")
      const { code, stderr } = yield* Effect.timeout(outcome, "20 seconds")
      expect([code, stderr]).toEqual([143, ""])
      expect(contents(folder)).not.toContain(sandbox.apiKey)
    })
  )

  it.scopedLive("goes on after a restart with what it was killed over, and keeps accounts apart", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const env = {
        ...settings(folder),
        BATCH_SERVER_TOKENS: undefined,
        CRUSTDATA_API_KEY: undefined,
        BATCH_SERVER_SECRET: "00112233445566778899aabbccddeeff".repeat(2)
      }
      const service = yield* start({ env, sandbox: { clock: { pendingMs: 3000, processingMs: 0 } } })
      const { ask: call, get, kill, outcome, sandbox } = service
      const [mine, theirs] = [of(sandbox.apiKey), of("key-of-somebody-else")]
      const id = yield* sandbox.createJob({ records: 20 })
      const wanted = { batch_id: id, destination: { type: "folder" } }
      isRefused(yield* call("/retrievals", post(wanted)), 401, "NotAuthorized")
      const created = yield* call("/retrievals", post(wanted, mine))
      expect(created.status).toBe(202)
      const { retrieval_id } = retrieval(created)
      isRefused(yield* get(`/retrievals/${retrieval_id}`, theirs), 404, "RetrievalNotFound")
      expect(page(yield* get("/retrievals", theirs)).retrievals).toEqual([])
      const forbidden = { method: "DELETE", headers: theirs }
      isRefused(yield* call(`/retrievals/${retrieval_id}`, forbidden), 404, "RetrievalNotFound")
      yield* kill("SIGKILL")
      yield* outcome

      const restarted = yield* launch({ ...env, CRUSTDATA_BASE_URL: sandbox.baseUrl })
      const port = Number(yield* restarted.until(/listening on http:\/\/[\d.]+:(\d+)/u))
      const look = Effect.map(ask(port, `/retrievals/${retrieval_id}`, { headers: mine }), retrieval)
      const done = yield* eventually(look, ({ state }) => state !== "waiting" && state !== "running")
      expect(done).toMatchObject({ state: "done", receipt: { records: 20, complete: true } })
      yield* restarted.kill("SIGTERM")
      const { code, stdout } = yield* Effect.timeout(restarted.outcome, "20 seconds")
      expect(code).toBe(143)
      for (const text of [contents(folder), stdout]) {
        expect(text).not.toContain(sandbox.apiKey)
        expect(text).not.toMatch(/X-Amz-Signature=[0-9a-f]/u)
      }
    })
  )

  it.scopedLive("is a worker that answers about itself only", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const { get } = yield* start({ env: { ...settings(folder), BATCH_SERVER_ROLE: "worker" } })
      expect(json(yield* get("/health"))).toEqual({ status: "ok", store: "open" })
      expect((yield* get("/ready")).status).toBe(200)
      expect((yield* get("/metrics", one)).body.toString()).toContain("batch_server_retrievals")
      for (const path of ["/", "/batch", "/retrievals", "/docs"]) {
        isRefused(yield* get(path, one), 404, "NotFound")
      }
    })
  )
})
