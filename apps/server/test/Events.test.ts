import { describe, expect, it, layer } from "@effect/vitest"
import * as Batch from "@org/batch-core/Batch"
import { Deferred, Duration, Effect, Either, Fiber, Queue, Schema, Stream, TestClock } from "effect"
import * as Events from "../src/Events.js"
import { problem } from "./Caller.js"
import { eventually, nobody, over, Service, layer as service, under } from "./Service.js"

describe("Events.respond", () => {
  it.scoped("sends a comment line every 15 seconds as long as nothing happens, and ends with the job", () =>
    Effect.gen(function* () {
      const { body, news } = yield* following(undefined)
      yield* Queue.offer(news, yield* job("processing", 1))
      const read = yield* Effect.fork(Stream.mkString(Stream.decodeText(yield* body)))
      yield* TestClock.adjust("50 seconds")
      yield* Queue.offer(news, yield* job("completed", 2))
      expect(shapeOf(yield* Fiber.join(read))).toEqual([
        "retry: 3000",
        "processing:1:0 status",
        ":",
        ":",
        ":",
        "completed:2:0 status",
        "completed:2:0:end end"
      ])
    })
  )

  it.scoped("tells of changes only", () =>
    Effect.gen(function* () {
      const { body, news } = yield* following(undefined)
      for (const [status, count] of [
        ["pending", 0],
        ["pending", 0],
        ["processing", 0],
        ["processing", 3],
        ["processing", 3],
        ["paused", 3],
        ["failed", 3]
      ] as const) {
        yield* Queue.offer(news, yield* job(status, count))
      }
      expect(shapeOf(yield* Stream.mkString(Stream.decodeText(yield* body)))).toEqual([
        "retry: 3000",
        "pending:0:0 status",
        "processing:0:0 status",
        "processing:3:0 status",
        "a7a9dc5bcf71adb2:3:0 status",
        "failed:3:0 status",
        "failed:3:0:end end"
      ])
    })
  )

  it.scoped("ends at once when it is cut", () =>
    Effect.gen(function* () {
      const { body, cut, news } = yield* following(undefined)
      yield* Queue.offer(news, yield* job("processing", 1))
      const read = yield* Effect.fork(Stream.mkString(Stream.decodeText(yield* body)))
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(cut, undefined)
      expect(shapeOf(yield* Fiber.join(read))).toEqual(["retry: 3000", "processing:1:0 status"])
    })
  )
})

