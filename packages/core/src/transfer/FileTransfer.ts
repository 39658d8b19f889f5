/**
 * One file while it is being fetched, by one connection or many: what it is, which bytes of it are here, and how
 * patient we still are with it. Shared by its connections, and changed by them between two steps of their fibers.
 *
 * @example
 * import { Option } from "effect"
 * import * as FileTransfer from "./FileTransfer.js"
 *
 * const next = (source: FileTransfer.Source) =>
 *   Option.map(FileTransfer.claim(source, { cellBytes: 8_388_608, connections: 16 }), ({ end, start }) => end - start)
 */
import type { FileSystem } from "@effect/platform"
import { type Array as Arr, type Deferred, Effect, Option } from "effect"
import type { StorageError } from "../model/BatchError.js"
import * as Cells from "./Cells.js"
import type { Identity } from "./FileResponse.js"
import type { Proven, Region } from "../proof/Proof.js"
import type { PlannedFile } from "./ResultPlan.js"
import * as Storage from "../disk/Storage.js"

/** Where the bytes of a file go: to the disk, or on to whoever reads them. */
export interface Sink {
  /** Takes bytes that belong at a place. */
  readonly write: (position: number, bytes: Uint8Array) => Effect.Effect<void, StorageError>
  /** Makes what was taken durable. */
  readonly sync: Effect.Effect<void, StorageError>
}

/**
 * A file of ours, open for writing once or more often: so many writes are under way at once, and the disk has work
 * while we are told of one. A descriptor finds a place and writes to it in two steps, so it is one writer's at a time.
 */
export const toFile = (files: Arr.NonEmptyReadonlyArray<FileSystem.File>, path: string): Sink => {
  const free = [...files]
  const turns = Effect.unsafeMakeSemaphore(files.length)
  const any = Effect.acquireRelease(
    Effect.sync(() => free.pop() ?? files[0]),
    (file) => Effect.sync(() => free.push(file))
  )
  return {
    write: (position, bytes) =>
      Effect.flatMap(any, (file) => Storage.writeAt(file, path, position, bytes)).pipe(
        Effect.scoped,
        turns.withPermits(1)
      ),
    sync: Storage.sync(files[0], path)
  }
}

/** One file while it is being fetched. */
export interface Source extends Region {
  readonly planned: PlannedFile
  readonly sink: Sink
  /** The file's size, as soon as it is known. */
  readonly size: Deferred.Deferred<number>
  /** Which version of the object this is, once a first answer has said so. */
  identity: Option.Option<Identity>
  /** Which bytes are here, once the size is known. */
  cells: Option.Option<Cells.Cells>
  /** What these bytes were proven to hold, up to the end of a gzip member. */
  proven: Option.Option<Proven>
  /** Bytes that are written, and not known to be synced. */
  unsynced: number
  /** Whether the first request, from which identity and size are learnt, is under way or done. */
  started: boolean
  /** Whether all bytes are here and synced. */
  finished: boolean
  retries: number
  /** Grows with every block that is stored. */
  progress: number
  /** Fresh links since the last progress, and the generation of the last link that was found dead. */
  renewals: number
  deadGeneration: number
  /** Answers since the last progress that there is no such object. */
  missing: number
}

/** A file of which nothing is known or here. */
export const make = (
  fields: Pick<Source, "planned" | "path" | "sink" | "size" | "base" | "frontier">
): Source => ({
  ...fields,
  identity: Option.none(),
  cells: Option.none(),
  proven: Option.none(),
  unsynced: 0,
  started: false,
  finished: false,
  retries: 0,
  progress: 0,
  renewals: 0,
  deadGeneration: -1,
  missing: 0
})

/** How many of its bytes are here. */
export const count = (source: Source): number =>
  Option.match(source.cells, { onNone: () => 0, onSome: (cells) => cells.count() })

/** How many bytes are known to be still to come. */
export const missing = (source: Source): number =>
  Option.match(source.cells, { onNone: () => 0, onSome: (cells) => cells.total - cells.count() })

/** Writes bytes to their place. What is noted of them is noted at once; progress makes us patient again. */
export const write = (
  source: Source,
  position: number,
  bytes: Uint8Array
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    yield* source.sink.write((yield* source.base) + position, bytes)
    if (Option.isSome(source.cells)) source.cells.value.fill(position, bytes)
    source.unsynced += bytes.length
    source.progress += 1
    source.renewals = 0
    source.missing = 0
  })

/** The size, if it is known. */
export const totalOf = (source: Source): Option.Option<number> =>
  Option.flatMap(source.identity, ({ total }) => total)

/** Whether every byte is here. */
export const isWhole = (source: Source): boolean =>
  Option.exists(source.cells, (cells) => cells.contiguous() === cells.total)

/** What the next connection should fetch of this file; none if all is here, under way, or not known yet. */
export const claim = (
  source: Source,
  options: { readonly cellBytes: number; readonly connections: number }
): Option.Option<Cells.Run> => {
  if (Option.isSome(source.cells)) {
    const cells = source.cells.value
    return cells.claim(
      options.connections === 1
        ? Number.POSITIVE_INFINITY
        : Math.ceil(cells.unclaimed() / (2 * options.connections))
    )
  }
  if (source.started) return Option.none()
  source.started = true
  return Option.some({ start: 0, end: options.cellBytes })
}

/** Gives back what is not here yet of a run, for another connection. */
export const release = (source: Source, run: Cells.Run): void => {
  if (Option.isSome(source.cells)) source.cells.value.release(run)
  else source.started = false
}
