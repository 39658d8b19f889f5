import { describe, expect, it } from "@effect/vitest"
import { NodeContext } from "@effect/platform-node"
import { Effect, Either, Option, TestClock } from "effect"
import { BatchId } from "../../src/model/Batch.js"
import * as SubmitRequest from "../../src/model/SubmitRequest.js"
import * as Idempotency from "../../src/submit/Idempotency.js"
import { advance, errorOf, job, play, script, type Step, systemError, upstream, valueOf } from "../Script.js"

const began = Date.UTC(2026, 10, 28, 12)
const idOf = (n: number) => BatchId.make(`01234567-89ab-4cde-8f01-${String(n).padStart(12, "0")}`)
const of = (...domains: ReadonlyArray<string>) =>
  Either.getOrThrow(SubmitRequest.make("company/enrich", { domains }))
const one = of("acme.com")

/** What the API has of a job that it accepted though nobody was told. */
interface World {
  /** What the n-th submit is answered, from 0; by default the n-th job. */
  readonly posts?: (index: number) => Step | undefined
  /** Submits that were accepted without an answer, by their index. */
  readonly accepted?: ReadonlyArray<number>
}

/** Keys in memory before an upstream with a list of jobs and events. */
const world = ({ accepted = [], posts = () => undefined }: World = {}) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(began)
    const sent: Array<number> = []
    const api = script((seen) => {
      const path = new URL(seen.url).pathname.replace("/v1", "")
      const headers = { date: new Date(seen.at).toUTCString() }
      if (seen.method === "POST") {
        const index = sent.push(seen.at) - 1
        return posts(index) ?? { headers, body: job({ batch_id: idOf(index) }) }
      }
      const jobs = accepted
        .filter((index) => sent[index] !== undefined)
        .map((index) => ({
          ...job({ batch_id: idOf(index) }),
          identifier_count: 1,
          created_at: new Date(sent[index] ?? 0).toISOString()
        }))
      if (path === "/batch") return { headers, body: { has_more: false, next_cursor: null, jobs } }
      const events = accepted.map((index) => ({
        event_id: `submit-${index}`,
        ts: new Date(sent[index] ?? 0).toISOString(),
        endpoint: "/batch/company/enrich",
        status: 200
      }))
      if (path === "/account/usage/events") {
        return { headers, body: { events, has_more: false, next_cursor: null } }
      }
      const [, index] = /^\/account\/usage\/events\/submit-(\d+)$/u.exec(path) ?? []
      return index === undefined
        ? { status: 404, headers }
        : { headers, body: { ...events[Number(index)], request: { body: one.body } } }
    })
    const keys = yield* Idempotency.make({}).pipe(Effect.provide(NodeContext.layer))
    const submit = (request = one, key = "order-17", account = "mine") =>
      keys
        .submit(request, { account, key: key === "" ? Option.none() : Option.some(key) })
        .pipe(Effect.provide(upstream(api)))
    return { submit, sent }
  })

const lost: Step = { fails: systemError("ECONNRESET", "read ECONNRESET") }

describe("a key", () => {
  it.scoped("is one job, however often and at whatever time of a day it comes", () =>
    Effect.gen(function* () {
      const { sent, submit } = yield* world()
      const both = valueOf(yield* play(Effect.all([submit(), submit()], { concurrency: 2 })))
      yield* advance("22 hours")
      const later = valueOf(yield* play(submit()))
      expect([...both, later].map(({ batchId }) => batchId)).toEqual([idOf(0), idOf(0), idOf(0)])
      expect(sent).toHaveLength(1)
    })
  )

  it.scoped("is forgotten after a day", () =>
    Effect.gen(function* () {
      const { submit } = yield* world()
      yield* play(submit(), { within: "1 second" })
      yield* advance("24 hours")
      expect(valueOf(yield* play(submit())).batchId).toBe(idOf(1))
    })
  )

  it.scoped("belongs to one request of one account", () =>
    Effect.gen(function* () {
      const { sent, submit } = yield* world()
      yield* play(submit())
      expect(errorOf(yield* play(submit(of("other.org"))))).toMatchObject({
        _tag: "KeyReused",
        message: expect.stringContaining("order-17")
      })
      expect(sent).toHaveLength(1)
      expect(valueOf(yield* play(submit(one, "order-17", "another"))).batchId).toBe(idOf(1))
      expect(valueOf(yield* play(submit(one, ""))).batchId).toBe(idOf(2))
      expect(valueOf(yield* play(submit(one, ""))).batchId).toBe(idOf(3))
    })
  )

  it.scoped("keeps nothing of a refusal", () =>
    Effect.gen(function* () {
      const refusal = { status: 400, body: { error: "no such field" } }
      const { submit } = yield* world({ posts: (index) => (index === 0 ? refusal : undefined) })
      expect(errorOf(yield* play(submit()))._tag).toBe("RequestRejected")
      expect(valueOf(yield* play(submit())).batchId).toBe(idOf(1))
    })
  )
})

describe("a lost answer", () => {
  it.scoped("is looked for, and its job adopted: nothing is sent again", () =>
    Effect.gen(function* () {
      const { sent, submit } = yield* world({ posts: () => lost, accepted: [0] })
      expect(valueOf(yield* play(submit())).batchId).toBe(idOf(0))
      expect(valueOf(yield* play(submit())).batchId).toBe(idOf(0))
      expect(sent).toHaveLength(1)
    })
  )

  it.scoped("of which nothing is found stays unknown, and the same key looks again and sends nothing", () =>
    Effect.gen(function* () {
      const { sent, submit } = yield* world({ posts: () => lost })
      expect(errorOf(yield* play(submit()))._tag).toBe("SubmitUnknown")
      expect(errorOf(yield* play(submit()))._tag).toBe("SubmitUnknown")
      expect(sent).toHaveLength(1)
    })
  )

  it.scoped("has one job for one key: another key of the same request does not adopt it too", () =>
    Effect.gen(function* () {
      const { sent, submit } = yield* world({ posts: () => lost, accepted: [0] })
      expect(valueOf(yield* play(submit())).batchId).toBe(idOf(0))
      expect(errorOf(yield* play(submit(one, "order-18")))._tag).toBe("SubmitUnknown")
      expect(sent).toHaveLength(2)
    })
  )
})
