/**
 * The files of an unfinished download on our disk: opened with the bytes that an earlier run has left, synced and
 * journalled while they grow.
 *
 * @example
 * import { Effect } from "effect"
 * import * as PartialFiles from "./PartialFiles.js"
 *
 * const alreadyHere = (layout: PartialFiles.Layout) =>
 *   Effect.scoped(Effect.map(PartialFiles.open(layout), (files) => files.map(({ transfer }) => transfer.received())))
 */
import { FileSystem } from "@effect/platform"
import { Effect, Option, type Scope } from "effect"
import * as Condition from "../disk/Condition.js"
import * as GrowingFile from "../disk/GrowingFile.js"
import * as Storage from "../disk/Storage.js"
import { BatchConfig } from "../model/BatchConfig.js"
import { type StorageError, storageErrorAt } from "../model/BatchError.js"
import * as FileTransfer from "../transfer/FileTransfer.js"
import type { PlannedFile } from "../transfer/ResultPlan.js"
import * as Journal from "./Journal.js"
import * as Mending from "./Mending.js"

/** Where the bytes and their journal lie. */
export interface Layout {
  readonly files: ReadonlyArray<PlannedFile>
  readonly purpose: Journal.Purpose
  readonly journal: string
  /** Where a planned file's compressed bytes go. The same path for all joins them as members of one gzip file. */
  readonly pathOf: (file: PlannedFile) => string
}

/** A planned file while it is fetched: its bytes on the disk, and its transfer, which writes them. */
export interface PartialFile {
  readonly growing: GrowingFile.Writable
  readonly transfer: FileTransfer.FileTransfer<StorageError>
}

type Needs = BatchConfig | FileSystem.FileSystem | Scope.Scope

/** Opens the files, with the bytes of an earlier run that the journal claims and the disk still has. */
export const open = (layout: Layout): Effect.Effect<ReadonlyArray<PartialFile>, StorageError, Needs> =>
  Effect.gen(function* () {
    const { entries } = yield* Journal.load(layout.journal, layout.purpose)
    const files: Array<PartialFile> = []
    const paths = new Set<string>()
    for (const planned of layout.files) {
      const path = layout.pathOf(planned)
      if (!paths.has(path)) yield* prepare(path, entries.length > 0)
      paths.add(path)
      const entry = entries.find(({ index }) => index === planned.index)
      files.push(yield* openFile(layout, planned, files.at(-1), entry))
    }
    return files
  })

/**
 * Sees to it that there is a file to write to. Bytes that are not believed are not overwritten, they go with their file:
 * a process that was suspended, and whose lock was taken over, may still write to it.
 */
const prepare = (path: string, resume: boolean): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* Effect.mapError(fs.exists(path), storageErrorAt(path))
    if (resume && exists) return
    yield* Storage.remove(path)
    yield* Effect.scoped(Storage.open(path, "w"))
  })

const openFile = (
  layout: Layout,
  planned: PlannedFile,
  previous: PartialFile | undefined,
  entry: Journal.Entry | undefined
): Effect.Effect<PartialFile, StorageError, Needs> =>
  Effect.gen(function* () {
    const { transfer } = yield* BatchConfig
    const path = layout.pathOf(planned)
    const after = layout.purpose.joined ? previous : undefined
    const base = after === undefined ? Effect.succeed(0) : yield* Effect.cached(endOf(after))
    const growing = yield* GrowingFile.open({ path, base, descriptors: layout.files.length === 1 ? 2 : 1 })
    const isPlaced = after === undefined || Option.isSome(after.transfer.total())
    const restored = entry === undefined || !isPlaced ? undefined : yield* clip(entry, path, yield* base)
    const file = yield* FileTransfer.make({ planned, target: growing, transfer, restored })
    yield* growing.advance(file.contiguous())
    return { growing, transfer: file }
  })

/** Where the next file begins behind this one, once the size of this one is known. */
const endOf = ({ growing, transfer }: PartialFile): Effect.Effect<number> =>
  Effect.zipWith(growing.base, transfer.size, (base, size) => base + size)

