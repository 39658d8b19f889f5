/**
 * Files on our own disk: every failure is a `StorageError`, and a few steps make a file appear whole or not at all.
 *
 * @example
 * import * as Storage from "./Storage.js"
 *
 * const program = Storage.publish({ from: "out.jsonl.gz.partial", to: "out.jsonl.gz", replace: false })
 */
import { type Error as PlatformErrors, FileSystem, Path } from "@effect/platform"
import { Effect, Option, type Scope, Stream } from "effect"
import * as Buffers from "./Buffers.js"
import * as LocalMachine from "./LocalMachine.js"
import { StorageError, storageErrorAt, systemCode } from "../model/BatchError.js"

/**
 * Opens a file until the scope is closed: with `r` an existing one for reading, with `r+` for writing at any place,
 * with `w` an empty one for writing, created if missing.
 */
export const open = (
  path: string,
  flag: FileSystem.OpenFlag
): Effect.Effect<FileSystem.File, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.open(path, { flag })).pipe(
    Effect.mapError(storageErrorAt(path))
  )

/**
 * Writes a block to its place. Not interruptible: the descriptor must not be closed, and its number given to
 * another file, while the write is under way.
 */
export const writeAt = (
  file: FileSystem.File,
  path: string,
  position: number,
  block: Uint8Array
): Effect.Effect<void, StorageError> =>
  block.length === 0
    ? Effect.void
    : file
        .seek(position, "start")
        .pipe(
          Effect.zipRight(file.writeAll(block)),
          Effect.mapError(storageErrorAt(path)),
          Effect.uninterruptible
        )

/**
 * The bytes of a file from its beginning, in portions of at most so many. None is read ahead: what waits in a queue is taken
 * for long-lived, and gathers until V8 clears up all memory.
 */
export const stream = (
  path: string,
  chunkSize: number
): Stream.Stream<Uint8Array, StorageError, FileSystem.FileSystem> =>
  Effect.map(open(path, "r"), (file) => {
    let position = 0
    const next = Effect.suspend(() => {
      const portion = new Uint8Array(chunkSize)
      return Effect.map(readAt(file, path, position, portion), (length) => {
        position += length
        return portion.subarray(0, length)
      })
    })
    return Stream.takeWhile(Stream.repeatEffect(next), ({ length }) => length > 0)
  }).pipe(
    Stream.unwrapScoped,
    Stream.mapError((error) => new StorageError({ ...error, reason: "Unreadable" }))
  )

/** Writes one block behind the other to an empty file, and gives their memory back. */
export interface Appender {
  readonly write: (block: Uint8Array) => Effect.Effect<void, StorageError>
  readonly sync: Effect.Effect<void, StorageError>
}

/** An empty file to write to, until the scope is closed. */
export const appender = (
  path: string
): Effect.Effect<Appender, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.map(open(path, "w"), (file) => {
    let position = 0
    return {
      write: (block) =>
        Effect.tap(writeAt(file, path, position, block), () =>
          Effect.sync(() => {
            position += block.length
            Buffers.release(block)
          })
        ),
      sync: sync(file, path)
    }
  })

/** Reads from a place into a buffer; gives how many bytes there were, 0 at the end of the file. */
export const readAt = (
  file: FileSystem.File,
  path: string,
  position: number,
  into: Uint8Array
): Effect.Effect<number, StorageError> =>
  file
    .seek(position, "start")
    .pipe(
      Effect.zipRight(file.read(into)),
      Effect.mapBoth({ onFailure: storageErrorAt(path), onSuccess: Number }),
      Effect.uninterruptible
    )

/** Reads so many bytes from a place; a file that ends before them was shortened under us. */
export const readExactly = (
  file: FileSystem.File,
  path: string,
  { bytes, offset }: { readonly offset: number; readonly bytes: number }
): Effect.Effect<Uint8Array, StorageError> =>
  Effect.gen(function* () {
    const into = new Uint8Array(bytes)
    let read = 0
    while (read < bytes) {
      const more = yield* readAt(file, path, offset + read, into.subarray(read))
      if (more === 0) return yield* vanished(path)
      read += more
    }
    return into
  })

/** The failure of reading a file that became shorter under us. */
export const vanished = (path: string): Effect.Effect<never, StorageError> =>
  Effect.fail(new StorageError({ reason: "Unwritable", path, detail: "another program has shortened it" }))

/** Makes what was written durable, where the file system can: some have no such call. */
export const sync = (file: FileSystem.File, path: string): Effect.Effect<void, StorageError> =>
  file.sync.pipe(
    Effect.catchIf(isUnsupported, () => Effect.void),
    Effect.mapError(storageErrorAt(path)),
    Effect.uninterruptible
  )

/** The code with which the file system of an existing file refuses to sync at all; none where it can. */
export const syncRefusal = (
  path: string
): Effect.Effect<Option.Option<string>, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(open(path, "r+"), (file) =>
    file.sync.pipe(
      Effect.as(Option.none<string>()),
      Effect.catchIf(isUnsupported, (error) => Effect.succeedSome(systemCode(error))),
      Effect.mapError(storageErrorAt(path)),
      Effect.uninterruptible
    )
  ).pipe(Effect.scoped)

