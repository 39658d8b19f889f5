import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option } from "effect"
import * as Batch from "../../src/model/Batch.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as StatusCache from "../../src/status/StatusCache.js"
import * as Settling from "../../src/transfer/Settling.js"
import * as Script from "../Script.js"

const signed = (lifetime: number, name = "merged") =>
  `https://files.test/${name}?X-Amz-Date=19700101T000000Z&X-Amz-Expires=${lifetime}&X-Amz-Signature=s`

const done = (fields: Readonly<Record<string, unknown>> = {}): Script.Step => ({
  body: Script.job({ status: "completed", result_count: 7, ...fields })
})

describe("StatusCache", () => {
  it.effect("identical calls under way are one call, and all get its answer", () => {
    const script = Script.script([{ after: "1 second" }])
    return withCache(script, ({ status }) =>
      Effect.gen(function* () {
        const asked = yield* Effect.fork(
          Effect.all(
            Array.from({ length: 100 }, () => status(Script.batchId)),
            { concurrency: "unbounded" }
          )
        )
        yield* Script.advance("1 second")
        expect(new Set(yield* Fiber.join(asked)).size).toBe(1)
        expect(script.seen).toHaveLength(1)
      })
    )
  })

  it.effect("a caller that goes away ends the call only if it is the last", () => {
    const script = Script.script([{ after: "10 seconds" }])
    return withCache(script, ({ status }) =>
      Effect.gen(function* () {
        const first = yield* Effect.fork(status(Script.batchId))
        const second = yield* Effect.fork(status(Script.batchId))
        yield* Script.advance("1 second")
        yield* Fiber.interrupt(first)
        expect(script.seen[0]?.abortedAt).toBeUndefined()
        yield* Script.advance("1 second")
        yield* Fiber.interrupt(second)
        expect(script.seen.map(({ abortedAt }) => abortedAt)).toEqual([2000])
      })
    )
  })

  it.effect("a failure is everybody's who waits, and nobody's afterwards", () => {
    const script = Script.script([{ status: 404, after: "1 second" }, done()])
    return withCache(script, ({ status }) =>
      Effect.gen(function* () {
        const both = yield* Effect.fork(
          Effect.all([Effect.flip(status(Script.batchId)), Effect.flip(status(Script.batchId))], {
            concurrency: 2
          })
        )
        yield* Script.advance("1 second")
        expect((yield* Fiber.join(both)).map(({ _tag }) => _tag)).toEqual(["BatchNotFound", "BatchNotFound"])
        expect((yield* status(Script.batchId)).status).toBe("completed")
      })
    )
  })

  for (const [name, steps, kept] of [
    ["a running job is asked for every time", [{}], "0 millis"],
    [
      "a job that has failed is kept for a minute",
      [{ body: Script.job({ status: "failed" }) }],
      "59 seconds"
    ],
    ["a completed job with rows and no links is asked for every time", [done()], "0 millis"],
    ["an empty result is kept for a minute", [done({ result_count: 0 })], "59 seconds"],
    [
      "links are kept until 5 minutes before they end",
      [done({ download_url: signed(86_400) })],
      "23.8 hours"
    ],
    [
      "the link that ends first counts",
      [done({ download_url: signed(86_400), download_urls: [signed(86_400), signed(7200)] })],
      "113 minutes"
    ],
    [
      "short-lived links are kept for nine tenths of their life",
      [done({ download_url: signed(100) })],
      "89 seconds"
    ],
    ["a link past its end is not kept", [done({ download_url: signed(0) })], "0 millis"],
    [
      "a link that does not say when it ends is kept for a minute",
      [done({ download_url: "https://files.test/x" })],
      "59 seconds"
    ]
  ] as const) {
    it.effect(name, () => {
      const script = Script.script(steps)
      return withCache(script, ({ status }) =>
        Effect.gen(function* () {
          const asks = Effect.map(status(Script.batchId), () => script.seen.length)
          expect(yield* asks).toBe(1)
          yield* Script.advance(kept)
          expect(yield* asks).toBe(Duration.toMillis(kept) > 0 ? 1 : 2)
          if (Duration.toMillis(kept) < Duration.toMillis("30 days")) {
            yield* Script.advance(Duration.times(Duration.decode(kept), 0.1))
            yield* Script.advance("7 seconds")
            expect(yield* asks).toBeGreaterThan(1)
          }
        })
      )
    })
  }

  it.effect("polls and fresh links are always asked for, and what they bring is kept", () => {
    const script = Script.script([
      done({ download_url: signed(900) }),
      done({ download_url: signed(90_000) })
    ])
    return withCache(script, ({ client, status }) =>
      Effect.gen(function* () {
        yield* status(Script.batchId)
        const fresh = yield* client.status(Script.batchId)
        expect(script.seen).toHaveLength(2)
        yield* Script.advance("20 hours")
        expect(yield* status(Script.batchId)).toBe(fresh)
        expect(script.seen).toHaveLength(2)
      })
    )
  })

  it.effect(
    "twenty who wait for the same links, each by a pace of its own, cost the API what one may",
    () => {
      const isThere = ({ at }: Script.Seen) => at >= 80_000
      const script = Script.script((seen) => done(isThere(seen) ? { download_url: signed(86_400) } : {}))
      return withCache(script, ({ client, status }) =>
        Effect.gen(function* () {
          const settings = yield* BatchConfig.make()
          const one = (index: number) =>
            Effect.gen(function* () {
              yield* Effect.sleep(Duration.millis(index * 337))
              const first = yield* status(Script.batchId)
              return yield* Settling.links(first, { client, settings, onPause: () => Effect.void })
            })
          const settled = yield* Effect.fork(
            Effect.all(
              Array.from({ length: 20 }, (_, n) => one(n)),
              { concurrency: 20 }
            )
          )
          yield* Script.advance("3 minutes")
          expect((yield* Fiber.join(settled)).every(({ downloadUrl }) => Option.isSome(downloadUrl))).toBe(
            true
          )
          // Each looks once when it comes.
          const again = script.times().length - 20
          expect(again).toBeGreaterThan(5)
          expect(again).toBeLessThanOrEqual(24)
        })
      )
    }
  )

  it.effect("an answer that was dropped is asked for again", () => {
    const script = Script.script([done({ download_url: signed(86_400) })])
    return withCache(script, ({ forget, status }) =>
      Effect.gen(function* () {
        yield* status(Script.batchId)
        yield* forget(Script.batchId)
        yield* status(Script.batchId)
        expect(script.seen).toHaveLength(2)
      })
    )
  })

  it.effect("a poll asks once, and joins a call that is under way", () => {
    const script = Script.script([{ status: 503 }, { after: "1 second" }])
    return withCache(script, ({ client, status }) =>
      Effect.gen(function* () {
        yield* Effect.flip(client.status(Script.batchId, { once: true }))
        expect(script.seen).toHaveLength(1)
        const both = [status(Script.batchId), client.status(Script.batchId, { once: true })]
        const asked = yield* Effect.fork(Effect.all(both, { concurrency: 2 }))
        yield* Script.advance("1 second")
        yield* Fiber.join(asked)
        expect(script.seen).toHaveLength(2)
      })
    )
  })

  it.effect("forgets what was not asked for longest when it holds too much", () => {
    const links = Array.from({ length: 998 }, (_, n) => signed(86_400, `part-${n}`))
    const script = Script.script(({ url }) => ({
      body: Script.job({
        batch_id: url.slice(-36),
        status: "completed",
        result_count: 1,
        download_urls: links
      })
    }))
    const idOf = (n: number) =>
      Batch.BatchId.make(Script.batchId.replace(/...$/u, String(n).padStart(3, "0")))
    return withCache(script, ({ status }) =>
      Effect.gen(function* () {
        const ask = (n: number) => status(idOf(n))
        for (let n = 0; n < 50; n++) yield* ask(n)
        yield* ask(0)
        yield* ask(50)
        expect(script.seen).toHaveLength(51)
        yield* ask(0)
        expect(script.seen).toHaveLength(51)
        yield* ask(1)
        expect(script.seen).toHaveLength(52)
      })
    )
  })
})

// ----------------------------------------------------------------------------------------------------------------

const withCache = <A, E>(
  script: Script.Script,
  use: (cache: StatusCache.Service) => Effect.Effect<A, E>,
  options: BatchConfig.Options = {}
) =>
  Effect.flatMap(StatusCache.make, use).pipe(Effect.scoped, Effect.provide(Script.upstream(script, options)))
