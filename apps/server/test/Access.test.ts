import { describe, expect, it, layer } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as Access from "../src/Access.js"
import { json, problem } from "./Caller.js"
import { over, Service, layer as service, start, under } from "./Service.js"

describe("Access.parseTokens", () => {
  it("accepts exactly the tokens it was given", () => {
    const tokens = Either.getOrThrow(Access.parseTokens("one, two ,three=="))
    expect(tokens.count).toBe(3)
    expect(["one", "two", "three=="].map(tokens.accept)).toEqual([true, true, true])
    expect(["", "On", "one ", "one,two", "three", "three==="].map(tokens.accept)).not.toContain(true)
  })

  it("refuses what could never be presented", () => {
    for (const text of [",", "one,", "one,,two", "one two", "ü", "one\u0000"]) {
      expect(Either.isLeft(Access.parseTokens(text)), text).toBe(true)
    }
  })
})

describe("Access.isLoopback", () => {
  it.each(["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LocalHost", "a.localhost"])(
    "%s is",
    (host) => expect(Access.isLoopback(host)).toBe(true)
  )

  it.each([
    "",
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "128.0.0.1",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "notlocalhost",
    "::ffff:8.8.8.8",
    "2130706433"
  ])("%s is not", (host) => expect(Access.isLoopback(host)).toBe(false))
})

const guarded = [
  "/batch",
  "/batch/{id}",
  "/batch/{id}/wait",
  "/batch/{id}/events",
  "/batch/{id}/results",
  "/metrics"
]

layer(service({ env: { BATCH_SERVER_TOKENS: "first-token-0123456789, second-token-9876543210" } }), {
  excludeTestServices: true
})("with tokens", (it) => {
  it.effect("whoever presents one of them may come, from wherever", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      for (const authorization of [
        "Bearer first-token-0123456789",
        "Bearer second-token-9876543210",
        "bearer   first-token-0123456789 "
      ]) {
        for (const path of guarded) {
          const { status } = yield* get(path.replace("{id}", id), { authorization, host: "batch.example" })
          expect([authorization, path, status]).toEqual([authorization, path, 200])
        }
      }
    })
  )

  it.effect("nobody else, and nothing is asked for", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      // What is kept is for them as little.
      yield* get(`/batch/${id}`, { authorization: "Bearer first-token-0123456789" })
      const before = (yield* sandbox.requests).length
      for (const headers of [
        {},
        { authorization: "" },
        { authorization: "Bearer" },
        { authorization: "Bearer first-token-012345678" },
        { authorization: "Bearer first-token-0123456789x" },
        { authorization: "Bearer first-token-0123456789, second-token-9876543210" },
        { authorization: "Basic first-token-0123456789" },
        { authorization: "first-token-0123456789" },
        { authorization: `Bearer ${sandbox.apiKey}` },
        { "x-api-key": "first-token-0123456789" },
        { cookie: "authorization=first-token-0123456789" }
      ]) {
        for (const path of guarded) {
          const answer = yield* get(path.replace("{id}", id), headers)
          expect(problem(answer)).toMatchObject({
            status: 401,
            type: "NotAuthorized",
            metadata: { reason: "InvalidKey" }
          })
          expect(answer.headers["www-authenticate"]).toBe("Bearer")
        }
      }
      expect(yield* sandbox.requests).toHaveLength(before)
    })
  )

  it.effect("a token in the query is none", () =>
    Effect.gen(function* () {
      const { get } = yield* Service
      expect((yield* get("/batch?access_token=first-token-0123456789")).status).toBe(401)
    })
  )

  it.effect("probes and the description of the API are for everybody", () =>
    Effect.gen(function* () {
      const { get } = yield* Service
      for (const path of ["/health", "/ready", "/openapi.json", "/docs", "/"]) {
        expect([path, (yield* get(path)).status]).toEqual([path, 200])
      }
    })
  )

  it.effect("the key of the service goes upstream, not what a caller presents", () =>
    Effect.gen(function* () {
      const { calls, get, sandbox, transfers } = yield* Service
      const id = yield* sandbox.createJob(over)
      const headers = {
        authorization: "Bearer first-token-0123456789",
        cookie: "a=b",
        "x-forwarded-for": "10.0.0.1",
        "x-mine": "1",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      }
      expect((yield* get(`/batch/${id}/results`, headers)).status).toBe(200)
      const [call] = yield* calls(id)
      const [transfer] = yield* transfers(id)
      expect(call?.headers["authorization"]).toBe("<redacted>")
      expect(transfer?.headers["authorization"]).toBeUndefined()
      for (const sent of [call, transfer]) {
        const names = Object.keys(sent?.headers ?? {})
        expect(names.filter((name) => /cookie|^x-|trace|b3/u.test(name))).toEqual([])
      }
    })
  )
})

