/**
 * The request of a job, from `--body`, the inputs and the flags that add to it.
 */
import { FileSystem } from "@effect/platform"
import type { BatchConfig } from "@org/batch-core/BatchConfig"
import {
  InputInvalid,
  type RequestInvalid,
  type StorageError,
  storageErrorAt
} from "@org/batch-core/BatchError"
import type { JobKind } from "@org/batch-core/JobKind"
import type { JsonObject } from "@org/batch-core/Masking"
import * as SubmitRequest from "@org/batch-core/SubmitRequest"
import { Effect, Option, Predicate, type Scope } from "effect"
import type { UsageError } from "../failure/CliError.js"
import { dashed, request as flags } from "../syntax/Flags.js"
import { listed } from "../syntax/Listing.js"
import * as Stdin from "../terminal/Stdin.js"
import * as Inputs from "./Inputs.js"

/** The flags as they were typed. */
export type Typed = Inputs.Typed & {
  readonly body?: string | undefined
  readonly fields?: ReadonlyArray<string> | undefined
  readonly "max-results"?: string | undefined
  readonly "chunk-size"?: string | undefined
  readonly "webhook-url"?: string | undefined
}

/** A request that may be sent, and the inputs that did not come from `--body`. */
export interface Read {
  readonly request: SubmitRequest.SubmitRequest
  readonly inputs: Option.Option<Inputs.Inputs>
}

/** Reads and checks the request. Nothing is asked of anybody. */
export const read = Effect.fn("RequestOptions.read")(function* (
  kind: JobKind,
  typed: Typed
): Effect.fn.Return<
  Read,
  UsageError | InputInvalid | RequestInvalid | StorageError,
  BatchConfig | FileSystem.FileSystem | Scope.Scope
> {
  const added = yield* additions(kind, typed)
  if (typed.body === "-" && typed.input === "-") {
    return yield* Inputs.misused("--body - and --input - both want standard input: use one of them")
  }
  const inputs = yield* Inputs.read(kind, typed)
  const body = typed.body === undefined ? undefined : yield* readBody(typed.body)
  if (body === undefined && Option.isNone(inputs)) {
    const needs = kind.identifiers.length === 0 ? "a query: --body" : `inputs: ${Inputs.ways(kind)}`
    return yield* Inputs.misused(`${kind.entity} ${kind.action} needs ${needs}`)
  }
  const listed = Option.match(inputs, {
    onNone: () => ({}),
    onSome: ({ property, values }) => ({ [property.name]: values })
  })
  const request = yield* SubmitRequest.check(kind.name, { ...body, ...added, ...listed })
  return { request, inputs }
}, Effect.scoped)

/** What the flags add to a request, of which the kind must know each. */
export const additions = (kind: JobKind, typed: Typed): Effect.Effect<JsonObject, UsageError> =>
  Effect.gen(function* () {
    const given = Object.keys(flags).filter((name) => typed[name] !== undefined)
    const has = Object.keys(flags).filter((name) => kind.properties.includes(name.replaceAll("-", "_")))
    const foreign = given.find((name) => !has.includes(name))
    if (foreign !== undefined) {
      const known = [...kind.identifiers.map(({ name }) => dashed(name)), ...has].map((name) => `--${name}`)
      return yield* Inputs.misused(
        `--${foreign} is no flag of ${kind.entity} ${kind.action}, which has ${listed(known, "and")}`
      )
    }
    return Object.fromEntries(given.map((name) => [name.replaceAll("-", "_"), valueOf(name, typed[name])]))
  })

const valueOf = (name: string, typed: unknown): unknown =>
  name === "fields" ? Inputs.wordsOf(typed, ",") : name === "webhook-url" ? typed : Number(typed)

const readBody = (
  file: string
): Effect.Effect<JsonObject, InputInvalid | StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = file === "-" ? yield* Stdin.file : file
    const text = yield* Effect.mapError(fs.readFileString(path), storageErrorAt(file))
    const json = yield* Effect.try({
      try: (): unknown => JSON.parse(text.replace(/^\uFEFF/u, "")),
      catch: (cause) =>
        new InputInvalid({
          path: file,
          detail: `it is no JSON: ${Predicate.isError(cause) ? cause.message : String(cause)}`
        })
    })
    return Predicate.isRecord(json)
      ? json
      : yield* new InputInvalid({ path: file, detail: "it is no JSON object" })
  })
