import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Fiber, Schema } from "effect"
import { type Answer, json, problem } from "./Caller.js"
import { eventually, nobody, over, quick, Service, layer as service, under } from "./Service.js"

layer(service(), { excludeTestServices: true })("GET /batch/{batch_id}/wait", (it) => {
  it.effect("answers when the job has ended, as the upstream describes it", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ ...over, pendingMs: 100, processingMs: 300 })
      const answer = yield* get(`/batch/${id}/wait?timeout=10m`)
      expect([answer.status, json(answer)]).toEqual([
        200,
        expect.objectContaining({ batch_id: id, status: "completed", download_url: expect.any(String) })
      ])
      expect((yield* get(`/batch/${id}`)).body).toEqual(answer.body)
    })
  )

  it.effect("a job that has ended is answered at once, and from memory the next time", () =>
    Effect.gen(function* () {
      const { calls, get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      expect(statusOf(yield* get(`/batch/${id}/wait`))).toBe("completed")
      expect(statusOf(yield* get(`/batch/${id}/wait`))).toBe("completed")
      expect(yield* calls(id)).toHaveLength(1)
    })
  )

  it.effect("a job that has failed is an answer, too", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const waiting = yield* Effect.fork(get(`/batch/${id}/wait?timeout=10m`))
      yield* eventually(sandbox.requests, (all) => all.some(({ path }) => path.includes(id)))
      yield* sandbox.job(id).fail("no such provider")
      const answer = yield* waiting
      expect([answer.status, json(answer)]).toEqual([
        200,
        expect.objectContaining({ status: "failed", error_message: "no such provider" })
      ])
    })
  )

  it.effect("when the time is up the current state is the answer", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const [took, answer] = yield* Effect.timed(get(`/batch/${id}/wait?timeout=2s`))
      expect([answer.status, statusOf(answer)]).toEqual([200, "processing"])
      expect(Duration.toMillis(took)).toBeGreaterThanOrEqual(2000)
      expect(statusOf(yield* get(`/batch/${id}/wait?timeout=0`))).toBe("processing")
    })
  )

  it.effect("502 if nothing at all was heard of the job until then", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const answer = yield* under(
        sandbox,
        [{ on: { server: "api", path: id }, do: { hang: true } }],
        get(`/batch/${id}/wait?timeout=300ms`)
      )
      expect(problem(answer)).toMatchObject({
        status: 502,
        type: "ApiUnavailable",
        metadata: { attempts: 1, reason: "Timeout" }
      })
    })
  )

  for (const timeout of ["soon", "-1s", "2h", "61m", "1e3", "", "Infinity", "1s&timeout=2s"]) {
    it.effect(`400 for timeout=${timeout}, without asking the API`, () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const before = (yield* sandbox.requests).length
        const { message, status, type } = problem(yield* get(`/batch/${nobody}/wait?timeout=${timeout}`))
        expect([status, type]).toEqual([400, "RequestRejected"])
        expect(message).toContain("timeout")
        expect(yield* sandbox.requests).toHaveLength(before)
      })
    )
  }

  it.effect("asking again is useless: 404 and 402 end the wait at once", () =>
    Effect.gen(function* () {
      const { calls, get, sandbox } = yield* Service
      expect(problem(yield* get(`/batch/${nobody}/wait`))).toMatchObject({ status: 404 })
      expect(yield* calls(nobody)).toHaveLength(1)
      const id = yield* sandbox.createJob({ stuck: true })
      const rule = { on: { server: "api", nth: 2 }, do: { respond: { status: 402 } } } as const
      const answer = yield* under(sandbox, [rule], get(`/batch/${id}/wait`))
      expect(problem(answer)).toMatchObject({ status: 402, type: "NotAuthorized" })
    })
  )

  it.effect("an upstream that goes away for a while does not end it", () =>
    Effect.gen(function* () {
      const { get, metric, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ ...over, pendingMs: 0, processingMs: 400 })
      const waiting = yield* Effect.fork(get(`/batch/${id}/wait?timeout=10m`))
      yield* eventually(sandbox.requests, (all) => all.some(({ path }) => path.includes(id)))
      const failures = metric(`batch_api_requests_total{outcome="network"}`)
      const before = yield* failures
      yield* sandbox.pauseApi
      yield* eventually(failures, (now) => now > before + 3)
      yield* sandbox.resumeApi
      expect(statusOf(yield* waiting)).toBe("completed")
    })
  )

  it.effect("a storm of 5xx and 429 does not end it either", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const rules = [429, 500, 503].map((status) => ({
        on: { server: "api" } as const,
        times: 2,
        do: { respond: { status } }
      }))
      const waiting = yield* Effect.fork(get(`/batch/${id}/wait?timeout=10m`))
      const answer = yield* under(
        sandbox,
        rules,
        Effect.gen(function* () {
          yield* eventually(sandbox.faults, (all) => all.every(({ consumed }) => consumed === 2))
          yield* sandbox.job(id).complete
          return yield* waiting
        })
      )
      expect(statusOf(answer)).toBe("completed")
    })
  )

  it.effect("a caller that goes away ends the polling, unless others wait", () =>
    Effect.gen(function* () {
      const { calls, get, logs, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const first = yield* Effect.fork(get(`/batch/${id}/wait`))
      const second = yield* Effect.fork(get(`/batch/${id}/wait`))
      const polls = Effect.map(calls(id), ({ length }) => length)
      const gone = Effect.map(logs, (lines) =>
        lines.filter(({ path, status }) => path === `/batch/${id}/wait` && status === 499)
      )
      yield* eventually(polls, (now) => now >= 2)
      yield* Fiber.interrupt(first)
      yield* eventually(gone, ({ length }) => length === 1)
      const before = yield* polls
      yield* eventually(polls, (now) => now >= before + 2)
      yield* Fiber.interrupt(second)
      yield* eventually(gone, ({ length }) => length === 2)
      yield* Effect.sleep(5 * maxPause)
      const last = yield* polls
      yield* Effect.sleep(5 * maxPause)
      expect(yield* polls).toBe(last)
    })
  )
})

