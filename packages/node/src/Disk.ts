/**
 * The free space of a disk, measured with Node's `statfs`.
 *
 * @example
 * import { NodeContext } from "@effect/platform-node"
 * import { Disk } from "@org/batch-node"
 * import { Layer } from "effect"
 *
 * const layer = Layer.merge(NodeContext.layer, Disk.layer)
 */
import * as FreeSpace from "@org/batch-core/FreeSpace"
import { Effect, Layer, Option } from "effect"
import { statfs } from "node:fs/promises"

/**
 * The free space of the disk of a file or folder that this user may fill, in bytes; `None` if it cannot be measured.
 */
export const freeSpace: FreeSpace.Measure = (path) =>
  Effect.map(
    Effect.option(Effect.tryPromise(() => statfs(path))),
    Option.map(({ bavail, bsize }) => bavail * bsize)
  )

/** Provides `FreeSpace`, with which a download checks for room before it begins. */
export const layer: Layer.Layer<FreeSpace.FreeSpace> = Layer.succeed(FreeSpace.FreeSpace, freeSpace)
