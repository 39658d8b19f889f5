import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Option } from "effect"
import * as Batch from "../../src/model/Batch.js"
import * as Cells from "../../src/transfer/Cells.js"
import { crc32 } from "../../src/disk/Digest.js"
import * as Journal from "../../src/download/Journal.js"
import * as Storage from "../../src/disk/Storage.js"

const purpose: Journal.Purpose = {
  batch_id: Batch.BatchId.make("01234567-89ab-4cde-8f01-23456789abcd"),
  result_count: 7,
  source: "merged",
  files: 1,
  joined: true
}
const bytes = Uint8Array.from({ length: 25 }, (_, at) => at)
const part = (start: number, end: number): Cells.Cell => [end - start, crc32(bytes.subarray(start, end))]
const entry: Journal.Entry = {
  index: 0,
  etag: '"v1"',
  last_modified: "",
  total: 25,
  cell_bytes: 10,
  cells: [part(0, 10), part(10, 14), [0, 0]],
  proven: Option.some({ bytes: 9, lineFeeds: 2, inflatedBytes: 30, lineStart: 20 })
}

describe("Journal", () => {
  it.scopedLive("gives back what was saved, for the same purpose only", () =>
    inFolder((fs, folder) =>
      Effect.gen(function* () {
        const path = `${folder}/journal`
        yield* Journal.save(path, purpose, [entry])
        expect(yield* Journal.load(path, purpose)).toEqual([entry])
        expect(yield* fs.readFileString(path)).toBe(
          sealed(JSON.parse((yield* fs.readFileString(path)).replace(/,"crc":\d+/u, "")))
        )
        for (const other of [
          { result_count: 8 },
          { files: 2 },
          { joined: false },
          { source: "parts" as const },
          { batch_id: Batch.BatchId.make("11234567-89ab-4cde-8f01-23456789abcd") }
        ]) {
          expect(yield* Journal.load(path, { ...purpose, ...other })).toEqual([])
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
    ["more cells than fit", { cells: [...entry.cells, [0, 0]] }],
    [
      "a cell that holds more than fits",
      {
        cells: [
          [11, 0],
          [0, 0],
          [0, 0]
        ]
      }
    ],
    [
      "a last cell that holds more than the file",
      {
        cells: [
          [10, 0],
          [10, 0],
          [6, 0]
        ]
      }
    ],
    ["a negative size", { total: -1 }],
    [
      "rows that no bytes prove",
      { proven: { bytes: 26, line_feeds: 2, inflated_bytes: 30, line_start: 20 } }
    ],
    ["half a proof", { proven: { bytes: 9 } }],
    ["text for a number", { total: "25" }],
    ["a fraction", { total: 24.5 }]
  ] as const) {
    it.scopedLive(`does not believe ${name}`, () =>
      inFolder((fs, folder) =>
        Effect.gen(function* () {
          const path = `${folder}/journal`
          yield* Journal.save(path, purpose, [entry])
          const journal = JSON.parse(yield* fs.readFileString(path))
          const [written] = journal.entries
          delete journal.crc
          yield* fs.writeFileString(path, sealed({ ...journal, entries: [{ ...written, ...change }] }))
          expect(yield* Journal.load(`${folder}/journal`, purpose)).toEqual([])
        })
      )
    )
  }

  it.scopedLive("believes no part of itself, and no damage to it is fatal", () =>
    inFolder((fs, folder) =>
      Effect.gen(function* () {
        const path = `${folder}/journal`
        yield* Journal.save(path, purpose, [entry])
        const text = yield* fs.readFileString(path)
        for (let length = 0; length < text.length; length++) {
          yield* fs.writeFileString(path, text.slice(0, length))
          expect(yield* Journal.load(path, purpose)).toEqual([])
        }
        const damages = fc.sample(fc.tuple(fc.nat(text.length - 1), fc.nat(255)), { numRuns: 200, seed: 7 })
        for (const [at, byte] of damages) {
          const damaged = Buffer.from(text)
          damaged[at] = byte
          yield* fs.writeFile(path, damaged)
          expect(yield* Journal.load(path, purpose)).toEqual(text === damaged.toString() ? [entry] : [])
        }
        yield* fs.remove(path)
        expect(yield* Journal.load(path, purpose)).toEqual([])
        yield* fs.makeDirectory(path)
        expect(yield* Journal.load(path, purpose)).toEqual([])
      })
    )
  )

  for (const [name, disk, expected] of [
    ["all that it claims", bytes, [10, 4, 0]],
    ["more than it claims", Buffer.concat([bytes, bytes]), [10, 4, 0]],
    ["a file that ends in a cell", bytes.subarray(0, 12), [10, 0, 0]],
    ["an empty file", new Uint8Array(0), [0, 0, 0]],
    ["a flipped byte in the first cell", bytes.map((byte, at) => (at === 3 ? 99 : byte)), [0, 4, 0]],
    ["a flipped byte behind what it claims", bytes.map((byte, at) => (at === 14 ? 99 : byte)), [10, 4, 0]],
    ["zeros", new Uint8Array(25), [0, 0, 0]]
  ] as const) {
    for (const base of [0, 1000]) {
      it.scopedLive(`is believed as far as the disk agrees: ${name}, from byte ${base} on`, () =>
        inFolder((fs, folder) =>
          Effect.gen(function* () {
            const path = `${folder}/file`
            yield* fs.writeFile(path, Buffer.concat([Buffer.alloc(base, 7), disk]))
            const cells = yield* Journal.verify(entry, yield* Storage.open(path, "r+"), path, base)
            expect(Option.getOrThrow(cells.snapshot()).map(([filled]) => filled)).toEqual(expected)
            expect(cells.total).toBe(25)
          })
        )
      )
    }
  }
})

// ----------------------------------------------------------------------------------------------------------------

/** A journal's text with the checksum that belongs to it. */
const sealed = (journal: unknown): string => {
  const text = JSON.stringify(journal)
  return `${text.slice(0, -1)},"crc":${crc32(Buffer.from(text))}}`
}

const inFolder = <A, E, R>(use: (fs: FileSystem.FileSystem, folder: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(fs, yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeContext.layer))
