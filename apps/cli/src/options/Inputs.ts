/**
 * The inputs of a job: from the flag of their property, or from a list in a file.
 */
import type { FileSystem } from "@effect/platform"
import type { BatchConfig } from "@org/batch-core/BatchConfig"
import { InputInvalid, type StorageError } from "@org/batch-core/BatchError"
import type { Input } from "@org/batch-core/Campaign"
import * as Identifier from "@org/batch-core/Identifier"
import * as InputRows from "@org/batch-core/InputRows"
import type { IdentifierProperty, JobKind } from "@org/batch-core/JobKind"
import { nearest } from "@org/batch-core/Suggestion"
import { Effect, Either, Option, Predicate, type Scope, Stream } from "effect"
import { UsageError } from "../failure/CliError.js"
import { dashed, identifiers } from "../syntax/Flags.js"
import { listed } from "../syntax/Listing.js"
import * as Stdin from "../terminal/Stdin.js"

/** The flags as they were typed; those of identifier properties by their names. */
export type Typed = Readonly<Record<string, unknown>> & {
  readonly input?: string | undefined
  readonly column?: string | undefined
  readonly as?: string | undefined
  readonly "input-format"?: InputRows.InputFormat | string | undefined
}

/** Inputs that may be sent. */
export interface Inputs {
  readonly property: IdentifierProperty
  /** Each once. */
  readonly values: ReadonlyArray<string | number>
  /** How many were left out, since they mean the same as one before. */
  readonly duplicates: number
  /** How many rows were left out, since they are empty. */
  readonly empty: number
}

/** A list in a file, and what it holds. */
export interface List extends InputRows.Options {
  /** The file, or `-` for standard input. */
  readonly path: string
  readonly property: IdentifierProperty
}

/** A usage error without better advice than the help. */
export const misused = (detail: string): UsageError =>
  new UsageError({ detail, hint: Option.none(), batchId: Option.none() })

/** How the inputs of a kind can be given: `--names, --domains or --input`. */
export const ways = ({ identifiers: known }: JobKind): string =>
  listed([...known.map(({ name }) => `--${dashed(name)}`), "--input"], "or")

/** The inputs that were given, if any were. */
export const read = (
  kind: JobKind,
  typed: Typed
): Effect.Effect<
  Option.Option<Inputs>,
  UsageError | InputInvalid | StorageError,
  BatchConfig | FileSystem.FileSystem | Scope.Scope
> =>
  Effect.gen(function* () {
    const given = Object.keys(identifiers).filter((name) => typed[name] !== undefined)
    const foreign = given.find((name) => propertyOf(kind, name) === undefined)
    if (foreign !== undefined) {
      const has = kind.identifiers.length === 0 ? "it takes a query in --body" : `it takes ${ways(kind)}`
      return yield* misused(`--${foreign} is no input of ${kind.entity} ${kind.action}: ${has}`)
    }
    const sources = [...given, ...(typed.input === undefined ? [] : ["input"])]
    if (sources.length > 1) {
      return yield* misused(
        `a job takes one kind of input, but there are ${listed(
          sources.map((name) => `--${name}`),
          "and"
        )}`
      )
    }
    const list = yield* listOf(kind, typed)
    if (list !== undefined) return Option.some(yield* readList(list))
    const [name] = given
    const property = name === undefined ? undefined : propertyOf(kind, name)
    if (property === undefined || name === undefined) return Option.none()
    const texts = wordsOf(typed[name], property.type === "text" ? undefined : ",")
    const inputs = gather(property, texts, (text, why) =>
      misused(`--${name} ${JSON.stringify(text)}: ${why}`)
    )
    return Option.some(yield* inputs)
  })

