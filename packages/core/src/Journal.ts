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
import { BatchId } from "./Batch.js"
import type { StorageError } from "./BatchError.js"
import * as Cells from "./Cells.js"
import * as Digest from "./Digest.js"
import * as FileAnswer from "./FileAnswer.js"
import * as Storage from "./Storage.js"

/** One file: which version of it, and which bytes of it are here. */
export const Entry = Schema.Struct({
  index: Schema.NonNegativeInt,
  /** A strong ETag: only that is enough to go on with another run's bytes. */
  etag: Schema.String,
  last_modified: Schema.String,
  total: Schema.NonNegativeInt,
  cell_bytes: Schema.Positive.pipe(Schema.int()),
  cells: Schema.Array(Schema.Tuple(Schema.NonNegativeInt, Schema.NonNegativeInt))
}).pipe(
  Schema.filter(
    ({ cell_bytes, cells, etag, total }) =>
      FileAnswer.isStrong(etag) &&
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
  Schema.Struct({ version: Schema.Literal(1), purpose: Purpose, entries: Schema.Array(Entry) })
)

/** Replaces the journal at once. */
export const save = (
  path: string,
  purpose: Purpose,
  entries: ReadonlyArray<Entry>
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(Effect.orDie(Schema.encode(Journal)({ version: 1, purpose, entries })), (text) =>
    Storage.replaceFile(path, text)
  )

/** The entries of a journal that was written for this purpose; none of any other. */
export const load = (
  path: string,
  purpose: Purpose
): Effect.Effect<ReadonlyArray<Entry>, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(path)).pipe(
    Effect.flatMap(Schema.decode(Journal)),
    Effect.filterOrFail((journal) => Schema.equivalence(Purpose)(journal.purpose, purpose)),
    Effect.map((journal) => journal.entries),
    Effect.catchAll(() => Effect.succeed([]))
  )

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
    const { size } = yield* Effect.mapError(fs.stat(path), Storage.explain(path))
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
    let [crc, at] = [0, 0]
    while (at < length) {
      const slice = yield* Storage.readAt(file, path, start + at, Math.min(sliceBytes, length - at))
      if (Option.isNone(slice)) return undefined
      crc = Digest.crc32(slice.value, crc)
      at += slice.value.length
    }
    return crc
  })