layer(service(), { excludeTestServices: true })("GET /batch/{batch_id}/events", (it) => {
  it.scoped("status on every change, end last, each with the job as the upstream describes it", () =>
    Effect.gen(function* () {
      const { get, open, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const stream = yield* open(`/batch/${id}/events`)
      expect([stream.status, stream.headers]).toEqual([
        200,
        expect.objectContaining({
          "content-type": "text/event-stream",
          "cache-control": "no-store",
          "x-accel-buffering": "no"
        })
      ])
      yield* stream.until(/event: status/u)
      yield* sandbox.job(id).complete
      const { body, broken } = yield* stream.whole
      expect(broken).toBeUndefined()
      const events = parse(body.toString())
      expect(events.map(({ event }) => event)).toEqual(["status", "status", "end"])
      expect(events.map(({ data }) => Schema.decodeSync(Status)(data).status)).toEqual([
        "processing",
        "completed",
        "completed"
      ])
      expect(new Set(events.map((event) => event.id)).size).toBe(3)
      expect(events.at(-1)?.data).toBe((yield* get(`/batch/${id}`)).body.toString())
    })
  )

  it.scoped("whoever comes back with the last id is told only what is new", () =>
    Effect.gen(function* () {
      const { get, open, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const first = yield* open(`/batch/${id}/events`)
      const [seen] = parse(yield* first.until(/\n\n.*\n\n/su))
      yield* first.leave
      const second = yield* open(`/batch/${id}/events`, { "last-event-id": seen?.id ?? "" })
      expect(second.status).toBe(200)
      yield* sandbox.job(id).fail("over")
      const events = parse((yield* second.whole).body.toString())
      expect(events.map(({ event }) => event)).toEqual(["status", "end"])

      const last = { "last-event-id": events[0]?.id ?? "" }
      const ends = parse((yield* get(`/batch/${id}/events`, last)).body.toString())
      expect(ends.map(({ event }) => event)).toEqual(["end"])
    })
  )

  it.effect("204 for whoever has seen the end, so that a browser does not come back", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      const events = parse((yield* get(`/batch/${id}/events`)).body.toString())
      expect(events.map(({ event }) => event)).toEqual(["status", "end"])
      const again = yield* get(`/batch/${id}/events`, { "last-event-id": events[1]?.id ?? "" })
      expect([again.status, again.body.length]).toEqual([204, 0])
      const odd = yield* get(`/batch/${id}/events`, { "last-event-id": "made up" })
      expect(parse(odd.body.toString()).map(({ id }) => id)).toEqual(events.map(({ id }) => id))
    })
  )

  it.effect("an unknown job, a refusal and a bad id are told by a status", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      expect(problem(yield* get(`/batch/${nobody}/events`))).toMatchObject({ status: 404 })
      const id = yield* sandbox.createJob({ stuck: true })
      const rule = { on: { server: "api" }, do: { respond: { status: 403 } } } as const
      const answer = yield* under(sandbox, [rule], get(`/batch/${id}/events`))
      expect(problem(answer)).toMatchObject({ status: 403, type: "NotAuthorized" })
    })
  )

  it.scoped("answers at once while the API does not, tells of trouble, and goes on when it is over", () =>
    Effect.gen(function* () {
      const { open, sandbox } = yield* Service
      const [hung, id] = [
        yield* sandbox.createJob({ stuck: true }),
        yield* sandbox.createJob({ stuck: true })
      ]
      yield* under(
        sandbox,
        [{ on: { server: "api", path: hung }, do: { hang: true } }],
        Effect.gen(function* () {
          const [took, stream] = yield* Effect.timed(open(`/batch/${hung}/events`))
          expect(stream.status).toBe(200)
          expect(Duration.toMillis(took)).toBeLessThan(30_000)
          expect(yield* stream.until(/retry/u)).toBe("retry: 3000\n\n")
          yield* stream.leave
        })
      )
      const secret = "https://files.test/x?X-Amz-Signature=0a1b2c"
      yield* sandbox.script({
        on: { server: "api", path: id },
        times: 2,
        do: { respond: { status: 503, body: JSON.stringify({ message: `down\r\n\r\ndata: ${secret}` }) } }
      })
      const stream = yield* open(`/batch/${id}/events`)
      const text = yield* stream.until(/event: status/u)
      expect(text).toMatch(/^retry: 3000\n\n(?:: ApiUnavailable: .*HTTP 503.*\n\n){2}id: processing/u)
      expect(text).not.toContain("0a1b2c")
      yield* sandbox.job(id).complete
      expect(parse((yield* stream.whole).body.toString()).map(({ event }) => event)).toEqual([
        "status",
        "status",
        "end"
      ])
    })
  )

  it.scoped("faults of the API in between end nothing, and are told as comments", () =>
    Effect.gen(function* () {
      const { open, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const stream = yield* open(`/batch/${id}/events`)
      yield* stream.until(/event: status/u)
      const rules = [
        { on: { server: "api" }, times: 3, do: { respond: { status: 503 } } },
        { on: { server: "api" }, times: 2, do: { cut: { afterBytes: 9, by: "reset" } } },
        { on: { server: "api" }, times: 3, do: { respond: { status: 429 } } }
      ] as const
      const { body, broken } = yield* under(
        sandbox,
        rules,
        Effect.gen(function* () {
          yield* eventually(sandbox.faults, (all) =>
            all.every(({ consumed, expected }) => consumed === expected)
          )
          yield* sandbox.job(id).complete
          return yield* stream.whole
        })
      )
      expect(broken).toBeUndefined()
      expect(parse(body.toString()).map(({ event }) => event)).toEqual(["status", "status", "end"])
      const comments = blocks(body.toString()).filter((block) => block.startsWith(": "))
      expect(comments.length).toBeGreaterThan(3)
      expect(comments.join("\n")).toMatch(/HTTP 503/u)
    })
  )

  it.scoped(
    "what ends the waiting ends the stream, without end; whoever comes back is told by a status",
    () =>
      Effect.gen(function* () {
        const { get, open, sandbox } = yield* Service
        const id = yield* sandbox.createJob({ stuck: true })
        const stream = yield* open(`/batch/${id}/events`)
        yield* stream.until(/event: status/u)
        // In the API's own shape; one that has not got it is believed only when it comes again.
        const refusal = { status: 401, body: JSON.stringify({ message: "Invalid API key" }) }
        const rule = { on: { server: "api" }, times: 2, do: { respond: refusal } } as const
        const answer = yield* under(
          sandbox,
          [rule],
          Effect.gen(function* () {
            const text = (yield* stream.whole).body.toString()
            expect(text).toMatch(
              /\n\n: NotAuthorized: .*Invalid API key; request [\da-f-]{36}\n\nretry: 60000\n\n$/u
            )
            const events = parse(text)
            expect(events.map(({ event }) => event)).toEqual(["status"])
            return yield* get(`/batch/${id}/events`, { "last-event-id": events[0]?.id ?? "" })
          })
        )
        expect(problem(answer)).toMatchObject({ status: 401, type: "NotAuthorized" })
      })
  )

  it.scoped(
    "many who follow cost the upstream what one does, are counted, and end the polling when they leave",
    () =>
      Effect.gen(function* () {
        const { calls, metric, open, sandbox } = yield* Service
        const id = yield* sandbox.createJob({ stuck: true })
        const openStreams = metric(`batch_server_open_streams{kind="events"}`)
        const polls = metric("batch_polls_total")
        const before = yield* polls
        const streams = yield* Effect.replicateEffect(open(`/batch/${id}/events`), 40, { concurrency: 40 })
        expect(yield* openStreams).toBe(40)
        yield* eventually(polls, (now) => now >= before + 5)
        yield* Effect.forEach(streams, ({ leave }) => leave)
        yield* eventually(openStreams, (now) => now === 0)
        yield* Effect.sleep("400 millis")
        const made = (yield* calls(id)).length
        expect(made - ((yield* polls) - before)).toBeLessThanOrEqual(1)
        yield* Effect.sleep("400 millis")
        expect(yield* calls(id)).toHaveLength(made)
      })
  )
})