layer(service(), { excludeTestServices: true })("without tokens", (it) => {
  it.effect("whoever asks for this machine by its own names may come", () =>
    Effect.gen(function* () {
      const { get } = yield* Service
      for (const host of [
        "127.0.0.1",
        "127.0.0.1:8787",
        "localhost:1",
        "LOCALHOST",
        "[::1]:8787",
        "x.localhost"
      ]) {
        expect([host, (yield* get("/batch", { host })).status]).toEqual([host, 200])
      }
    })
  )

  it.effect("a name of somebody else's that leads here gets nobody in: a page in a browser cannot ask", () =>
    Effect.gen(function* () {
      const { get, raw, sandbox } = yield* Service
      const before = (yield* sandbox.requests).length
      for (const host of [
        "evil.example",
        "evil.example:8787",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "10.0.0.1",
        "0.0.0.0:8787",
        "localhost@evil.example",
        "evil.example:80:127.0.0.1"
      ]) {
        for (const path of guarded) {
          const { status, type } = problem(
            yield* get(path, { host, authorization: `Bearer ${sandbox.apiKey}` })
          )
          expect([host, path, status, type]).toEqual([host, path, 403, "NotAuthorized"])
        }
      }
      expect((yield* raw("GET /batch HTTP/1.0\r\n\r\n")).received).toMatch(/^HTTP\/1\.1 403 /u)
      expect(yield* sandbox.requests).toHaveLength(before)
    })
  )

  it.effect("the caller's own Authorization is neither wanted nor passed on", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      expect((yield* get(`/batch/${id}`, { authorization: "Bearer somebody-else" })).status).toBe(200)
    })
  )
})

layer(service({ env: { CRUSTDATA_API_KEY: undefined } }), { excludeTestServices: true })(
  "without a key of its own",
  (it) => {
    it.effect("callers bring theirs, and get what the API gives them", () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const id = yield* sandbox.createJob(over)
        const mine = { authorization: `Bearer ${sandbox.apiKey}` }
        for (const path of [
          "/batch",
          `/batch/${id}`,
          `/batch/${id}/wait`,
          `/batch/${id}/events`,
          `/batch/${id}/results`
        ]) {
          expect([path, (yield* get(path, mine)).status]).toEqual([path, 200])
          const theirs = yield* get(path, { authorization: "Bearer not-a-key-of-the-api" })
          expect([path, problem(theirs)]).toEqual([
            path,
            expect.objectContaining({ status: 401, type: "NotAuthorized" })
          ])
        }
      })
    )

    it.effect("nothing passes from one key to another: calls, kept answers, waits", () =>
      Effect.gen(function* () {
        const { calls, get, sandbox } = yield* Service
        const id = yield* sandbox.createJob(over)
        const ask = (token: string, path = "") =>
          get(`/batch/${id}${path}`, { authorization: `Bearer ${token}` })
        const slow = { on: { server: "api", path: id }, times: 2, do: { delay: { ms: 200 } } } as const
        const together = [ask(sandbox.apiKey), ask("other-0123456789"), ask(sandbox.apiKey)]
        const answers = yield* under(sandbox, [slow], Effect.all(together, { concurrency: 3 }))
        expect(answers.map(({ status }) => status)).toEqual([200, 401, 200])
        expect(yield* calls(id)).toHaveLength(2)
        expect((yield* ask(sandbox.apiKey)).status).toBe(200)
        expect(yield* calls(id)).toHaveLength(2)
        expect((yield* ask("third-0123456789")).status).toBe(401)
        expect(yield* calls(id)).toHaveLength(3)

        const stuck = yield* sandbox.createJob({ stuck: true })
        const wait = (token: string) =>
          get(`/batch/${stuck}/wait?timeout=20s`, { authorization: `Bearer ${token}` })
        const mine = yield* Effect.fork(wait(sandbox.apiKey))
        expect((yield* wait("other-0123456789")).status).toBe(401)
        yield* sandbox.job(stuck).complete
        expect(json(yield* mine)).toMatchObject({ status: "completed" })
      })
    )

    it.effect("a refusal of one key's rate is not another's", () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const rule = {
          on: { server: "api" },
          do: { respond: { status: 429, headers: { "retry-after": "900" } } }
        } as const
        const limited = yield* under(
          sandbox,
          [rule],
          get("/batch", { authorization: "Bearer busy-0123456789" })
        )
        expect(limited.status).toBe(429)
        expect((yield* get("/batch", { authorization: `Bearer ${sandbox.apiKey}` })).status).toBe(200)
      })
    )

    it.effect("401 without one, and nothing is asked for; metrics need none", () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const before = (yield* sandbox.requests).length
        const answer = yield* get("/batch")
        expect(problem(answer)).toMatchObject({
          status: 401,
          type: "NotAuthorized",
          message: expect.stringContaining("Authorization: Bearer")
        })
        expect(yield* sandbox.requests).toHaveLength(before)
        expect((yield* get("/metrics")).status).toBe(200)
      })
    )

    it.effect("is ready when the API is there, whatever it says to nobody", () =>
      Effect.gen(function* () {
        const { get } = yield* Service
        expect(json(yield* get("/ready"))).toEqual({
          status: "ready",
          upstream: "ok",
          storage: "ok",
          store: "not in use"
        })
      })
    )
  }
)

it.scopedLive("tokens beside no key: a caller must present one of them, and it is the key as well", () =>
  Effect.gen(function* () {
    const { get, sandbox } = yield* start({
      env: { CRUSTDATA_API_KEY: undefined, BATCH_SERVER_TOKENS: "sandbox-key,other-key" }
    })
    const ask = (token: string) => get("/batch", { authorization: `Bearer ${token}` })
    expect((yield* ask(sandbox.apiKey)).status).toBe(200)
    expect(yield* sandbox.requests).toHaveLength(1)
    expect((yield* ask("other-key")).status).toBe(401)
    expect(yield* sandbox.requests).toHaveLength(2)
    expect((yield* ask("third-key")).status).toBe(401)
    expect(yield* sandbox.requests).toHaveLength(2)
  })
)
