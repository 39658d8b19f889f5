/**
 * The profile file: `KEY=value` lines for the variables of the environment, which take precedence over it.
 */
import { FileSystem } from "@effect/platform"
import { Effect, Either, Option } from "effect"
import { SettingsError } from "../failure/CliError.js"
import { Stderr } from "../terminal/Stderr.js"

/** Variables by their names. */
export type Variables = ReadonlyMap<string, string>

/** The path of the profile file: under `XDG_CONFIG_HOME`, or `.config` in the home folder; none if neither is known. */
export const path = (env: Readonly<Record<string, string | undefined>>): Option.Option<string> => {
  const home = env["HOME"] ?? env["USERPROFILE"] ?? ""
  const folder = env["XDG_CONFIG_HOME"] || (home === "" ? "" : `${home}/.config`)
  return folder === "" ? Option.none() : Option.some(`${folder}/batchctl/config`)
}

const known = /^(?:CRUSTDATA|BATCH)_[A-Z0-9_]+$/u

/**
 * Parses `KEY=value` lines. Empty lines and lines that begin with `#` are skipped, `export` before a name and quotes
 * around a value are removed. `Left` names the line, never its value.
 */
export const parse = (text: string): Either.Either<Variables, string> => {
  const lines = text.split(/\r?\n/u).map((line) => line.trim())
  const entries = lines
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => /^[^#]/u.test(line))
  const read = entries.map(({ line, number }) => ({ number, match: pair.exec(line) }))
  const bad = read.find(({ match }) => match === null || !known.test(match[1] ?? ""))
  if (bad !== undefined) {
    return Either.left(
      bad.match === null
        ? `line ${bad.number} is not of the form KEY=value`
        : `line ${bad.number}: ${bad.match[1]} is no setting of batchctl (they begin with CRUSTDATA_ or BATCH_)`
    )
  }
  return Either.right(new Map(read.map(({ match }) => [match?.[1] ?? "", unquoted(match?.[2] ?? "")])))
}

const pair = /^(?:export\s+)?(\w+)\s*=\s*(.*)$/u

const unquoted = (value: string): string => /^(["'])(.*)\1$/u.exec(value)?.[2] ?? value

/** Reads the profile file; no variables if there is no such file. Warns if other users can read a key in it. */
export const read = Effect.fn("Profile.read")(function* (
  file: string
): Effect.fn.Return<Variables, SettingsError, FileSystem.FileSystem | Stderr> {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(file).pipe(
    Effect.catchTag("SystemError", (error) =>
      error.reason === "NotFound" || error.reason === "BadResource"
        ? Effect.succeed("")
        : new SettingsError({ setting: file, detail: `cannot be read (${error.reason})` })
    ),
    Effect.catchTag("BadArgument", () => new SettingsError({ setting: file, detail: "cannot be read" }))
  )
  const variables = yield* Either.mapLeft(
    parse(text),
    (detail) => new SettingsError({ setting: file, detail })
  )
  if (variables.has("CRUSTDATA_API_KEY")) yield* warnIfShared(file)
  return variables
})

const warnIfShared = (file: string): Effect.Effect<void, never, FileSystem.FileSystem | Stderr> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const mode = yield* Effect.option(fs.stat(file))
    if (!Option.exists(mode, (info) => (info.mode & 0o077) !== 0)) return
    const stderr = yield* Stderr
    yield* stderr.line(`warning: ${file} holds a key and others may read it: chmod 600 ${file}`)
  })
