import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import { Sandbox } from "../src/index.js"
import * as Http from "./Http.js"

const headers = { ...Http.bearer, "x-api-version": "2025-11-01" }

const Events = Schema.Struct({
  events: Schema.Array(
    Schema.Struct({
      event_id: Schema.UUID,
      ts: Schema.String,
      team_id: Schema.String,
      user_id: Schema.String,
      api_key_id: Schema.String,
      client_surface: Schema.Literal("api", "batch"),
      method: Schema.String,
      endpoint: Schema.String,
      product: Schema.String,
      status: Schema.Int,
      credits_used: Schema.Number,
      results: Schema.Int,
      error_type: Schema.NullOr(Schema.String),
      cost_components: Schema.Array(Schema.Unknown)
    })
  ),
  next_cursor: Schema.NullOr(Schema.UUID),
  has_more: Schema.Boolean
})
const Balance = Schema.Struct({ credits: Schema.Number })

const client = (options: Sandbox.Options = {}) =>
  Effect.map(Sandbox.start(options), (sandbox) => {
    const get = (path: string) => Http.send(`${sandbox.baseUrl}${path}`, { headers })
    return {
      sandbox,
      get,
      submit: (path: string, body: object) =>
        Http.send(`${sandbox.baseUrl}/batch/${path}`, { headers, body }),
      events: (query = "") => Effect.flatMap(get(`/account/usage/events?${query}`), Http.json(Events)),
      balance: Effect.map(Effect.flatMap(get("/user/credits"), Http.json(Balance)), ({ credits }) => credits)
    }
  })

