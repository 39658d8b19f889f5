/**
 * Room on our own disk, looked for before bytes are asked for. `FileSystem` of `@effect/platform` cannot tell it, so an
 * application that can says how; where nobody does, a full disk is found when a write fails.
 *
 * @example
 * import { Effect, Layer, Option } from "effect"
 * import { FreeSpace } from "@org/batch-core"
 * import { statfs } from "node:fs/promises"
 *
 * const layer = Layer.succeed(FreeSpace.FreeSpace, (path) =>
 *   Effect.option(Effect.tryPromise(() => statfs(path))).pipe(
 *     Effect.map(Option.map(({ bavail, bsize }) => bavail * bsize))
 *   )
 * )
 */
import { Context, Effect, Option } from "effect"
import { StorageError } from "../model/BatchError.js"

/** How many bytes may still be written to the disk that a file is on; none if nobody can tell. */
export type Measure = (path: string) => Effect.Effect<Option.Option<number>>

/** How free space is measured. By default it is not known. */
export class FreeSpace extends Context.Reference<FreeSpace>()("@org/batch-core/FreeSpace", {
  defaultValue: (): Measure => () => Effect.succeedNone
}) {}

/** Fails with `StorageError` of reason `NoSpace` when the disk of a file has no room for so many bytes more. */
export const check = (path: string, bytes: number): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const measure = yield* FreeSpace
    const free = Option.getOrElse(yield* measure(path), () => Number.POSITIVE_INFINITY)
    if (bytes <= free) return
    const detail = `${bytes} more bytes are needed, and there is room for ${free}`
    return yield* new StorageError({ reason: "NoSpace", path, detail })
  })
