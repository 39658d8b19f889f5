/**
 * A file, or a run of bytes in one, that is written by one fiber and read behind it by others: they are told how far
 * it is written without a gap, and whether more will come.
 *
 * @example
 * import { Effect } from "effect"
 * import * as GrowingFile from "./GrowingFile.js"
 *
 * const size = (path: string) =>
 *   Effect.flatMap(GrowingFile.ofFile(path), (file) => GrowingFile.follow(file, () => Effect.void))
 */
import { FileSystem } from "@effect/platform"
import { Effect, Option, Ref, type Scope } from "effect"
import { type StorageError, storageErrorAt } from "../model/BatchError.js"
import * as Buffers from "./Buffers.js"
import * as Condition from "./Condition.js"
import * as Storage from "./Storage.js"

/** How far a file may be read: up to and without position `end`; `closed` when no more will come. */
export interface Extent {
  readonly end: number
  readonly closed: boolean
}

/** A file, or a run of bytes in one, as its readers see it. */
export interface GrowingFile {
  readonly path: string
  /** Where its first byte is in the file at `path`. Behind another run, that is known when the size of that one is. */
  readonly base: Effect.Effect<number>
  /** Waits until there are bytes beyond `position`, or until no more will come. */
  readonly beyond: (position: number) => Effect.Effect<Extent>
}

/** The boundary up to which a growing file may be read; it only grows. */
export interface Frontier {
  /** Moves the boundary to `end`, the position behind the last byte that may be read now. Never moves it back. */
  readonly advance: (end: number) => Effect.Effect<void>
  /** Tells readers that no more bytes will come. */
  readonly close: Effect.Effect<void>
}

/** A growing file that we write. Positions count from its first byte. */
export interface Writable extends GrowingFile, Frontier {
  /** Writes bytes at a position; readers see them when the frontier is moved behind them. */
  readonly write: (position: number, bytes: Uint8Array) => Effect.Effect<void, StorageError>
  /** Makes what was written durable. */
  readonly sync: Effect.Effect<void, StorageError>
}

/**
 * What readers see of the file at `path`, or of the run of bytes in it that begins at `base` (default 0), with the
 * frontier that its writer moves. No byte may be read before the first `advance`.
 */
export const make = (options: {
  readonly path: string
  readonly base?: Effect.Effect<number> | undefined
}): Effect.Effect<GrowingFile & Frontier> =>
  Effect.gen(function* () {
    const extent = yield* Ref.make<Extent>({ end: 0, closed: false })
    const moved = yield* Condition.make
    const change = (next: (extent: Extent) => Extent) =>
      Effect.zipRight(Ref.update(extent, next), moved.notify)
    return {
      path: options.path,
      base: options.base ?? Effect.succeed(0),
      advance: (end) => change((held) => ({ ...held, end: Math.max(held.end, end) })),
      close: change((held) => ({ ...held, closed: true })),
      beyond: (position) =>
        moved.until(
          Effect.map(
            Ref.get(extent),
            Option.liftPredicate(({ closed, end }) => closed || end > position)
          )
        )
    }
  })

/**
 * Opens an existing file for writing through one descriptor or several: so many writes are under way at once, and the
 * disk has work while we are told of one.
 */
export const open = (options: {
  readonly path: string
  readonly base?: Effect.Effect<number> | undefined
  readonly descriptors: number
}): Effect.Effect<Writable, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const { descriptors, path } = options
    const file = yield* make(options)
    const first = yield* Storage.open(path, "r+")
    const others = yield* Effect.replicateEffect(Storage.open(path, "r+"), descriptors - 1)
    const free = [first, ...others]
    const turns = Effect.unsafeMakeSemaphore(free.length)
    // A descriptor finds a place and writes to it in two steps, so it is one writer's at a time.
    const any = Effect.acquireRelease(
      Effect.sync(() => free.pop() ?? first),
      (descriptor) => Effect.sync(() => free.push(descriptor))
    )
    return {
      ...file,
      write: (position, bytes) =>
        Effect.flatMap(file.base, (base) =>
          Effect.flatMap(any, (descriptor) => Storage.writeAt(descriptor, path, base + position, bytes)).pipe(
            Effect.scoped,
            turns.withPermits(1)
          )
        ),
      sync: Storage.sync(first, path)
    }
  })

/** A finished file as a growing one that is closed, and its size in bytes. */
export const ofFile = (
  path: string
): Effect.Effect<GrowingFile & { readonly bytes: number }, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const bytes = Number((yield* Effect.mapError(fs.stat(path), storageErrorAt(path))).size)
    const file = yield* make({ path })
    yield* file.advance(bytes)
    yield* file.close
    return { ...file, bytes }
  })

const sliceBytes = 1_048_576

/**
 * Reads a file behind its writer to its end. `each` takes slices of at most 1 MiB, in order, which change when the next
 * one is read. Gives the file's size.
 */
export const follow = <E, R>(
  file: GrowingFile,
  each: (bytes: Uint8Array) => Effect.Effect<unknown, E, R>
): Effect.Effect<number, E | StorageError, R | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const descriptor = yield* Storage.open(file.path, "r")
    const buffer = yield* Effect.acquireRelease(
      Effect.sync(() => new Uint8Array(sliceBytes)),
      (buffer) => Effect.sync(() => Buffers.release(buffer))
    )
    let position = 0
    while (true) {
      const extent = yield* file.beyond(position)
      if (extent.end <= position) return position
      const base = yield* file.base
      while (position < extent.end) {
        const slice = buffer.subarray(0, extent.end - position)
        const length = yield* Storage.readAt(descriptor, file.path, base + position, slice)
        if (length === 0) return yield* Storage.vanished(file.path)
        yield* each(slice.subarray(0, length))
        position += length
      }
    }
  }).pipe(Effect.scoped)

/** The first bytes of a file, at most `length` of them, as soon as any are there; none of an empty file. */
export const beginning = (
  file: GrowingFile,
  length: number
): Effect.Effect<Uint8Array, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { end } = yield* file.beyond(0)
    const descriptor = yield* Storage.open(file.path, "r")
    const bytes = new Uint8Array(Math.min(length, end))
    const count = yield* Storage.readAt(descriptor, file.path, yield* file.base, bytes)
    return bytes.subarray(0, count)
  }).pipe(Effect.scoped)
