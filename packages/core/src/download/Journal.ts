/**
 * What an interrupted download may believe of the bytes it finds: which version of which files they belong to, and
 * the CRC-32 of every cell. Written after the bytes are synced, whole or not at all; holds no secret. A journal that
 * is missing, cut off, foreign, older or at odds with the bytes is simply not believed.
 *
 * @example
 * import * as Journal from "./Journal.js"
 *
 * const believed = (purpose: Journal.Purpose) => Journal.load("out.jsonl.gz.journal", purpose)
 */
import { FileSystem } from "@effect/platform"
import { Effect, Option, Schema } from "effect"
import { BatchId } from "../model/Batch.js"
import { type StorageError, storageErrorAt } from "../model/BatchError.js"
import * as Cells from "../transfer/Cells.js"
import * as Digest from "../disk/Digest.js"
import * as FileResponse from "../transfer/FileResponse.js"
import * as Storage from "../disk/Storage.js"

const Count = Schema.NonNegativeInt

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

/** Checked as a whole: by a schema of tuples, journals were a third of all that a download of 1 GB allocates. */
const AllCells = Schema.declare(
  (value): value is ReadonlyArray<Cells.Cell> =>
    Array.isArray(value) &&
    value.every((cell) => Array.isArray(cell) && cell.length === 2 && cell.every(isCount))
)

/** What whole gzip members at the start of a file were proven to hold: it need not be inflated again. */
const Proven = Schema.Struct({
  bytes: Count,
  lineFeeds: Schema.propertySignature(Count).pipe(Schema.fromKey("line_feeds")),
  inflatedBytes: Schema.propertySignature(Count).pipe(Schema.fromKey("inflated_bytes")),
  lineStart: Schema.propertySignature(Count).pipe(Schema.fromKey("line_start"))
})

/** One file: which version of it, and which bytes of it are here. */
export const Entry = Schema.Struct({
  index: Schema.NonNegativeInt,
  /** A strong ETag: only that is enough to go on with another run's bytes. */
  etag: Schema.String,
  last_modified: Schema.String,
  total: Schema.NonNegativeInt,
  cell_bytes: Schema.Positive.pipe(Schema.int()),
  cells: AllCells,
  proven: Schema.optionalWith(Proven, { as: "Option" })
}).pipe(
  Schema.filter(
    ({ cell_bytes, cells, etag, proven, total }) =>
      FileResponse.isStrong(etag) &&
      Option.getOrElse(proven, () => ({ bytes: 0 })).bytes <= total &&
      cells.length === Math.ceil(total / cell_bytes) &&
      cells.every(([filled], cell) => filled <= Math.min(cell_bytes, total - cell * cell_bytes))
  )
)

/** One file: which version of it, and which bytes of it are here. */
export type Entry = typeof Entry.Type

/** What the bytes are for: they are of use to no other plan. */
export const Purpose = Schema.Struct({
  batch_id: BatchId,
  result_count: Schema.NonNegativeInt,
  source: Schema.Literal("merged", "parts", "none"),
  files: Schema.NonNegativeInt,
  joined: Schema.Boolean
})

/** What the bytes are for: they are of use to no other plan. */
export type Purpose = typeof Purpose.Type

const Journal = Schema.parseJson(
  Schema.Struct({ version: Schema.Literal(2), purpose: Purpose, entries: Schema.Array(Entry) })
)

/** Replaces the journal at once. */
export const save = (
  path: string,
  purpose: Purpose,
  entries: ReadonlyArray<Entry>
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(Effect.orDie(Schema.encode(Journal)({ version: 2, purpose, entries })), (text) =>
    Storage.replaceFile(path, seal(text))
  )

/** The entries of a journal that was written for this purpose; none of any other. */
export const load = (
  path: string,
  purpose: Purpose
): Effect.Effect<ReadonlyArray<Entry>, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(path)).pipe(
    Effect.filterOrFail((text) => text === seal(text.replace(sealed, "}"))),
    Effect.flatMap(Schema.decode(Journal)),
    Effect.filterOrFail((journal) => Schema.equivalence(Purpose)(journal.purpose, purpose)),
    Effect.map((journal) => journal.entries),
    Effect.catchAll(() => Effect.succeed([]))
  )

/** A JSON object with its own CRC-32 as a last field: what it counts is proven nowhere else. */
const seal = (text: string): string =>
  `${text.slice(0, -1)},"crc":${Digest.crc32(new TextEncoder().encode(text))}}`

const sealed = /,"crc":\d+\}$/u

/** The cells of an entry that the disk really holds, from byte `base` of the file at `path` on. */
export const verify = (
  entry: Entry,
  file: FileSystem.File,
  path: string,
  base: number
): Effect.Effect<Cells.Cells, StorageError> =>
  Effect.gen(function* () {
    const snapshot: Array<Cells.Cell> = []
    for (const [cell, [filled, crc]] of entry.cells.entries()) {
      const held = filled > 0 && (yield* digest(file, path, base + cell * entry.cell_bytes, filled)) === crc
      snapshot.push(held ? [filled, crc] : [0, 0])
    }
    return Cells.make({ total: entry.total, cellBytes: entry.cell_bytes, snapshot })
  })

/** Whether a file is exactly what these entries, one behind the other, say that it should be in the end. */
export const isWhole = (
  entries: ReadonlyArray<Entry>,
  path: string
): Effect.Effect<boolean, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { size } = yield* Effect.mapError(fs.stat(path), storageErrorAt(path))
    const file = yield* Storage.open(path, "r")
    let base = 0
    for (const entry of entries) {
      const cells = yield* verify(entry, file, path, base)
      if (cells.count() !== entry.total) return false
      base += entry.total
    }
    return base === Number(size)
  }).pipe(Effect.scoped)

const sliceBytes = 1_048_576

/** The CRC-32 of some bytes of a file; none if the file is too short. */
const digest = (
  file: FileSystem.File,
  path: string,
  start: number,
  length: number
): Effect.Effect<number | undefined, StorageError> =>
  Effect.gen(function* () {
    const buffer = new Uint8Array(Math.min(sliceBytes, length))
    let [crc, at] = [0, 0]
    while (at < length) {
      const slice = buffer.subarray(0, length - at)
      const count = yield* Storage.readAt(file, path, start + at, slice)
      if (count === 0) return undefined
      crc = Digest.crc32(slice.subarray(0, count), crc)
      at += count
    }
    return crc
  })
