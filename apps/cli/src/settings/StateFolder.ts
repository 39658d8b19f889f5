/**
 * The folder of what batchctl remembers from run to run: `batchctl` below `XDG_STATE_HOME`, or below `~/.local/state`.
 */
import { FileSystem, Path } from "@effect/platform"
import type { BatchId } from "@org/batch-core/Batch"
import { StorageError } from "@org/batch-core/BatchError"
import * as Ledger from "@org/batch-core/Ledger"
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
    const home = variables["HOME"] ?? variables["USERPROFILE"] ?? ""
    const state = variables["XDG_STATE_HOME"] || (home === "" ? "" : `${home}/.local/state`)
    return state === ""
      ? new StorageError({
          reason: "Unwritable",
          path: `batchctl/${name}`,
          detail: "neither HOME nor XDG_STATE_HOME is set"
        })
      : Effect.succeed(`${state.replace(/(?<=.)\/+$/u, "")}/batchctl/${name}`)
  })

type Needs = Environment | FileSystem.FileSystem | Path.Path

/** Whether a ledger here, but for the one at this path, claims a job. One that cannot be read claims nothing. */
export const isClaimed = (batchId: BatchId, own: string): Effect.Effect<boolean, never, Needs> =>
  Effect.gen(function* () {
    const files = (yield* ledgers).filter((path) => path !== own)
    return yield* Effect.exists(files, (path) =>
      Effect.map(
        Effect.orElseSucceed(Ledger.entries(path), () => []),
        (entries) => Ledger.claimedBy(entries).some((id) => id.toLowerCase() === batchId.toLowerCase())
      )
    )
  })

const ledgers: Effect.Effect<ReadonlyArray<string>, never, Needs> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const inFolder = (
    folder: Effect.Effect<string, StorageError, Environment>,
    ledgerOf: (name: string) => string
  ) =>
    Effect.gen(function* () {
      const place = yield* folder
      return (yield* fs.readDirectory(place)).map((name) => path.join(place, ledgerOf(name)))
    }).pipe(Effect.orElseSucceed((): ReadonlyArray<string> => []))
  const single = yield* inFolder(submits, (name) => name)
  const ofCampaigns = yield* inFolder(campaigns, (name) => path.join(name, "ledger.jsonl"))
  return [...single.filter((name) => name.endsWith(".jsonl")), ...ofCampaigns]
})
