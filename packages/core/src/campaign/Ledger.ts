/**
 * The ledger of a campaign: what was done, in order, each step on the disk before the next one. From it a campaign goes on
 * after any end of its process, without submitting anything twice and without forgetting a job.
 *
 * @example
 * import { Effect } from "effect"
 * import { Ledger } from "@org/batch-core"
 *
 * const program = Effect.gen(function* () {
 *   const ledger = yield* Ledger.file("state/campaigns/c0ffee/ledger.jsonl")
 *   return Ledger.chunksOf(yield* ledger.read)
 * }).pipe(Effect.scoped)
 */
import { FileSystem, Path } from "@effect/platform"
import { Duration, Effect, Option, Schema, type Scope } from "effect"
import { alongside } from "../disk/Companion.js"
import * as Lock from "../disk/Lock.js"
import * as Storage from "../disk/Storage.js"
import { BatchId } from "../model/Batch.js"
import { StorageError, storageErrorAt } from "../model/BatchError.js"
import { Format } from "../model/Format.js"
import { JsonObject } from "../model/Masking.js"

/** The version of the entries that is written here. */
export const version = 1

const At = { at: Schema.DateTimeUtc }
const Chunk = { ...At, chunk: Schema.NonNegativeInt }
const RequestId = { request_id: Schema.optional(Schema.String) }

/** What a campaign is: the first entry of its ledger. */
export const Begun = Schema.TaggedStruct("campaign", {
  ...At,
  version: Schema.Literal(version),
  campaign: Schema.String,
  /** `company/enrich`, … */
  kind: Schema.String,
  /** The property that holds the identifiers. */
  property: Schema.String,
  /** The rest of the body of each job. */
  body: JsonObject,
  input: Schema.Struct({
    /** As it was named; the copy beside the ledger is what counts. */
    path: Schema.String,
    sha256: Schema.String,
    format: Schema.Literal("csv", "tsv", "jsonl", "lines"),
    column: Schema.optional(Schema.String)
  }),
  output: Schema.String,
  format: Format,
  join: Schema.Boolean
})

/** How the input was divided. */
export const Planned = Schema.TaggedStruct("plan", {
  ...At,
  rows: Schema.NonNegativeInt,
  unique: Schema.NonNegativeInt,
  rejected: Schema.NonNegativeInt,
  duplicates: Schema.NonNegativeInt,
  /** The names of the input's columns. */
  columns: Schema.Array(Schema.String),
  /** Of each chunk its number of identifiers, and where its line is in the file of chunks. */
  chunks: Schema.Array(
    Schema.Struct({ count: Schema.Int, offset: Schema.NonNegativeInt, bytes: Schema.NonNegativeInt })
  )
})

/** One step of one chunk, or of the whole. */
export const Entry = Schema.Union(
  Begun,
  Planned,
  /** Written before it is sent: what has no entry behind it may have been accepted. */
  Schema.TaggedStruct("sending", { ...Chunk }),
  Schema.TaggedStruct("sent", {
    ...Chunk,
    ...RequestId,
    batch_id: BatchId,
    adopted: Schema.optional(Schema.Boolean)
  }),
  /** It provably was not accepted. */
  Schema.TaggedStruct("refused", { ...Chunk, detail: Schema.String }),
  /** It was looked for, and is not known to be accepted or refused. */
  Schema.TaggedStruct("undecided", { ...Chunk, ...RequestId, detail: Schema.String }),
  Schema.TaggedStruct("ended", {
    ...Chunk,
    batch_id: BatchId,
    status: Schema.String,
    requested: Schema.NonNegativeInt,
    fulfilled: Schema.NonNegativeInt,
    completed_at: Schema.optional(Schema.DateTimeUtc),
    error_message: Schema.optional(Schema.String)
  }),
  /** Its results are here, and proven. */
  Schema.TaggedStruct("kept", { ...Chunk, batch_id: BatchId, records: Schema.NonNegativeInt }),
  /** What is at the output from here on is the campaign's. */
  Schema.TaggedStruct("publishing", { ...At }),
  Schema.TaggedStruct("finished", { ...At })
)

/** One step. */
export type Entry = typeof Entry.Type

/** A ledger that is open for one process alone. */
export interface Ledger {
  /** What is in it, in order. */
  readonly read: Effect.Effect<ReadonlyArray<Entry>, StorageError>
  /** Adds an entry; when it is done, the entry is on the disk. Fails if another process has taken the ledger over. */
  readonly append: (entry: Entry) => Effect.Effect<void, StorageError>
  /** Runs something while the lock on the ledger is kept; ends with the loss of it. */
  readonly holding: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageError, R>
}

