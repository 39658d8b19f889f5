import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "./Service.js"

it.scopedLive("connections whose headers do not come end after 10 seconds; others are served meanwhile", () =>
  Effect.gen(function* () {
    const { get, raw } = yield* start()
    const slow = ["", "GET /health HTTP/1.1\r\n", "GET /health HTTP/1.1\r\nHost: localhost\r\nX: "]
    const began = performance.now()
    const waiting = yield* Effect.fork(
      Effect.all(
        slow.map((text) => raw(text)),
        { concurrency: slow.length }
      )
    )
    expect((yield* get("/health")).status).toBe(200)
    const ended = yield* Effect.timeout(waiting, "28 seconds")
    expect(performance.now() - began).toBeGreaterThan(9000)
    for (const { received } of ended) expect(received).toMatch(/^(?:HTTP\/1\.1 408 .*)?$/su)
  })
)
