import { describe, expect, it } from "@effect/vitest"
import { Clock, DateTime, Effect, Either, Option, TestClock } from "effect"
import { BatchId } from "../../src/model/Batch.js"
import { SubmitUnknown } from "../../src/model/BatchError.js"
import * as SubmitRequest from "../../src/model/SubmitRequest.js"
import * as Settlement from "../../src/submit/Settlement.js"
import { errorOf, play, script, type Seen, type Step, systemError, upstream, valueOf } from "../Script.js"

const domains = ["acme.com", "example.org", "Contoso.com"]
const request = Either.getOrThrow(SubmitRequest.make("company/enrich", { domains }))
const others = { domains: ["a.com", "b.com", "c.com"] }

/** When the lost request was sent. */
const sent = Date.UTC(2026, 10, 28, 12)

/** A job of the account, by the server's clock, with seconds from when the lost request was sent. */
interface Job {
  readonly id: number
  readonly after?: number
  readonly count?: number
  readonly action?: string
  readonly shown?: number
}

/** A request that the account made. */
interface Event {
  readonly id: string
  readonly after?: number
  readonly status?: number | null
  readonly body?: unknown
  readonly shown?: number
  readonly endpoint?: string
  readonly credits?: number
  readonly surface?: string
}

interface World {
  readonly jobs?: ReadonlyArray<Job>
  readonly events?: ReadonlyArray<Event>
  /** Seconds by which the server's clock is ahead. */
  readonly ahead?: number
  /** In place of an answer. */
  readonly instead?: (seen: Seen & { readonly seconds: number; readonly path: string }) => Step | undefined
}

const idOf = (n: number) => BatchId.make(`01234567-89ab-4cde-8f01-${String(n).padStart(12, "0")}`)

const later: Event = { id: "later", after: 30, status: 200, endpoint: "/batch" }

const world = ({ ahead = 0, events = [], instead, jobs = [] }: World) =>
  script((seen) => {
    const seconds = (seen.at - sent) / 1000
    const url = new URL(seen.url)
    const path = url.pathname.replace("/v1", "")
    const replaced = instead?.({ ...seen, seconds, path })
    if (replaced !== undefined) return replaced
    const time = (after: number) => new Date(sent + (after + ahead) * 1000).toISOString()
    const headers = { date: new Date(seen.at + ahead * 1000).toUTCString() }
    const visible = events.filter(({ after = 0, shown = after + 10 }) => shown <= seconds)
    const show = ({
      after = 0,
      credits = 0,
      endpoint = "/batch/company/enrich",
      id,
      status = 200,
      surface = "api"
    }: Event) => ({
      event_id: id,
      ts: time(after),
      endpoint,
      status,
      credits_used: credits,
      client_surface: surface
    })
    if (path === "/batch") {
      const found = jobs.filter(({ after = 0, shown = after }) => shown <= seconds)
      return {
        headers,
        body: {
          has_more: false,
          next_cursor: null,
          jobs: found
            .toSorted((a, b) => (b.after ?? 0) - (a.after ?? 0))
            .map(({ action = "enrich", after = 0, count = domains.length, id }) => ({
              batch_id: idOf(id),
              status: "processing",
              entity: "company",
              action,
              identifier_count: count,
              created_at: time(after)
            }))
        }
      }
    }
    if (path === "/account/usage/events") {
      const sorted = visible.toSorted((a, b) => (b.after ?? 0) - (a.after ?? 0))
      return { headers, body: { events: sorted.map(show), has_more: false, next_cursor: null } }
    }
    const event = visible.find(({ id }) => path === `/account/usage/events/${id}`)
    return event === undefined
      ? { status: 404, headers }
      : { headers, body: { ...show(event), request: { body: event.body ?? null } } }
  })

