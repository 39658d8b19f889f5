import { expect, it as plain, layer } from "@effect/vitest"
import type { Fault } from "@org/batch-sandbox"
import { Effect } from "effect"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { json, open, problem } from "./Caller.js"
import { eventually, Service, layer as service, start, temporary, under } from "./Service.js"

const submit = { server: "api", method: "POST" } as const

/** The answer is lost, but the job runs. */
const lost: Fault.Rule = { on: submit, do: { drop: { by: "reset" } } }

const sandbox = { maxActiveJobs: 1000, usageDelayMs: 0, clock: { pendingMs: 60_000, processingMs: 0 } }

const post = (body: unknown, headers: Readonly<Record<string, string>> = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body)
})

const bodies = {
  "company/enrich": { domains: ["acme.com", "example.org"], chunk_size: 10 },
  "company/search": {
    filters: { op: "and", conditions: [{ field: "a", type: "=", value: 1 }] },
    max_results: 3
  },
  "company/professional_network/search/live": {
    professional_network_search_url: "https://www.linkedin.com/search?x=1",
    max_results: 3
  },
  "person/enrich": { business_emails: ["ada@acme.com"] },
  "person/professional_network/enrich/live": {
    professional_network_profile_urls: ["https://www.linkedin.com/in/ada"]
  },
  "person/search": { filters: { op: "or", conditions: [{ field: "a", type: "in", value: ["x"] }] } },
  "person/professional_network/search/live": {
    filters: { op: "and", conditions: [{ field: "a", type: "=", value: 1 }] }
  },
  "person/contact/enrich": {
    professional_network_profile_urls: ["https://www.linkedin.com/in/ada"],
    fields: ["contact.business_emails"]
  },
  "person/identify": { emails: ["ada@acme.com"] },
  "person/verify": { professional_network_profile_urls: ["https://www.linkedin.com/in/ada"] },
  "job/search": { crustdata_company_ids: [1, 2] },
  "social_post/professional_network/enrich/live": { company_domains: ["acme.com"] }
}

/** Requests that start jobs, as the API got them. */
const sent = Effect.flatMap(Service, ({ sandbox: upstream }) =>
  Effect.map(upstream.requests, (all) => all.filter(({ method }) => method === "POST"))
)

const batchIdOf = (answer: Parameters<typeof json>[0]): unknown => {
  const value = json(answer)
  return typeof value === "object" && value !== null && "batch_id" in value ? value.batch_id : undefined
}

