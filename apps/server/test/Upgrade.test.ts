import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Agent, request, type RequestOptions } from "node:http"
import { eventually, over, start } from "./Service.js"

/** More than the 256 KiB that a connection without backpressure lets through. */
const long = { ...over, records: 1000 }

/** What Java's `HttpClient` sends with every request, unless it is told to speak HTTP/1.1. */
const java = {
  connection: "Upgrade, HTTP2-Settings",
  "content-length": "0",
  "http2-settings": "AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA",
  upgrade: "h2c",
  "user-agent": "Java-http-client/17.0.15"
}

const curl = {
  accept: "*/*",
  connection: "Upgrade, HTTP2-Settings",
  "http2-settings": "AAMAAABkAAQCAAAAAAIAAAAA",
  upgrade: "h2c",
  "user-agent": "curl/7.88.1"
}

const webSocket = {
  connection: "Upgrade",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  "sec-websocket-version": "13",
  upgrade: "websocket"
}

const results = `batch_server_open_streams{kind="results"}`

describe("a request that offers another protocol is answered in HTTP/1.1", () => {
  it.scopedLive("with all results, as is the next one on its connection, and no stream is left open", () =>
    Effect.gen(function* () {
      const { get, kill, metric, outcome, port, sandbox } = yield* start()
      const id = yield* sandbox.createJob(long)
      const plain = yield* get(`/batch/${id}/results`)
      expect(plain.body.length).toBeGreaterThan(1_000_000)
      for (const [name, headers] of [
        ["Java's HttpClient", java],
        ["curl --http2", curl],
        ["a WebSocket", webSocket]
      ] as const) {
        const upgrade = yield* get(`/batch/${id}/results`, headers)
        expect([name, upgrade.status, upgrade.broken]).toEqual([name, 200, undefined])
        expect([name, upgrade.body.equals(plain.body)]).toEqual([name, true])
        yield* eventually(metric(results), (open) => open === 0)
      }
      const agent = yield* Effect.acquireRelease(
        Effect.sync(() => new Agent({ keepAlive: true, maxSockets: 1 })),
        (agent) => Effect.sync(() => agent.destroy())
      )
      const read = reading({ agent, headers: java, host: "127.0.0.1", path: `/batch/${id}/results`, port })
      const [first, second] = [yield* read, yield* read]
      expect([first.isReused, second.isReused]).toEqual([false, true])
      expect([first.length, second.length]).toEqual([plain.body.length, plain.body.length])
      yield* eventually(metric(results), (open) => open === 0)
      yield* kill("SIGTERM")
      expect((yield* Effect.timeout(outcome, "20 seconds")).code).toBe(143)
    })
  )

  it.scopedLive("and the stream ends when its reader goes away", () =>
    Effect.gen(function* () {
      const { kill, metric, open, outcome, sandbox } = yield* start()
      const id = yield* sandbox.createJob({ ...over, records: 10_000 })
      const stream = yield* open(`/batch/${id}/results`, java)
      yield* stream.atLeast(1)
      expect(yield* metric(results)).toBe(1)
      yield* stream.leave
      yield* eventually(metric(results), (open) => open === 0)
      expect(yield* metric(`batch_server_results_total{outcome="abandoned"}`)).toBe(1)
      yield* kill("SIGTERM")
      expect((yield* Effect.timeout(outcome, "20 seconds")).code).toBe(143)
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

/** How much there is to read, and whether the connection was there already. */
const reading = (options: RequestOptions) =>
  Effect.async<{ readonly isReused: boolean; readonly length: number }>((resume) => {
    const asking = request(options, (response) => {
      let length = 0
      response.on("data", (chunk: Buffer) => (length += chunk.length))
      response.on("end", () => resume(Effect.succeed({ isReused: asking.reusedSocket, length })))
    })
    asking.on("error", (error) => resume(Effect.die(error))).end()
  })
