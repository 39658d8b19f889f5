import { expect, it } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import { gunzipSync } from "node:zlib"
import { Sandbox } from "../src/index.js"
import * as Http from "./Http.js"

const uuid = "00000000-0000-4000-8000-000000000000"
const post = { ...Http.bearer, "x-api-version": "2025-11-01" }

const List = Schema.Struct({
  jobs: Schema.Array(Schema.Struct({ batch_id: Schema.String, status: Schema.String })),
  next_cursor: Schema.NullOr(Schema.String),
  has_more: Schema.Boolean
})
const Submitted = Schema.Struct({
  batch_id: Schema.UUID,
  status: Schema.Literal("pending"),
  entity: Schema.String,
  action: Schema.String,
  identifier_count: Schema.Int,
  entities_requested: Schema.Int,
  status_url: Schema.String
})

it.scoped("wants the right bearer on every path, in the vendor's words, with rate limit headers", () =>
  Effect.gen(function* () {
    const { baseUrl } = yield* Sandbox.start()
    for (const path of ["/batch", `/batch/${uuid}`, "/user/credits", "/nowhere"]) {
      for (const { message, ...options } of [
        { headers: {}, message: "Missing API key in request" },
        { headers: { authorization: "Bearer other" }, message: "Invalid API key in request" },
        { headers: { authorization: "sandbox-key" }, message: "Invalid API key in request" }
      ]) {
        const outcome = yield* Http.send(`${baseUrl}${path}`, options)
        expect([outcome.status, outcome.body.toString()]).toEqual([401, JSON.stringify({ message })])
        expect(outcome.headers["x-ratelimit-limit"]).toBe("600")
      }
    }
  })
)

it.scoped("every answer carries an id of its own, drawn from the seed", () =>
  Effect.gen(function* () {
    const ids = (seed: number) =>
      Effect.gen(function* () {
        const { baseUrl } = yield* Sandbox.start({ seed, rateLimit: { limit: 5, windowSeconds: 60 } })
        const ask = (path: string, options: Http.Options = { headers: Http.bearer }) =>
          Http.send(`${baseUrl}${path}`, options)
        const answers = yield* Effect.all([
          ask("/batch", {}),
          ask("/batch"),
          ask("/batch/x"),
          ask("/nowhere"),
          ask("/batch/company/enrich", { headers: post, body: { domains: ["a.example"] } }),
          ask("/batch"),
          ask("/account/usage/events/x", { headers: post })
        ])
        expect(answers.map(({ status }) => status)).toEqual([401, 200, 400, 404, 202, 429, 404])
        return answers.map(({ headers }) => headers["x-request-id"] ?? "")
      })
    const first = yield* ids(1)
    expect(first.every((id) => Schema.is(Schema.UUID)(id))).toBe(true)
    expect(new Set(first).size).toBe(first.length)
    expect(yield* ids(1)).toEqual(first)
    expect(yield* ids(2)).not.toEqual(first)
  })
)

it.scoped("a malformed id is 400, an unknown one 404, other methods 405", () =>
  Effect.gen(function* () {
    const { baseUrl } = yield* Sandbox.start()
    const statusOf = (path: string, method = "GET") =>
      Effect.map(Http.send(`${baseUrl}${path}`, { method, headers: Http.bearer }), ({ status }) => status)
    expect(yield* statusOf("/batch/not-a-uuid")).toBe(400)
    expect(yield* statusOf(`/batch/${uuid}`)).toBe(404)
    expect(yield* statusOf(`/batch/${uuid}`, "DELETE")).toBe(405)
  })
)

it.scoped("a job moves with the clock, its results grow, and links come last", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 500, processingMs: 3000 } })
    const id = yield* sandbox.createJob({ records: 300, unresolved: 20 })
    const at = (millis: number) =>
      Effect.zipRight(TestClock.setTime(millis), Http.status(sandbox.baseUrl, id))
    expect(yield* at(499)).toMatchObject({ status: "pending", result_count: 0, completed_at: null })
    expect(yield* at(2000)).toMatchObject({
      status: "processing",
      result_count: 150,
      entities_fulfilled: 150
    })
    const before = yield* at(3499)
    expect(before.status).toBe("processing")
    expect("download_url" in before || "download_urls" in before || "error_message" in before).toBe(false)
    const done = yield* at(3500)
    expect(done).toMatchObject({
      status: "completed",
      entity: "company",
      action: "enrich",
      result_count: 300,
      identifier_count: 320,
      entities_requested: 320,
      entities_fulfilled: 300
    })
    expect(done.created_at).toMatch(/^1970-01-01T00:00:00\.000\d{3}\+00:00$/)
    expect(done.completed_at).toMatch(/^1970-01-01T00:00:03\.500\d{3}\+00:00$/)
    expect(done.download_urls?.length).toBe(3)
  })
)

