import { describe, expect, it } from "@effect/vitest"
import { BatchClient, BatchConfig, type Event, Records, Retrieval } from "@org/batch-core"
import { FileSystem, HttpClient } from "@effect/platform"
import { ConfigProvider, Duration, Effect, Layer, ManagedRuntime, Option, Redacted, Stream } from "effect"
import * as BatchNode from "../src/BatchNode.js"
import * as Sandboxes from "../src/Sandbox.js"
import { Sandbox } from "../src/Sandbox.js"

const environment = (variables: Readonly<Record<string, string>>) =>
  Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "_" }))

describe("BatchNode", () => {
  it.effect("takes settings from code first, then from the environment, then the defaults", () =>
    Effect.gen(function* () {
      const layer = BatchNode.layerWith({
        baseUrl: "https://code.test/",
        poll: { maxDelay: "9s", factor: undefined }
      })
      const settings = yield* BatchConfig.BatchConfig.pipe(
        Effect.provide(layer),
        Effect.provide(
          environment({
            CRUSTDATA_BASE_URL: "https://environment.test",
            CRUSTDATA_API_KEY: "environment-key",
            BATCH_POLL_MAX_DELAY: "7s",
            BATCH_POLL_FACTOR: "3"
          })
        )
      )
      expect(settings.baseUrl).toBe("https://code.test")
      expect(Option.map(settings.apiKey, Redacted.value)).toEqual(Option.some("environment-key"))
      expect([Duration.toSeconds(settings.poll.maxDelay), settings.poll.factor]).toEqual([9, 3])
      expect(settings.retry.limit).toBe(3)
    })
  )

  it.effect("names the setting that is wrong, wherever it comes from", () =>
    Effect.gen(function* () {
      const wrong = (options: BatchConfig.Options, variables: Readonly<Record<string, string>>) =>
        Effect.void.pipe(
          Effect.provide(BatchNode.layerWith(options)),
          Effect.provide(environment(variables)),
          Effect.flip,
          Effect.map((error) => ("setting" in error ? error.setting : BatchConfig.explain(error).setting))
        )
      expect(yield* wrong({ poll: { factor: 0 } }, { BATCH_POLL_FACTOR: "2" })).toBe("BATCH_POLL_FACTOR")
      expect(yield* wrong({}, { BATCH_RETRY_LIMIT: "many" })).toBe("BATCH_RETRY_LIMIT")
    })
  )

  it.live("one runtime is one throttle for all its calls; a layer for each call is none", () =>
    Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const id = yield* sandbox.createJob({ records: 1 })
      const options = { baseUrl: sandbox.baseUrl, apiKey: Redacted.make(sandbox.apiKey) }
      const asked = Effect.map(sandbox.requests, (all) => all.length)
      const within = <A, E>(calls: Effect.Effect<A, E>) =>
        Effect.gen(function* () {
          const before = yield* asked
          yield* Effect.timeoutOption(calls, "1 seconds")
          return (yield* asked) - before
        })
      // the window has room for two requests, and is longer than the test
      const shared = ManagedRuntime.make(BatchNode.layerWith(options))
      const together = Effect.forEach(Array.from({ length: 6 }), () =>
        Effect.promise((signal) => shared.runPromise(Effect.either(BatchClient.status(id)), { signal }))
      )
      expect(yield* within(together)).toBe(2)
      yield* shared.disposeEffect
      const apart = Effect.forEach(Array.from({ length: 3 }), () =>
        BatchClient.status(id).pipe(
          Effect.provide(BatchNode.layerWith({ ...options, retry: { limit: 0 } })),
          Effect.either
        )
      )
      expect(yield* within(apart)).toBe(3)
    }).pipe(Effect.provide(Sandboxes.layer({ rateLimit: { limit: 2, windowSeconds: 100 } })))
  )
})

describe("Sandbox", () => {
  it.live("gives the whole stack against a fresh sandbox, with typed ids and scripted faults", () =>
    Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const fs = yield* FileSystem.FileSystem
      const id = yield* sandbox.createJob({ records: 50, pendingMs: 20, processingMs: 50 })
      yield* sandbox.script({ on: { server: "storage" }, do: { cut: { afterBytes: 100, by: "reset" } } })
      const events: Array<Event.Event["_tag"]> = []
      const rows = Records.ofBatch(id, {
        deadline: "1 minute",
        onEvent: ({ _tag }) => Effect.sync(() => events.push(_tag))
      })
      expect(yield* Stream.runCount(rows)).toBe(50)
      expect(events).toContain("Retrying")
      const folder = yield* fs.makeTempDirectoryScoped()
      const receipt = yield* Retrieval.get(id, { deadline: "1 minute", output: `${folder}/rows.jsonl.gz` })
      expect(receipt).toMatchObject({ records: 50, complete: true })
      // a call of one's own, over the same network and on the same throttle
      yield* sandbox.script({ on: { server: "api" }, times: 2, do: { respond: { status: 503 } } })
      const own = HttpClient.get(`${sandbox.baseUrl}/batch/${id}`, {
        headers: { authorization: `Bearer ${sandbox.apiKey}` }
      }).pipe(Effect.flatMap(({ status }) => (status === 200 ? Effect.succeed(status) : Effect.fail(status))))
      expect(yield* BatchClient.retry(own)).toBe(200)
      expect((yield* sandbox.faults).every(({ consumed, expected }) => consumed === expected)).toBe(true)
    }).pipe(Effect.scoped, Effect.provide(Sandboxes.layer()))
  )

  it.live("every layer is a sandbox of its own", () =>
    Effect.gen(function* () {
      const urls = yield* Effect.replicateEffect(
        Effect.map(Sandbox, ({ baseUrl }) => baseUrl).pipe(Effect.provide(Sandboxes.layer())),
        2
      )
      expect(new Set(urls).size).toBe(2)
    })
  )

  it.live("refuses what makes no sense, by its place", () =>
    Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const refusals = yield* Effect.forEach(
        [
          sandbox.createJob({ parts: 0 }),
          sandbox.createJob({ batchId: "seven" }),
          sandbox.script({ on: { server: "storage", path: "(" }, do: { hang: true } }),
          sandbox.job("seven").complete,
          sandbox.job("01234567-89ab-4cde-8f01-23456789abcd").complete
        ],
        (effect) => Effect.flip(Effect.asVoid(effect))
      )
      expect(refusals.map(({ _tag, reason }) => `${_tag} ${reason}`)).toEqual([
        ...Array.from({ length: 4 }, () => "SandboxError Invalid"),
        "SandboxError UnknownJob"
      ])
      for (const [index, place] of ["parts", "batchId", "0.on.path", "seven"].entries()) {
        expect(refusals[index]?.message).toContain(place)
      }
      expect(yield* sandbox.faults).toEqual([])
      for (const options of [{ port: 70_000 }, { poll: { factor: 0 } }]) {
        expect(yield* Effect.flip(Effect.provide(Sandbox, Sandboxes.layer(options)))).toMatchObject({
          _tag: "SandboxError",
          reason: "Invalid"
        })
      }
    }).pipe(Effect.provide(Sandboxes.layer()))
  )
})