const settled = (
  from: World,
  options: Settlement.Options & {
    readonly requestId?: string
    readonly begun?: number
    readonly lost?: Settlement.Lost
  } = {}
) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(sent + (options.begun ?? 0) * 1000)
    const api = world(from)
    const lost = options.lost ?? {
      kind: request.kind,
      body: request.body,
      count: domains.length,
      sentAt: DateTime.unsafeMake(sent),
      requestId: Option.fromNullable(options.requestId)
    }
    const played = yield* play(Settlement.settle(lost, options).pipe(Effect.provide(upstream(api))))
    const verdict = valueOf(played)
    return {
      tag: verdict._tag,
      id: verdict._tag === "Accepted" ? Number(verdict.batch.batchId.slice(-12)) : undefined,
      detail: verdict._tag === "Accepted" ? "" : verdict.detail,
      seconds: (played.at - sent) / 1000,
      api
    }
  })

const ours = (event: Partial<Event> = {}): Event => ({ id: "ours", body: { domains }, ...event })

describe("adopts", () => {
  it.effect("at once when the events tell, by the id or by what was sent", () =>
    Effect.gen(function* () {
      const known: World = { jobs: [{ id: 1 }], events: [ours({ shown: 0 })] }
      expect(yield* settled(known)).toMatchObject({ tag: "Accepted", id: 1, seconds: 0 })
      const unkept: World = { jobs: [{ id: 1 }], events: [ours({ shown: 0, body: null })] }
      expect(yield* settled(unkept, { requestId: "ours" })).toMatchObject({
        tag: "Accepted",
        id: 1,
        seconds: 0
      })
    })
  )

  it.effect("after 20 s when the events are silent, are refused, or cannot be read", () =>
    Effect.gen(function* () {
      const jobs = [{ id: 1, after: 2 }]
      expect(yield* settled({ jobs })).toMatchObject({ tag: "Accepted", id: 1, seconds: 25 })
      const missing = yield* settled({
        jobs,
        instead: ({ path }) => (path.startsWith("/account") ? { status: 404 } : undefined)
      })
      expect(missing).toMatchObject({ tag: "Accepted", id: 1, seconds: 25 })
    })
  )

  it.effect("a job that shows late in the list", () =>
    Effect.gen(function* () {
      const late = yield* settled({ jobs: [{ id: 1, after: 40, shown: 60 }], events: [ours(), later] })
      expect(late).toMatchObject({ tag: "Accepted", id: 1 })
      expect(late.seconds).toBeGreaterThanOrEqual(60)
      expect(late.seconds).toBeLessThanOrEqual(75)
    })
  )

  it.effect("its own, not those of others of the same kind, count and time", () =>
    Effect.gen(function* () {
      const events = [ours({ after: 1 }), { id: "theirs", after: 0, body: others }]
      const jobs = [
        { id: 1, after: 0.2 },
        { id: 2, after: 1.2 }
      ]
      expect(yield* settled({ jobs, events })).toMatchObject({ tag: "Accepted", id: 2 })
      const alone = yield* settled({ jobs: [{ id: 1, after: 0.2 }], events: [events[1] ?? later, later] })
      expect(alone).toMatchObject({ tag: "NotAccepted" })
    })
  )

  it.effect("its own beside a claimed job whose own request stands among the events", () =>
    Effect.gen(function* () {
      const isClaimed = (id: BatchId) => Effect.succeed(id === idOf(1))
      const theirs = { id: "theirs", after: -3, body: others }
      const jobs = [
        { id: 1, after: -2.8 },
        { id: 2, after: 0.3 }
      ]
      for (const events of [[theirs], [theirs, ours()], [theirs, ours({ body: null }), later]]) {
        expect(yield* settled({ jobs, events }, { isClaimed })).toMatchObject({ tag: "Accepted", id: 2 })
      }
    })
  )

  it.effect("its own beside a job of another count, whose request explains that one alone", () =>
    Effect.gen(function* () {
      const theirs = { id: "theirs", after: 0.1, body: { domains: ["a.com", "b.com"] } }
      const jobs = [
        { id: 1, after: 0.9, count: 2 },
        { id: 2, after: 0.2 }
      ]
      expect(yield* settled({ jobs, events: [theirs, later] })).toMatchObject({ tag: "Accepted", id: 2 })
    })
  )

  it.effect("it although an earlier try of the same body was refused", () =>
    Effect.gen(function* () {
      const jobs = [{ id: 1, after: 0.2 }]
      for (const status of [429, 402]) {
        const known = yield* settled({ jobs, events: [ours({ id: "first", after: -2, status, shown: 0 })] })
        expect(known).toMatchObject({ tag: "Accepted", id: 1, seconds: 25 })
      }
    })
  )

  it.effect("it although the gateway that answered gave an id of its own", () =>
    Effect.gen(function* () {
      const known = { jobs: [{ id: 1 }], events: [ours({ id: "another id" }), later] }
      expect(yield* settled(known, { requestId: "of the gateway" })).toMatchObject({ tag: "Accepted", id: 1 })
    })
  )

  it.effect.each([
    ["as text", JSON.stringify({ domains })],
    ["cut short", JSON.stringify({ domains }).slice(0, 20)],
    ["with fewer identifiers", { domains: domains.slice(0, 1) }],
    ["without them", { fields: null }],
    [
      "with more properties and other letters",
      { domains: domains.map((one) => one.toUpperCase()), team: "x" }
    ]
  ])("it when the event keeps the body %s", ([, body]) =>
    Effect.gen(function* () {
      const known = { jobs: [{ id: 1 }], events: [ours({ body }), later] }
      expect(yield* settled(known)).toMatchObject({ tag: "Accepted", id: 1 })
    })
  )

  it.effect("it when the server's clock is an hour ahead or behind", () =>
    Effect.gen(function* () {
      for (const ahead of [3600, -3600]) {
        const known = { ahead, jobs: [{ id: 1, after: 0.5 }], events: [ours()] }
        expect(yield* settled(known), `${ahead} s`).toMatchObject({ tag: "Accepted", id: 1 })
      }
    })
  )

  it.effect("it hours later, in one look", () =>
    Effect.gen(function* () {
      const known = { jobs: [{ id: 1 }, { id: 2, after: 3600 }], events: [ours(), later] }
      const verdict = yield* settled(known, { begun: 7200 })
      expect(verdict).toMatchObject({ tag: "Accepted", id: 1, seconds: 7200 })
    })
  )

  it.effect("the nearest of several, and never a claimed one, of another kind, count or time", () =>
    Effect.gen(function* () {
      const jobs = [
        { id: 1, after: 0.1, count: 4 },
        { id: 2, after: 0.1, action: "enrich_live" },
        { id: 3, after: 0.2 },
        { id: 4, after: 200 },
        { id: 5, after: -20 }
      ]
      const isClaimed = (id: BatchId) => Effect.succeed(id === idOf(3))
      expect(yield* settled({ jobs })).toMatchObject({ tag: "Accepted", id: 3 })
      expect(yield* settled({ jobs, events: [later] }, { isClaimed })).toMatchObject({ tag: "NotAccepted" })
      const near = [
        { id: 6, after: 1 },
        { id: 7, after: -1.5 },
        { id: 8, after: 30 }
      ]
      expect(yield* settled({ jobs: near })).toMatchObject({ tag: "Accepted", id: 6 })
    })
  )
})