layer(service({ sandbox }), { excludeTestServices: true })("POST /batch/…", (it) => {
  it.effect("sends a job once, and finds it when its answer is lost or its caller goes away", () =>
    Effect.gen(function* () {
      const { ask, logs, port, sandbox: upstream } = yield* Service
      const before = (yield* sent).length
      const body = { business_emails: ["lost@acme.com", "b@acme.com", "c@acme.com", "d@acme.com"] }
      const answer = yield* under(upstream, [lost], ask("/batch/person/enrich", post(body)))
      expect([answer.status, json(answer)]).toEqual([
        200,
        expect.objectContaining({ identifier_count: 4, status_url: expect.stringMatching(/^\/batch\/./u) })
      ])
      expect(yield* sent).toHaveLength(before + 1)
      // the caller leaves while the API thinks, and the answer comes to the log alone
      yield* upstream.script({ on: submit, do: { delay: { ms: 1000 } } })
      const left = open(port, "/batch/person/enrich", post({ business_emails: ["left@acme.com"] }))
      yield* Effect.scoped(Effect.timeoutOption(left, "300 millis"))
      const accepted = yield* eventually(logs, (lines) =>
        lines.some(({ inputs, kind }) => kind === "person/enrich" && inputs === 1)
      )
      expect(accepted.at(-1)).toMatchObject({
        batch_id: expect.stringMatching(/./u),
        upstream_request_id: expect.stringMatching(/./u)
      })
      expect(yield* sent).toHaveLength(before + 2)
      yield* upstream.clearFaults
    })
  )

  it.effect("starts a job of each kind, and gives the API's answer", () =>
    Effect.gen(function* () {
      const { ask, get } = yield* Service
      const before = (yield* sent).length
      for (const [path, body] of Object.entries(bodies)) {
        const answer = yield* ask(`/batch/${path}`, post(body))
        expect([path, answer.status, json(answer)]).toEqual([
          path,
          200,
          expect.objectContaining({ status: "pending", status_url: `/batch/${String(batchIdOf(answer))}` })
        ])
        expect(answer.headers).toMatchObject({
          "content-type": "application/json",
          "cache-control": "no-store"
        })
        const job = yield* get(`/batch/${String(batchIdOf(answer))}`)
        expect(job.status).toBe(200)
      }
      expect((yield* sent).slice(before).map(({ path }) => path)).toEqual(
        Object.keys(bodies).map((path) => `/batch/${path}`)
      )
    })
  )

  it.effect("refuses what the rules refuse without asking, and passes on what only the API knows", () =>
    Effect.gen(function* () {
      const { ask, raw } = yield* Service
      const before = (yield* sent).length
      const path = "/batch/company/enrich"
      const good = { domains: ["acme.com"] }
      for (const [request, status, type, words] of [
        [post({ domains: ["a.com"], names: ["A"] }), 400, "RequestInvalid", "exactly one of"],
        [post({ domains: "a.com,b.com" }), 400, "RequestInvalid", "send a list"],
        [post([]), 400, "RequestInvalid", "no JSON object"],
        [post("{"), 400, "RequestRejected", "no JSON"],
        [post(good, { "content-type": "text/plain" }), 415, "UnsupportedMediaType", "application/json"],
        [post(good, { "idempotency-key": "" }), 400, "RequestRejected", "Idempotency-Key"],
        [post(good, { "idempotency-key": "ü".repeat(3) }), 400, "RequestRejected", "Idempotency-Key"],
        [post({ domains: ["x".repeat(9 * 1024 * 1024)] }), 413, "RequestRejected", "8 MiB"],
        [
          post({ domains: ["x".repeat(9 * 1024 * 1024)] }, { "transfer-encoding": "chunked" }),
          413,
          "RequestRejected",
          "8 MiB"
        ]
      ] as const) {
        const answer = yield* Effect.sandbox(ask(path, request)).pipe(Effect.option)
        // A body that is too long may still be on its way when the connection is closed.
        if (answer._tag === "None") {
          expect(status).toBe(413)
          continue
        }
        expect(problem(answer.value)).toMatchObject({
          status,
          type,
          message: expect.stringContaining(words)
        })
      }
      expect(yield* sent).toHaveLength(before)
      const refused = problem(yield* ask(path, post({ ...good, fields: ["basic_inf"] })))
      expect(refused).toMatchObject({
        status: 400,
        type: "RequestRejected",
        message: expect.stringContaining("basic_info instead of basic_inf"),
        metadata: {
          available_fields: expect.arrayContaining(["basic_info"]),
          request_id: expect.stringMatching(/./u)
        }
      })
      for (const method of ["GET", "PUT", "DELETE"]) {
        const answer = yield* ask(path, { method })
        expect([answer.status, answer.headers.allow]).toEqual([405, "POST"])
      }
      expect((yield* ask("/batch/company/lookup", post(good))).status).toBe(404)
      yield* raw("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    })
  )

  it.effect("a key is a job: for all at once, again, after a lost answer, and for no other body", () =>
    Effect.gen(function* () {
      const { ask, sandbox: upstream } = yield* Service
      const before = (yield* sent).length
      const path = "/batch/person/identify"
      const first = post({ emails: ["ada@acme.com", "grace@acme.com"] }, { "idempotency-key": "one" })
      const many = Effect.replicateEffect(ask(path, first), 10, { concurrency: 10 })
      const answers = yield* under(upstream, [{ on: submit, do: { delay: { ms: 300 } } }], many)
      const again = yield* ask(path, first)
      expect(
        new Set([...answers, again].map(({ body, status }) => `${status} ${body.toString()}`)).size
      ).toBe(1)
      expect(again.status).toBe(200)
      expect(yield* sent).toHaveLength(before + 1)

      const other = yield* ask(path, post({ emails: ["x@acme.com"] }, { "idempotency-key": "one" }))
      expect(problem(other)).toMatchObject({ status: 422, type: "IdempotencyKeyReused" })
      const elsewhere = yield* ask("/batch/person/enrich", {
        ...first,
        body: JSON.stringify({ business_emails: ["x@acme.com"] })
      })
      expect(elsewhere.status).toBe(422)
      expect(yield* sent).toHaveLength(before + 1)

      // what was refused is no job, and its key is free
      const poor = post(
        { emails: ["a@acme.com"], webhook_url: "https://a.example" },
        { "idempotency-key": "two" }
      )
      const rule: Fault.Rule = {
        on: submit,
        do: { respond: { status: 402, body: '{"error":{"message":"no"}}' } }
      }
      expect((yield* under(upstream, [rule], ask(path, poor))).status).toBe(402)
      expect((yield* ask(path, poor)).status).toBe(200)
      expect(yield* sent).toHaveLength(before + 3)
    })
  )

  it.effect("passes the API's calls about the account on, and nothing else", () =>
    Effect.gen(function* () {
      const { ask, get, logs, sandbox: upstream } = yield* Service
      const credits = yield* get("/user/credits")
      expect([credits.status, json(credits)]).toEqual([200, { credits: expect.any(Number) }])
      expect(json(yield* get("/account/endpoints"))).toMatchObject({ endpoints: expect.any(Array) })
      yield* ask("/batch/person/identify", post(bodies["person/identify"]))
      const events = yield* get("/account/usage/events?limit=1&endpoints=/batch/person/identify")
      expect(json(events)).toMatchObject({ events: [{ endpoint: "/batch/person/identify" }] })
      const missing = problem(yield* get("/account/usage/events/nobody"))
      expect(missing).toMatchObject({
        status: 404,
        type: "RequestRejected",
        metadata: { request_id: expect.stringMatching(/./u) }
      })
      const lines = yield* eventually(logs, (all) =>
        all.some(({ path }) => path === "/account/usage/events/nobody")
      )
      expect(lines.find(({ path }) => path === "/user/credits")).toMatchObject({
        upstream_request_id: expect.stringMatching(/./u)
      })
      expect(lines.find(({ path }) => path === "/account/usage/events/nobody")).toMatchObject({
        upstream_request_id: expect.stringMatching(/./u)
      })
      const before = (yield* upstream.requests).length
      for (const path of [
        "/account/../batch",
        "/account/%2e%2e/batch",
        "/account/..%2fbatch",
        "/account/a%00b"
      ]) {
        expect([path, (yield* get(path)).status]).toEqual([path, 404])
      }
      for (const method of ["POST", "DELETE"]) {
        const answer = yield* ask("/account/endpoints", { method })
        expect([answer.status, answer.headers.allow]).toEqual([405, "GET, HEAD"])
      }
      expect(yield* upstream.requests).toHaveLength(before)
      expect((yield* get("/metrics")).body.toString()).toContain('route="/account/{path}"')
    })
  )
})

const tokens = (...keys: ReadonlyArray<string>) => keys.map((key) => ({ authorization: `Bearer ${key}` }))

plain.scopedLive(
  "keys outlive the process, hold no body once there is an answer, and are each caller's own",
  () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const env = { BATCH_SERVER_STATE: folder }
      const request = post(
        { business_emails: ["a@acme.com", "b@secret.example"] },
        { "idempotency-key": "k" }
      )
      const one = yield* start({ env, sandbox })
      const first = yield* one.ask("/batch/person/enrich", request)
      expect(first.status).toBe(200)
      const names = yield* Effect.promise(() => readdir(join(folder, "submits")))
      expect(names).toHaveLength(1)
      const note = yield* Effect.promise(() => readFile(join(folder, "submits", names[0] ?? ""), "utf8"))
      expect(note).toContain(String(batchIdOf(first)))
      expect(note).not.toContain("secret.example")
      yield* one.kill("SIGKILL")
      yield* one.code
      const two = yield* start({
        env: { ...env, CRUSTDATA_BASE_URL: one.sandbox.baseUrl, CRUSTDATA_API_KEY: one.sandbox.apiKey },
        sandbox
      })
      const again = yield* two.ask("/batch/person/enrich", request)
      expect(again.body.toString()).toBe(first.body.toString())
      const submits = Effect.map(one.sandbox.requests, (all) => all.filter(({ method }) => method === "POST"))
      expect(yield* submits).toHaveLength(1)

      // killed between the request and its answer: the job is looked for, and not sent again
      yield* one.sandbox.script({ on: submit, do: { drop: { by: "reset", ms: 2000 } } })
      const cut = post({ domains: ["a.com", "b.com", "c.com"] }, { "idempotency-key": "cut" })
      yield* Effect.fork(Effect.sandbox(two.ask("/batch/company/enrich", cut)))
      yield* eventually(submits, ({ length }) => length === 2)
      yield* two.kill("SIGKILL")
      yield* two.code
      const three = yield* start({
        env: { ...env, CRUSTDATA_BASE_URL: one.sandbox.baseUrl, CRUSTDATA_API_KEY: one.sandbox.apiKey },
        sandbox
      })
      const found = yield* three.ask("/batch/company/enrich", cut)
      expect([found.status, json(found)]).toEqual([200, expect.objectContaining({ identifier_count: 3 })])
      expect((yield* three.ask("/batch/company/enrich", cut)).body.toString()).toBe(found.body.toString())
      expect(yield* submits).toHaveLength(2)
    })
)

plain.scopedLive("without a key of the service the keys of callers are apart", () =>
  Effect.gen(function* () {
    const { ask, sandbox: upstream } = yield* start({ env: { CRUSTDATA_API_KEY: undefined }, sandbox })
    const [own, stranger] = tokens(upstream.apiKey, "another-key")
    const body = { domains: ["acme.com"] }
    const key = { "idempotency-key": "k" }
    const path = "/batch/company/enrich"
    expect((yield* ask(path, post(body, key))).status).toBe(401)
    expect((yield* ask(path, post(body, { ...key, ...own }))).status).toBe(200)
    const refused = problem(yield* ask(path, post(body, { ...key, ...stranger })))
    expect(refused).toMatchObject({
      status: 401,
      type: "NotAuthorized",
      metadata: { request_id: expect.any(String) }
    })
  })
)
