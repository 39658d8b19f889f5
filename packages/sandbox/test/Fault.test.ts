import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Schema, TestClock } from "effect"
import { gunzipSync } from "node:zlib"
import { Fault, Sandbox } from "../src/index.js"
import * as Http from "./Http.js"

const ranged = { range: "bytes=100-199" }

describe("which request", () => {
  it.scoped("the rules of a script take requests in turn, each as often as it says, and tell so", () =>
    Effect.gen(function* () {
      const { link, sandbox } = yield* finished
      yield* sandbox.script(
        { id: "busy", on: { server: "storage" }, times: 2, do: { respond: { status: 503 } } },
        { on: { server: "storage", method: "get" }, do: { respond: { status: 500 } } },
        { id: "never", on: { server: "storage", path: "part-9" }, do: { hang: true } }
      )
      const statuses = yield* Effect.replicateEffect(
        Effect.map(Http.send(link), ({ status }) => status),
        4
      )
      expect(statuses).toEqual([503, 503, 500, 200])
      expect(yield* sandbox.faults).toEqual([
        { id: "busy", consumed: 2, expected: 2 },
        { id: "fault-2", consumed: 1, expected: 1 },
        { id: "never", consumed: 0, expected: 1 }
      ])
      expect((yield* sandbox.requests).slice(-4).map(({ fault }) => fault)).toEqual([
        "busy",
        "busy",
        "fault-2",
        undefined
      ])
    })
  )

  it.scoped("nth waits, -1 goes on for ever, clearing ends it", () =>
    Effect.gen(function* () {
      const { link, sandbox } = yield* finished
      yield* sandbox.script({
        on: { server: "storage", nth: 3 },
        times: -1,
        do: { respond: { status: 500 } }
      })
      const statuses = yield* Effect.replicateEffect(
        Effect.map(Http.send(link), ({ status }) => status),
        5
      )
      expect(statuses).toEqual([200, 200, 500, 500, 500])
      expect(yield* sandbox.faults).toEqual([{ id: "fault-1", consumed: 3, expected: "forever" }])
      yield* sandbox.clearFaults
      expect((yield* Http.send(link)).status).toBe(200)
    })
  )

  it.scoped("server, path and the start of the range choose", () =>
    Effect.gen(function* () {
      const { id, link, sandbox } = yield* finished
      yield* sandbox.script(
        { on: { server: "api", path: "^/batch/[^/]+$" }, do: { respond: { status: 502, body: "<html>" } } },
        { on: { server: "storage", rangeFrom: 100 }, do: { respond: { status: 500 } } },
        { on: { server: "storage", rangeFrom: { atLeast: 200 } }, do: { respond: { status: 503 } } }
      )
      const range = (range: string) =>
        Effect.map(Http.send(link, { headers: { range } }), ({ status }) => status)
      expect(yield* range("bytes=50-")).toBe(206)
      expect(yield* range("bytes=100-")).toBe(500)
      expect(yield* range("bytes=100-")).toBe(206)
      expect(yield* range("bytes=250-")).toBe(503)
      const list = yield* Http.send(`${sandbox.baseUrl}/batch`, { headers: Http.bearer })
      const one = yield* Http.send(`${sandbox.baseUrl}/batch/${id}`, { headers: Http.bearer })
      expect([list.status, one.status, one.body.toString()]).toEqual([200, 502, "<html>"])
    })
  )

  it("a rule survives JSON, and a path that is no regular expression is refused", () => {
    const rule: Fault.Rule = {
      id: "all",
      on: { server: "api", nth: 2, rangeFrom: { atLeast: 1 } },
      times: -1,
      do: { delay: { ms: 5 }, cut: { afterBytes: 3, by: "fin", chunked: true } }
    }
    const Json = Schema.parseJson(Fault.Rule)
    expect(Schema.decodeSync(Json)(Schema.encodeSync(Json)(rule))).toEqual(rule)
    expect(Schema.is(Fault.Rule)({ on: { server: "api", path: "(" }, do: {} })).toBe(false)
  })
})

