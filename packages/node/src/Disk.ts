/**
 * The disk as Node knows it.
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

/** What the system lets us still write to the disk of a file or folder, in bytes. */
export const freeSpace: FreeSpace.Measure = (path) =>
  Effect.map(
    Effect.option(Effect.tryPromise(() => statfs(path))),
    Option.map(({ bavail, bsize }) => bavail * bsize)
  )

/** Lets a download look for room before it begins. */
export const layer: Layer.Layer<FreeSpace.FreeSpace> = Layer.succeed(FreeSpace.FreeSpace, freeSpace)