/** How long a holder may not be heard of before its lock is taken over. */
const lockPatience = Duration.seconds(5)

const Line = Schema.parseJson(Entry)
const encodeLine = Schema.encode(Line)
const decode = Schema.decode(Line)

/**
 * The ledger in a file of JSON lines, with a lock beside it until the scope is closed. A last line that a crash cut short
 * never counted, and is removed. `StorageError` of reason `Exists` while another process has it.
 */
export const file = (
  path: string
): Effect.Effect<Ledger, StorageError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    yield* Storage.makeFolder(paths.dirname(path))
    const lock = yield* Effect.mapError(
      Lock.acquire(`${path}.lock`, lockPatience, "runs this campaign"),
      inUse(path)
    )
    const whole = yield* repaired(path)
    const handle = yield* Effect.mapError(fs.open(path, { flag: "a" }), storageErrorAt(path))
    if (whole === 0) yield* Storage.syncFolder(paths.dirname(path))
    const turn = yield* Effect.makeSemaphore(1)
    // What is written behind an entry that may be cut short could not be read: the ledger must be opened anew.
    let broken: StorageError | undefined
    const write = (entry: Entry) =>
      Effect.gen(function* () {
        if (broken !== undefined) return yield* broken
        yield* lock.check
        const text = yield* format(entry)
        yield* handle.writeAll(new TextEncoder().encode(`${text}\n`)).pipe(
          Effect.mapError(storageErrorAt(path)),
          Effect.zipRight(Storage.sync(handle, path)),
          Effect.tapError((error) => Effect.sync(() => void (broken = error)))
        )
      }).pipe(Effect.uninterruptible)
    return {
      read: Effect.provideService(entries(path), FileSystem.FileSystem, fs),
      append: (entry) => turn.withPermits(1)(Effect.mapError(write(entry), inUse(path))),
      holding: (effect) => alongside(effect, lock.heart)
    }
  })

/** The line of an entry, without its end. */
export const format = (entry: Entry): Effect.Effect<string> => Effect.orDie(encodeLine(entry))

/** Who has the lock has the ledger. */
const inUse =
  (path: string) =>
  (error: StorageError): StorageError =>
    error.reason === "Exists" ? new StorageError({ ...error, path }) : error

/** Cuts off what stands behind the last line feed; gives the size of the rest. */
const repaired = (path: string): Effect.Effect<number, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (!(yield* Effect.mapError(fs.exists(path), storageErrorAt(path)))) return 0
    const bytes = yield* Effect.mapError(fs.readFile(path), storageErrorAt(path))
    const whole = bytes.lastIndexOf(0x0a) + 1
    if (whole === bytes.length) return whole
    const handle = yield* Storage.open(path, "r+")
    yield* Effect.mapError(handle.truncate(whole), storageErrorAt(path))
    yield* Storage.sync(handle, path)
    return whole
  }).pipe(Effect.scoped)

/** The entries in a file, for whoever only looks: a last line that is not whole is left out. Any other fault is a failure. */
export const entries = (
  path: string
): Effect.Effect<ReadonlyArray<Entry>, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (!(yield* Effect.mapError(fs.exists(path), storageErrorAt(path)))) return []
    const text = yield* Effect.mapError(fs.readFileString(path), storageErrorAt(path))
    return yield* parse(path, text.split("\n").slice(0, -1))
  })

/** The entries of these lines, which so many come before. Fails as `Unreadable` at what is no entry of this version. */
export const parse = (
  path: string,
  lines: ReadonlyArray<string>,
  before = 0
): Effect.Effect<ReadonlyArray<Entry>, StorageError> =>
  Effect.forEach(lines, (line, at) =>
    Effect.mapError(decode(line), () => unreadable(path, line, before + at + 1))
  )

const Foreign = Schema.parseJson(Schema.Struct({ _tag: Schema.Literal("campaign"), version: Schema.Int }))
const versionOf = Schema.decodeOption(Foreign)

const unreadable = (path: string, line: string, at: number): StorageError => {
  const other = Option.filter(versionOf(line), (entry) => at === 1 && entry.version !== version)
  const detail = Option.match(other, {
    onNone: () => `line ${at} is no entry of a ledger, so nothing is done with it`,
    onSome: (entry) =>
      entry.version > version
        ? `it was written by a newer version (${entry.version}); use that one`
        : `it was written by an older version (${entry.version}), which this one cannot read`
  })
  return new StorageError({ reason: "Unreadable", path, detail })
}

