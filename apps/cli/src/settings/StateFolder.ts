/**
 * The folder of what batchctl remembers from run to run: `batchctl` below `XDG_STATE_HOME`, or below `~/.local/state`.
 */
import type { FileSystem, Path } from "@effect/platform"
import type { BatchId } from "@org/batch-core/Batch"
import { StorageError } from "@org/batch-core/BatchError"
import * as StateFolder from "@org/batch-node/StateFolder"
import { Effect } from "effect"
import { Environment } from "./Settings.js"

/** The folder of single submits, a ledger each. */
export const submits: Effect.Effect<string, StorageError, Environment> = Effect.suspend(() =>
  below("submits")
)

/** The folder of campaigns, a folder with a ledger each. */
export const campaigns: Effect.Effect<string, StorageError, Environment> = Effect.suspend(() =>
  below("campaigns")
)

const below = (name: string): Effect.Effect<string, StorageError, Environment> =>
  Effect.flatMap(Environment, ({ variables }) => {
    const folder = StateFolder.below(variables, "batchctl", name)
    return folder === undefined
      ? new StorageError({
          reason: "Unwritable",
          path: `batchctl/${name}`,
          detail: "neither HOME nor XDG_STATE_HOME is set"
        })
      : Effect.succeed(folder)
  })

/** Whether a ledger here claims a job. One that cannot be read claims nothing. */
export const isClaimed = (
  batchId: BatchId
): Effect.Effect<boolean, StorageError, Environment | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { claims } = yield* Effect.promise(() => import("@org/batch-core/Campaign"))
    return (yield* claims(yield* campaigns)).has(batchId.toLowerCase())
  })