describe("usage events", () => {
  it.scoped("tell every request of the key some time after its answer, newest first", () =>
    Effect.gen(function* () {
      const { events, get, sandbox, submit } = yield* client()
      yield* Http.send(`${sandbox.baseUrl}/batch`)
      const submitted = yield* submit("company/enrich", { domains: ["a.example"] })
      yield* TestClock.adjust("1 second")
      yield* get("/batch")
      const refused = yield* submit("company/enrich", { domains: [] })
      yield* TestClock.adjust("8999 millis")
      expect(yield* events()).toEqual({ events: [], next_cursor: null, has_more: false })
      yield* TestClock.adjust("1 millis")
      expect((yield* events()).events).toMatchObject([
        {
          event_id: submitted.headers["x-request-id"],
          ts: "1970-01-01T00:00:00.000+00:00",
          client_surface: "api",
          method: "POST",
          endpoint: "/batch/company/enrich",
          status: 202,
          credits_used: 0,
          error_type: null
        }
      ])
      yield* TestClock.adjust("1 second")
      const all = (yield* events("start=1970-01-01&status=400,200,202")).events
      expect(all.filter(({ client_surface }) => client_surface === "api")).toMatchObject([
        { event_id: refused.headers["x-request-id"], status: 400, error_type: "invalid_request" },
        { method: "GET", endpoint: "/batch", status: 200, ts: "1970-01-01T00:00:01.000+00:00" },
        { event_id: submitted.headers["x-request-id"] }
      ])
    })
  )

  it.scoped("come page by page, by time, path and status", () =>
    Effect.gen(function* () {
      const { events, get, sandbox } = yield* client({ usageDelayMs: 0 })
      for (const path of ["/batch", "/batch/x", "/batch", "/user/credits", "/batch"]) {
        yield* get(path)
        yield* TestClock.adjust("1 second")
      }
      const first = yield* events("limit=2")
      expect(first.events.map(({ endpoint }) => endpoint)).toEqual(["/batch", "/user/credits"])
      expect([first.has_more, first.next_cursor]).toEqual([true, first.events[1]?.event_id])
      const second = yield* events(`limit=3&cursor=${first.next_cursor}`)
      expect(second.events.map(({ endpoint }) => endpoint)).toEqual(["/batch", "/batch/x", "/batch"])
      expect([second.has_more, second.next_cursor]).toEqual([false, null])
      const counts = yield* Effect.forEach(
        [
          "endpoints=/batch",
          "endpoints=/batch,/batch/x&status=400",
          "start=1970-01-01T00:00:01Z&end=1970-01-01T00:00:03.000%2B00:00",
          "status=500"
        ],
        (query) => Effect.map(events(query), (page) => page.events.length)
      )
      expect(counts).toEqual([3, 1, 3, 0])
      const statuses = yield* Effect.forEach(
        ["limit=0", "limit=501", "limit=x", "cursor=nobody", "start=someday"],
        (query) => Effect.map(get(`/account/usage/events?${query}`), ({ status }) => status)
      )
      expect(statuses).toEqual([400, 400, 400, 400, 400])
      const versionless = yield* Http.send(`${sandbox.baseUrl}/account/usage/events`, {
        headers: Http.bearer
      })
      expect([versionless.status, versionless.body.toString()]).toEqual([
        400,
        expect.stringContaining("x-api-version")
      ])
    })
  )

  it.scoped("one of them tells what was sent, and the error that was answered, without the key", () =>
    Effect.gen(function* () {
      const { get, sandbox, submit } = yield* client({ usageDelayMs: 0, usageBodyBytes: 1000 })
      const detail = (outcome: Http.Outcome) =>
        Effect.map(get(`/account/usage/events/${outcome.headers["x-request-id"]}`), ({ body }): unknown =>
          JSON.parse(body.toString())
        )
      const body = { domains: ["a.example"], names: ["b"] }
      const refused = yield* submit("company/enrich", body)
      expect(yield* detail(refused)).toMatchObject({
        event_id: refused.headers["x-request-id"],
        status: 400,
        request: { body, query: {}, path: {} },
        headers: { authorization: "<redacted>", "x-api-version": "2025-11-01" },
        response: JSON.parse(refused.body.toString())
      })
      const id = yield* sandbox.createJob()
      expect(yield* detail(yield* get(`/batch/${id}?a=b`))).toMatchObject({
        request: { body: null, query: { a: "b" }, path: { batch_id: id } },
        response: null
      })
      const large = yield* submit("company/enrich", { domains: ["a".repeat(1000)] })
      expect(yield* detail(large)).toMatchObject({ status: 202, request: { body: null } })
      const text = yield* Http.send(`${sandbox.baseUrl}/batch/company/enrich`, { headers, body: "{" })
      expect(yield* detail(text)).toMatchObject({ status: 400, request: { body: "{" } })
      expect((yield* get("/account/usage/events/00000000-0000-4000-8000-000000000000")).status).toBe(404)
    })
  )

  it.scoped("have a rate limit of their own, can be out, and can be missing", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* client({ rateLimit: { limit: 1, windowSeconds: 60 } })
      const statusOf = (path: string) => Effect.map(get(path), ({ status }) => status)
      const usage = yield* Effect.replicateEffect(statusOf("/account/usage/events"), 61)
      expect([usage.filter((status) => status === 200).length, usage[60]]).toEqual([60, 429])
      expect([yield* statusOf("/batch"), yield* statusOf("/batch")]).toEqual([200, 429])
      yield* sandbox.script({
        on: { server: "api", path: "^/account/usage/" },
        times: -1,
        do: { respond: { status: 503 } }
      })
      expect([yield* statusOf("/account/usage/events"), yield* statusOf("/account/usage/events/x")]).toEqual([
        503, 503
      ])
      const older = yield* client({ usage: false })
      expect((yield* older.get("/account/usage/events")).status).toBe(404)
      expect((yield* older.get("/account/usage/events/x")).status).toBe(404)
    })
  )
})

