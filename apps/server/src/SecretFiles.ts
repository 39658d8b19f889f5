/**
 * Secrets in files, as Docker, Kubernetes and systemd hand them out: `<NAME>_FILE` names a file that holds the value of
 * `<NAME>`.
 */
import { FileSystem } from "@effect/platform"
import { Effect } from "effect"
import { SettingsError } from "./Settings.js"

/** Variables of the environment. */
export type Variables = Readonly<Record<string, string | undefined>>

/** The variables that are secrets. */
const secrets = [
  "CRUSTDATA_API_KEY",
  "BATCH_SERVER_TOKENS",
  "BATCH_SERVER_STORE",
  "BATCH_SERVER_SECRET",
  "BATCH_SERVER_WEBHOOK_SECRET",
  "OTEL_EXPORTER_OTLP_HEADERS"
] as const

/** Lists are separated by commas; in a file, each item may have a line of its own. */
const valueOf = (text: string): string =>
  text
    .split(/\r?\n/u)
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join(",")

const read = (
  name: (typeof secrets)[number],
  variables: Variables
): Effect.Effect<ReadonlyArray<readonly [string, string]>, SettingsError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const setting = `${name}_FILE`
    const path = variables[setting] ?? ""
    if (path === "") return []
    if ((variables[name] ?? "") !== "") {
      return yield* new SettingsError({ setting, detail: `${name} is set as well: keep one of the two` })
    }
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(
      fs.readFileString(path),
      ({ message }) => new SettingsError({ setting, detail: `cannot be read: ${message}` })
    )
    const value = valueOf(text)
    if (value === "") return yield* new SettingsError({ setting, detail: `${path} is empty` })
    return [[name, value]]
  })

/** The variables, with the secrets that are in files. Fails with the name of the setting whose file cannot be used. */
export const resolve = (
  variables: Variables
): Effect.Effect<Variables, SettingsError, FileSystem.FileSystem> =>
  Effect.map(
    Effect.forEach(secrets, (name) => read(name, variables)),
    (found) => ({ ...variables, ...Object.fromEntries(found.flat()) })
  )
