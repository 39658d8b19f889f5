import { it } from "@effect/vitest"
import { Sandbox } from "@org/batch-node/Sandbox"
import { Deferred, Effect, Fiber } from "effect"
import { createHash } from "node:crypto"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect } from "vitest"
import * as Account from "../src/Account.js"
import * as Reach from "../src/Reach.js"
import * as Retrievals from "../src/Retrievals.js"
import * as S3Delivery from "../src/S3Delivery.js"
import { Store } from "../src/Store.js"
import * as Bucket from "./Bucket.js"
import * as Stack from "./Stack.js"

const credentials = { AWS_ACCESS_KEY_ID: "an-id", AWS_SECRET_ACCESS_KEY: "a-secret-of-the-bucket" }
beforeAll(() => void Object.assign(process.env, credentials))
afterAll(() => {
  for (const name of Object.keys(credentials)) delete process.env[name]
})

const megabytes = (count: number) => Buffer.alloc(count * 1_048_576, "0123456789abcdef\n")

/** A staged file of so many megabytes, and where it is to go. */
const publication = Effect.fn(function* (bucket: Bucket.Bucket, size: number, more: object = {}) {
  const folder = yield* Stack.emptyFolder
  const from = join(folder, "rows")
  const body = megabytes(size)
  yield* Effect.promise(() => writeFile(from, body))
  return {
    from,
    bytes: body.length,
    sha256: createHash("sha256").update(body).digest("hex"),
    mediaType: "application/x-ndjson",
    destination: { type: "s3" as const, bucket: "rows", key: "a/b c.jsonl", endpoint: bucket.endpoint },
    replace: false,
    retrievalId: "one",
    reach: Reach.anywhere,
    ...more
  }
})

const noted: Array<string> = []
const note = (upload: string) => Effect.sync(() => void noted.push(upload))

it.scopedLive("puts a small file, and a large one in parts, whose upload is noted first", () =>
  Effect.gen(function* () {
    const bucket = yield* Bucket.make
    for (const size of [1, 20]) {
      bucket.objects.clear()
      const wanted = yield* publication(bucket, size)
      yield* S3Delivery.publish(wanted, (upload) =>
        Effect.sync(() => {
          noted.push(upload)
          expect(bucket.requests.filter((line) => line === `PUT ${upload}`)).toEqual([])
        })
      )
      const stored = bucket.objects.get("rows/a/b c.jsonl")
      expect(stored?.body.equals(megabytes(size))).toBe(true)
      expect(stored?.headers).toMatchObject({
        "content-type": "application/x-ndjson",
        "x-amz-meta-batch-retrieval-id": "one"
      })
      // the same again: ours, and whole
      yield* S3Delivery.publish(wanted, note)
      yield* S3Delivery.check(wanted)
    }
    expect(bucket.requests.filter((line) => line.startsWith("PUT upload")).length).toBeGreaterThanOrEqual(3)
    expect(bucket.uploads.size).toBe(0)
  })
)

it.scopedLive("leaves another's object alone, unless it is to be replaced", () =>
  Effect.gen(function* () {
    const bucket = yield* Bucket.make
    const mine = { body: Buffer.from("mine"), headers: {} }
    for (const size of [1, 20]) {
      bucket.objects.set("rows/a/b c.jsonl", mine)
      const wanted = yield* publication(bucket, size)
      expect(yield* Effect.flip(S3Delivery.check(wanted))).toMatchObject({ reason: "Exists" })
      expect(yield* Effect.flip(S3Delivery.publish(wanted, note))).toMatchObject({
        reason: "Exists",
        path: "s3://rows/a/b c.jsonl"
      })
      expect(bucket.objects.get("rows/a/b c.jsonl")).toBe(mine)
      expect(bucket.uploads.size).toBe(0)
      yield* S3Delivery.publish({ ...wanted, replace: true }, note)
      expect(bucket.objects.get("rows/a/b c.jsonl")?.body.length).toBe(wanted.bytes)
    }
  })
)