describe("says that it was not accepted", () => {
  it.effect("after two minutes, and only with later events", () =>
    Effect.gen(function* () {
      const told = yield* settled({ events: [later] })
      expect(told).toMatchObject({ tag: "NotAccepted", seconds: 120 })
      expect(told.detail).toContain("show later requests without it")
      const silent = yield* settled({})
      expect(silent).toMatchObject({ tag: "Undecided", seconds: 120 })
      expect(yield* settled({ events: [{ ...later, after: -5 }] })).toMatchObject({ tag: "Undecided" })
    })
  )

  it.effect("at once when its own event says that it was refused", () =>
    Effect.gen(function* () {
      const known = { events: [ours({ status: 402, shown: 0 })] }
      expect(yield* settled(known, { requestId: "ours" })).toMatchObject({ tag: "NotAccepted", seconds: 0 })
    })
  )

  it.effect("when its own event says that it failed, and there is no job", () =>
    Effect.gen(function* () {
      const verdict = yield* settled({ events: [ours({ status: 502 }), later] })
      expect(verdict).toMatchObject({ tag: "NotAccepted", seconds: 120 })
      expect(verdict.detail).toContain("HTTP 502")
    })
  )

  it.effect("when what remains is what a job has cost", () =>
    Effect.gen(function* () {
      const bill = { id: "bill", after: 20, credits: 6, surface: "batch" }
      expect(yield* settled({ events: [bill, later] })).toMatchObject({ tag: "NotAccepted" })
    })
  )

  it.effect("hours later, in one look", () =>
    Effect.gen(function* () {
      expect(yield* settled({ events: [later] }, { begun: 7200 })).toMatchObject({
        tag: "NotAccepted",
        seconds: 7200
      })
    })
  )
})

