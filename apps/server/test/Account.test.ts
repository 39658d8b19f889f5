import { expect, it } from "@effect/vitest"
import { HttpClient, HttpClientResponse, HttpServerRequest } from "@effect/platform"
import { BatchId } from "@org/batch-core/Batch"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { Context, Effect, Exit, Layer, Option, Redacted, Scope, TestClock } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Account from "../src/Account.js"
import { nobody } from "./Service.js"

it.scoped("that a job has failed is kept for a minute, and no longer", () =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const upstream = HttpClient.make((request, url) => {
      asked.push(url.pathname)
      const body = JSON.stringify({ batch_id: nobody, status: "failed", result_count: 0 })
      return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(body)))
    })
    const accounts = yield* Layer.build(
      Account.layer.pipe(
        Layer.provide(BatchConfig.layer({ apiKey: Redacted.make("a-key") })),
        Layer.provide(Layer.succeed(HttpClient.HttpClient, upstream))
      )
    )
    const { of } = Context.get(accounts, Account.Accounts)
    const { cache } = yield* of(HttpServerRequest.fromWeb(new Request("http://localhost/")))
    const id = BatchId.make(nobody)
    expect((yield* cache.status(id)).status).toBe("failed")
    yield* TestClock.adjust("59 seconds")
    expect(Option.isSome(yield* cache.kept(id))).toBe(true)
    yield* cache.status(id)
    expect(asked).toEqual([`/batch/${nobody}`])
    yield* TestClock.adjust("1 second")
    expect(Option.isNone(yield* cache.kept(id))).toBe(true)
    yield* cache.status(id)
    expect(asked).toHaveLength(2)
  })
)

const by = (key: string) =>
  HttpServerRequest.fromWeb(new Request("http://localhost/", { headers: { authorization: `Bearer ${key}` } }))

/** The accounts of callers with keys of their own, over an API that knows one job, which has failed. */
const accountsOfCallers = Effect.gen(function* () {
  const upstream = HttpClient.make((request) => {
    const body = JSON.stringify({ batch_id: nobody, status: "failed", result_count: 0 })
    return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(body)))
  })
  const accounts = yield* Layer.build(
    Account.layer.pipe(
      Layer.provide(BatchConfig.layer({})),
      Layer.provide(Layer.succeed(HttpClient.HttpClient, upstream))
    )
  )
  return Context.get(accounts, Account.Accounts)
})

it.scoped("an account stays while it is held or used, and is closed a quarter of an hour later", () =>
  Effect.gen(function* () {
    const { of, opened } = yield* accountsOfCallers
    expect(opened(by("a"))).toBeUndefined()
    const first = yield* Effect.scoped(of(by("a")))
    const held = yield* Scope.make()
    const other = yield* Scope.extend(of(by("b")), held)
    expect(other).not.toBe(first)
    for (const _ of Array(5)) {
      yield* TestClock.adjust("14 minutes")
      expect(opened(by("a"))).toBe(first)
    }
    yield* TestClock.adjust("2 hours")
    expect(opened(by("a"))).toBeUndefined()
    expect(yield* Effect.scoped(of(by("a")))).not.toBe(first)
    expect(yield* Effect.scoped(of(by("b")))).toBe(other)
    yield* Scope.close(held, Exit.void)
    yield* TestClock.adjust("14 minutes")
    expect(yield* Effect.scoped(of(by("b")))).toBe(other)
    yield* TestClock.adjust("16 minutes")
    expect(opened(by("b"))).toBeUndefined()
  })
)

it.scoped("those who come at the same time share one account, and a thousand are open at most", () =>
  Effect.gen(function* () {
    const { of } = yield* accountsOfCallers
    const same = yield* Effect.replicateEffect(Effect.scoped(of(by("a"))), 20, { concurrency: 20 })
    expect(new Set(same).size).toBe(1)
    for (let more = 1; more < 1000; more++) yield* Effect.scoped(of(by(`key-${more}`)))
    expect(yield* Effect.flip(Effect.scoped(of(by("one too many"))))).toMatchObject({ status: 429 })
    expect(yield* Effect.scoped(of(by("a")))).toBe(same[0])
    yield* TestClock.adjust("16 minutes")
    yield* Effect.scoped(of(by("one too many")))
  })
)

it.scoped("an idle account keeps what is known of its jobs, and nothing of the requests that asked", () =>
  Effect.gen(function* () {
    const { of, opened } = yield* accountsOfCallers
    const id = BatchId.make(nobody)
    const ask = Effect.suspend(() => {
      const request = by("a")
      return Effect.flatMap(of(request), ({ cache }) => cache.status(id)).pipe(
        Effect.scoped,
        Effect.annotateLogs({ request }),
        Effect.provideService(HttpServerRequest.HttpServerRequest, request),
        Effect.as(new WeakRef(request))
      )
    })
    const request = yield* ask
    setFlagsFromString("--expose-gc")
    const collect: unknown = runInNewContext("gc")
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    if (typeof collect === "function") collect()
    expect(request.deref() === undefined).toBe(true)
    expect(Option.isSome(opened(by("a"))?.cache.unsafeKept(id, 0) ?? Option.none())).toBe(true)
  })
)