/** What a journal claims, as far as the file on the disk reaches. */
const clip = (
  entry: Journal.Entry,
  path: string,
  base: number
): Effect.Effect<Journal.Entry, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { size } = yield* Effect.mapError(fs.stat(path), storageErrorAt(path))
    const here = Number(size) - base
    const filled = entry.filled.map((bytes, cell) =>
      Math.max(0, Math.min(bytes, here - cell * entry.cellBytes))
    )
    return { ...entry, filled }
  })

/** Syncs and journals the bytes of a download while they come. */
export interface Checkpoints {
  /** To be told of bytes that are written. Waits when too many of them are not journalled yet. */
  readonly written: Effect.Effect<void>
  /** Syncs and journals what came, every `syncBytes` or `syncInterval`, as long as the disk lets it. */
  readonly keep: Effect.Effect<never, StorageError>
}

/**
 * The checkpoints of a download's files. What `keep` has not synced and journalled yet is, as far as the disk lets us,
 * when the scope is closed.
 */
export const checkpoints = (
  layout: Layout,
  files: ReadonlyArray<PartialFile>
): Effect.Effect<Checkpoints, never, Needs> =>
  Effect.gen(function* () {
    const { syncBytes, syncInterval } = (yield* BatchConfig).transfer
    const fs = yield* FileSystem.FileSystem
    const changed = yield* Condition.make
    const turn = yield* Effect.makeSemaphore(1)
    const journalled = files.map(() => 0)
    const isDirty = ({ transfer }: PartialFile, index: number) =>
      transfer.written() > (journalled[index] ?? 0)
    const ahead = () =>
      files.reduce((sum, { transfer }, index) => sum + transfer.written() - (journalled[index] ?? 0), 0)
    const waitUntil = (check: () => boolean) =>
      changed.until(Effect.sync(() => (check() ? Option.some(undefined) : Option.none())))

    const checkpoint = Effect.gen(function* () {
      const dirty = files.filter(isDirty)
      if (dirty.length === 0) return
      // Claims and figures first: what is written during the sync may not be synced by it.
      const entries = files.flatMap(entryOf)
      const written = files.map(({ transfer }) => transfer.written())
      yield* Effect.forEach(dirty, ({ transfer }) => transfer.sync, { discard: true })
      yield* Journal.save(layout.journal, layout.purpose, { entries, published: Option.none() })
      for (const [index, bytes] of written.entries()) journalled[index] = bytes
      yield* changed.notify
    }).pipe(Effect.uninterruptible, turn.withPermits(1), Effect.provideService(FileSystem.FileSystem, fs))

    yield* Effect.addFinalizer(() => Effect.ignoreLogged(checkpoint))
    const due = Effect.timeoutOption(
      waitUntil(() => ahead() >= syncBytes),
      syncInterval
    )

    return {
      written: Effect.gen(function* () {
        if (ahead() < syncBytes) return
        yield* changed.notify
        yield* waitUntil(() => ahead() < 2 * syncBytes)
      }),
      keep: Effect.forever(Effect.zipRight(due, checkpoint))
    }
  })

const entryOf = ({ transfer }: PartialFile): ReadonlyArray<Journal.Entry> =>
  Option.toArray(
    Option.map(transfer.snapshot(), (snapshot) => ({ index: transfer.planned.index, ...snapshot }))
  )

/** Lets no later run believe what is here, which is about to become something else. */
export const disclaim = ({
  journal,
  purpose
}: Pick<Layout, "journal" | "purpose">): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Journal.save(journal, purpose, { entries: [], published: Option.none() })

/** Removes the bytes of an earlier run, which are wrong, or published; the journal last, which knows what they were. */
export const forget = (layout: Layout): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.zipRight(
    Effect.forEach(
      new Set(layout.files.map(layout.pathOf)),
      (path) => Effect.zipRight(Storage.remove(path), Storage.remove(Mending.besideOf(path))),
      { discard: true }
    ),
    Storage.remove(layout.journal)
  )
