/**
 * The output options that `download` and `get` share.
 */
import { FileSystem } from "@effect/platform"
import { Effect, Option } from "effect"
import { StorageError } from "@org/batch-core/BatchError"
import { isAbsolute } from "node:path"
import { UsageError } from "../failure/CliError.js"
import type { output } from "../syntax/Flags.js"
import type { Values } from "../syntax/Reading.js"
import type { Ids } from "./BatchIds.js"
import * as Destination from "./Destination.js"

/** The parsed flags. */
export interface OutputRequest {
  readonly output: Option.Option<string>
  readonly format: Option.Option<string>
  readonly columns: Option.Option<string>
  readonly bom: boolean
  readonly parts: boolean
  readonly concurrency: Option.Option<number>
  readonly force: boolean
  readonly skipExisting: boolean
  readonly allowIncomplete: boolean
  readonly receipt: boolean
  readonly json: boolean
  readonly quiet: boolean
}

/** The flags as they were typed. */
export const of = (values: Values<typeof output>["values"]): OutputRequest => ({
  output: Option.fromNullable(values.output),
  format: Option.fromNullable(values.format),
  columns: Option.fromNullable(values.columns),
  bom: values.bom === true,
  parts: values.parts === true,
  concurrency: Option.map(Option.fromNullable(values.concurrency), Number),
  force: values.force === true,
  skipExisting: values["skip-existing"] === true,
  allowIncomplete: values["allow-incomplete"] === true,
  receipt: values.receipt === true,
  json: values.json === true,
  quiet: values.quiet === true
})

/** Resolves the flags to a destination, before any request. */
export const resolve = Effect.fn("OutputOptions.resolve")(function* (
  ids: Ids,
  request: OutputRequest
): Effect.fn.Return<Destination.Destination, StorageError | UsageError, FileSystem.FileSystem> {
  const refuse = (detail: string) => new UsageError({ detail, hint: Option.none(), batchId: Option.none() })
  const concurrency = Option.getOrElse(request.concurrency, () => 1)
  if (concurrency < 1 || concurrency > 64)
    return yield* refuse(`--concurrency ${concurrency} must be from 1 to 64`)
  const present = yield* look(Option.getOrElse(request.output, () => "."))
  const destination = yield* Effect.mapError(Destination.resolve({ ids, ...request }, present), refuse)
  const isRelative = destination._tag === "Files" && ids.some((id) => !isAbsolute(destination.path(id)))
  if (isRelative) yield* checkWorkingFolder
  return destination
})

/** A shell may stand in a folder that somebody has deleted. */
const checkWorkingFolder: Effect.Effect<void, StorageError> = Effect.try({
  try: () => void process.cwd(),
  catch: () =>
    new StorageError({ reason: "Unwritable", path: ".", detail: "the working folder has been deleted" })
})

const look = (path: string): Effect.Effect<Destination.Present, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    fs.stat(path).pipe(
      Effect.map((info) => (info.type === "Directory" ? "directory" : "file")),
      Effect.catchAll(() => Effect.succeed("nothing" as const))
    )
  )
