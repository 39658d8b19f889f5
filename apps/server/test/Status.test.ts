import { expect, layer } from "@effect/vitest"
import type { Fault } from "@org/batch-sandbox"
import { Effect, Schema } from "effect"
import { connect } from "node:net"
import { json, problem } from "./Caller.js"
import { eventually, type Line, nobody, over, Service, layer as service, under } from "./Service.js"

const api = (effects: Fault.Effects, times = 1): Fault.Rule => ({ on: { server: "api" }, times, do: effects })

const respond = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) => ({
  respond: { status, body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } }
})

const went = `batch_server_requests_total{route="/batch/{batch_id}",method="GET",status="499"}`

layer(service(), { excludeTestServices: true })("GET /batch/{batch_id}", (it) => {
  it.effect("is the upstream's answer, byte for byte, with whatever it says beyond what is known", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const job = {
        status: "completed",
        surprise: { deep: [1, null, "ü 🚚 \u2028"], empty: {} },
        batch_id: "3f2c1d64-12ab-4cde-8f01-0123456789ab",
        result_count: 3,
        created_at: "2026-01-02T03:04:05.123456+00:00",
        completed_at: "2026-01-02T03:04:06+00:00",
        error_message: null,
        download_url: "https://bucket.s3.amazonaws.com/a%20b?X-Amz-Signature=1&b='()*#f"
      }
      const answer = yield* under(sandbox, [api(respond(200, job))], get(`/batch/${job.batch_id}`))
      expect(answer.status).toBe(200)
      expect(answer.headers).toMatchObject({
        "content-type": "application/json",
        "cache-control": "no-store"
      })
      expect(answer.body.toString()).toBe(JSON.stringify(job))
    })
  )

  it.effect("has links that lead to the results", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ ...over, parts: 2 })
      const { download_url, download_urls } = Schema.decodeUnknownSync(Links)(
        json(yield* get(`/batch/${id}`))
      )
      expect(download_urls).toHaveLength(2)
      for (const link of [download_url, ...download_urls]) {
        expect((yield* Effect.promise(() => fetch(link))).status).toBe(200)
      }
    })
  )

  it.effect("many who ask at the same time are one call upstream", () =>
    Effect.gen(function* () {
      const { calls, get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const many = Effect.replicateEffect(get(`/batch/${id}`), 50, { concurrency: 50 }).pipe(
        Effect.map((answers) => new Set(answers.map(({ body, status }) => `${status} ${body.toString()}`)))
      )
      const answers = yield* under(sandbox, [api({ delay: { ms: 3000 } })], many)
      expect([...answers]).toEqual([expect.stringMatching(/^200 .*"status":"processing"/u)])
      expect(yield* calls(id)).toHaveLength(1)
    })
  )

  it.effect("a job that has ended is asked for once, a running one every time", () =>
    Effect.gen(function* () {
      const { calls, get, sandbox } = yield* Service
      const completed = yield* sandbox.createJob(over)
      const failed = yield* sandbox.createJob({ ...over, outcome: "failed" })
      const running = yield* sandbox.createJob({ stuck: true })
      const ids = [completed, failed, running]
      yield* Effect.forEach([...ids, ...ids, ...ids], (id) => get(`/batch/${id}`), { discard: true })
      expect((yield* Effect.forEach(ids, calls)).map(({ length }) => length)).toEqual([1, 1, 3])
    })
  )

  it.effect("what is kept of a job goes when its links are about to end", () =>
    Effect.gen(function* () {
      const { calls, get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ ...over, linkTtlSeconds: 2 })
      yield* get(`/batch/${id}`)
      yield* eventually(Effect.zipRight(get(`/batch/${id}`), calls(id)), ({ length }) => length === 2)
      expect(json(yield* get(`/batch/${id}`))).toMatchObject({ status: "completed" })
    })
  )

  for (const [name, effects, times] of [
    ["500", respond(500, { message: "oops" }), 3],
    ["503 as HTML", { respond: { status: 503, body: "<h1>busy</h1>" } }, 2],
    ["429", respond(429, {}), 3],
    ["429 with a moment's Retry-After", respond(429, {}, { "retry-after": "1" }), 1],
    ["a connection that is reset", { cut: { afterBytes: 5, by: "reset" } }, 2],
    ["an answer that is no JSON", { garbage: {} }, 1]
  ] as const) {
    it.effect(`hides ${name} from its callers`, () =>
      Effect.gen(function* () {
        const { calls, get, sandbox } = yield* Service
        const id = yield* sandbox.createJob(over)
        const answer = yield* under(sandbox, [api(effects, times)], get(`/batch/${id}`))
        expect([answer.status, json(answer)]).toEqual([200, expect.objectContaining({ batch_id: id })])
        expect(yield* calls(id)).toHaveLength(times + 1)
      })
    )
  }

  for (const [upstream, effects, times, expected] of [
    [
      "401",
      respond(401, { error: { type: "auth", message: "Invalid API key" } }),
      1,
      { status: 401, type: "NotAuthorized", metadata: { reason: "InvalidKey", detail: "Invalid API key" } }
    ],
    [
      "402",
      respond(402, { error: { type: "credits", message: "no credits", metadata: {} } }),
      1,
      { status: 402, type: "NotAuthorized", metadata: { reason: "InsufficientCredits" } }
    ],
    ["403", respond(403, {}), 1, { status: 403, type: "NotAuthorized", metadata: { reason: "NotOnPlan" } }],
    ["404", respond(404, {}), 1, { status: 404, type: "BatchNotFound" }],
    [
      "400",
      respond(400, { error: { type: "bad", message: "no", metadata: { available_fields: ["a"] } } }),
      1,
      { status: 400, type: "RequestRejected", metadata: { available_fields: ["a"] } }
    ],
    ["500 for ever", respond(500, {}), 4, { status: 502, type: "ApiUnavailable" }],
    ["HTML for ever", { garbage: {} }, 2, { status: 502, type: "MalformedResponse" }],
    ["a redirect", { redirect: { to: "http://127.0.0.1:1/" } }, 1, { status: 502, type: "MalformedResponse" }]
  ] as const) {
    it.effect(`tells of ${upstream} of the API with ${expected.status} ${expected.type}`, () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const id = yield* sandbox.createJob(over)
        const answer = yield* under(sandbox, [api(effects, times)], get(`/batch/${id}`))
        expect(problem(answer)).toMatchObject(expected)
        expect(answer.headers["cache-control"]).toBe("no-store")
        expect((yield* get(`/batch/${id}`)).status, "a failure is not kept").toBe(200)
      })
    )
  }

  it.effect("tells of a 429 beyond our patience with 429 and the API's own Retry-After", () =>
    Effect.gen(function* () {
      const { calls, get, logs, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      const rule = api(respond(429, {}, { "retry-after": "600" }))
      const answer = yield* under(sandbox, [rule], get(`/batch/${id}`))
      expect(problem(answer)).toMatchObject({ status: 429, type: "RateLimited" })
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(500)
      expect(Number(answer.headers["retry-after"])).toBeLessThanOrEqual(600)
      const again = yield* get(`/batch/${id}`)
      expect([again.status, Number(again.headers["retry-after"]) > 400]).toEqual([429, true])
      expect(yield* calls(id)).toHaveLength(1)
      const line = yield* eventually(
        Effect.map(logs, (lines) => lines.find(({ path }) => path === `/batch/${id}`)),
        (found) => found !== undefined
      )
      expect(line).toMatchObject({ status: 429, error: expect.stringMatching(/^RateLimited: /u) })
    }).pipe(Effect.provide(service()))
  )

  it.effect("Cache-Control: no-cache asks the API again, whatever is kept", () =>
    Effect.gen(function* () {
      const { calls, get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      const asked = Effect.map(calls(id), ({ length }) => length)
      yield* get(`/batch/${id}`)
      for (const path of ["", "/wait", "/wait?timeout=0", "/events", "/results"]) {
        const before = yield* asked
        expect((yield* get(`/batch/${id}${path}`)).status).toBe(200)
        expect([path, yield* asked]).toEqual([path, before])
        expect((yield* get(`/batch/${id}${path}`, { "cache-control": "max-age=0, No-Cache" })).status).toBe(
          200
        )
        expect([path, yield* asked]).toEqual([path, before + 1])
      }
    })
  )

  it.effect("a kept answer, which takes a shorter way, is like one that takes the usual way", () =>
    Effect.gen(function* () {
      const { ask, calls, get, logs, metric, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ ...over, parts: 2 })
      yield* get(`/batch/${id}`)
      const sample = (method: string) =>
        metric(`batch_server_requests_total{route="/batch/{batch_id}",method="${method}",status="200"}`)
      const seen = (method: string, path: string, request_id: string) =>
        Effect.gen(function* () {
          const before = yield* sample(method)
          const headers = { "x-request-id": request_id, "if-none-match": "*", origin: "https://app.example" }
          const answer = yield* ask(path, { method, headers })
          const found = Effect.map(logs, (lines) => lines.filter((line) => line["request_id"] === request_id))
          const lines = yield* eventually(found, ({ length }) => length > 0)
          return {
            ...answer,
            headers: {
              ...answer.headers,
              date: "",
              "x-request-id": answer.headers["x-request-id"] === request_id
            },
            lines: lines.map((line) => ({ ...line, time: "", duration_ms: 0, request_id: "" })),
            counted: (yield* sample(method)) - before
          }
        })
      for (const method of ["GET", "HEAD"]) {
        const usual = yield* seen(method, `/batch/${id}?usual`, `usual-way-${method}`)
        expect(usual).toMatchObject({
          status: 200,
          lines: [{ path: `/batch/${id}`, status: 200 }],
          counted: 1
        })
        expect(yield* seen(method, `/batch/${id}`, `short-way-${method}`)).toEqual(usual)
      }
      expect(yield* calls(id)).toHaveLength(1)
    })
  )

  it.effect("a kept answer whose caller goes away before it has all of it is logged as such", () =>
    Effect.gen(function* () {
      const { get, logs, metric, port, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ ...over, parts: 2 })
      yield* get(`/batch/${id}`)
      // So many at once, none of them read, that most of the answers do not fit into what lies between us.
      const one = `GET /batch/${id} HTTP/1.1\r\nhost: 127.0.0.1\r\n`
      const texts = Array.from({ length: 6000 }, (_, nth) => `${one}x-request-id: gone-${nth}\r\n\r\n`)
      const mine = Effect.map(logs, (lines) =>
        lines.filter((line) => `${line["request_id"]}`.includes("gone-"))
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const socket = yield* Effect.acquireRelease(
            Effect.sync(() => connect(port, "127.0.0.1").pause()),
            (socket) => Effect.sync(() => socket.resetAndDestroy())
          )
          socket.write(texts.join(""))
          yield* eventually(mine, ({ length }) => length > 0)
        })
      )
      const gone = (lines: ReadonlyArray<Line>) => lines.filter(({ status }) => status === 499)
      // Those behind the first of them, too, which wait for their turn on the connection.
      const left = yield* eventually(mine, (lines) => gone(lines).length > 10)
      expect(gone(left)[0]).toMatchObject({
        level: "info",
        path: `/batch/${id}`,
        error: "the caller went away"
      })
      expect(left.find(({ status }) => status === 200)).not.toHaveProperty("error")
      yield* eventually(metric(went), (count) => count > 10)
    })
  )

  it.effect("404 for an id that the API does not know", () =>
    Effect.gen(function* () {
      const { get } = yield* Service
      expect(problem(yield* get(`/batch/${nobody}`))).toMatchObject({
        status: 404,
        type: "BatchNotFound",
        metadata: { batch_id: nobody }
      })
    })
  )

  it.effect("refuses what is no UUID without asking the API", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const before = (yield* sandbox.requests).length
      for (const id of ["42", `${nobody}x`, nobody.replaceAll("-", ""), "%20", "%E2%82%AC"]) {
        for (const path of ["", "/wait", "/events", "/results"]) {
          const { message, status, type } = problem(yield* get(`/batch/${id}${path}`))
          expect([id, status, type]).toEqual([id, 400, "RequestRejected"])
          expect(message).toContain("is no batch id")
        }
      }
      expect(yield* sandbox.requests).toHaveLength(before)
    })
  )

  it.effect("HEAD is GET without the body", () =>
    Effect.gen(function* () {
      const { ask, get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      const { headers } = yield* get(`/batch/${id}`)
      const head = yield* ask(`/batch/${id}`, { method: "HEAD" })
      expect([head.status, head.body.length]).toEqual([200, 0])
      expect(head.headers["content-length"]).toBe(headers["content-length"])
    })
  )
})