/** Where a chunk stands. */
export type Standing =
  | { readonly _tag: "Planned" }
  /** It was sent and has no answer, or was looked for in vain: it may be accepted. */
  | {
      readonly _tag: "Lost"
      readonly sentAt: Entry["at"]
      readonly requestId: string | undefined
      readonly detail: string | undefined
    }
  | {
      readonly _tag: "Running"
      readonly batchId: BatchId
      readonly sentAt: Entry["at"]
      readonly adopted: boolean
    }
  | ({ readonly _tag: "Completed"; readonly adopted: boolean } & Ended)
  | ({ readonly _tag: "Failed" } & Ended)
  | ({ readonly _tag: "Kept"; readonly records: number; readonly adopted: boolean } & Ended)

/** How a job ended. */
export interface Ended {
  readonly batchId: BatchId
  readonly status: string
  readonly requested: number
  readonly fulfilled: number
  readonly completedAt: Entry["at"] | undefined
  readonly errorMessage: string | undefined
  readonly requestId: string | undefined
}

/** What a ledger says all in all. */
export interface State {
  readonly begun: Option.Option<typeof Begun.Type>
  readonly plan: Option.Option<typeof Planned.Type>
  readonly chunks: ReadonlyArray<Standing>
  /** Whether what is at the output may be the campaign's. */
  readonly isPublished: boolean
  /** Whether nothing has changed since it was finished. */
  readonly isFinished: boolean
}

const planned: Standing = { _tag: "Planned" }

/** What the entries say all in all. */
export const stateOf = (all: ReadonlyArray<Entry>): State => {
  const begun = all.find((entry) => entry._tag === "campaign")
  const plan = all.find((entry) => entry._tag === "plan")
  const chunks: Array<Standing> = (plan?.chunks ?? []).map(() => planned)
  const requestIds: Array<string | undefined> = []
  for (const entry of all) {
    if (!("chunk" in entry) || entry.chunk >= chunks.length) continue
    if (entry._tag === "sent") requestIds[entry.chunk] = entry.request_id
    chunks[entry.chunk] = after(chunks[entry.chunk] ?? planned, entry, requestIds[entry.chunk])
  }
  return {
    begun: Option.fromNullable(begun),
    plan: Option.fromNullable(plan),
    chunks,
    isPublished: all.some(({ _tag }) => _tag === "publishing"),
    isFinished: all.at(-1)?._tag === "finished"
  }
}

/** Where the chunks of a campaign stand. */
export const chunksOf = (all: ReadonlyArray<Entry>): ReadonlyArray<Standing> => stateOf(all).chunks

/** An entry of one chunk. */
export type ChunkEntry = Extract<Entry, { readonly chunk: number }>

/** Where a chunk stands after a further entry of it. */
export const after = (before: Standing, entry: ChunkEntry, requestId: string | undefined): Standing => {
  switch (entry._tag) {
    case "sending":
      return { _tag: "Lost", sentAt: entry.at, requestId: undefined, detail: undefined }
    case "undecided": {
      const sentAt = before._tag === "Lost" ? before.sentAt : entry.at
      const known = before._tag === "Lost" ? before.requestId : undefined
      return { _tag: "Lost", sentAt, requestId: entry.request_id ?? known, detail: entry.detail }
    }
    case "refused":
      return planned
    case "sent": {
      const { adopted = false, at, batch_id } = entry
      return { _tag: "Running", batchId: batch_id, sentAt: at, adopted }
    }
    case "ended": {
      const { batch_id, completed_at, error_message, fulfilled, requested, status } = entry
      const ended = {
        batchId: batch_id,
        status,
        requested,
        fulfilled,
        completedAt: completed_at,
        errorMessage: error_message,
        requestId
      }
      const adopted = "adopted" in before && before.adopted
      return status === "completed" ? { _tag: "Completed", adopted, ...ended } : { _tag: "Failed", ...ended }
    }
    case "kept":
      return before._tag === "Completed" || before._tag === "Kept"
        ? { ...before, _tag: "Kept", records: entry.records }
        : before
  }
}

/** The jobs that a ledger claims. */
export const claimedBy = (all: ReadonlyArray<Entry>): ReadonlyArray<BatchId> =>
  all.flatMap((entry) => (entry._tag === "sent" ? [entry.batch_id] : []))
