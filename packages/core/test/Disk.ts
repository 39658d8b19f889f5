/** A disk that fails when it is told to: Node's file system, and a list of faults. */
import { Error as PlatformErrors, FileSystem } from "@effect/platform"
import { Effect, type Scope } from "effect"

/** Which call fails, from the `nth` on (default the first), and how often (default for ever). */
export interface Fault {
  readonly call: "open" | "writeAll" | "sync" | "rename" | "link" | "remove"
  /** Of the file that is called; of a rename and a link the new name. */
  readonly path: RegExp
  readonly nth?: number
  readonly times?: number
  /** Only once there was such a call. */
  readonly since?: Fault["call"]
  readonly code: string
  /** Bytes that are written before a write fails. */
  readonly after?: number
}

/** The disk, what it was asked to do, and how often each fault has struck. */
export interface Disk {
  readonly fileSystem: (fs: FileSystem.FileSystem) => FileSystem.FileSystem
  readonly calls: ReadonlyArray<string>
  readonly struck: () => ReadonlyArray<number>
}

const systemError = (call: string, path: string, code: string) =>
  new PlatformErrors.SystemError({
    module: "FileSystem",
    method: call,
    reason: code === "EEXIST" ? "AlreadyExists" : code === "EACCES" ? "PermissionDenied" : "Unknown",
    pathOrDescriptor: path,
    cause: Object.assign(new Error(code), { code })
  })

/** A disk with these faults. */
export const make = (...faults: ReadonlyArray<Fault>): Disk => {
  const live = faults.map((fault) => ({ fault, seen: 0, struck: 0 }))
  const calls: Array<string> = []

  const strike = (call: Fault["call"], path: string): Fault | undefined => {
    calls.push(`${call} ${path.replace(/^.*\//u, "")}`)
    for (const one of live) {
      if (one.fault.call !== call || !one.fault.path.test(path)) continue
      if (one.fault.since !== undefined && !calls.some((made) => made.startsWith(`${one.fault.since} `)))
        continue
      one.seen += 1
      if (one.seen < (one.fault.nth ?? 1) || one.struck >= (one.fault.times ?? Number.POSITIVE_INFINITY))
        continue
      one.struck += 1
      return one.fault
    }
    return undefined
  }

  const orFail = <A, R>(
    call: Fault["call"],
    path: string,
    effect: Effect.Effect<A, PlatformErrors.PlatformError, R>,
    first: (fault: Fault) => Effect.Effect<unknown, PlatformErrors.PlatformError, R> = () => Effect.void
  ): Effect.Effect<A, PlatformErrors.PlatformError, R> =>
    Effect.suspend(() => {
      const fault = strike(call, path)
      return fault === undefined
        ? effect
        : Effect.zipRight(first(fault), Effect.fail(systemError(call, path, fault.code)))
    })

  const wrap = (file: FileSystem.File, path: string): FileSystem.File => ({
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    fd: file.fd,
    stat: file.stat,
    seek: (offset, from) => file.seek(offset, from),
    sync: orFail("sync", path, file.sync),
    read: (buffer) => file.read(buffer),
    readAlloc: (size) => file.readAlloc(size),
    truncate: (length) => file.truncate(length),
    write: (buffer) => file.write(buffer),
    writeAll: (buffer) =>
      orFail("writeAll", path, file.writeAll(buffer), ({ after = 0 }) =>
        after === 0 ? Effect.void : file.writeAll(buffer.subarray(0, after))
      )
  })

  return {
    calls,
    struck: () => live.map(({ struck }) => struck),
    fileSystem: (fs) => ({
      ...fs,
      open: (
        path: string,
        options?: FileSystem.OpenFileOptions
      ): Effect.Effect<FileSystem.File, PlatformErrors.PlatformError, Scope.Scope> =>
        Effect.map(orFail("open", path, fs.open(path, options)), (file) => wrap(file, path)),
      rename: (from, to) => orFail("rename", to, fs.rename(from, to)),
      link: (from, to) => orFail("link", to, fs.link(from, to)),
      remove: (path, options) => orFail("remove", path, fs.remove(path, options))
    })
  }
}
