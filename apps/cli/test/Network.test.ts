import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as Http from "node:http"
import { over, world } from "./Batchctl.js"

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
    expect(stderr).toContain("api.example.test: the proxy refuses to connect (HTTP 502)")
    expect(yield* proxy.requests).toEqual(["CONNECT api.example.test:443"])
  })
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
