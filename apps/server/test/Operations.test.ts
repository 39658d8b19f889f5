import { describe, expect, it, layer } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import { json, problem } from "./Caller.js"
import { parse } from "./Exposition.js"
import { eventually, nobody, over, Service, layer as service, start, under } from "./Service.js"

layer(service(), { excludeTestServices: true })("every answer", (it) => {
  it.effect("has the id that its request brought, or one of its own if that is not fit to be printed", () =>
    Effect.gen(function* () {
      const { get } = yield* Service
      const idOf = (path: string, given?: string) =>
        Effect.map(
          get(path, given === undefined ? {} : { "x-request-id": given }),
          ({ headers }) => headers["x-request-id"]
        )
      for (const path of ["/health", "/batch", `/batch/${nobody}/results`, "/nowhere"]) {
        expect(yield* idOf(path, "caller:42/a+b=.-_")).toBe("caller:42/a+b=.-_")
      }
      for (const given of [undefined, "", "a b", "ü".repeat(2), `"}`, "x".repeat(129)]) {
        expect(yield* idOf("/health", given)).toMatch(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u)
      }
    })
  )

  it.effect("is one JSON line in the log: who, what, how it ended, how long it took, how much was sent", () =>
    Effect.gen(function* () {
      const { ask, logs, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      for (const [index, [method, path, status]] of [
        ["GET", "/health", 200],
        ["GET", `/batch/${id}`, 200],
        ["HEAD", `/batch/${id}`, 200],
        ["GET", `/batch/${id}/results`, 200],
        ["GET", `/batch/${nobody}/wait`, 404],
        ["DELETE", "/batch", 405],
        ["GET", "/nowhere", 404]
      ].entries()) {
        const request_id = `line-${index}`
        const { body } = yield* ask(`${path}?secret=1`, {
          method: String(method),
          headers: { "x-request-id": request_id, authorization: "Bearer secret-2" }
        })
        const found = Effect.map(logs, (lines) => lines.filter((line) => line["request_id"] === request_id))
        expect(yield* eventually(found, ({ length }) => length > 0)).toEqual([
          {
            time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/u),
            level: "info",
            message: `${method} ${path} ${status}`,
            request_id,
            method,
            path,
            status,
            duration_ms: expect.any(Number),
            bytes: expect.any(Number),
            ...(status === 200 ? {} : { error: expect.stringMatching(/^\w+: ./u) }),
            ...(String(path).includes(nobody) ? { upstream_request_id: expect.any(String) } : {})
          }
        ])
        const [{ bytes, duration_ms }] = Schema.decodeUnknownSync(Sizes)(yield* found)
        expect(duration_ms).toBeLessThan(60_000)
        expect(bytes).toBeGreaterThan(body.length)
      }
    })
  )

  it.effect("tells a browser to do nothing with it", () =>
    Effect.gen(function* () {
      const { get } = yield* Service
      for (const path of ["/health", "/batch", `/batch/${nobody}`, "/nowhere", "/metrics", "/openapi.json"]) {
        expect((yield* get(path)).headers).toMatchObject({
          "x-content-type-options": "nosniff",
          "referrer-policy": "no-referrer",
          "x-frame-options": "DENY",
          "content-security-policy": "default-src 'none'; frame-ancestors 'none'"
        })
      }
    })
  )
})

