/**
 * The journal of a download. It says what the next run may believe of the bytes that it finds: which version of which
 * files they belong to, and how much of each file is here. Bytes are synced before the journal that claims them, and the
 * journal is replaced by a rename; so what it claims is there, and what damage on the disk has done since is found by the
 * proof of the whole. Holds no secret. A journal that is missing, cut off, foreign or older is simply not believed.
 *
 * @example
 * import * as Journal from "./Journal.js"
 *
 * const believed = (purpose: Journal.Purpose) => Journal.load("out.jsonl.gz.journal", purpose)
 */
import { FileSystem } from "@effect/platform"
import { Effect, Option, Schema } from "effect"
import { BatchId } from "../model/Batch.js"
import type { StorageError } from "../model/BatchError.js"
import { Format } from "../model/Format.js"
import * as Storage from "../disk/Storage.js"
import * as FileResponse from "../transfer/FileResponse.js"

const Count = Schema.NonNegativeInt

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

/** Checked as a whole: by a schema of numbers, journals were a third of all that a download of 1 GB allocates. */
const Counts = Schema.declare(
  (value): value is ReadonlyArray<number> => Array.isArray(value) && value.every(isCount)
)

/** One file: which version of it, and which bytes of it are here. */
export const Entry = Schema.Struct({
  index: Count,
  /** A strong ETag: only that is enough to go on with another run's bytes. */
  etag: Schema.String.pipe(Schema.filter(FileResponse.isStrong)),
  total: Count,
  cellBytes: Schema.propertySignature(Count.pipe(Schema.positive())).pipe(Schema.fromKey("cell_bytes")),
  /** How many bytes each cell holds. */
  filled: Counts
}).pipe(
  Schema.filter(
    ({ cellBytes, filled, total }) =>
      filled.length === Math.ceil(total / cellBytes) &&
      filled.every((bytes, cell) => bytes <= Math.min(cellBytes, total - cell * cellBytes))
  )
)

/** One file: which version of it, and which bytes of it are here. */
export type Entry = typeof Entry.Type

/** Whose rows they are: those of a job, or those behind a link, which is kept without its query. */
export const Subject = Schema.Union(
  Schema.Struct({ batch_id: BatchId, result_count: Count }),
  Schema.Struct({ link: Schema.String })
)

/** Whose rows they are. */
export type Subject = typeof Subject.Type

/** What the bytes are for: they are of use to no other plan. */
export const Purpose = Schema.extend(
  Subject,
  Schema.Struct({
    source: Schema.Literal("merged", "parts", "none"),
    files: Count,
    joined: Schema.Boolean
  })
)

/** What the bytes are for: they are of use to no other plan. */
export type Purpose = typeof Purpose.Type

/** A fetched file as the receipt tells of it. */
const PublishedFile = Schema.Struct({
  index: Count,
  bytes: Count,
  records: Count,
  etag: Schema.String,
  sha256: Schema.optionalWith(Schema.String, { as: "Option" })
})

/**
 * What is about to get its own name: written before the publication, so that a run after a crash in the middle of it
 * recognises what is there.
 */
export const Published = Schema.Struct({
  format: Format,
  columns: Schema.optionalWith(Schema.Array(Schema.String), { as: "Option" }),
  bom: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  /** Of the output; of all parts together when they are kept separate. */
  bytes: Count,
  sha256: Schema.String,
  records: Count,
  blankLines: Schema.optionalWith(Count, { default: () => 0 }).pipe(Schema.fromKey("blank_lines")),
  compressedHere: Schema.optionalWith(Schema.Boolean, { default: () => false }).pipe(
    Schema.fromKey("compressed_here")
  ),
  files: Schema.Array(PublishedFile)
})

/** What is about to get its own name. */
export type Published = typeof Published.Type

/** What a journal says beside its purpose. */
export interface Content {
  readonly entries: ReadonlyArray<Entry>
  readonly published: Option.Option<Published>
}

const Journal = Schema.parseJson(
  Schema.Struct({
    version: Schema.Literal(3),
    purpose: Purpose,
    entries: Schema.Array(Entry),
    published: Schema.optionalWith(Published, { as: "Option" })
  })
)

/** Replaces the journal, whole or not at all. */
export const save = (
  path: string,
  purpose: Purpose,
  content: Content
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(Effect.orDie(Schema.encode(Journal)({ version: 3, purpose, ...content })), (text) =>
    Storage.replaceFile(path, text)
  )

/** The content of the journal that was written for this purpose; an empty one if there is none. */
export const load = (path: string, purpose: Purpose): Effect.Effect<Content, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(path)).pipe(
    Effect.flatMap(Schema.decode(Journal)),
    Effect.filterOrFail((journal) => Schema.equivalence(Purpose)(journal.purpose, purpose)),
    Effect.catchAll(() => Effect.succeed<Content>({ entries: [], published: Option.none() })),
    Effect.map(({ entries, published }) => ({ entries, published }))
  )
