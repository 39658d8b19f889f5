/**
 * Where batchctl keeps what must survive it: ledgers of campaigns and of single submits.
 */
import { Effect } from "effect"
import { homedir } from "node:os"
import { isAbsolute, join } from "node:path"
import { Environment } from "./Settings.js"

/** The state folder of batchctl, as the XDG Base Directory Specification has it: `~/.local/state/batchctl`. */
export const stateFolder: Effect.Effect<string, never, Environment> = Effect.map(
  Environment,
  ({ variables }) => {
    const base = variables["XDG_STATE_HOME"]
    return join(
      base !== undefined && isAbsolute(base) ? base : join(homedir(), ".local", "state"),
      "batchctl"
    )
  }
)

/** Where the campaigns have their folders. */
export const campaignsFolder = Effect.map(stateFolder, (folder) => join(folder, "campaigns"))

/** Where single submits have their ledgers, a file each. */
export const submitsFolder = Effect.map(stateFolder, (folder) => join(folder, "submits"))