it.scoped("each answer signs its links anew", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start()
    const id = yield* sandbox.createJob({ pendingMs: 0, processingMs: 0 })
    const first = yield* Http.status(sandbox.baseUrl, id)
    yield* TestClock.adjust("1 second")
    const second = yield* Http.status(sandbox.baseUrl, id)
    expect(first.download_url).not.toBe(second.download_url)
    expect(first.download_url?.split("?")[0]).toBe(`${sandbox.storageUrl}/results/${id}/merged.jsonl.gz`)
    expect(first.download_urls?.[0]?.split("?")[0]).toBe(
      `${sandbox.storageUrl}/results/${id}/part-000.jsonl.gz`
    )
  })
)

it.scoped("plays what a specification says", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 } })
    const seeded = (spec: Sandbox.JobSpec) =>
      Effect.flatMap(sandbox.createJob(spec), (id) => Http.status(sandbox.baseUrl, id))
    expect(yield* seeded({ outcome: "failed", errorMessage: "no credits left" })).toMatchObject({
      status: "failed",
      error_message: "no credits left",
      completed_at: expect.any(String)
    })
    expect(yield* seeded({ stuck: true })).toMatchObject({ status: "processing", completed_at: null })
    expect(yield* seeded({ statuses: [{ status: "archived", ms: 0 }] })).toMatchObject({ status: "archived" })
    expect(yield* seeded({ records: 10, resultCount: 11 })).toMatchObject({ result_count: 11 })
    expect(yield* seeded({ action: "search", records: 10 })).toMatchObject({
      identifier_count: 1,
      entities_requested: 1,
      entities_fulfilled: 10
    })
    const whole = yield* seeded({ createdWithoutFraction: true })
    expect(whole.created_at).toBe("1970-01-01T00:00:00+00:00")
    const { download_url, ...parts } = yield* seeded({ downloadUrl: false, parts: 4 })
    expect([download_url, parts.download_urls?.length]).toEqual([undefined, 4])
    const { download_urls, ...merged } = yield* seeded({ downloadUrls: false })
    expect([typeof merged.download_url, download_urls]).toEqual(["string", undefined])
  })
)

it.scoped("an empty result has a link to nothing, or none", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 } })
    const trap = yield* Effect.flatMap(sandbox.createJob({ records: 0 }), (id) =>
      Http.status(sandbox.baseUrl, id)
    )
    expect(trap).toMatchObject({ status: "completed", result_count: 0 })
    expect(trap.download_urls).toBeUndefined()
    const object = yield* Http.send(trap.download_url ?? "")
    expect([object.status, object.body.toString()]).toEqual([
      404,
      expect.stringContaining("<Code>NoSuchKey</Code>")
    ])
    const id = yield* sandbox.createJob({ records: 0, zeroResultTrap: false })
    expect((yield* Http.status(sandbox.baseUrl, id)).download_url).toBeUndefined()
  })
)

it.scoped("lists newest first, page by page, without links", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 } })
    const ids = yield* Effect.replicateEffect(sandbox.createJob({ records: 1 }), 25)
    const stuck = yield* sandbox.createJob({ records: 1, stuck: true })
    const newest = [stuck, ...ids.toReversed()]
    const page = (query: string) => Http.send(`${sandbox.baseUrl}/batch?${query}`, { headers: Http.bearer })
    const list = (query: string) => Effect.flatMap(page(query), Http.json(List))
    const first = yield* list("")
    expect(first.jobs.map(({ batch_id }) => batch_id)).toEqual(newest.slice(0, 20))
    expect([first.has_more, first.next_cursor]).toEqual([true, newest[19]])
    const second = yield* list(`cursor=${first.next_cursor}`)
    expect(second.jobs.map(({ batch_id }) => batch_id)).toEqual(newest.slice(20))
    expect([second.has_more, second.next_cursor]).toEqual([false, null])
    expect((yield* list("limit=0")).jobs.length).toBe(1)
    expect((yield* list("limit=1000")).jobs.length).toBe(26)
    expect((yield* list("status=processing")).jobs).toEqual([expect.objectContaining({ batch_id: stuck })])
    expect((yield* page("status=done")).status).toBe(400)
    expect((yield* page("")).body.toString()).not.toContain("download_url")
  })
)

it.scoped("limits the rate, and says how long until there is room again", () =>
  Effect.gen(function* () {
    const { baseUrl } = yield* Sandbox.start({ rateLimit: { limit: 2, windowSeconds: 10 } })
    const ask = Http.send(`${baseUrl}/batch`, { headers: Http.bearer })
    expect((yield* ask).headers["x-ratelimit-remaining"]).toBe("1")
    yield* TestClock.adjust("4 seconds")
    expect((yield* ask).status).toBe(200)
    const refused = yield* ask
    expect(refused.status).toBe(429)
    expect(refused.headers["x-ratelimit-reset"]).toBe("6")
    expect(refused.headers["retry-after"]).toBeUndefined()
    yield* TestClock.adjust("6 seconds")
    expect((yield* ask).status).toBe(200)
  })
)

