import { expect, it } from "@effect/vitest"
import { HttpClient, HttpClientResponse, HttpServerRequest } from "@effect/platform"
import { BatchId } from "@org/batch-core/Batch"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { Context, Effect, Layer, Option, Redacted, TestClock } from "effect"
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
