/**
 * What only the operating system can tell: the free space of a disk, and whether another process is still alive.
 * `FileSystem` of `@effect/platform` cannot, so an application that can says how (`LocalMachine.layer` of
 * `@org/batch-node`). Where nobody does, a full disk is found when a write fails, and a crashed download by a lock that
 * has not been touched for a while.
 *
 * @example
 * import { Effect, Layer, Option } from "effect"
 * import { LocalMachine } from "@org/batch-core"
 * import { statfs } from "node:fs/promises"
 *
 * const layer = Layer.succeed(LocalMachine.LocalMachine, {
 *   ...LocalMachine.unknown,
 *   freeBytes: (path) =>
 *     Effect.option(Effect.tryPromise(() => statfs(path))).pipe(
 *       Effect.map(Option.map(({ bavail, bsize }) => bavail * bsize))
 *     )
 * })
 */
import { Context, Effect, Option } from "effect"
import { StorageError } from "../model/BatchError.js"
import { count, plural } from "../model/CountText.js"

/** The questions to the operating system. */
export interface Service {
  /** How many bytes may still be written to the disk that a path is on; none where nobody can tell. */
  readonly freeBytes: (path: string) => Effect.Effect<Option.Option<number>>
  /** The name under which others can look for this process: one line, and never given to another one; or empty. */
  readonly self: Effect.Effect<string>
  /** Whether the process of that name has ended for sure. */
  readonly isDead: (name: string) => Effect.Effect<boolean>
  /** The id by which people find the process of that name; none where the name does not tell. */
  readonly processId: (name: string) => Option.Option<number>
}

/** The answers where nobody asks the operating system: no free space known, no name, no process known to be dead. */
export const unknown: Service = {
  freeBytes: () => Effect.succeedNone,
  self: Effect.succeed(""),
  isDead: () => Effect.succeed(false),
  processId: () => Option.none()
}

/** The machine we run on; `unknown` unless an application provides one. */
export class LocalMachine extends Context.Reference<LocalMachine>()("@org/batch-core/LocalMachine", {
  defaultValue: () => unknown
}) {}

/** Fails with `StorageError` of reason `NoSpace` when the disk of a path has no room for so many bytes more. */
export const checkRoom = (path: string, bytes: number): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { freeBytes } = yield* LocalMachine
    const free = Option.getOrElse(yield* freeBytes(path), () => Number.POSITIVE_INFINITY)
    if (bytes <= free) return
    const detail = `${plural(bytes, "more byte")} ${bytes === 1 ? "is" : "are"} needed, and there is room for ${count(free)}`
    return yield* new StorageError({ reason: "NoSpace", path, detail })
  })