it.scoped("takes a submit, which becomes a job", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start()
    const url = `${sandbox.baseUrl}/batch/company/enrich`
    const body = { domains: ["acme.example", "gone.invalid", "müller.example"] }
    expect((yield* Http.send(url, { headers: Http.bearer, body })).status).toBe(400)
    const accepted = yield* Http.send(url, { headers: post, body })
    expect(accepted.status).toBe(202)
    const answer = yield* Http.json(Submitted)(accepted)
    expect(answer).toMatchObject({
      entity: "company",
      action: "enrich",
      identifier_count: 3,
      entities_requested: 3
    })
    expect(answer.status_url).toBe(`/batch/${answer.batch_id}`)
    yield* TestClock.adjust("1 minute")
    expect(yield* Http.status(sandbox.baseUrl, answer.batch_id)).toMatchObject({
      status: "completed",
      result_count: 2,
      entities_requested: 3,
      entities_fulfilled: 2
    })
  })
)

it.scoped("the sixth active job is refused until one ends, whoever has the five", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start()
    const submit = Http.send(`${sandbox.baseUrl}/batch/person/search`, {
      headers: post,
      body: { filters: { op: "and", conditions: [{ field: "a", type: "=", value: 1 }] }, max_results: 3 }
    })
    yield* sandbox.createJob({ statuses: [{ status: "processing", ms: 0 }] })
    const answers = yield* Effect.replicateEffect(submit, 5)
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 429])
    expect(answers.at(-1)?.headers).toMatchObject({
      "x-ratelimit-limit": "600",
      "x-ratelimit-remaining": "595",
      "x-ratelimit-reset": "60"
    })
    yield* TestClock.adjust("1 minute")
    expect((yield* submit).status).toBe(202)
  })
)

it.scoped("a new batch can be unknown for a while, though it has its slot", () =>
  Effect.gen(function* () {
    const { baseUrl } = yield* Sandbox.start({ submitted: { visibleAfterMs: 2000 }, maxActiveJobs: 1 })
    const submit = Http.send(`${baseUrl}/batch/company/enrich`, {
      headers: post,
      body: { domains: ["a.example"] }
    })
    const { batch_id } = yield* Effect.flatMap(submit, Http.json(Submitted))
    expect((yield* submit).status).toBe(429)
    const seen = Effect.gen(function* () {
      const one = yield* Http.send(`${baseUrl}/batch/${batch_id}`, { headers: Http.bearer })
      const list = yield* Http.send(`${baseUrl}/batch`, { headers: Http.bearer })
      return [one.status, (yield* Http.json(List)(list)).jobs.length]
    })
    yield* TestClock.adjust("1999 millis")
    expect(yield* seen).toEqual([404, 0])
    yield* TestClock.adjust("1 millis")
    expect(yield* seen).toEqual([200, 1])
  })
)

it.scoped("submitted jobs are what the options and the script of submits say", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({
      submitted: { pendingMs: 0, processingMs: 10, recordBytes: 200 },
      submits: [{ nth: 2, job: { outcome: "failed", errorMessage: "bad luck" } }]
    })
    yield* sandbox.onSubmit({ nth: 3, job: { stuck: true } })
    const submit = Effect.flatMap(
      Http.send(`${sandbox.baseUrl}/batch/company/enrich`, {
        headers: post,
        body: { domains: ["a.example"] }
      }),
      Http.json(Submitted)
    )
    const jobs = yield* Effect.replicateEffect(submit, 4)
    yield* TestClock.adjust("10 millis")
    const views = yield* Effect.forEach(jobs, ({ batch_id }) => Http.status(sandbox.baseUrl, batch_id))
    expect(views.map(({ status }) => status)).toEqual(["completed", "failed", "processing", "completed"])
    expect(views[1]?.error_message).toBe("bad luck")
    const file = yield* Http.send(views[0]?.download_url ?? "")
    expect(gunzipSync(file.body).length).toBeLessThan(1000)
    const wrong = yield* Effect.flip(sandbox.onSubmit({ nth: 0, job: {} }))
    expect(wrong.message).toContain("nth")
  })
)

it.scoped("a body of 4 MB is a submit like any other", () =>
  Effect.gen(function* () {
    const { baseUrl } = yield* Sandbox.start()
    const urls = Array.from({ length: 10_000 }, (_, n) => `https://x.example/${n}/${"a".repeat(400)}`)
    const body = { professional_network_profile_urls: urls }
    const answer = yield* Http.send(`${baseUrl}/batch/person/enrich`, { headers: post, body })
    expect(yield* Http.json(Submitted)(answer)).toMatchObject({ identifier_count: 10_000 })
  })
)