const isUnsupported = (error: PlatformErrors.PlatformError): boolean =>
  ["EINVAL", "ENOTSUP", "ENOSYS"].includes(systemCode(error))

/** Creates a folder and those above it. */
export const makeFolder = (path: string): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeDirectory(path, { recursive: true })).pipe(
    Effect.mapError(storageErrorAt(path))
  )

/** Removes a file that may be missing. */
export const remove = (path: string): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.remove(path, { force: true })).pipe(
    Effect.mapError(storageErrorAt(path))
  )

/** Gives a file another name, replacing what has it. */
export const rename = (from: string, to: string): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.rename(from, to)).pipe(Effect.mapError(storageErrorAt(to)))

/** Writes a whole file, over what has its name, and syncs it. A crash meanwhile may leave a part of it. */
export const writeFile = (
  path: string,
  bytes: Uint8Array
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(open(path, "w"), (file) =>
    Effect.zipRight(writeAt(file, path, 0, bytes), sync(file, path))
  ).pipe(Effect.scoped)

/**
 * Replaces a small file: the text is written to `<path>.next`, synced, and renamed, so that after a crash the file is
 * the old one or the new one, and whole.
 */
export const replaceFile = (
  path: string,
  text: string
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.zipRight(writeFile(`${path}.next`, new TextEncoder().encode(text)), rename(`${path}.next`, path))

/** Fails where a destination exists (`Exists`, unless it may be replaced) or is no plain file (`Unwritable`). */
export const checkDestination = (
  path: string,
  options: { readonly replace: boolean }
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const found = yield* fs.stat(path).pipe(
      Effect.asSome,
      Effect.catchIf(isMissing, () => Effect.succeedNone),
      Effect.mapError(storageErrorAt(path))
    )
    if (Option.isNone(found)) return yield* options.replace ? Effect.void : checkLink(path)
    if (found.value.type !== "File") {
      const detail =
        found.value.type === "Directory" ? "it is a folder" : `it is no plain file but a ${found.value.type}`
      return yield* new StorageError({ reason: "Unwritable", path, detail })
    }
    if (!options.replace) {
      return yield* new StorageError({ reason: "Exists", path, detail: "it was left untouched" })
    }
  })

/** A link that leads nowhere has the name already, and is nothing to write over. */
const checkLink = (path: string): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.option(fs.readLink(path))).pipe(
    Effect.flatMap(
      Option.match({
        onNone: () => Effect.void,
        onSome: (to) =>
          new StorageError({ reason: "Exists", path, detail: `as a link to ${to}, which is not there` })
      })
    )
  )

/**
 * Fails where no file could be made in a folder that is there, or that would have to be made: no right to, no such
 * place, no room for a single byte. Leaves nothing behind.
 */
export const checkFolder = (
  folder: string
): Effect.Effect<void, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const stat = (place: string) =>
      Effect.asSome(fs.stat(place)).pipe(Effect.catchIf(isMissing, () => Effect.succeedNone))
    let place = folder
    let found = yield* Effect.mapError(stat(place), storageErrorAt(place))
    while (Option.isNone(found) && path.dirname(place) !== place) {
      place = path.dirname(place)
      found = yield* Effect.mapError(stat(place), storageErrorAt(place))
    }
    if (Option.exists(found, ({ type }) => type !== "Directory")) {
      return yield* new StorageError({ reason: "Unwritable", path: place, detail: "it is no folder" })
    }
    yield* fs.makeTempDirectory({ directory: place, prefix: ".batch-" }).pipe(
      Effect.flatMap((probe) => fs.remove(probe, { recursive: true })),
      Effect.mapError(storageErrorAt(place)),
      Effect.uninterruptible
    )
    yield* LocalMachine.checkRoom(place, 1)
  })

const isMissing = (error: PlatformErrors.PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "NotFound"

/**
 * Gives a finished file its own name, at once and durably. Without `replace` a destination that has appeared in the
 * meantime stays untouched: a hard link, unlike a rename, refuses to replace.
 */
export const publish = (options: {
  readonly from: string
  readonly to: string
  readonly replace: boolean
}): Effect.Effect<void, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const rename = fs.rename(options.from, options.to)
    yield* options.replace
      ? Effect.mapError(rename, storageErrorAt(options.to))
      : fs.link(options.from, options.to).pipe(
          Effect.zipRight(fs.remove(options.from)),
          Effect.mapError(storageErrorAt(options.to)),
          // Some file systems know no hard links; there a look has to do, with a small gap before the rename.
          Effect.catchIf(
            (error) => error.reason !== "Exists" && error.reason !== "NoSpace",
            () =>
              Effect.zipRight(
                checkDestination(options.to, options),
                Effect.mapError(rename, storageErrorAt(options.to))
              )
          )
        )
    yield* syncFolder(path.dirname(path.resolve(options.to)))
  }).pipe(Effect.uninterruptible)

/** Syncs a folder, which makes renames in it durable. Systems that cannot open a folder (Windows) need no such step. */
export const syncFolder = (folder: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.open(folder, { flag: "r" })).pipe(
    Effect.flatMap((file) => file.sync),
    Effect.scoped,
    Effect.catchAll(() => Effect.void)
  )
