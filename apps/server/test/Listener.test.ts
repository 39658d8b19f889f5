import { expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as Listener from "../src/Listener.js"
import { eventually, impatient, start } from "./Service.js"

it.scopedLive(
  "connections whose headers do not come end when their time is up; others are served meanwhile",
  () =>
    Effect.gen(function* () {
      const { get, logs, raw } = yield* start({ env: { HEADERS: "500" }, program: yield* impatient })
      const slow = ["", "GET /health HTTP/1.1\r\n", "GET /health HTTP/1.1\r\nHost: localhost\r\nX: "]
      const began = performance.now()
      const waiting = yield* Effect.fork(
        Effect.all(
          slow.map((text) => raw(text)),
          { concurrency: slow.length }
        )
      )
      expect((yield* get("/health")).status).toBe(200)
      const ended = yield* Effect.timeout(waiting, "60 seconds")
      expect(performance.now() - began).toBeGreaterThanOrEqual(500)
      const [nothing, ...begun] = ended.map(({ received }) => received)
      expect(nothing).toBe("")
      for (const received of begun) expect(received).toMatch(/^HTTP\/1\.1 408 .*"type":"RequestTimeout"/su)
      // The lines come by a pipe of their own, and may come later than the answers.
      const refused = Effect.map(logs, (lines) => lines.filter(({ status }) => status === 408))
      expect(yield* eventually(refused, (lines) => lines.length >= 2)).toHaveLength(2)
    })
)

it("the service gives them 10 seconds", () => {
  expect(Duration.toSeconds(Listener.headersTimeout)).toBe(10)
})
