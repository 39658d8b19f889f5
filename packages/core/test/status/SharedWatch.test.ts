import { describe, expect, it } from "@effect/vitest"
import { Array as Arrays, Chunk, Effect, Either, Fiber, Option, Stream } from "effect"
import * as SharedWatch from "../../src/status/SharedWatch.js"
import * as Script from "../Script.js"

const counted = (result_count: number, status = "processing"): Script.Step => ({
  body: Script.job({ status, result_count })
})

describe("SharedWatch", () => {
  it.effect("a thousand who wait cost the API what one does, and all get the end", () => {
    const script = Script.script([
      counted(0, "pending"),
      counted(1),
      counted(2),
      counted(3),
      Script.completed
    ])
    return withWatch(script, ({ wait }) =>
      Effect.gen(function* () {
        const waiting = yield* Effect.fork(
          Effect.all(
            Array.from({ length: 1000 }, () => wait(Script.batchId, "10 minutes")),
            { concurrency: "unbounded" }
          )
        )
        yield* Script.advance("10 minutes")
        expect((yield* Fiber.join(waiting)).every(({ status }) => status === "completed")).toBe(true)
        expect(script.seen).toHaveLength(5)
      })
    )
  })

  it.effect("whoever comes later sees the last answer at once, and then the newest", () => {
    const script = Script.script([counted(0), counted(1), counted(2), Script.completed])
    return withWatch(script, ({ follow }) =>
      Effect.gen(function* () {
        const counts = (late: string) =>
          follow(Script.batchId).pipe(
            Stream.filterMap(Either.getRight),
            Stream.map((batch) => batch.resultCount),
            Stream.runCollect,
            Effect.map(Chunk.toReadonlyArray),
            Effect.map((seen) => [late, seen] as const),
            Effect.fork
          )
        const first = yield* counts("first")
        yield* Script.advance("3 seconds")
        const asked = script.seen.length
        const second = yield* counts("second")
        yield* Script.advance("0 millis")
        expect(script.seen).toHaveLength(asked)
        yield* Script.advance("1 hour")
        expect(yield* Fiber.join(first)).toEqual(["first", [0, 1, 2, 7]])
        const [, seen] = yield* Fiber.join(second)
        expect([0, 1, 2, 7].slice(-seen.length)).toEqual(seen)
        expect(seen.length).toBeGreaterThan(1)
        expect(script.seen).toHaveLength(4)
      })
    )
  })

  it.effect("failed requests are told to those who follow, and do not end it", () => {
    const script = Script.script([
      { status: 503 },
      { status: 503 },
      counted(1),
      { status: 502 },
      Script.completed
    ])
    return withWatch(script, ({ follow }) =>
      Effect.gen(function* () {
        const tell = Stream.map(
          follow(Script.batchId),
          Either.match({ onLeft: ({ _tag }) => _tag, onRight: ({ status }) => status })
        )
        const first = yield* Effect.fork(Stream.runCollect(tell))
        yield* Script.advance("1 hour")
        expect(Chunk.toReadonlyArray(yield* Fiber.join(first))).toEqual([
          "ApiUnavailable",
          "ApiUnavailable",
          "processing",
          "ApiUnavailable",
          "completed"
        ])
      })
    )
  })

  it.effect("a reader that has no time sees the newest answer next, not all of them", () => {
    const script = Script.script([
      counted(0),
      counted(1),
      counted(2),
      counted(3),
      counted(4),
      Script.completed
    ])
    return withWatch(script, ({ follow }) =>
      Effect.gen(function* () {
        const slow = yield* follow(Script.batchId).pipe(
          Stream.filterMap(Either.getRight),
          Stream.tap(() => Effect.sleep("1 hour")),
          Stream.map((batch) => batch.resultCount),
          Stream.runCollect,
          Effect.fork
        )
        yield* Script.advance("3 hours")
        expect(Chunk.toReadonlyArray(yield* Fiber.join(slow))).toEqual([0, 7])
      })
    )
  })

  it.effect(
    "when the time is up the job is as it was last seen, and polling ends with the last who waits",
    () => {
      const script = Script.script([counted(3)])
      return withWatch(script, ({ wait }) =>
        Effect.gen(function* () {
          const [short, long] = [
            yield* Effect.fork(wait(Script.batchId, "5 seconds")),
            yield* Effect.fork(wait(Script.batchId, "1 minute"))
          ]
          yield* Script.advance("5 seconds")
          expect(yield* Fiber.join(short)).toMatchObject({ status: "processing", resultCount: 3 })
          const before = script.seen.length
          yield* Script.advance("55 seconds")
          expect(yield* Fiber.join(long)).toMatchObject({ status: "processing" })
          const after = script.seen.length
          expect(after).toBeGreaterThan(before)
          yield* Script.advance("1 hour")
          expect(script.seen).toHaveLength(after)
        })
      )
    }
  )

  it.effect(
    "a job that was never seen is not called running: the API is unavailable, with the reason and the number of requests",
    () => {
      const script = Script.script([{ status: 503 }])
      return withWatch(script, ({ wait }) =>
        Effect.gen(function* () {
          const waiting = yield* Effect.fork(Effect.flip(wait(Script.batchId, "2 minutes")))
          yield* Script.advance("2 minutes")
          expect(yield* Fiber.join(waiting)).toMatchObject({
            _tag: "ApiUnavailable",
            detail: "no good answer in 2 min; the last time it answered HTTP 503",
            attempts: script.seen.length
          })
        })
      )
    }
  )

  it.effect(
    "where only the end will do, a job that is still running is a timeout with all that is known",
    () => {
      const script = Script.script([counted(3)])
      return withWatch(script, ({ end }) =>
        Effect.gen(function* () {
          const waiting = yield* Effect.fork(Effect.flip(end(Script.batchId, "5 seconds")))
          yield* Script.advance("5 seconds")
          expect(yield* Fiber.join(waiting)).toMatchObject({
            _tag: "WaitTimeout",
            lastStatus: Option.some("processing"),
            counts: { resultCount: 3 },
            transcript: []
          })
        })
      )
    }
  )

  for (const [name, steps, expected, requests] of [
    [
      "get the job as it is now",
      [counted(3), { ...Script.completed, after: "100 millis" }],
      ["completed", "completed"],
      2
    ],
    [
      "get it as it was last seen if nobody answers, which is still running",
      [counted(3), { status: 503 }],
      ["processing", "WaitTimeout"],
      3
    ],
    [
      "learn that nobody answers if nobody ever did",
      [{ status: 503 }],
      ["ApiUnavailable", "ApiUnavailable"],
      3
    ]
  ] as const) {
    it.effect(`all who slept past their deadlines ask once more, together, and ${name}`, () => {
      const script = Script.script(steps)
      const poll = { initialDelay: "5 minutes", maxDelay: "5 minutes" }
      return withWatch(
        script,
        ({ end, wait }) =>
          Effect.gen(function* () {
            const waits = [wait, end].flatMap((use) =>
              Array.from({ length: 10 }, () => use(Script.batchId, "10 seconds"))
            )
            const told = Effect.map(
              Effect.all(waits.map(Effect.either), { concurrency: "unbounded" }),
              Arrays.map(Either.match({ onLeft: ({ _tag }) => _tag, onRight: ({ status }) => status }))
            )
            const waiting = yield* Effect.fork(Script.suspended(told, 3000))
            yield* Script.advance("80 seconds")
            expect(Arrays.dedupe(yield* Fiber.join(waiting))).toEqual(Arrays.dedupe(expected))
            expect(script.seen).toHaveLength(requests)
          }),
        { poll }
      )
    })
  }

  it.effect("what ends a wait ends everybody's, and the next one begins anew", () => {
    const script = Script.script([{ status: 404, after: "1 second" }, Script.completed])
    return withWatch(script, ({ wait }) =>
      Effect.gen(function* () {
        const waiting = yield* Effect.fork(
          Effect.all(
            Array.from({ length: 10 }, () => Effect.either(wait(Script.batchId, "1 minute"))),
            { concurrency: "unbounded" }
          )
        )
        yield* Script.advance("1 second")
        const failures = (yield* Fiber.join(waiting)).map(Either.getLeft)
        expect(failures.map(Option.map(({ _tag }) => _tag))).toEqual(
          Array.from({ length: 10 }, () => Option.some("BatchNotFound"))
        )
        expect(script.seen).toHaveLength(1)
        expect((yield* wait(Script.batchId, "1 minute")).status).toBe("completed")
      })
    )
  })
})

// ----------------------------------------------------------------------------------------------------------------

const withWatch = <A, E>(
  script: Script.Script,
  use: (watches: SharedWatch.Service) => Effect.Effect<A, E>,
  options?: Parameters<typeof Script.upstream>[1]
) =>
  Effect.flatMap(SharedWatch.make, use).pipe(Effect.scoped, Effect.provide(Script.upstream(script, options)))
