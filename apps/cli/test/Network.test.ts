import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import * as Http from "node:http"
import { objects, over, world } from "./Batchctl.js"

it.scopedLive("API calls and file transfers go through HTTP_PROXY alike", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 20 })
    const proxy = yield* forwarding
    const { code } = yield* run(["get", id], { env: { HTTP_PROXY: proxy.url } })
    expect(code).toBe(0)
    const hosts = new Set((yield* proxy.requests).map((url) => new URL(url).host))
    expect(hosts).toEqual(new Set([new URL(sandbox.baseUrl).host, new URL(sandbox.storageUrl).host]))
  })
)

it.scopedLive("NO_PROXY is obeyed", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 20 })
    const proxy = yield* forwarding
    expect((yield* run(["get", id], { env: { HTTP_PROXY: proxy.url, NO_PROXY: "127.0.0.1" } })).code).toBe(0)
    expect(yield* proxy.requests).toEqual([])
  })
)

it.scopedLive("an https API is reached by CONNECT through HTTPS_PROXY", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const proxy = yield* forwarding
    const env = {
      HTTPS_PROXY: proxy.url,
      CRUSTDATA_BASE_URL: "https://api.example.test",
      BATCH_RETRY_LIMIT: "0"
    }
    const { code, stderr } = yield* run(["list"], { env })
    expect(code).toBe(6)
    expect(stderr).toContain(
      `the proxy ${new URL(proxy.url).host} refuses the connection (HTTP 502 Bad Gateway)`
    )
    expect(yield* proxy.requests).toEqual(["CONNECT api.example.test:443"])
  })
)

it.scopedLive("a proxy setting without a scheme is one for http", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 20 })
    const proxy = yield* forwarding
    const { code } = yield* run(["get", id], { env: { HTTP_PROXY: new URL(proxy.url).host } })
    expect(code).toBe(0)
    expect(yield* proxy.requests).not.toEqual([])
  })
)

it.scopedLive("NO_PROXY takes networks", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 20 })
    const proxy = yield* forwarding
    const env = { HTTP_PROXY: proxy.url, NO_PROXY: "10.0.0.0/8,127.0.0.0/8" }
    expect((yield* run(["get", id], { env })).code).toBe(0)
    expect(yield* proxy.requests).toEqual([])
  })
)

it.scopedLive("a proxy that cannot be used is a bad setting: 2 before any request, with the way out", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const env = { ALL_PROXY: "socks5://me:hunter2@127.0.0.1:9" }
    const { code, stderr, stdout } = yield* run(["status", randomUUID(), "--json"], { env })
    expect(code).toBe(2)
    expect(stderr).toContain("error: ALL_PROXY: socks5:// proxies cannot be used")
    expect(stderr).toContain("next   correct or unset ALL_PROXY")
    expect(objects(stdout)).toMatchObject([{ error: { type: "SettingsError", setting: "ALL_PROXY" } }])
    const doctor = yield* run(["doctor"], { env })
    expect(doctor.code).toBe(2)
    expect(doctor.stdout).toMatch(/^FAILED {2}proxy +ALL_PROXY: socks5/mu)
    expect(`${stderr}${stdout}${doctor.stdout}${doctor.stderr}`).not.toContain("hunter2")
    expect((yield* run(["list"], { env: { ...env, NO_PROXY: "127.0.0.1" } })).code).toBe(0)
  })
)

it.scopedLive("a proxy that is not there, or refuses, is named, and not the API", () =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const gone = yield* Effect.scoped(Effect.map(forwarding, ({ url }) => new URL(url).host))
    const env = { BATCH_RETRY_LIMIT: "0" }
    const dead = yield* run(["list"], { env: { ...env, HTTP_PROXY: `me:hunter2@${gone}` } })
    expect(dead.code).toBe(6)
    expect(dead.stderr).toContain(`the proxy ${gone} cannot be reached (ECONNREFUSED)`)
    expect(dead.stderr).not.toContain("hunter2")
    const proxy = yield* refusing
    const refused = yield* run(["list"], { env: { ...env, HTTP_PROXY: proxy } })
    expect(refused.code).toBe(6)
    expect(refused.stderr).toContain(`the proxy ${new URL(proxy).host} refuses the connection (HTTP 407`)
    expect(yield* sandbox.requests).toEqual([])
  })
)

/** A proxy that wants to know its user first. */
const refusing: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((_, outgoing) => outgoing.writeHead(407).end())
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ),
  (server) => {
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  }
)

interface Proxy {
  readonly url: string
  readonly requests: Effect.Effect<ReadonlyArray<string>>
}

/** A proxy that forwards http and refuses to CONNECT. */
const forwarding: Effect.Effect<Proxy, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.async<{ readonly server: Http.Server; readonly seen: Array<string> }>((resume) => {
      const seen: Array<string> = []
      const server = Http.createServer((incoming, outgoing) => {
        seen.push(incoming.url ?? "")
        const { headers, method, url = "" } = incoming
        const forwarded = Http.request(url, { headers, method }, (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(outgoing)
        })
        incoming.pipe(forwarded)
      })
      server.on("connect", ({ url }, socket) => {
        seen.push(`CONNECT ${url}`)
        socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n")
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, seen })))
    }),
    ({ server }) => Effect.sync(() => server.close())
  ),
  ({ seen, server }) => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return { url: `http://127.0.0.1:${port}`, requests: Effect.sync(() => [...seen]) }
  }
)
