/**
 * What a campaign is: a list of inputs, a kind of job that they are for, and where the results go.
 *
 * @example
 * import { Effect } from "effect"
 * import * as Definition from "./Definition.js"
 *
 * const input = { path: "leads.csv", format: "csv", column: "website" } as const
 * const program = Effect.flatMap(Definition.kindOf("company/enrich"), (kind) =>
 *   Definition.propertyOf(kind, { as: "domains", input })
 * )
 */
import { FileSystem, Path } from "@effect/platform"
import { Effect, Option, Random, type Scope, Stream } from "effect"
import * as Digest from "../disk/Digest.js"
import * as Storage from "../disk/Storage.js"
import { RequestInvalid, type StorageError } from "../model/BatchError.js"
import type { Format } from "../model/Format.js"
import * as JobKind from "../model/JobKind.js"
import type { JsonObject } from "../model/Masking.js"
import { nearest } from "../model/Suggestion.js"
import type * as InputRows from "./InputRows.js"
import type * as Ledger from "./Ledger.js"

/** The list. */
export interface Input {
  /** The file, or the name of what `bytes` gives in messages. */
  readonly path: string
  /** Its bytes, where they do not come from the file at `path`: standard input, an upload. */
  readonly bytes?: Stream.Stream<Uint8Array, StorageError> | undefined
  readonly format: InputRows.InputFormat
  /** The column, or the field, that holds the identifiers; plain lines need none. */
  readonly column?: string | undefined
}

/** What a campaign is. */
export interface Definition {
  /** `company/enrich`, … */
  readonly kind: string
  readonly input: Input
  /** The property that the identifiers are, where the kind takes several. */
  readonly as?: string | undefined
  /** The rest of the body of each job: `fields`, `webhook_url`, … */
  readonly body?: JsonObject | undefined
  /** Where the joined result goes; fates, remainder and report go beside it. */
  readonly output: string
  /** Default `jsonl.gz`. */
  readonly format?: Format | undefined
  /** Write one line per input row, with its record, instead of the records as they came. */
  readonly join?: boolean | undefined
}

/** What a ledger says of an input. */
export const described = (
  { column, format, path }: Input,
  sha256: string
): (typeof Ledger.Begun.Type)["input"] => ({
  path,
  sha256,
  format,
  ...(column === undefined ? {} : { column })
})

/** The name of the ledger in the folder of a campaign. */
export const ledgerName = "ledger.jsonl"

/** The name of the copy of the input in the folder of a campaign. */
export const inputName = "input"

/** A kind of job that takes a list of inputs, by its name. */
export const kindOf = (name: string): Effect.Effect<JobKind.JobKind, RequestInvalid> => {
  const kind = JobKind.named(name)
  const names = JobKind.all.filter(({ identifiers }) => identifiers.length > 0).map((known) => known.name)
  if (kind !== undefined && kind.identifiers.length > 0) return Effect.succeed(kind)
  const near = nearest(name, names)
  const detail =
    kind === undefined
      ? `there is no such kind of job; ${near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`}`
      : "it takes a query, not a list of inputs: submit it as one job"
  return new RequestInvalid({ kind: name, property: Option.none(), detail })
}

/** The property that the identifiers are: the only one, the one that is named, or the one that the column is called by. */
export const propertyOf = (
  kind: JobKind.JobKind,
  { as, input }: Pick<Definition, "as" | "input">
): Effect.Effect<JobKind.IdentifierProperty, RequestInvalid> => {
  const names = kind.identifiers.map(({ name }) => name)
  const wanted = as?.replaceAll("-", "_")
  const column = (input.column ?? "").toLowerCase().replaceAll(/[\s-]+/gu, "_")
  const [only, ...others] = kind.identifiers
  const found =
    wanted === undefined
      ? others.length === 0
        ? only
        : kind.identifiers.find(({ name }) => column !== "" && (name === column || name === `${column}s`))
      : kind.identifiers.find(({ name }) => name === wanted)
  if (found !== undefined) return Effect.succeed(found)
  const detail =
    wanted === undefined
      ? `say what the identifiers are, as ${names.join(" or as ")}`
      : `${wanted} is none of its identifiers: ${names.join(", ")}`
  return new RequestInvalid({ kind: kind.name, property: Option.fromNullable(wanted), detail })
}

/** A copy of an input. */
export interface Received {
  /** Where it lies; it goes with the scope, unless it gets another name. */
  readonly path: string
  readonly sha256: string
  readonly bytes: number
}

/** Copies an input to a folder, synced: the file may change, or be gone, before the campaign ends. */
export const receive = <E = never>(
  folder: string,
  input: { readonly path: string; readonly bytes?: Stream.Stream<Uint8Array, E> | undefined }
): Effect.Effect<Received, E | StorageError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    yield* Storage.makeFolder(folder)
    const unique = yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)
    const path = paths.join(folder, `.incoming-${unique.toString(36)}`)
    yield* Effect.addFinalizer(() => Effect.ignore(fs.remove(path, { force: true })))
    const bytes: Stream.Stream<Uint8Array, E | StorageError, FileSystem.FileSystem> =
      input.bytes ?? Storage.stream(input.path, 262_144)
    const file = yield* Storage.open(path, "w")
    const hash = Digest.sha256()
    let position = 0
    yield* Stream.runForEach(bytes, (portion) => {
      hash.update(portion)
      return Effect.tap(Storage.writeAt(file, path, position, portion), () =>
        Effect.sync(() => void (position += portion.length))
      )
    })
    yield* Storage.sync(file, path)
    return { path, sha256: hash.hex(), bytes: position }
  })
