import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { createServer, request } from "node:http"
import { problem } from "./Caller.js"
import { over, start } from "./Service.js"
import { spawned } from "./Spawned.js"

it.scopedLive("a public API's link to an address of this machine is refused, and nothing is sent there", () =>
  Effect.gen(function* () {
    const target = { baseUrl: "" }
    const proxy = yield* forwarding(() => target.baseUrl)
    const { get, sandbox, transfers } = yield* start({
      env: { CRUSTDATA_BASE_URL: "http://93.184.215.14", HTTP_PROXY: proxy, NO_PROXY: "127.0.0.1" }
    })
    target.baseUrl = sandbox.baseUrl
    const id = yield* sandbox.createJob(over)
    expect((yield* get(`/batch/${id}`)).status).toBe(200)
    expect(problem(yield* get(`/batch/${id}/results`))).toMatchObject({
      status: 502,
      type: "TransferFailed",
      message: expect.stringContaining("private address"),
      metadata: { attempts: 1 }
    })
    expect(yield* transfers(id)).toEqual([])
  })
)

it.scopedLive("a proxy that cannot be used ends the start with 2 and one line, without its password", () =>
  Effect.gen(function* () {
    const env = { CRUSTDATA_API_KEY: "key", PORT: "0", ALL_PROXY: "socks5://me:hunter2@127.0.0.1:9" }
    const { code, stderr } = yield* (yield* spawned("batch-server.js", env)).outcome
    expect(code).toBe(2)
    expect(stderr).toMatch(/^error: ALL_PROXY: socks5:\/\/ proxies cannot be used.*\n$/u)
    expect(stderr).not.toContain("hunter2")
  })
)

// ----------------------------------------------------------------------------------------------------------------

/** A proxy that takes every request to one place; its URL. */
const forwarding = (target: () => string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer((incoming, response) => {
        const { pathname, search } = new URL(incoming.url ?? "")
        const { headers, method } = incoming
        request(`${target()}${pathname}${search}`, { headers, method }, (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(response)
        }).end()
      }).listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = () => {
          server.close()
          server.closeAllConnections()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ url }) => url))
