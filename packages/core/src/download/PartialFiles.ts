/**
 * What of a download survives a crash: the files it writes to are opened with what an earlier run left of them, and
 * while it runs, bytes are synced first and then claimed by the journal.
 *
 * @example
 * import { Effect } from "effect"
 * import * as PartialFiles from "./PartialFiles.js"
 * import * as FileTransfer from "../transfer/FileTransfer.js"
 *
 * const alreadyHere = (layout: PartialFiles.Layout) =>
 *   Effect.scoped(Effect.map(PartialFiles.open(layout), (sources) => sources.map(FileTransfer.count)))
 */
import { FileSystem } from "@effect/platform"
import { Deferred, Effect, Option, type Scope } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import { type StorageError, storageErrorAt } from "../model/BatchError.js"
import type * as Cells from "../transfer/Cells.js"
import * as FileResponse from "../transfer/FileResponse.js"
import * as GrowingFile from "../disk/GrowingFile.js"
import * as Journal from "./Journal.js"
import type { PlannedFile } from "../transfer/ResultPlan.js"
import * as Condition from "../disk/Condition.js"
import * as FileTransfer from "../transfer/FileTransfer.js"
import * as Storage from "../disk/Storage.js"

/** Where the bytes and their journal lie. */
export interface Layout {
  readonly files: ReadonlyArray<PlannedFile>
  readonly purpose: Journal.Purpose
  readonly journal: string
  readonly pathOf: (file: PlannedFile) => string
}

/** Opens the files, with the bytes of an earlier run that the journal and the disk agree on. */
export const open = (
  layout: Layout
): Effect.Effect<ReadonlyArray<FileTransfer.Source>, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const entries = yield* Journal.load(layout.journal, layout.purpose)
    const sources: Array<FileTransfer.Source> = []
    const paths = new Set<string>()
    for (const planned of layout.files) {
      const path = layout.pathOf(planned)
      if (!paths.has(path)) yield* prepare(path, entries.length > 0)
      paths.add(path)
      sources.push(yield* openSource(layout, planned, path, sources.at(-1), entries))
    }
    return sources
  })

/**
 * Bytes that are not believed are not overwritten: they go with their file. A process that was suspended, and whose
 * lock was taken over, may still write to it.
 */
const prepare = (path: string, resume: boolean): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* Effect.mapError(fs.exists(path), storageErrorAt(path))
    if (resume && exists) return
    yield* Storage.remove(path)
    yield* Effect.scoped(Storage.open(path, "w"))
  })

const openSource = (
  layout: Layout,
  planned: PlannedFile,
  path: string,
  previous: FileTransfer.Source | undefined,
  entries: ReadonlyArray<Journal.Entry>
): Effect.Effect<FileTransfer.Source, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const file = yield* Storage.open(path, "r+")
    const again = layout.files.length === 1 ? [yield* Storage.open(path, "r+")] : []
    const size = yield* Deferred.make<number>()
    const after = layout.purpose.joined ? previous : undefined
    const base = after === undefined ? Effect.succeed(0) : yield* Effect.cached(endOf(after))
    const frontier = yield* GrowingFile.make
    const source = FileTransfer.make({
      planned,
      path,
      sink: FileTransfer.toFile([file, ...again], path),
      size,
      base,
      frontier
    })
    const entry = entries.find(({ index }) => index === planned.index)
    if (entry === undefined || (after !== undefined && Option.isNone(after.cells))) return source
    yield* restore(source, entry, yield* Journal.verify(entry, file, path, yield* base))
    return source
  })

const endOf = (source: FileTransfer.Source): Effect.Effect<number> =>
  Effect.zipWith(source.base, Deferred.await(source.size), (base, size) => base + size)

const restore = (
  source: FileTransfer.Source,
  entry: Journal.Entry,
  cells: Cells.Cells
): Effect.Effect<void> =>
  Effect.gen(function* () {
    source.identity = Option.some({
      etag: entry.etag,
      lastModified: entry.last_modified,
      total: Option.some(entry.total)
    })
    source.cells = Option.some(cells)
    source.proven = Option.filter(entry.proven, ({ bytes }) => bytes <= cells.contiguous())
    source.started = true
    yield* Deferred.succeed(source.size, entry.total)
    yield* source.frontier.advance(cells.contiguous())
  })

