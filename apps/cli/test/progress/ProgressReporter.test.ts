import { expect, it } from "@effect/vitest"
import * as Batch from "@org/batch-core/Batch"
import { ApiUnavailable, MalformedResponse } from "@org/batch-core/BatchError"
import type * as BatchPoll from "@org/batch-core/BatchPoll"
import { Duration, Effect, Option, Schema, TestClock } from "effect"
import * as ProgressReporter from "../../src/progress/ProgressReporter.js"
import * as Stderr from "../../src/terminal/Stderr.js"

const id = Schema.decodeSync(Batch.BatchId)("96faf844-e303-4ba5-a622-56965e684878")

const answered = (status: number) =>
  new ApiUnavailable({
    reason: "Server",
    status: Option.some(status),
    attempts: 1,
    detail: `it answered HTTP ${status}`
  })

const page = new MalformedResponse({ status: Option.some(200), detail: "HTTP 200 with a web page" })

it.scoped(
  "a notice of a kind comes at once, then once a minute with how often; other kinds count alone",
  () =>
    Effect.gen(function* () {
      const texts: Array<string> = []
      const stderr = yield* Stderr.make({ write: (text) => texts.push(text) }, {})
      const { onEvent } = yield* ProgressReporter.make({ ids: [id], quiet: false }).pipe(
        Effect.provideService(Stderr.Stderr, stderr)
      )
      /** What is said of a failed request so many seconds after the one before. */
      const after = (error: BatchPoll.Excuse, seconds: number) =>
        Effect.gen(function* () {
          yield* TestClock.adjust(seconds * 1000)
          yield* onEvent(id)({ _tag: "Notice", notice: { _tag: "RequestFailed", error } })
          const said = texts.splice(0)
          return said.filter((text) => text.includes("still waiting")).join("")
        })
      const line = `${id} still waiting: the API could not be asked (1 attempt): it answered HTTP 502`
      expect(yield* after(answered(502), 0)).toBe(`${line}\n`)
      expect(yield* after(answered(502), 10)).toBe("")
      expect(yield* after(answered(503), 10)).toContain("it answered HTTP 503\n")
      expect(yield* after(page, 10)).toContain("a web page\n")
      expect(yield* after(answered(502), 29)).toBe("")
      expect(yield* after(answered(502), 1)).toBe(`${line} (2 more since the last notice)\n`)
      expect(yield* after(answered(502), 59)).toBe("")
      expect(yield* after(answered(502), 61)).toBe(`${line} (1 more since the last notice)\n`)
      expect(yield* after(answered(502), 60)).toBe(`${line}\n`)
    })
)

it.scoped("so does a connection that breaks again and again, whatever the figures in its text", () =>
  Effect.gen(function* () {
    const texts: Array<string> = []
    const stderr = yield* Stderr.make({ write: (text) => texts.push(text) }, {})
    const { onEvent } = yield* ProgressReporter.make({ ids: [id], quiet: false }).pipe(
      Effect.provideService(Stderr.Stderr, stderr)
    )
    const broken = (bytes: number, detail = "the connection ended") =>
      onEvent(id)({
        _tag: "Retrying",
        file: "rows",
        detail: `${detail} after ${bytes} bytes`,
        delay: Duration.seconds(1)
      })
    yield* broken(10)
    yield* broken(20)
    yield* broken(30, "no byte came")
    yield* broken(40)
    const said = texts.splice(0)
    expect(said).toHaveLength(2)
    expect(said[0]).toContain("after 10 bytes")
    expect(said[1]).toContain("no byte came")
    yield* TestClock.adjust("1 minute")
    yield* broken(50)
    expect(texts.at(-1)).toContain("after 50 bytes")
    expect(texts.at(-1)).toContain("(2 more since the last notice)")
  })
)
