/**
 * Where programs remember things from run to run, after the XDG Base Directory Specification: one rule for all that find
 * each other's campaigns.
 *
 * @example
 * import { StateFolder } from "@org/batch-node"
 *
 * const folder = StateFolder.below(process.env, "batchctl", "campaigns")
 */
import { isAbsolute, join } from "node:path"

/**
 * A folder below `XDG_STATE_HOME`, or below `.local/state` in the home folder (`HOME`, on Windows `USERPROFILE`); undefined if
 * neither is set. A value that is no absolute path is left aside, as the specification says: it would be another folder
 * wherever a program is started.
 */
export const below = (
  variables: Readonly<Record<string, string | undefined>>,
  ...names: ReadonlyArray<string>
): string | undefined => {
  const set = variables["XDG_STATE_HOME"] ?? ""
  if (isAbsolute(set)) return join(set, ...names)
  const home = variables["HOME"] || variables["USERPROFILE"] || ""
  return home === "" ? undefined : join(home, ".local", "state", ...names)
}
