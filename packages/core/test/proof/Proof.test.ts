import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { createHash } from "node:crypto"
import { gzipSync } from "node:zlib"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as GrowingFile from "../../src/disk/GrowingFile.js"
import * as Gunzip from "../../src/proof/Gunzip.js"
import * as Proof from "../../src/proof/Proof.js"

const text = Array.from({ length: 3000 }, (_, n) => {
  const noise = createHash("sha256").update(String(n)).digest("hex")
  return `{"n":${n},"noise":"${noise}"}\n`
}).join("")
const whole = Buffer.concat([gzipSync(text.slice(0, 9000)), gzipSync(text.slice(9000))])

/** Members that end in the middle of lines. */
const members = Buffer.concat(
  Array.from({ length: 30 }, (_, n) => {
    const size = Math.ceil(text.length / 30)
    return gzipSync(text.slice(n * size, (n + 1) * size))
  })
)
/** One member whose stored bytes hold the beginnings of others. */
const disguised = gzipSync(
  Buffer.concat(
    Array.from({ length: 400 }, () => Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x7b, 0x7d, 10]))
  ),
  { level: 0 }
)

describe("Proof", () => {
  it.scopedLive("follows a writer from portion to portion, from its base on", () =>
    withFile(
      Buffer.concat([Buffer.from("before"), whole]),
      (region, fs) =>
        Effect.gen(function* () {
          let told = 0
          const onRows = (count: number) => Effect.sync(() => void (told += count))
          const rows = yield* Effect.fork(Proof.rows({ ...region, name: "file", onRows }))
          const digest = yield* Effect.fork(Proof.digest([region]))
          for (let end = 1; end < whole.length; end += 997) yield* region.frontier.advance(end)
          yield* region.frontier.advance(whole.length)
          yield* region.frontier.close
          expect(yield* Fiber.join(rows)).toEqual({
            records: 3000,
            inflatedBytes: text.length,
            unterminated: false
          })
          expect(yield* Fiber.join(digest)).toBe(createHash("sha256").update(whole).digest("hex"))
          expect(told).toBe(3000)
          expect(yield* fs.exists(region.path)).toBe(true)
        }),
      6
    )
  )

  it.scopedLive("hands on what it inflates, in order", () =>
    withFile(whole, (region) =>
      Effect.gen(function* () {
        const chunks: Array<Uint8Array> = []
        yield* region.frontier.advance(whole.length)
        yield* region.frontier.close
        yield* Proof.rows({
          ...region,
          name: "file",
          onInflated: (more) => Effect.sync(() => void chunks.push(...more))
        })
        expect(Buffer.concat(chunks).toString()).toBe(text)
      })
    )
  )

  it.scopedLive("tells of whole members that are proven, and goes on behind any of them", () =>
    withFile(members, (region, fs) =>
      Effect.gen(function* () {
        yield* region.frontier.advance(members.length)
        yield* region.frontier.close
        const told: Array<Proof.Proven> = []
        const options = {
          ...region,
          name: "file",
          onProven: (proven: Proof.Proven) => void told.push(proven)
        }
        const rows = yield* Proof.rows(options)
        expect(rows).toEqual({ records: 3000, inflatedBytes: text.length, unterminated: false })
        expect(told.length).toBeGreaterThan(5)
        expect(told.at(-1)).toMatchObject({ bytes: members.length, lineFeeds: 3000 })
        for (const from of told) {
          yield* fs.writeFile(region.path, Buffer.from(members).fill(0, 0, from.bytes))
          let further = 0
          const onRows = (count: number) => Effect.sync(() => void (further += count))
          expect(yield* Proof.rows({ ...region, name: "file", from, onRows })).toEqual(rows)
          expect(further).toBe(3000 - Gunzip.countOf(from))
        }
      })
    )
  )

  it.scopedLive("is not deceived by what looks like the start of a member", () =>
    withFile(disguised, (region) =>
      Effect.gen(function* () {
        yield* region.frontier.advance(disguised.length)
        yield* region.frontier.close
        const told: Array<Proof.Proven> = []
        let counted = 0
        const rows = yield* Proof.rows({
          ...region,
          name: "file",
          onProven: (proven) => void told.push(proven),
          onRows: (count) => Effect.sync(() => void (counted += count))
        })
        expect(rows).toMatchObject({ records: 400, unterminated: false })
        expect(counted).toBe(400)
        expect(told.map(({ bytes }) => bytes)).toEqual([disguised.length])
      })
    )
  )

  for (const [name, bytes, end, error] of [
    [
      "a region that ends before its trailer",
      whole,
      whole.length - 1,
      { _tag: "ResultsCorrupt", reason: "Gzip", file: "file" }
    ],
    [
      "a file that became shorter",
      whole.subarray(0, 50),
      whole.length,
      { _tag: "StorageError", reason: "Unwritable" }
    ],
    ["an empty file", new Uint8Array(0), 0, { _tag: "ResultsCorrupt", reason: "Gzip", actual: "no bytes" }],
    [
      "a line that is too long",
      gzipSync("x".repeat(5000)),
      gzipSync("x".repeat(5000)).length,
      { _tag: "ResultsCorrupt", reason: "Encoding" }
    ],
    ["what is no gzip", Buffer.from(text), text.length, { _tag: "ResultsCorrupt", reason: "Gzip" }]
  ] as const) {
    it.scopedLive(`${name} proves nothing`, () =>
      withFile(bytes, (region) =>
        Effect.gen(function* () {
          yield* region.frontier.advance(end)
          yield* region.frontier.close
          expect(yield* Effect.flip(Proof.rows({ ...region, name: "file" }))).toMatchObject(error)
        })
      )
    )
  }

  for (const [rows, records, unterminated] of [
    ["", 0, false],
    ["{}\n", 1, false],
    ["{}\n{}", 2, true],
    ["\n\n", 2, false]
  ] as const) {
    it.scopedLive(`plain ${JSON.stringify(rows)} has ${records} rows`, () =>
      withFile(Buffer.from(rows), (region) =>
        Effect.gen(function* () {
          yield* region.frontier.advance(rows.length)
          yield* region.frontier.close
          expect(yield* Proof.plainRows(region)).toEqual({
            records,
            inflatedBytes: rows.length,
            unterminated
          })
          expect(yield* Proof.isGzip(region)).toBe(false)
        })
      )
    )
  }
})

// ----------------------------------------------------------------------------------------------------------------

const withFile = <A, E>(
  bytes: Uint8Array,
  use: (
    region: Proof.Region,
    fs: FileSystem.FileSystem
  ) => Effect.Effect<A, E, BatchConfig.BatchConfig | FileSystem.FileSystem>,
  base = 0
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/file`
    yield* fs.writeFile(path, bytes)
    return yield* use({ path, base: Effect.succeed(base), frontier: yield* GrowingFile.make }, fs)
  }).pipe(
    Effect.provide(
      Layer.merge(NodeContext.layer, BatchConfig.layer({ transfer: { maxLineBytes: 1024, syncBytes: 4096 } }))
    )
  )