it.scoped("endpoints tell what the plan covers, and a submit of another is refused", () =>
  Effect.gen(function* () {
    const { get, submit } = yield* client({
      disabledEndpoints: ["/batch/person/verify"],
      rateLimit: { limit: 5, windowSeconds: 10 }
    })
    const answer: unknown = JSON.parse((yield* get("/account/endpoints")).body.toString())
    const rest = { category: "batch", effective_rate_limit_rpm: 30 }
    expect(answer).toMatchObject({
      api_version: "2025-11-01",
      token_limit_rpm: 30,
      endpoints: expect.arrayContaining([
        { path: "/batch/company/enrich", status: "enabled", ...rest },
        { path: "/batch/person/verify", status: "disabled", ...rest }
      ])
    })
    const refused = yield* submit("person/verify", { professional_network_profile_urls: ["u"] })
    expect(refused.status).toBe(403)
    expect((yield* Http.json(Http.Failure)(refused)).error.type).toBe("permission_denied")
    const unlimited = yield* client({ tokenLimitRpm: null })
    expect((yield* unlimited.get("/account/endpoints")).body.toString()).toContain('"token_limit_rpm":null')
  })
)

describe("credits", () => {
  const network = "professional_network_profile_urls"
  const filters = { op: "and", conditions: [{ field: "a", type: "=", value: 1 }] }
  const people = ["u", "unresolved-1", "redacted-1", "v"]
  const priced: ReadonlyArray<readonly [path: string, body: object, cost: number]> = [
    ["company/enrich", { domains: ["a.example", "a.example", "b.invalid"] }, 4],
    ["company/enrich", { crustdata_company_ids: [1, 2_000_404] }, 2],
    ["company/search", { filters, max_results: 7 }, 0.21],
    ["company/professional_network/search/live", { filters, max_results: 3 }, 0.09],
    ["person/enrich", { [network]: people }, 2],
    ["person/professional_network/enrich/live", { [network]: people }, 10],
    ["person/search", { filters, max_results: 1 }, 0.03],
    ["person/professional_network/search/live", { filters, max_results: 2 }, 0.06],
    ["person/contact/enrich", { [network]: people, fields: ["contact"] }, 10],
    ["person/identify", { [network]: people }, 2],
    ["person/verify", { [network]: people }, 2],
    ["job/search", { crustdata_company_ids: [1, 2] }, 0.3],
    ["social_post/professional_network/enrich/live", { company_names: ["A", "unresolved"] }, 1]
  ]

  it.scoped("go when a job completes: for what was found, as an event of the batch surface", () =>
    Effect.gen(function* () {
      const { balance, events, submit } = yield* client({
        credits: 100.5,
        usageDelayMs: 0,
        maxActiveJobs: 99
      })
      for (const [path, body] of priced) expect((yield* submit(path, body)).status).toBe(202)
      expect(yield* balance).toBe(100.5)
      yield* TestClock.adjust("1 minute")
      expect(yield* balance).toBe(66.81)
      const billed = (yield* events("limit=500")).events.filter((one) => one.client_surface === "batch")
      expect(billed.toReversed().map((one) => [one.endpoint, one.credits_used])).toEqual(
        priced.map(([path, , cost]) => [`/batch/${path}`, cost])
      )
      expect(billed[0]?.ts).toBe("1970-01-01T00:00:03.500+00:00")
    })
  )

  it.scoped("are not taken by jobs that fail or were seeded, and never go below nothing", () =>
    Effect.gen(function* () {
      const { balance, sandbox, submit } = yield* client({
        credits: 3,
        clock: { pendingMs: 0, processingMs: 10 },
        submits: [{ nth: 1, job: { outcome: "failed" } }]
      })
      const enrich = submit("company/enrich", { domains: ["a.example", "b.example"] })
      yield* enrich
      yield* sandbox.createJob()
      yield* TestClock.adjust("10 millis")
      expect(yield* balance).toBe(3)
      yield* enrich
      yield* TestClock.adjust("10 millis")
      expect(yield* balance).toBe(0)
      const refused = yield* enrich
      expect(refused.status).toBe(402)
      expect((yield* Http.json(Http.Failure)(refused)).error.type).toBe("insufficient_credits")
      yield* sandbox.setCredits(0.5)
      expect([yield* sandbox.credits, (yield* enrich).status]).toEqual([0.5, 202])
    })
  )
})