layer(service(), { excludeTestServices: true })("200 who wait", (it) => {
  it.effect("for the same job cost the upstream what one does", () =>
    Effect.gen(function* () {
      const { calls, get, logs, metric, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ stuck: true })
      const path = `/batch/${id}/wait`
      const began = performance.now()
      const many = yield* Effect.fork(
        Effect.replicateEffect(get(`${path}?timeout=10m`), 200, { concurrency: 200 })
      )
      yield* eventually(sockets, ({ connecting, open }) => connecting === 0 && open >= 200)
      const polls = metric("batch_polls_total")
      const before = yield* polls
      yield* eventually(polls, (now) => now >= before + 5)
      yield* sandbox.job(id).complete
      expect(new Set((yield* many).map((answer) => `${answer.status} ${statusOf(answer)}`))).toEqual(
        new Set(["200 completed"])
      )
      const requests = yield* calls(id)
      expect(yield* polls).toBe(requests.length)
      // Requests that were sent at their times may come in at others, so only their number is sure.
      expect(requests.length).toBeLessThanOrEqual(2 + (performance.now() - began) / minPause)

      const lines = yield* eventually(
        Effect.map(logs, (all) => all.filter((line) => line["path"] === path)),
        ({ length }) => length === 200
      )
      const spans = Schema.decodeUnknownSync(Spans)(lines)
      const lastBegin = Math.max(...spans.map(({ duration_ms, time }) => time.getTime() - duration_ms))
      expect(lastBegin, "all at the same time").toBeLessThan(
        Math.min(...spans.map(({ time }) => time.getTime()))
      )
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

const minPause = Number.parseFloat(quick.BATCH_POLL_MIN_DELAY)
const maxPause = Number.parseFloat(quick.BATCH_POLL_MAX_DELAY)

const Job = Schema.Struct({ status: Schema.String })

const statusOf = (answer: Answer): string => Schema.decodeUnknownSync(Job)(json(answer)).status

const Spans = Schema.Array(Schema.Struct({ time: Schema.Date, duration_ms: Schema.Number }))

/** The sockets of this process. */
const sockets = Effect.sync(() => {
  const resources = process.getActiveResourcesInfo()
  const count = (kind: string) => resources.filter((resource) => resource === kind).length
  return { connecting: count("TCPConnectWrap"), open: count("TCPSocketWrap") }
})