// ----------------------------------------------------------------------------------------------------------------

/** An event stream fed by hand. */
const following = (lastId: string | undefined) =>
  Effect.gen(function* () {
    const news = yield* Queue.unbounded<Batch.Batch>()
    const cut = yield* Deferred.make<void>()
    const states = Stream.fromQueue(news).pipe(
      Stream.takeUntil(({ status }) => Batch.isTerminal(status)),
      Stream.map(Either.right)
    )
    const body = Effect.map(
      Events.respond(Events.ofJob, states, { lastId, cut: Deferred.await(cut) }),
      ({ body }) => (body._tag === "Stream" ? body.stream : Stream.empty)
    )
    return { news, cut, body }
  })

const job = (status: string, result_count: number) =>
  Schema.decode(Batch.FromJson)({ batch_id: nobody, status, result_count })

/** Blocks of a stream in a word or two: the id and the name of an event, or the line that stands alone. */
const shapeOf = (text: string): ReadonlyArray<string> =>
  blocks(text).map((block) => block.replace(/^id: (.*)\nevent: (.*)\ndata: .*$/u, "$1 $2"))

const blocks = (text: string): ReadonlyArray<string> => text.split("\n\n").filter((block) => block !== "")

interface Event {
  readonly id: string
  readonly event: string
  readonly data: string
}

/** Every block must be an event of the three fields, a comment, or the time after which a browser comes back. */
const parse = (text: string): ReadonlyArray<Event> =>
  blocks(text).flatMap((block) => {
    if (/^(?::.*|retry: \d+)$/u.test(block)) return []
    const [, id = "", event = "", data = ""] = /^id: (.+)\nevent: (.+)\ndata: (.+)$/u.exec(block) ?? []
    expect([id, event, data], block).not.toContain("")
    return [{ id, event, data }]
  })

const Status = Schema.parseJson(Schema.Struct({ status: Schema.String }))
