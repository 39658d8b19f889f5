import { describe, it } from "@effect/vitest"
import { Sandbox } from "@org/batch-node/Sandbox"
import { Deferred, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { readFile, writeFile, mkdir, symlink } from "node:fs/promises"
import { join } from "node:path"
import { expect } from "vitest"
import * as LocalPostgres from "./LocalPostgres.js"
import * as Account from "../src/Account.js"
import * as Downloads from "../src/Downloads.js"
import * as Postgres from "../src/Postgres.js"
import * as Retrievals from "../src/Retrievals.js"
import { Store } from "../src/Store.js"
import * as Stack from "./Stack.js"

/** Everything about a retrieval itself, on either store, in one run: opening a store is what takes time. */
const story = Effect.fn(function* (folder: string) {
  const sandbox = yield* Sandbox
  const retrievals = yield* Retrievals.Retrievals
  const store = yield* Store
  const service = Account.ofService
  const out = (path: string) => Effect.promise(() => readFile(join(folder, "out", path), "utf8"))

  // what is the same
  const id = yield* sandbox.createJob({ records: 50 })
  const one = yield* Stack.handOver(id, "a/rows.jsonl")
  const two = yield* Stack.handOver(id, "a//rows.jsonl", { format: "jsonl" })
  expect([one.created, two.created, two.retrieval.retrievalId]).toEqual([
    true,
    false,
    one.retrieval.retrievalId
  ])
  expect((yield* Stack.handOver(id, "b/", { format: "csv" })).retrieval.destination).toEqual({
    type: "folder",
    path: `b/${id}.csv`
  })

  // its end, and the proof
  const done = yield* Stack.ended(one.retrieval.retrievalId)
  const text = yield* out("a/rows.jsonl")
  expect(done).toMatchObject({ state: "done", attempt: 1, error: null, nextLookAt: null })
  expect(done?.progress).toMatchObject({
    status: "completed",
    resultCount: 50,
    records: 50,
    bytes: Buffer.byteLength(text)
  })
  expect(done?.receipt).toMatchObject({
    output: "a/rows.jsonl",
    bytes: Buffer.byteLength(text),
    complete: true
  })
  expect(text.trim().split("\n").length).toBe(50)
  expect((yield* Stack.handOver(id, "a/rows.jsonl")).retrieval.state).toBe("done")
  expect((yield* Effect.flip(retrievals.cancel(service, one.retrieval.retrievalId)))._tag).toBe(
    "RetrievalConflict"
  )
  expect((yield* Effect.flip(retrievals.retry(service, one.retrieval.retrievalId)))._tag).toBe(
    "RetrievalConflict"
  )

  // one look for all retrievals of a batch, and downloads that ask for links
  const looks = (yield* sandbox.requests).filter(({ path }) => path === `/batch/${id}`)
  expect(looks.length).toBeLessThanOrEqual(4)

  // a destination that is there
  yield* Effect.promise(() => mkdir(join(folder, "out/c"), { recursive: true }))
  yield* Effect.promise(() => writeFile(join(folder, "out/c/rows.jsonl"), "mine"))
  const taken = yield* Stack.ended((yield* Stack.handOver(id, "c/rows.jsonl")).retrieval.retrievalId)
  expect(taken).toMatchObject({ state: "failed", error: { type: "StorageError" } })
  expect(taken?.error?.message).not.toContain(folder)
  expect(yield* out("c/rows.jsonl")).toBe("mine")
  yield* Effect.promise(() => writeFile(join(folder, "out/c/other.jsonl"), "mine"))
  const replaced = yield* Stack.handOver(id, "c/other.jsonl", { replace: true })
  expect((yield* Stack.ended(replaced.retrieval.retrievalId))?.state).toBe("done")
  expect(yield* out("c/other.jsonl")).toBe(text)
  yield* Effect.promise(() => symlink(folder, join(folder, "out/away")))
  const outside = yield* Stack.ended((yield* Stack.handOver(id, "away/rows.jsonl")).retrieval.retrievalId)
  expect(outside).toMatchObject({ state: "failed", error: { type: "StorageError" } })

  // a batch that is not there, one that failed upstream
  const missing = yield* Stack.handOver(yield* Stack.otherId, "missing")
  expect(yield* Stack.ended(missing.retrieval.retrievalId)).toMatchObject({
    state: "failed",
    error: { type: "BatchNotFound" }
  })
  const failed = yield* sandbox.createJob({ outcome: "failed", errorMessage: "no credits" })
  const lost = yield* Stack.ended((yield* Stack.handOver(failed, "failed")).retrieval.retrievalId)
  expect(lost).toMatchObject({
    state: "failed",
    error: { type: "BatchFailed" },
    progress: { status: "failed" }
  })

  // waiting, cancelled, tried again
  const slow = yield* sandbox.createJob({ records: 10, processingMs: 3_600_000 })
  const waiting = yield* Stack.handOver(slow, "slow.jsonl.gz")
  expect(waiting.retrieval.state).toBe("waiting")
  yield* Stack.until(slow, ({ progress }) => progress.status === "processing")
  expect(yield* retrievals.cancel(service, waiting.retrieval.retrievalId)).toMatchObject({
    state: "cancelled",
    nextLookAt: null
  })
  yield* sandbox.job(slow).complete
  yield* retrievals.hint(slow)
  const retried = yield* retrievals.retry(service, waiting.retrieval.retrievalId)
  expect(retried).toMatchObject({ state: "waiting", attempt: 2 })
  expect(yield* Stack.ended(waiting.retrieval.retrievalId)).toMatchObject({ state: "done", attempt: 2 })

  // accounts and pages
  const other = Account.ofKey(Redacted.make("another key"))
  expect((yield* Effect.flip(retrievals.get(other, one.retrieval.retrievalId)))._tag).toBe(
    "RetrievalNotFound"
  )
  expect((yield* Effect.flip(retrievals.get(service, "nonsense")))._tag).toBe("RetrievalNotFound")
  expect((yield* retrievals.list(other)).retrievals).toEqual([])
  const all = yield* retrievals.list(service)
  const pages = []
  let cursor: string | undefined
  do {
    const page = yield* retrievals.list(service, { limit: 3, cursor })
    pages.push(...page.retrievals)
    cursor = Option.getOrUndefined(page.nextCursor)
  } while (cursor !== undefined)
  expect(pages).toEqual(all.retrievals)
  expect((yield* retrievals.list(service, { state: "failed" })).retrievals.length).toBe(4)
  expect((yield* retrievals.list(service, { batchId: slow })).retrievals.length).toBe(1)
  expect((yield* Effect.flip(retrievals.list(service, { cursor: "?" })))._tag).toBe("RetrievalInvalid")
  expect((yield* Effect.flip(retrievals.list(service, { limit: 0 })))._tag).toBe("RetrievalInvalid")

  // what makes no sense
  for (const path of ["/etc/passwd", "../up", "a/../../up", ".retrievals/x", "a\\b", "c:/x"]) {
    expect((yield* Effect.flip(Stack.handOver(id, path)))._tag).toBe("RetrievalInvalid")
  }
  expect(
    yield* Effect.flip(Stack.handOver(id, "n", { notify: { url: "https://example.com" } }))
  ).toMatchObject({
    _tag: "RetrievalInvalid",
    field: "notify"
  })

  // no secret in any row
  const tables = yield* store.query(
    "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables WHERE table_schema LIKE 'batch%'"
  )
  for (const { name } of tables) {
    const rows = JSON.stringify(yield* store.query(`SELECT * FROM ${String(name)}`))
    expect(rows).not.toMatch(/X-Amz|Signature|sandbox-key|http:/u)
  }
  expect((yield* retrievals.figures).states).toMatchObject({ waiting: 0, running: 0, failed: 4 })
})

/** A worker that stands still in the middle of a transaction keeps its locks for seconds only, and then has done nothing. */
const frozen = Effect.gen(function* () {
  const store = yield* Store
  const goOn = yield* Deferred.make<void>()
  const held = yield* Deferred.make<void>()
  const late = yield* store
    .transaction(async (sql) => {
      await Downloads.turn(sql, "frozen")
      await sql.query("UPDATE batch.retrieval SET attempt = 99")
      Deferred.unsafeDone(held, Effect.void)
      await Effect.runPromise(Deferred.await(goOn))
    })
    .pipe(Effect.either, Effect.fork)
  yield* Deferred.await(held)
  yield* store.transaction((sql) => Downloads.turn(sql, "frozen"))
  yield* Deferred.succeed(goOn, undefined)
  expect(yield* Fiber.join(late)).toMatchObject({ _tag: "Left", left: { _tag: "StoreUnavailable" } })
  expect(yield* store.query("SELECT 1 FROM batch.retrieval WHERE attempt = 99")).toEqual([])
})

describe("retrievals", () => {
  it.scopedLive("in an embedded store", () =>
    Effect.gen(function* () {
      const folder = yield* Stack.emptyFolder
      yield* story(folder).pipe(Effect.provide(Stack.layer(folder)))
    })
  )

  it.scopedLive.skipIf(!LocalPostgres.isAvailable)("on PostgreSQL", () =>
    Effect.gen(function* () {
      const folder = yield* Stack.emptyFolder
      const { url } = yield* LocalPostgres.make
      const store = Postgres.layer(Redacted.make(url))
      yield* story(folder).pipe(Effect.provide(Layer.fresh(Stack.layer(folder, { store }))))
      yield* frozen.pipe(Effect.provide(store))
    })
  )
})
