import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { createHash } from "node:crypto"
import { gzipSync } from "node:zlib"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as GrowingFile from "../../src/disk/GrowingFile.js"
import * as Proof from "../../src/proof/Proof.js"

const text = Array.from({ length: 3000 }, (_, n) => {
  const noise = createHash("sha256").update(String(n)).digest("hex")
  return `{"n":${n},"noise":"${noise}"}\n`
}).join("")
const whole = Buffer.concat([gzipSync(text.slice(0, 9000)), gzipSync(text.slice(9000))])

describe("Proof", () => {
  it.scopedLive("follows a writer from portion to portion, from its base on", () =>
    withFile(
      Buffer.concat([Buffer.from("before"), whole]),
      (file, fs) =>
        Effect.gen(function* () {
          let told = 0
          const onRows = (count: number) => Effect.sync(() => void (told += count))
          const rows = yield* Effect.fork(Proof.rows({ file, name: "file", onRows }))
          const digest = yield* Effect.fork(Proof.digest([file]))
          for (let end = 1; end < whole.length; end += 997) yield* file.advance(end)
          yield* file.advance(whole.length)
          yield* file.close
          expect(yield* Fiber.join(rows)).toEqual({
            records: 3000,
            blankLines: 0,
            inflatedBytes: text.length,
            unterminated: false,
            padding: 0,
            isPlain: false
          })
          expect(yield* Fiber.join(digest)).toBe(createHash("sha256").update(whole).digest("hex"))
          expect(told).toBe(3000)
          expect(yield* fs.exists(file.path)).toBe(true)
        }),
      6
    )
  )

  it.scopedLive("hands on what it inflates, in order", () =>
    withFile(whole, (file) =>
      Effect.gen(function* () {
        const chunks: Array<Uint8Array> = []
        yield* file.advance(whole.length)
        yield* file.close
        yield* Proof.rows({
          file,
          name: "file",
          onInflated: (more) => Effect.sync(() => void chunks.push(...more))
        })
        expect(Buffer.concat(chunks).toString()).toBe(text)
      })
    )
  )

  it.scopedLive("a line may be of any length", () =>
    withFile(gzipSync("x".repeat(5000)), (file) =>
      Effect.gen(function* () {
        yield* file.advance(gzipSync("x".repeat(5000)).length)
        yield* file.close
        expect(yield* Proof.rows({ file, name: "file" })).toMatchObject({ records: 1, inflatedBytes: 5000 })
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
      "what is neither gzip nor JSON lines",
      Buffer.from(`x${text}`),
      text.length,
      { _tag: "ResultsCorrupt", reason: "Gzip" }
    ]
  ] as const) {
    it.scopedLive(`${name} proves nothing`, () =>
      withFile(bytes, (file) =>
        Effect.gen(function* () {
          yield* file.advance(end)
          yield* file.close
          expect(yield* Effect.flip(Proof.rows({ file, name: "file" }))).toMatchObject(error)
        })
      )
    )
  }

  for (const [rows, records, blankLines, unterminated] of [
    ["", 0, 0, false],
    ["{}\n", 1, 0, false],
    ["{}\n{}", 2, 0, true],
    ["\n\n", 0, 2, false],
    ["\n{}\n  \n{}", 2, 2, true]
  ] as const) {
    it.scopedLive(`plain ${JSON.stringify(rows)} has ${records} rows`, () =>
      withFile(Buffer.from(rows), (file) =>
        Effect.gen(function* () {
          yield* file.advance(rows.length)
          yield* file.close
          expect(yield* Proof.rows({ file, name: "file", mayBeEmpty: true })).toEqual({
            records,
            blankLines,
            inflatedBytes: rows.length,
            unterminated,
            padding: 0,
            isPlain: rows !== ""
          })
        })
      )
    )
  }
})

// ----------------------------------------------------------------------------------------------------------------

const withFile = <A, E>(
  bytes: Uint8Array,
  use: (
    file: GrowingFile.GrowingFile & GrowingFile.Frontier,
    fs: FileSystem.FileSystem
  ) => Effect.Effect<A, E, BatchConfig.BatchConfig | FileSystem.FileSystem>,
  base = 0
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/file`
    yield* fs.writeFile(path, bytes)
    return yield* use(yield* GrowingFile.make({ path, base: Effect.succeed(base) }), fs)
  }).pipe(
    Effect.provide(
      Layer.merge(NodeContext.layer, BatchConfig.layer({ transfer: { maxLineBytes: 1024, syncBytes: 4096 } }))
    )
  )