/** The list that `--input` and its companions name; none without `--input`. */
export const listOf = (kind: JobKind, typed: Typed): Either.Either<List | undefined, UsageError> => {
  const { as, column, input } = typed
  if (input === undefined) {
    const alone = ["column", "as", "input-format"].find((name) => typed[name] !== undefined)
    return alone === undefined
      ? Either.right(undefined)
      : Either.left(misused(`--${alone} goes with --input, which is not there`))
  }
  const format = formatOf(input, typed)
  if (format === "lines" && column !== undefined) {
    const detail = `--column ${column}: ${input === "-" ? "standard input" : input} is read as plain lines, which have no columns; --input-format csv, tsv or jsonl reads it as a table`
    return Either.left(misused(detail))
  }
  return Either.map(listProperty(kind, as), (property) => ({
    path: input,
    name: input,
    format,
    column,
    property
  }))
}

/** The format of a list: the one that was named, else that of its extension. */
const formatOf = (input: string, typed: Pick<Typed, "input-format">): InputRows.InputFormat =>
  InputRows.formats.find((one) => one === typed["input-format"]) ?? InputRows.formatOf(input)

/** The list of a campaign, or of a job that was submitted elsewhere; `-` is standard input. */
export const sourceOf = (input: string, typed: Pick<Typed, "column" | "input-format">): Input => ({
  path: input,
  bytes: input === "-" ? Stdin.bytes : undefined,
  format: formatOf(input, typed),
  column: typed.column
})

const listProperty = (
  kind: JobKind,
  as: string | undefined
): Either.Either<IdentifierProperty, UsageError> => {
  const known = kind.identifiers.map(({ name }) => dashed(name))
  const what = `${kind.entity} ${kind.action}`
  if (known.length === 0) {
    return Either.left(misused(`${what} takes no list of inputs, but a query in --body`))
  }
  const [only] = kind.identifiers
  if (as === undefined) {
    return only !== undefined && known.length === 1
      ? Either.right(only)
      : Either.left(
          misused(
            `${what} takes several kinds of input: say with --as which of ${listed(known, "or")} these are`
          )
        )
  }
  const meant = nearest(as, known)
  return Either.fromNullable(propertyOf(kind, dashed(as)), () =>
    misused(
      `--as ${as}: ${what} takes ${listed(known, "or")}${meant === undefined ? "" : `; did you mean ${meant}?`}`
    )
  )
}

const propertyOf = (kind: JobKind, flag: string): IdentifierProperty | undefined =>
  kind.identifiers.find(({ name }) => dashed(name) === flag)

/** The words of a flag that may be given several times. */
export const wordsOf = (typed: unknown, separator: string | undefined): ReadonlyArray<string> =>
  (Array.isArray(typed) ? typed : [])
    .filter(Predicate.isString)
    .flatMap((text) => (separator === undefined ? [text] : text.split(separator)))
    .map((text) => text.trim())
    .filter((text) => text !== "")

const readList = (list: List) =>
  Effect.gen(function* () {
    const path = list.path === "-" ? yield* Stdin.file : list.path
    const rows = yield* Stream.runCollect(InputRows.read(path, list))
    const wrong = (detail: string) => new InputInvalid({ path: list.path, detail })
    const texts = yield* Effect.forEach(rows, ({ row, value }) =>
      Either.mapLeft(value, (why) => wrong(`row ${row}: ${why}`))
    )
    const inputs = yield* gather(list.property, texts, (text, why, at) =>
      wrong(
        `row ${at + 1}: ${JSON.stringify(text)}: ${why}; nothing was sent, correct it or leave the row out (batchctl run sets such rows aside)`
      )
    )
    return inputs.values.length === 0 ? yield* wrong("there is no input in it") : inputs
  })

/** Checks each text, and takes what means the same once. */
const gather = <E>(
  property: IdentifierProperty,
  texts: ReadonlyArray<string>,
  wrong: (text: string, why: string, at: number) => E
): Either.Either<Inputs, E> =>
  Either.gen(function* () {
    const known = new Map<string, string | number>()
    let empty = 0
    for (const [at, text] of texts.entries()) {
      if (text.trim() === "") {
        empty += 1
        continue
      }
      const { key, sent } = yield* Either.mapLeft(Identifier.read(property.type, text), (why) =>
        wrong(text, why, at)
      )
      if (!known.has(key)) known.set(key, sent)
    }
    return { property, values: [...known.values()], empty, duplicates: texts.length - empty - known.size }
  })