describe("leaves undecided", () => {
  it.effect.each([
    ["was accepted", { status: 200 }],
    ["has no status", { status: null }],
    ["has no body", { status: 200, body: null }]
  ] as const)("what is in no list while an event %s", ([, event]) =>
    Effect.gen(function* () {
      const verdict = yield* settled({ events: [ours(event), later] })
      expect(verdict).toMatchObject({ tag: "Undecided", seconds: 120 })
    })
  )

  it.effect("what could stand behind the pages that are read", () =>
    Effect.gen(function* () {
      let pages = 0
      const endless = yield* settled(
        {
          events: [later],
          instead: ({ path, seconds }) =>
            path === "/batch"
              ? {
                  body: {
                    jobs: [
                      {
                        batch_id: idOf(++pages),
                        status: "pending",
                        entity: "person",
                        action: "enrich",
                        created_at: new Date(sent + seconds * 1000).toISOString()
                      }
                    ],
                    has_more: true,
                    next_cursor: idOf(pages)
                  }
                }
              : undefined
        },
        { begun: 7200 }
      )
      expect(endless).toMatchObject({ tag: "Undecided" })
      const events = yield* settled({
        instead: ({ path, seconds }) =>
          path === "/account/usage/events"
            ? {
                body: {
                  events: [
                    {
                      event_id: "x",
                      ts: new Date(sent + seconds * 1000).toISOString(),
                      endpoint: "/batch",
                      status: 200
                    }
                  ],
                  has_more: true,
                  next_cursor: "more"
                }
              }
            : undefined
      })
      expect(events).toMatchObject({ tag: "Undecided" })
      const cut = yield* settled({
        events: [later],
        instead: ({ path }) => (path === "/batch" ? { body: { jobs: [], has_more: true } } : undefined)
      })
      expect(cut).toMatchObject({ tag: "Undecided" })
    })
  )

  it.effect("what others may have started, when nothing tells whose it is", () =>
    Effect.gen(function* () {
      const theirs = { id: "theirs", after: 1, body: { domains: ["a.com"], names: undefined } }
      const vague = { id: "vague", after: 1, body: { names: "Acme" } }
      expect(yield* settled({ jobs: [{ id: 1, after: 1 }], events: [theirs, later] })).toMatchObject({
        tag: "Accepted"
      })
      expect(yield* settled({ jobs: [{ id: 1, after: 1 }], events: [vague, later] })).toMatchObject({
        tag: "Undecided"
      })
    })
  )
})

