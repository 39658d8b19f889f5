import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import { join } from "node:path"
import { objects, over, temporary, world } from "./Batchctl.js"
import { installed, listening, selfSigned } from "./Loopback.js"

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

it.scopedLive("what will not heal ends a wait at the third try: a proxy that is not there, or refuses", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const gone = yield* Effect.scoped(Effect.map(forwarding, ({ url }) => url))
    const cases = [
      [gone, "cannot be reached (ECONNREFUSED)", "check the address in HTTPS_PROXY"],
      [yield* refusing, "refuses the connection (HTTP 407", "check the user and the password in HTTPS_PROXY"]
    ] as const
    for (const [proxy, reason, remedy] of cases) {
      const { code, stderr, stdout } = yield* run(["wait", randomUUID(), "--timeout", "10m", "--json"], {
        env: { HTTP_PROXY: proxy }
      })
      expect(code).toBe(6)
      expect(objects(stdout)).toMatchObject([
        { error: { type: "ApiUnavailable", attempts: 3, lasting: true } }
      ])
      expect(stderr).toContain(`the proxy ${new URL(proxy).host} ${reason}`)
      expect(stderr).toContain(remedy)
      expect(stderr).toContain("NO_PROXY")
    }
  })
)

it.scopedLive("a host name that is unknown: named with the remedy, and not asked for again and again", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const lookups = join(yield* temporary, "lookups.cjs")
    writeFileSync(lookups, nobodyKnows)
    const env = { CRUSTDATA_BASE_URL: "https://nowhere.invalid", NODE_OPTIONS: `--require=${lookups}` }
    const { code, stderr, stdout } = yield* run(["wait", randomUUID(), "--timeout", "10m", "--json"], { env })
    expect(code).toBe(6)
    expect(objects(stdout)).toMatchObject([
      { error: { type: "ApiUnavailable", reason: "Network", attempts: 3, lasting: true } }
    ])
    expect(stderr).toContain("nowhere.invalid: the host name is unknown (ENOTFOUND)")
    expect(stderr).toContain("check the host name (CRUSTDATA_BASE_URL); if only a proxy is reached from here")
  })
)

/** A module that makes every name unknown to Node. */
const nobodyKnows = `
require("node:dns").lookup = (hostname, options, callback) =>
  process.nextTick(callback, Object.assign(new Error("getaddrinfo ENOTFOUND " + hostname), { code: "ENOTFOUND" }))
`

it.scopedLive("a certificate that is not trusted: named with the remedy, which helps", (context) =>
  Effect.gen(function* () {
    if (!installed("openssl")) return context.skip("openssl is not installed")
    const { run } = yield* world()
    const { cert, key } = selfSigned(yield* temporary)
    const id = randomUUID()
    const seen: Array<string> = []
    const pair = { cert: readFileSync(cert), key: readFileSync(key) }
    const server = Https.createServer(pair, ({ url = "" }, outgoing) => {
      seen.push(url)
      outgoing.writeHead(200, { "content-type": "application/json" })
      outgoing.end(JSON.stringify({ batch_id: id, status: "completed", result_count: 0 }))
    })
    const env = { CRUSTDATA_BASE_URL: `https://127.0.0.1:${yield* listening(server)}` }
    for (const [verb, attempts] of [
      ["wait", 3],
      ["status", 1]
    ] as const) {
      const { code, stderr, stdout } = yield* run([verb, id, "--json"], { env })
      expect(code).toBe(6)
      expect(objects(stdout)).toMatchObject([{ error: { type: "ApiUnavailable", attempts, lasting: true } }])
      expect(stderr).toMatch(/127\.0\.0\.1:\d+: its certificate is not trusted \([A-Z_]+\)/u)
      expect(stderr).toContain("name its file in NODE_EXTRA_CA_CERTS")
    }
    expect(seen).toEqual([])
    expect((yield* run(["wait", id], { env: { ...env, NODE_EXTRA_CA_CERTS: cert } })).code).toBe(0)
    expect(seen).toEqual([`/batch/${id}`])
  })
)

/** A proxy that wants to know its user first. */
const refusing: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  listening(Http.createServer((_, outgoing) => outgoing.writeHead(407).end())),
  (port) => `http://127.0.0.1:${port}`
)

interface Proxy {
  readonly url: string
  readonly requests: Effect.Effect<ReadonlyArray<string>>
}

/** A proxy that forwards http and refuses to CONNECT. */
const forwarding: Effect.Effect<Proxy, never, Scope.Scope> = Effect.suspend(() => {
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
  return Effect.map(listening(server), (port) => ({
    url: `http://127.0.0.1:${port}`,
    requests: Effect.sync(() => [...seen])
  }))
})