// A pause is that of an account: each of these has one of its own.
layer(service({ env: { CRUSTDATA_API_KEY: undefined } }), { excludeTestServices: true })(
  "GET /batch/{batch_id}, where the API asks for a long pause",
  (it) => {
    // A pause beyond our patience is told as a limit, whatever the status; one beyond a day is none.
    for (const [status, upstream, told, atLeast, atMost] of [
      [429, "7200", 429, 3590, 3600],
      [503, "7200", 429, 3590, 3600],
      [429, "86400", 429, 3590, 3600],
      [503, "86400", 429, 3590, 3600],
      [429, "1782000000", 429, 0, 60],
      [503, "1782000000", 502, 0, 0]
    ] as const) {
      it.effect(`tells of a ${status} with Retry-After: ${upstream} as ${told}, at most ${atMost} s`, () =>
        Effect.gen(function* () {
          const { get, sandbox } = yield* Service
          const id = yield* sandbox.createJob(over)
          yield* sandbox.script(api(respond(status, {}, { "retry-after": upstream }), 20))
          const answer = yield* get(`/batch/${id}`, { authorization: `Bearer key-${status}-${upstream}` })
          yield* sandbox.clearFaults
          expect(answer.status).toBe(told)
          const seconds = Number(answer.headers["retry-after"] ?? 0)
          expect(seconds).toBeGreaterThanOrEqual(atLeast)
          expect(seconds).toBeLessThanOrEqual(atMost)
        })
      )
    }
  }
)