/** Makes bytes durable while they come. */
export interface Durability {
  /** To be told of bytes that are written. Waits when too many of them are not synced yet. */
  readonly written: Effect.Effect<void>
  /** Syncs a file that is whole. */
  readonly synced: (source: FileTransfer.Source) => Effect.Effect<void, StorageError>
  /** Syncs and journals what came or was proven, every `syncBytes` or `syncInterval`, as long as the disk lets it. */
  readonly keep: Effect.Effect<never, StorageError>
}

/** What `keep` has not synced and journalled is, as far as the disk lets us, when the scope is closed. */
export const make = (
  layout: Layout,
  sources: ReadonlyArray<FileTransfer.Source>
): Effect.Effect<Durability, never, BatchConfig | FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const { syncBytes, syncInterval } = (yield* BatchConfig).transfer
    const fs = yield* FileSystem.FileSystem
    const changed = yield* Condition.make
    const turn = yield* Effect.makeSemaphore(1)
    const unsynced = () => sources.reduce((sum, source) => sum + source.unsynced, 0)
    const waitUntil = (check: () => boolean) =>
      changed.until(Effect.sync(() => (check() ? Option.some(undefined) : Option.none())))

    let journalled = sources.map(({ proven }) => proven)

    const checkpoint = Effect.gen(function* () {
      const entries = sources.flatMap(entryOf)
      const proven = sources.map((source) => source.proven)
      const dirty = sources.flatMap((source) =>
        source.unsynced > 0 ? [{ source, bytes: source.unsynced }] : []
      )
      if (dirty.length === 0 && proven.every((proof, index) => proof === journalled[index])) return
      yield* Effect.forEach(dirty, ({ source }) => source.sink.sync, { discard: true })
      yield* Journal.save(layout.journal, layout.purpose, entries)
      journalled = proven
      for (const { bytes, source } of dirty) source.unsynced -= bytes
      yield* changed.notify
    }).pipe(Effect.uninterruptible, turn.withPermits(1), Effect.provideService(FileSystem.FileSystem, fs))

    yield* Effect.addFinalizer(() => Effect.ignoreLogged(checkpoint))
    const due = Effect.timeoutOption(
      waitUntil(() => unsynced() >= syncBytes),
      syncInterval
    )

    return {
      written: Effect.gen(function* () {
        if (unsynced() < syncBytes) return
        yield* changed.notify
        yield* waitUntil(() => unsynced() < 2 * syncBytes)
      }),
      synced: (source) => source.sink.sync,
      keep: Effect.forever(Effect.zipRight(due, checkpoint))
    }
  })

/** What may be believed of a file later: nothing unless its version has a strong name. */
const entryOf = (source: FileTransfer.Source): ReadonlyArray<Journal.Entry> =>
  Option.match(Option.all({ cells: source.cells, identity: source.identity }), {
    onNone: () => [],
    onSome: ({ cells, identity }) =>
      FileResponse.isStrong(identity.etag)
        ? Option.toArray(
            Option.map(cells.snapshot(), (snapshot) => toEntry(source, identity, cells, snapshot))
          )
        : []
  })

const toEntry = (
  source: FileTransfer.Source,
  identity: FileResponse.Identity,
  cells: Cells.Cells,
  snapshot: ReadonlyArray<Cells.Cell>
): Journal.Entry => ({
  index: source.planned.index,
  etag: identity.etag,
  last_modified: identity.lastModified,
  total: cells.total,
  cell_bytes: cells.cellBytes,
  cells: snapshot,
  proven: source.proven
})

/** Forgets an earlier run: its bytes are wrong, or no longer wanted. */
export const forget = (layout: Layout): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.zipRight(
    Storage.remove(layout.journal),
    Effect.forEach(layout.files, (file) => Storage.remove(layout.pathOf(file)), { discard: true })
  )