describe("before the answer", () => {
  it.scoped("delay waits on the clock of the sandbox", () =>
    Effect.gen(function* () {
      const { disturb, sandbox } = yield* finished
      const sent = yield* Effect.fork(disturb({ delay: { ms: 5000 } }))
      yield* arrival(sandbox, 1)
      expect((yield* sandbox.requests).at(-1)?.status).toBeUndefined()
      yield* TestClock.adjust("5 seconds")
      expect((yield* Fiber.join(sent)).status).toBe(200)
    })
  )

  it.scoped("hang sends nothing", () =>
    Effect.gen(function* () {
      const { disturb } = yield* finished
      expect(yield* disturb({ hang: true }, { idleMs: 60 })).toMatchObject({ status: 0, ended: "idle" })
    })
  )

  it.scoped("busy refuses those above the number that it bears at a time, and no others", () =>
    Effect.gen(function* () {
      const { link, sandbox } = yield* finished
      yield* sandbox.script({
        on: { server: "storage" },
        times: -1,
        do: { busy: { above: 2 }, delay: { ms: 1000 } }
      })
      const first = yield* Effect.fork(Effect.all([Http.send(link), Http.send(link)], { concurrency: 2 }))
      while ((yield* sandbox.requests).filter(({ server }) => server === "storage").length < 3) {
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
      }
      const third = yield* Http.send(link)
      expect([third.status, third.body.toString()]).toEqual([
        503,
        expect.stringContaining("<Code>SlowDown</Code>")
      ])
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(first)).map(({ status }) => status)).toEqual([200, 200])
      const later = yield* Effect.fork(Http.send(link))
      yield* arrival(sandbox, 1)
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(later)).status).toBe(200)
    })
  )

  it.scoped("ignoreRange and ignoreIfMatch do as they say", () =>
    Effect.gen(function* () {
      const { disturb, whole } = yield* finished
      const outcome = yield* disturb({ ignoreRange: true }, { headers: ranged })
      expect([outcome.status, outcome.body.equals(whole)]).toEqual([200, true])
      expect(outcome.headers["content-range"]).toBeUndefined()
      const headers = { "if-match": '"other"' }
      expect((yield* disturb({}, { headers })).status).toBe(412)
      expect((yield* disturb({ ignoreIfMatch: true }, { headers })).status).toBe(200)
    })
  )

  it.scoped("changed puts another object of equal size in its place, for good", () =>
    Effect.gen(function* () {
      const { disturb, link, whole } = yield* finished
      const {
        headers: { etag }
      } = yield* Http.send(link)
      const other = yield* disturb({ changed: true })
      expect(other.headers.etag).not.toBe(etag)
      expect([other.body.length, other.body.equals(whole)]).toEqual([whole.length, false])
      expect(gunzipSync(other.body).length).toBe(gunzipSync(whole).length)
      expect((yield* Http.send(link)).headers.etag).toBe(other.headers.etag)
    })
  )
})

describe("the object", () => {
  it.scoped("text is what somebody else would have written, emptied is nothing", () =>
    Effect.gen(function* () {
      const { disturb, whole } = yield* finished
      const rows = gunzipSync(whole).toString()
      const noisy = yield* disturb({ text: { blankLines: 2, bom: true, unterminated: true } })
      expect(gunzipSync(noisy.body).toString()).toBe(`\ufeff${rows.replace("\n", "\n\n\n")}\n`)
      expect((yield* disturb({ text: { plain: true } })).body.toString()).toBe(rows)
      expect((yield* disturb({ emptied: true })).body).toHaveLength(0)
    })
  )

  it.scoped("ifMatch chooses requests with that header, or without it", () =>
    Effect.gen(function* () {
      const { link, sandbox } = yield* finished
      yield* sandbox.script({ on: { server: "storage", ifMatch: true }, do: { respond: { status: 501 } } })
      expect((yield* Http.send(link)).status).toBe(200)
      expect((yield* Http.send(link, { headers: { "if-match": "*" } })).status).toBe(501)
    })
  )

  it.scoped("extraBytes are part of it: zeros, junk, or members", () =>
    Effect.gen(function* () {
      const { disturb, whole } = yield* finished
      const zeros = yield* disturb({ extraBytes: { n: 7000, kind: "zeros" } })
      expect(zeros.headers["content-length"]).toBe(String(whole.length + 7000))
      expect(zeros.body.subarray(whole.length)).toEqual(Buffer.alloc(7000))
      const junk = yield* disturb({ extraBytes: { n: 6, kind: "junk" } }, { headers: { range: "bytes=-6" } })
      expect(junk.headers["content-range"]).toBe(
        `bytes ${whole.length}-${whole.length + 5}/${whole.length + 6}`
      )
      expect(junk.body.toString()).toBe("junkju")
      const member = yield* disturb({ extraBytes: { n: 2, kind: "member" } })
      expect(
        gunzipSync(member.body)
          .toString()
          .match(/surplus/g)?.length
      ).toBe(2)
    })
  )

  it.scoped("fewerBytes are missing from it, flipByte inverts one", () =>
    Effect.gen(function* () {
      const { disturb, whole } = yield* finished
      const fewer = yield* disturb({ fewerBytes: { n: 9 } }, { headers: { range: "bytes=0-" } })
      expect(fewer.headers["content-range"]).toBe(`bytes 0-${whole.length - 10}/${whole.length - 9}`)
      expect(fewer.body.equals(whole.subarray(0, -9))).toBe(true)
      const flipped = yield* disturb({ flipByte: { at: 500 } })
      const differing = [...flipped.body].flatMap((byte, at) => (byte === whole[at] ? [] : [at]))
      expect([flipped.body.length, differing]).toEqual([whole.length, [500]])
    })
  )
})

