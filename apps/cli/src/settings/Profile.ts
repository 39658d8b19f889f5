/**
 * The profile file: `KEY=value` lines for the variables of the environment, which take precedence over it.
 */
import { FileSystem } from "@effect/platform"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { Effect, Either, Option, Predicate } from "effect"
import { SettingsError } from "../failure/CliError.js"
import { nearest } from "@org/batch-core/Suggestion"
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

/** Whether the file is there, and what it sets. */
export interface Profile {
  readonly state: "read" | "missing" | "unusable"
  readonly variables: Variables
}

/**
 * Reads the profile file. Warns if other users can read a key in it, and of names that no setting has. One that cannot
 * be read is a failure, but only a warning for those who can do `without` it.
 */
export const read = Effect.fn("Profile.read")(function* (
  file: string,
  options: { readonly without: boolean }
): Effect.fn.Return<Profile, SettingsError, FileSystem.FileSystem | Stderr> {
  const stderr = yield* Stderr
  const text = yield* Effect.either(load(file))
  if (Either.isLeft(text)) {
    if (!options.without) return yield* text.left
    yield* stderr.line(`warning: the profile file is not used: ${text.left.message}`)
    return { state: "unusable", variables: new Map() }
  }
  if (Option.isNone(text.right)) return { state: "missing", variables: new Map() }
  const variables = yield* Either.mapLeft(
    parse(text.right.value),
    (detail) => new SettingsError({ setting: file, detail })
  )
  yield* warn(file, variables)
  return { state: "read", variables }
})

/** The text of the file, if there is one. */
const load = (file: string): Effect.Effect<Option.Option<string>, SettingsError, FileSystem.FileSystem> => {
  const unreadable = (reason: string) =>
    new SettingsError({ setting: file, detail: `cannot be read (${reason})` })
  return Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(file)).pipe(
    Effect.map(Option.some),
    Effect.catchTags({
      SystemError: ({ cause, reason }) =>
        reason === "NotFound" || (reason === "BadResource" && !isFolder(cause))
          ? Effect.succeed(Option.none<string>())
          : unreadable(isFolder(cause) ? "it is a folder" : reason),
      BadArgument: () => unreadable("bad path")
    })
  )
}

const isFolder = (cause: unknown): boolean => Predicate.hasProperty(cause, "code") && cause.code === "EISDIR"

const warn = (
  file: string,
  variables: Variables
): Effect.Effect<void, never, FileSystem.FileSystem | Stderr> =>
  Effect.gen(function* () {
    const stderr = yield* Stderr
    const names = yield* BatchConfig.names
    const unknown = [...variables.keys()].filter(
      (name) => !names.includes(name) && !name.startsWith("BATCH_SERVER_")
    )
    yield* Effect.forEach(
      unknown,
      (name) => {
        const instead = nearest(name, names)
        return stderr.line(
          `warning: ${file}: ${name} is no setting${instead === undefined ? ", and is ignored" : `; did you mean ${instead}?`}`
        )
      },
      { discard: true }
    )
    if (variables.has("CRUSTDATA_API_KEY")) yield* warnIfShared(file)
  })

const warnIfShared = (file: string): Effect.Effect<void, never, FileSystem.FileSystem | Stderr> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const mode = yield* Effect.option(fs.stat(file))
    if (!Option.exists(mode, (info) => (info.mode & 0o077) !== 0)) return
    const stderr = yield* Stderr
    yield* stderr.line(`warning: ${file} holds a key and others may read it: chmod 600 ${file}`)
  })
