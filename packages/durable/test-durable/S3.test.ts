import { it } from "@effect/vitest"
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client
} from "@aws-sdk/client-s3"
import { Effect, Fiber } from "effect"
import { createHash } from "node:crypto"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { beforeAll, describe, expect } from "vitest"
import * as Reach from "../src/Reach.js"
import * as S3Delivery from "../src/S3Delivery.js"
import * as Stack from "../test/Stack.js"
import * as ObjectStorage from "./ObjectStorage.js"

beforeAll(() => {
  process.env["AWS_ACCESS_KEY_ID"] ??= ObjectStorage.credentials.id
  process.env["AWS_SECRET_ACCESS_KEY"] ??= ObjectStorage.credentials.secret
})

const figure = (name: string, value: unknown) =>
  Effect.sync(() => console.log(`FIGURE ${name}: ${String(value)}`))

const bucket = "rows"

/** A bucket on a real server, and what is asked of it past the product. */
const make = Effect.gen(function* () {
  const endpoint = yield* ObjectStorage.make
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => new S3Client({ endpoint, forcePathStyle: true, region: "us-east-1" })),
    (made) => Effect.sync(() => made.destroy())
  )
  yield* Effect.promise(() => client.send(new CreateBucketCommand({ Bucket: bucket })).catch(() => undefined))
  return {
    endpoint,
    put: (key: string, text: string) =>
      Effect.promise(() => client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: text }))),
    get: (key: string) =>
      Effect.promise(async () => {
        const found = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
        const bytes = Buffer.from((await found.Body?.transformToByteArray()) ?? [])
        return { bytes, metadata: found.Metadata ?? {}, type: found.ContentType }
      }),
    uploads: Effect.promise(() => client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).pipe(
      Effect.map(({ Uploads: all = [] }) => all.length)
    )
  }
})

/** Whether a server heeds `If-None-Match: *`; the failure says so, and the way out, if it does not know it. */
const isConditional = (endpoint: string) =>
  Effect.gen(function* () {
    const wanted = yield* publication(endpoint, 1, "condition")
    const answer = yield* Effect.either(S3Delivery.publish(wanted, nothing))
    if (answer._tag === "Right") return true
    expect(answer.left).toMatchObject({
      reason: "Unwritable",
      detail: expect.stringMatching(/If-None-Match.*"replace": true/u)
    })
    return false
  })

/** A staged file of so many megabytes, and where it is to go. */
const publication = (endpoint: string, size: number, key: string, retrievalId = "one") =>
  Effect.gen(function* () {
    const from = join(yield* Stack.emptyFolder, "rows")
    const body = Buffer.alloc(size * 1_048_576, `0123456789abcdef ${retrievalId}\n`)
    yield* Effect.promise(() => writeFile(from, body))
    return {
      from,
      bytes: body.length,
      sha256: createHash("sha256").update(body).digest("hex"),
      mediaType: "application/x-ndjson",
      destination: { type: "s3" as const, bucket, key, endpoint },
      replace: false,
      retrievalId,
      reach: Reach.anywhere
    }
  })

const nothing = () => Effect.void

const digest = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex")

describe.skipIf(!ObjectStorage.isAvailable)("a delivery to a real S3 server", () => {
  it.scopedLive("arrives whole, small and in parts, and is known again", () =>
    Effect.gen(function* () {
      const { endpoint, get, uploads } = yield* make
      const conditional = yield* isConditional(endpoint)
      for (const [size, key] of [
        [1, "a/small one.jsonl"],
        [20, "a/läßt+große & Teile.jsonl"]
      ] as const) {
        const wanted = { ...(yield* publication(endpoint, size, key)), replace: !conditional }
        yield* S3Delivery.publish(wanted, nothing)
        const { bytes, metadata, type } = yield* get(key)
        expect([digest(bytes), type]).toEqual([wanted.sha256, "application/x-ndjson"])
        expect(metadata).toMatchObject({ "batch-retrieval-id": "one", "batch-sha256": wanted.sha256 })
        const later = { ...wanted, replace: false }
        yield* S3Delivery.check(later)
        expect(yield* Effect.flip(S3Delivery.check({ ...later, retrievalId: "two" }))).toMatchObject({
          reason: "Exists"
        })
        yield* S3Delivery.publish({ ...wanted, replace: true }, nothing)
      }
      expect(yield* uploads).toBe(0)
    })
  )

  it.scopedLive("has one winner, and leaves what is there alone", () =>
    Effect.gen(function* () {
      const { endpoint, get, put, uploads } = yield* make
      const conditional = yield* isConditional(endpoint)
      yield* figure("If-None-Match: * is heeded", conditional)
      if (!conditional) return
      for (const size of [1, 20]) {
        yield* put(`taken-${size}`, "mine")
        const wanted = yield* publication(endpoint, size, `taken-${size}`)
        const refused = yield* Effect.flip(S3Delivery.publish(wanted, nothing))
        expect(refused).toMatchObject({ reason: "Exists", path: `s3://${bucket}/taken-${size}` })
        expect((yield* get(`taken-${size}`)).bytes.toString()).toBe("mine")
        const rivals = yield* Effect.forEach(["a", "b", "c"], (name) =>
          publication(endpoint, size, `raced-${size}`, name)
        )
        const ends = yield* Effect.forEach(rivals, (one) => Effect.either(S3Delivery.publish(one, nothing)), {
          concurrency: 3
        })
        const winners = rivals.filter((_, index) => ends[index]?._tag === "Right")
        expect(winners.map(({ sha256 }) => sha256)).toEqual([digest((yield* get(`raced-${size}`)).bytes)])
      }
      expect(yield* uploads).toBe(0)
    })
  )

  it.scopedLive("leaves no upload behind that was interrupted, or whose process died", () =>
    Effect.gen(function* () {
      const { endpoint, uploads } = yield* make
      const wanted = yield* Effect.map(publication(endpoint, 64, "interrupted"), (made) => ({
        ...made,
        replace: true
      }))
      const fiber = yield* Effect.fork(S3Delivery.publish(wanted, () => Effect.sleep("300 millis")))
      yield* Stack.eventually(uploads, (count) => count === 1)
      yield* Fiber.interrupt(fiber)
      yield* Stack.eventually(uploads, (count) => count === 0)
      // noted, and then its process was gone
      let noted = ""
      const dead = yield* Effect.fork(
        S3Delivery.publish(wanted, (id) =>
          Effect.zipRight(
            Effect.sync(() => void (noted = id)),
            Effect.never
          )
        )
      )
      yield* Stack.eventually(uploads, (count) => count === 1)
      expect(noted).not.toBe("")
      yield* S3Delivery.abort(wanted.destination, Reach.anywhere, noted)
      expect(yield* uploads).toBe(0)
      yield* S3Delivery.abort(wanted.destination, Reach.anywhere, noted)
      yield* Fiber.interruptFork(dead)
    })
  )

  it.scopedLive("says that it was denied", () =>
    Effect.gen(function* () {
      const { endpoint } = yield* make
      const wanted = yield* Effect.map(publication(endpoint, 1, "denied"), (made) => ({
        ...made,
        replace: true
      }))
      const right = process.env["AWS_SECRET_ACCESS_KEY"]
      process.env["AWS_SECRET_ACCESS_KEY"] = "another"
      const refused = yield* Effect.flip(S3Delivery.publish(wanted, nothing)).pipe(
        Effect.ensuring(Effect.sync(() => void (process.env["AWS_SECRET_ACCESS_KEY"] = right)))
      )
      expect(refused).toMatchObject({ reason: "Denied" })
    })
  )
})