layer(service(), { excludeTestServices: true })("GET /metrics", (it) => {
  it.effect("counts what has happened, in text that Prometheus can read", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      const stuck = yield* sandbox.createJob({ stuck: true })
      const retried = { on: { server: "api" }, times: 2, do: { respond: { status: 503 } } } as const
      yield* under(sandbox, [retried], get(`/batch/${id}`))
      yield* get(`/batch/${id}`)
      yield* get(`/batch/${nobody}`)
      yield* get(`/batch/${id}/results`)
      yield* get(`/batch/${stuck}/wait?timeout=2s`)
      yield* get("/batch/../../etc/passwd")
      const { body, headers } = yield* get("/metrics")
      expect(headers["content-type"]).toMatch(/^text\/plain; version=0\.0\.4/u)
      const families = parse(body.toString())
      const sample = (name: string) =>
        families
          .get(/^[a-z_]+?(?=(?:_bucket|_count|_sum)?(?:\{|$))/u.exec(name)?.[0] ?? "")
          ?.samples.get(name)
      const polls = sample("batch_polls_total") ?? 0
      expect(polls).toBeGreaterThan(1)
      for (const [name, value] of [
        [`batch_api_requests_total{outcome="200"}`, 1 + polls],
        [`batch_api_requests_total{outcome="503"}`, 2],
        [`batch_api_requests_total{outcome="404"}`, 1],
        [`batch_retries_total{of="api"}`, 2],
        [`batch_server_requests_total{route="/batch/{batch_id}",method="GET",status="200"}`, 2],
        [`batch_server_requests_total{route="/batch/{batch_id}",method="GET",status="404"}`, 1],
        [`batch_server_requests_total{route="/batch/{batch_id}/wait",method="GET",status="200"}`, 1],
        [`batch_server_requests_total{route="other",method="GET",status="404"}`, 1],
        [`batch_server_results_total{outcome="complete"}`, 1],
        [`batch_server_open_streams{kind="results"}`, 0],
        [`batch_server_request_duration_seconds_count{route="/batch/{batch_id}"}`, 3],
        [`batch_server_request_duration_seconds_bucket{route="/batch/{batch_id}/wait",le="0.1"}`, 0],
        [`batch_server_request_duration_seconds_bucket{route="/batch/{batch_id}/wait",le="+Inf"}`, 1]
      ] as const) {
        expect([name, sample(name)]).toEqual([name, value])
      }
      const requests = (yield* sandbox.requests).filter(({ server }) => server === "storage")
      expect(sample("batch_result_bytes_total")).toBe(
        requests.reduce((sum, { bytesSent }) => sum + bytesSent, 0)
      )
      for (const [name, { type }] of families) {
        expect([name, type]).toEqual([name, name.endsWith("_total") ? "counter" : type])
      }
    })
  )
})

describe("GET /health and /ready", () => {
  it.scopedLive("the process is up; the upstream and the disk can be used", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* start()
      expect(json(yield* get("/health"))).toEqual({ status: "ok", store: "not in use" })
      expect(yield* sandbox.requests).toEqual([])
      const answers = yield* Effect.replicateEffect(get("/ready"), 20, { concurrency: 20 })
      for (const answer of answers) {
        expect([answer.status, json(answer)]).toEqual([
          200,
          { status: "ready", upstream: "ok", storage: "ok", store: "not in use" }
        ])
      }
      expect(yield* sandbox.requests).toHaveLength(1)
    })
  )

  it.scopedLive("503 while the upstream is down, and 200 again when it is back; calls as well", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* start()
      const id = yield* sandbox.createJob(over)
      yield* sandbox.pauseApi
      const down = yield* get("/ready")
      expect([down.status, json(down)]).toEqual([
        503,
        {
          status: "unusable",
          upstream: expect.stringContaining("connection refused"),
          storage: "ok",
          store: "not in use"
        }
      ])
      expect(problem(yield* get(`/batch/${id}`))).toMatchObject({ status: 502, type: "ApiUnavailable" })
      expect((yield* get("/health")).status).toBe(200)
      yield* sandbox.resumeApi
      expect((yield* get(`/batch/${id}`)).status).toBe(200)
      const up = yield* eventually(get("/ready"), ({ status }) => status === 200)
      expect(json(up)).toEqual({ status: "ready", upstream: "ok", storage: "ok", store: "not in use" })
    })
  )

  it.scopedLive("503 within two seconds when the upstream is silent, after one try", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* start()
      yield* sandbox.script({ on: { server: "api" }, times: 99, do: { hang: true } })
      const [took, answers] = yield* Effect.timed(
        Effect.replicateEffect(get("/ready"), 5, { concurrency: 5 })
      )
      for (const answer of answers) {
        expect([answer.status, json(answer)]).toEqual([
          503,
          {
            status: "unusable",
            upstream: expect.stringMatching(/within 1s 800ms/u),
            storage: "ok",
            store: "not in use"
          }
        ])
      }
      // An attempt of any other call may take 30 seconds.
      expect(Duration.toMillis(took)).toBeLessThan(20_000)
      expect(yield* sandbox.requests).toHaveLength(1)
    })
  )

  it.scopedLive("503 when the key is not accepted, or the temporary folder is not there", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* start({
        env: { CRUSTDATA_API_KEY: "not-the-right-key-0", TMPDIR: "/nonexistent" }
      })
      const answer = yield* get("/ready")
      expect([answer.status, json(answer)]).toEqual([
        503,
        {
          status: "unusable",
          upstream: expect.stringContaining("the API key was not accepted"),
          storage: expect.stringContaining("/nonexistent"),
          store: "not in use"
        }
      ])
      expect(answer.body.toString()).not.toContain("not-the-right-key-0")
      expect(yield* sandbox.requests).toHaveLength(1)
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

const Sizes = Schema.Tuple(Schema.Struct({ bytes: Schema.Number, duration_ms: Schema.Number }))