describe("goes on", () => {
  it.effect("when the list fails at first, and cannot fail whatever comes", () =>
    Effect.gen(function* () {
      const healed = yield* settled({
        jobs: [{ id: 1 }],
        instead: ({ path, seconds }) => (path === "/batch" && seconds < 40 ? { status: 503 } : undefined)
      })
      expect(healed).toMatchObject({ tag: "Accepted", id: 1 })
      const steps: ReadonlyArray<Step> = [
        { status: 401 },
        { fails: systemError("ECONNREFUSED") },
        { hangs: "head" },
        { body: "[]" },
        { body: { jobs: {}, events: 7 } },
        { status: 429, headers: { "retry-after": "7200" } }
      ]
      for (const step of steps) {
        const verdict = yield* settled({ instead: () => step })
        expect(verdict, JSON.stringify(step)).toMatchObject({ tag: "Undecided" })
      }
    })
  )

  it.effect("asks for the body of an event once", () =>
    Effect.gen(function* () {
      const { api } = yield* settled({ events: [{ id: "theirs", body: others }, later] })
      expect(api.seen.filter(({ url }) => url.endsWith("/theirs"))).toHaveLength(1)
    })
  )
})

it.effect("knows two searches apart whatever the order of their properties", () =>
  Effect.gen(function* () {
    const filters = { op: "and", conditions: [{ field: "hq", type: "=", value: { a: 1, b: [2] } }] } as const
    const search = Either.getOrThrow(SubmitRequest.make("company/search", { filters, max_results: 5 }))
    const lost = {
      kind: search.kind,
      body: search.body,
      count: 1,
      sentAt: DateTime.unsafeMake(sent),
      requestId: Option.none()
    }
    const jobs = [{ id: 1, count: 1, action: "search" }]
    const same = { conditions: [{ value: { b: [2], a: 1 }, type: "=", field: "hq" }], op: "and" }
    const event = (kept: unknown): Event => ({
      id: "e",
      endpoint: "/batch/company/search",
      body: { filters: kept }
    })
    const adopted = yield* settled({ jobs, events: [event(same)] }, { lost })
    expect(adopted).toMatchObject({ tag: "Accepted", id: 1 })
    const other = { ...same, op: "or" }
    expect(yield* settled({ jobs, events: [event(other), later] }, { lost })).toMatchObject({
      tag: "NotAccepted"
    })
  })
)

describe("submit", () => {
  const submitted = (from: World, first: Step) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(sent)
      const told: Array<string> = []
      const api = world({
        ...from,
        instead: (seen) => (seen.method === "POST" ? first : from.instead?.(seen))
      })
      const played = yield* play(
        Settlement.submit(request, {
          onLost: (error) =>
            Effect.map(Clock.currentTimeMillis, (now) => void told.push(`${error._tag} ${now - sent}`))
        }).pipe(Effect.provide(upstream(api)))
      )
      return { played, told, posts: api.seen.filter(({ method }) => method === "POST").length }
    })

  it.effect("gives the job that it adopts, after it told of the loss", () =>
    Effect.gen(function* () {
      const { played, posts, told } = yield* submitted(
        { jobs: [{ id: 1 }] },
        { fails: systemError("ECONNRESET", "read ECONNRESET") }
      )
      expect(valueOf(played).batchId).toBe(idOf(1))
      expect([posts, told]).toEqual([1, ["SubmitUnknown 0"]])
    })
  )

  it.effect("says that a job was not accepted, or that it is not known, and sends nothing twice", () =>
    Effect.gen(function* () {
      const first: Step = { status: 503, headers: { "x-request-id": "r-1" } }
      const refused = yield* submitted({ events: [later] }, first)
      expect(errorOf(refused.played)).toMatchObject({ _tag: "ApiUnavailable", requestId: Option.some("r-1") })
      const unknown = errorOf((yield* submitted({}, first)).played)
      expect(unknown).toBeInstanceOf(SubmitUnknown)
      expect(unknown).toMatchObject({ requestId: Option.some("r-1"), kind: "company/enrich", count: 3 })
      expect(refused.posts).toBe(1)
    })
  )

  it.effect("settles nothing that was refused", () =>
    Effect.gen(function* () {
      const { played, told } = yield* submitted({}, { status: 402 })
      expect(errorOf(played)._tag).toBe("NotAuthorized")
      expect(told).toEqual([])
    })
  )
})