describe("another answer", () => {
  it.scoped("respond, redirect and expired", () =>
    Effect.gen(function* () {
      const { disturb } = yield* finished
      const busy = yield* disturb({
        respond: { status: 503, headers: { "Retry-After": "3" }, body: "<Code>SlowDown</Code>" }
      })
      expect([busy.status, busy.headers["retry-after"], busy.body.toString()]).toEqual([
        503,
        "3",
        "<Code>SlowDown</Code>"
      ])
      const moved = yield* disturb({ redirect: { to: "https://elsewhere.example/" } })
      expect([moved.status, moved.headers.location]).toEqual([307, "https://elsewhere.example/"])
      expect((yield* disturb({ redirect: { to: "/", status: 301 } })).status).toBe(301)
      const expired = yield* disturb({ expired: true })
      expect([expired.status, expired.body.toString()]).toEqual([
        403,
        expect.stringContaining("Request has expired")
      ])
      const token = yield* disturb({ expired: { as: "ExpiredToken" } })
      expect([token.status, token.body.toString()]).toEqual([
        400,
        expect.stringContaining("<Code>ExpiredToken</Code>")
      ])
    })
  )

  it.scoped("garbage, told or untold", () =>
    Effect.gen(function* () {
      const { disturb, whole } = yield* finished
      const page = yield* disturb({ garbage: {} }, { headers: ranged })
      expect([page.status, page.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"])
      expect(page.body.toString()).toContain("<!DOCTYPE html>")
      const disguised = yield* disturb({ garbage: { body: "nonsense ", keepLength: true } })
      expect([disguised.headers["content-type"], disguised.body.length]).toEqual([
        "application/gzip",
        whole.length
      ])
      expect(disguised.body.toString()).toMatch(/^nonsense nonsense /)
    })
  )
})

describe("the answer altered", () => {
  it.scoped("wrongRange lies in the header, or in the body", () =>
    Effect.gen(function* () {
      const { disturb, whole } = yield* finished
      const range = (wrongRange: NonNullable<Fault.Effects["wrongRange"]>) =>
        Effect.map(
          disturb({ wrongRange }, { headers: ranged }),
          (outcome) => outcome.headers["content-range"]
        )
      expect(yield* range({ start: 0 })).toBe(`bytes 0-199/${whole.length}`)
      expect(yield* range({ end: 150, total: "*" })).toBe("bytes 100-150/*")
      expect(yield* range({ unit: "items", total: 7 })).toBe("items 100-199/7")
      const shifted = yield* disturb({ wrongRange: { bodyFrom: 50 } }, { headers: ranged })
      expect(shifted.headers["content-range"]).toBe(`bytes 100-199/${whole.length}`)
      expect(shifted.body).toEqual(whole.subarray(50, 150))
    })
  )

  it.scoped("inflate and contentEncodingGzip", () =>
    Effect.gen(function* () {
      const { disturb, whole } = yield* finished
      const inflated = yield* disturb({ inflate: true }, { headers: ranged })
      expect([inflated.status, inflated.headers["content-length"]]).toEqual([200, undefined])
      expect(inflated.body.equals(gunzipSync(whole))).toBe(true)
      const encoded = yield* disturb({ contentEncodingGzip: true })
      expect([encoded.headers["content-encoding"], encoded.body.equals(whole)]).toEqual(["gzip", true])
    })
  )

  it.scoped("etags and headers", () =>
    Effect.gen(function* () {
      const { disturb, link } = yield* finished
      const {
        headers: { etag = "" }
      } = yield* Http.send(link)
      const as = (kind: NonNullable<Fault.Effects["etag"]>) =>
        Effect.map(disturb({ etag: kind }), ({ headers }) => headers.etag)
      expect(yield* as("weak")).toBe(`W/${etag}`)
      expect(yield* as("missing")).toBeUndefined()
      expect(yield* as("unquoted")).toBe(etag.slice(1, -1))
      expect(yield* as("other")).not.toBe(etag)
      const { headers } = yield* disturb({
        headers: { add: { "X-Cache": "HIT" }, remove: ["Accept-Ranges"] }
      })
      expect([headers["x-cache"], headers["accept-ranges"]]).toEqual(["HIT", undefined])
    })
  )
})

describe("the delivery", () => {
  it.scoped.each([
    [{ by: "reset" }, "ECONNRESET"],
    [{ by: "fin" }, "ECONNRESET"],
    [{ by: "fin", chunked: true }, "ECONNRESET"]
  ] as const)("cut %j after so many bytes", ([how, ended]) =>
    Effect.gen(function* () {
      const { disturb, sandbox, whole } = yield* finished
      const outcome = yield* disturb({ cut: { afterBytes: 1234, ...how } })
      expect(outcome).toMatchObject({ status: 200, ended })
      expect(outcome.body).toEqual(whole.subarray(0, 1234))
      const promised = "chunked" in how ? undefined : String(whole.length)
      expect(outcome.headers["content-length"]).toBe(promised)
      expect((yield* sandbox.requests).at(-1)?.bytesSent).toBe(1234)
    })
  )

  it.scoped("a cut at 0 bytes leaves the head alone", () =>
    Effect.gen(function* () {
      const { disturb } = yield* finished
      const outcome = yield* disturb({ cut: { afterBytes: 0, by: "reset" } })
      expect([outcome.status, outcome.body.length, outcome.ended]).toEqual([200, 0, "ECONNRESET"])
    })
  )

  it.scoped("stall falls silent, for a while or for ever", () =>
    Effect.gen(function* () {
      const { disturb, sandbox, whole } = yield* finished
      const silent = yield* disturb({ stall: { afterBytes: 10 } }, { idleMs: 1000 })
      expect([silent.ended, silent.body.length]).toEqual(["idle", 10])
      const sent = yield* Effect.fork(disturb({ stall: { afterBytes: 10, ms: 3000 } }))
      yield* arrival(sandbox, 10)
      yield* TestClock.adjust("3 seconds")
      const outcome = yield* Fiber.join(sent)
      expect([outcome.ended, outcome.body.equals(whole)]).toEqual(["whole", true])
    })
  )

  it.scoped("trickle brings everything in small pieces", () =>
    Effect.gen(function* () {
      const { disturb, whole } = yield* finished
      const outcome = yield* disturb({ trickle: { bytesPerSecond: 1000 } }, { headers: ranged })
      expect([outcome.ended, outcome.body]).toEqual(["whole", whole.subarray(100, 200)])
    })
  )

  it.scoped("several effects compose", () =>
    Effect.gen(function* () {
      const { disturb, whole } = yield* finished
      const outcome = yield* disturb(
        { ignoreRange: true, etag: "missing", cut: { afterBytes: 7, by: "fin" } },
        { headers: ranged }
      )
      expect([outcome.status, outcome.headers.etag, outcome.body]).toEqual([
        200,
        undefined,
        whole.subarray(0, 7)
      ])
    })
  )
})

describe("lost answers to submits", () => {
  const gateway = {
    status: 504,
    headers: { "content-type": "text/html" },
    body: "<html>Gateway Timeout</html>"
  }
  const lost: ReadonlyArray<readonly [does: string, effects: Fault.Effects, seen: Partial<Http.Outcome>]> = [
    ["no byte of an answer, reset", { drop: { by: "reset" } }, { status: 0, ended: "ECONNRESET" }],
    ["no byte of an answer, end", { drop: { by: "fin" } }, { status: 0, ended: "ECONNRESET" }],
    ["a head and no body", { cut: { afterBytes: 0, by: "reset" } }, { status: 202, ended: "ECONNRESET" }],
    ["half an answer", { cut: { afterBytes: 40, by: "fin" } }, { status: 202, ended: "ECONNRESET" }],
    ["a page instead", { respond: gateway }, { status: 504, ended: "whole" }],
    ["a challenge instead", { garbage: {} }, { status: 200, ended: "whole" }]
  ]

  it.scoped.each(lost)("%s: the job is there, and its usage event", ([, effects, seen]) =>
    Effect.gen(function* () {
      const { events, jobs, sandbox, submit } = yield* account
      yield* sandbox.script({ on: { server: "api", method: "POST" }, do: effects })
      expect(yield* submit).toMatchObject(seen)
      expect([yield* jobs, yield* events]).toEqual([1, [202]])
    })
  )

  it.scoped.each(lost)("%s, unprocessed: neither job nor event", ([, effects, { status }]) =>
    Effect.gen(function* () {
      const { events, jobs, sandbox, submit } = yield* account
      yield* sandbox.script({ on: { server: "api", method: "POST" }, do: { ...effects, unprocessed: true } })
      const outcome = yield* submit
      expect(outcome.status).toBe(status === 202 ? 502 : status)
      expect([yield* jobs, yield* events]).toEqual([0, []])
    })
  )

  it.scoped(
    "a refusal by a script is one, unless it says otherwise; its answer carries the id of the request",
    () =>
      Effect.gen(function* () {
        const { events, jobs, sandbox, submit } = yield* account
        const on: Fault.Match = { server: "api", method: "POST" }
        yield* sandbox.script(
          { on, do: { respond: { status: 429 } } },
          { on, do: { unprocessed: true } },
          { on, do: { respond: { status: 500 }, headers: { remove: ["X-Request-Id"] } } },
          { on, do: { respond: { status: 409 }, unprocessed: false } }
        )
        const answers = yield* Effect.replicateEffect(submit, 4)
        expect(answers.map(({ headers, status }) => [status, headers["x-request-id"] !== undefined])).toEqual(
          [
            [429, true],
            [502, true],
            [500, false],
            [409, true]
          ]
        )
        expect([yield* jobs, yield* events]).toEqual([2, [202, 202]])
      })
  )

  it.scoped("drop keeps silent first, on the clock of the sandbox", () =>
    Effect.gen(function* () {
      const { jobs, sandbox, submit } = yield* account
      yield* sandbox.script({
        on: { server: "api", method: "POST" },
        do: { drop: { by: "fin", ms: 60_000 } }
      })
      const sent = yield* Effect.fork(submit)
      yield* Effect.repeat(jobs, { until: (count) => count === 1 })
      expect(yield* Fiber.poll(sent)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(sent)).toMatchObject({ status: 0, ended: "ECONNRESET" })
    })
  )

  const Listed = Schema.Struct({ jobs: Schema.Array(Schema.Unknown) })
  const Told = Schema.Struct({
    events: Schema.Array(Schema.Struct({ method: Schema.String, status: Schema.Int }))
  })

  const account = Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ usageDelayMs: 0 })
    const headers = { ...Http.bearer, "x-api-version": "2025-11-01" }
    const get = (path: string) => Http.send(`${sandbox.baseUrl}${path}`, { headers })
    return {
      sandbox,
      submit: Http.send(`${sandbox.baseUrl}/batch/company/enrich`, {
        headers,
        body: { domains: ["a.example"] }
      }),
      jobs: Effect.map(Effect.flatMap(get("/batch"), Http.json(Listed)), ({ jobs }) => jobs.length),
      events: Effect.map(Effect.flatMap(get("/account/usage/events"), Http.json(Told)), ({ events }) =>
        events.filter(({ method }) => method === "POST").map(({ status }) => status)
      )
    }
  })
})

/** Until the last request has been given an answer of so many bytes, or has at least come in. */
const arrival = (sandbox: Sandbox.Service, bytes: number) =>
  Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5))).pipe(
    Effect.zipRight(sandbox.requests),
    Effect.repeat({
      until: (requests) =>
        requests.at(-1)?.fault !== undefined && (requests.at(-1)?.bytesSent ?? 0) >= (bytes === 1 ? 0 : bytes)
    })
  )

const finished = Effect.gen(function* () {
  const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 } })
  const id = yield* sandbox.createJob({ records: 20 })
  const { download_url: link = "" } = yield* Http.status(sandbox.baseUrl, id)
  const { body: whole } = yield* Http.send(link)
  const disturb = (effects: Fault.Effects, options: Http.Options = {}) =>
    Effect.zipRight(sandbox.script({ on: { server: "storage" }, do: effects }), Http.send(link, options))
  return { sandbox, id, link, whole, disturb }
})
