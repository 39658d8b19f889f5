import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Option } from "effect"
import * as Batch from "../../src/model/Batch.js"
import * as Journal from "../../src/download/Journal.js"

const purpose: Journal.Purpose = {
  batch_id: Batch.BatchId.make("01234567-89ab-4cde-8f01-23456789abcd"),
  result_count: 7,
  source: "merged",
  files: 1,
  joined: true
}
const entry: Journal.Entry = { index: 0, etag: '"v1"', total: 25, cellBytes: 10, filled: [10, 4, 0] }
const published: Journal.Published = {
  format: "csv",
  columns: Option.some(["a", "b"]),
  bom: true,
  bytes: 9,
  sha256: "00",
  records: 7,
  blankLines: 3,
  compressedHere: true,
  files: [{ index: 0, bytes: 25, records: 7, etag: '"v1"', sha256: Option.none() }]
}
const content: Journal.Content = { entries: [entry], published: Option.some(published) }
const nothing: Journal.Content = { entries: [], published: Option.none() }

describe("Journal", () => {
  it.scopedLive("gives back what was saved, for the same purpose only", () =>
    inFolder((fs, folder) =>
      Effect.gen(function* () {
        const path = `${folder}/journal`
        yield* Journal.save(path, purpose, content)
        expect(yield* Journal.load(path, purpose)).toEqual(content)
        yield* Journal.save(path, purpose, { ...content, published: Option.none() })
        expect(yield* Journal.load(path, purpose)).toEqual({ entries: [entry], published: Option.none() })
        for (const other of [
          { result_count: 8 },
          { files: 2 },
          { joined: false },
          { source: "parts" as const },
          { batch_id: Batch.BatchId.make("11234567-89ab-4cde-8f01-23456789abcd") }
        ]) {
          expect(yield* Journal.load(path, { ...purpose, ...other })).toEqual(nothing)
        }
        expect(yield* fs.readDirectory(folder)).toEqual(["journal"])
      })
    )
  )

  for (const [name, change] of [
    ["a weak ETag", { etag: 'W/"v1"' }],
    ["no ETag", { etag: "" }],
    ["cells of no size", { cell_bytes: 0 }],
    ["a size that its cells do not cover", { total: 9_007_199_254_740_991, cell_bytes: 1 }],
    ["a size below its cells", { total: 9 }],
    ["more cells than fit", { filled: [10, 4, 0, 0] }],
    ["a cell that holds more than fits", { filled: [11, 0, 0] }],
    ["a last cell that holds more than the file", { filled: [10, 10, 6] }],
    ["a cell that holds less than nothing", { filled: [10, -1, 0] }],
    ["a cell that holds a part of a byte", { filled: [10, 0.5, 0] }],
    ["cells that are no list", { filled: 3 }],
    ["a negative size", { total: -1 }],
    ["text for a number", { total: "25" }],
    ["a fraction", { total: 24.5 }]
  ] as const) {
    it.scopedLive(`does not believe ${name}`, () =>
      inFolder((fs, folder) =>
        Effect.gen(function* () {
          const path = `${folder}/journal`
          yield* Journal.save(path, purpose, content)
          const journal = JSON.parse(yield* fs.readFileString(path))
          const [written] = journal.entries
          yield* fs.writeFileString(
            path,
            JSON.stringify({ ...journal, entries: [{ ...written, ...change }] })
          )
          expect(yield* Journal.load(`${folder}/journal`, purpose)).toEqual(nothing)
        })
      )
    )
  }

  it.scopedLive("does not believe an older version", () =>
    inFolder((fs, folder) =>
      Effect.gen(function* () {
        const path = `${folder}/journal`
        yield* Journal.save(path, purpose, content)
        const text = yield* fs.readFileString(path)
        yield* fs.writeFileString(path, text.replace('"version":3', '"version":2'))
        expect(yield* Journal.load(path, purpose)).toEqual(nothing)
      })
    )
  )

  it.scopedLive("believes no part of itself, and no damage to it is fatal", () =>
    inFolder((fs, folder) =>
      Effect.gen(function* () {
        const path = `${folder}/journal`
        yield* Journal.save(path, purpose, content)
        const text = yield* fs.readFileString(path)
        for (let length = 0; length < text.length; length++) {
          yield* fs.writeFileString(path, text.slice(0, length))
          expect(yield* Journal.load(path, purpose)).toEqual(nothing)
        }
        const damages = fc.sample(fc.tuple(fc.nat(text.length - 1), fc.nat(255)), { numRuns: 200, seed: 7 })
        for (const [at, byte] of damages) {
          const damaged = Buffer.from(text)
          damaged[at] = byte
          yield* fs.writeFile(path, damaged)
          // A figure that is damaged is still a figure; what it claims is found wrong by the proof of the file.
          const { entries } = yield* Journal.load(path, purpose)
          for (const { cellBytes, filled, total } of entries) {
            expect(filled).toHaveLength(Math.ceil(total / cellBytes))
            expect(filled.every((held, cell) => held <= Math.min(cellBytes, total - cell * cellBytes))).toBe(
              true
            )
          }
        }
        yield* fs.remove(path)
        expect(yield* Journal.load(path, purpose)).toEqual(nothing)
        yield* fs.makeDirectory(path)
        expect(yield* Journal.load(path, purpose)).toEqual(nothing)
      })
    )
  )
})

// ----------------------------------------------------------------------------------------------------------------

const inFolder = <A, E, R>(use: (fs: FileSystem.FileSystem, folder: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(fs, yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeContext.layer))