it.scopedLive("aborts an upload that is interrupted, or that somebody else has begun", () =>
  Effect.gen(function* () {
    const bucket = yield* Bucket.make
    bucket.hangs = true
    const wanted = yield* publication(bucket, 20)
    const fiber = yield* Effect.fork(S3Delivery.publish(wanted, note))
    yield* Stack.eventually(
      Effect.sync(() => bucket.uploads.size),
      (size) => size === 1
    )
    yield* Fiber.interrupt(fiber)
    yield* Stack.eventually(
      Effect.sync(() => bucket.uploads.size),
      (size) => size === 0
    )
    bucket.uploads.set("of a dead one", new Map())
    yield* S3Delivery.abort(wanted.destination, Reach.anywhere, "of a dead one")
    yield* S3Delivery.abort(wanted.destination, Reach.anywhere, "of a dead one")
    expect(bucket.uploads.size).toBe(0)
    expect(bucket.objects.size).toBe(0)
    bucket.refuses = 403
    expect(yield* Effect.flip(S3Delivery.publish(wanted, note))).toMatchObject({ reason: "Denied" })
  })
)

it.scopedLive("aborts an upload that is interrupted before the bucket has said its id", () =>
  Effect.gen(function* () {
    const bucket = yield* Bucket.make
    const answer = yield* Deferred.make<void>()
    bucket.created = Effect.runPromise(Deferred.await(answer))
    const fiber = yield* Effect.fork(S3Delivery.publish(yield* publication(bucket, 20), note))
    yield* Stack.eventually(
      Effect.sync(() => bucket.uploads.size),
      (size) => size === 1
    )
    const interrupted = yield* Effect.fork(Fiber.interrupt(fiber))
    yield* Effect.sleep("100 millis")
    yield* Deferred.succeed(answer, undefined)
    yield* Fiber.join(interrupted)
    expect(bucket.uploads.size).toBe(0)
    expect(bucket.objects.size).toBe(0)
  })
)

it.scopedLive("delivers retrievals to a bucket, and stores none of its credentials", () =>
  Effect.gen(function* () {
    const bucket = yield* Bucket.make
    const folder = yield* Stack.emptyFolder
    yield* Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const retrievals = yield* Retrievals.Retrievals
      const store = yield* Store
      const id = yield* sandbox.createJob({ records: 10 })
      const handOver = (key: string, more: object = {}) =>
        retrievals.enqueue(Account.ofService, {
          batchId: id,
          destination: { type: "s3", bucket: "rows", key, endpoint: bucket.endpoint },
          ...more
        })
      const { retrieval } = yield* handOver("out/")
      const done = yield* Stack.ended(retrieval.retrievalId)
      expect(done).toMatchObject({
        state: "done",
        receipt: { output: `s3://rows/out/${id}.jsonl.gz` },
        destination: { key: `out/${id}.jsonl.gz` }
      })
      expect(bucket.objects.get(`rows/out/${id}.jsonl.gz`)?.body.length).toBe(done?.progress.bytes)
      bucket.objects.set("rows/taken.jsonl", { body: Buffer.from("mine"), headers: {} })
      const taken = yield* Stack.ended((yield* handOver("taken.jsonl")).retrieval.retrievalId)
      expect(taken).toMatchObject({ state: "failed", error: { type: "StorageError" } })

      // whoever takes over aborts what the one before has left
      bucket.uploads.set("left behind", new Map())
      const slow = yield* sandbox.createJob({ records: 10, processingMs: 3_600_000 })
      const later = yield* retrievals.enqueue(Account.ofService, {
        batchId: slow,
        destination: { type: "s3", bucket: "rows", key: "later", endpoint: bucket.endpoint }
      })
      yield* store.query(`UPDATE batch.retrieval SET publishing = '{"upload":"left behind"}' WHERE id = $1`, [
        later.retrieval.retrievalId
      ])
      yield* sandbox.job(slow).complete
      yield* Stack.ended(later.retrieval.retrievalId)
      expect(bucket.uploads.size).toBe(0)
      const rows = JSON.stringify(yield* store.query("SELECT * FROM batch.retrieval"))
      expect(rows).not.toContain(credentials.AWS_SECRET_ACCESS_KEY)
    }).pipe(Effect.provide(Stack.layer(folder)))
  })
)