layer(service(), { excludeTestServices: true })("GET /batch", (it) => {
  it.effect("is the upstream's page, byte for byte", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const page = {
        total: 1,
        jobs: [{ status: "paused", batch_id: nobody, extra: [] }],
        has_more: false,
        next_cursor: null
      }
      const answer = yield* under(sandbox, [api(respond(200, page))], get("/batch"))
      expect([answer.status, answer.body.toString()]).toEqual([200, JSON.stringify(page)])
    })
  )

  it.effect("limit, status and cursor are the upstream's", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const jobs = yield* Effect.forEach([1, 2, 3], () => sandbox.createJob(over))
      const failed = yield* sandbox.createJob({ ...over, outcome: "failed" })
      const ids = (path: string) =>
        Effect.map(get(path), (answer) => {
          const page = Schema.decodeUnknownSync(Page)(json(answer))
          return { ...page, jobs: page.jobs.map(({ batch_id }) => batch_id) }
        })
      const first = yield* ids("/batch?status=completed&limit=2")
      expect(first).toEqual({ jobs: [jobs[2], jobs[1]], next_cursor: jobs[1], has_more: true })
      expect(yield* ids(`/batch?status=completed&limit=2&cursor=${first.next_cursor}`)).toEqual({
        jobs: [jobs[0]],
        next_cursor: null,
        has_more: false
      })
      expect((yield* ids("/batch?status=failed")).jobs).toEqual([failed])
    })
  )

  it.effect("what the upstream refuses is refused with its words", () =>
    Effect.gen(function* () {
      const { get } = yield* Service
      expect(problem(yield* get("/batch?status=odd"))).toMatchObject({
        status: 400,
        type: "RequestRejected",
        message: expect.stringContaining("status must be one of")
      })
      expect(problem(yield* get(`/batch?cursor=${nobody}`))).toMatchObject({ status: 400 })
    })
  )

  it.effect("a limit that is no number, and a parameter given twice, do not reach it", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const before = (yield* sandbox.requests).length
      for (const query of ["limit=-1", "limit=x", "limit=", "limit=1&limit=2", "status=a&status=b"]) {
        expect([query, problem(yield* get(`/batch?${query}`)).status]).toEqual([query, 400])
      }
      expect(yield* sandbox.requests).toHaveLength(before)
    })
  )

  it.effect("characters that mean something in a query reach it as they are", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      yield* get("/batch?cursor=a%26limit%3D1%23%20%2B%C3%BC&unknown=1")
      const last = (yield* sandbox.requests).at(-1)
      expect(Object.fromEntries(new URLSearchParams(last?.query))).toEqual({ cursor: "a&limit=1# +ü" })
    })
  )

  it.effect("hides 5xx and 429 as well, and tells of the rest", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const rules = [api(respond(503, {}), 2), api(respond(429, {}))]
      expect((yield* under(sandbox, rules, get("/batch"))).status).toBe(200)
      const down = yield* under(sandbox, [api(respond(503, {}), 4)], get("/batch"))
      expect(problem(down)).toMatchObject({ status: 502, type: "ApiUnavailable" })
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

const Links = Schema.Struct({ download_url: Schema.String, download_urls: Schema.Array(Schema.String) })

const Page = Schema.Struct({
  jobs: Schema.Array(Schema.Struct({ batch_id: Schema.String })),
  next_cursor: Schema.NullOr(Schema.String),
  has_more: Schema.Boolean
})
