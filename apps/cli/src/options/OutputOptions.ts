/**
 * The output options that `download` and `get` share.
 */
import { Options } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import { Effect, Option } from "effect"
import { StorageError } from "@org/batch-core/BatchError"
import { isAbsolute } from "node:path"
import { UsageError } from "../failure/CliError.js"
import type { Ids } from "./BatchIds.js"
import * as Destination from "./Destination.js"

/** The flags, each with the text of its help. */
export const options = {
  output: Options.text("output").pipe(
    Options.withAlias("o"),
    Options.withDescription(
      "A file; or a folder (one that exists, or a name that ends in /); or - for JSONL (or CSV) on standard output. Default: ./<batch-id>.jsonl.gz"
    ),
    Options.optional
  ),
  format: Options.text("format").pipe(
    Options.withDescription(
      "jsonl.gz (the bytes as delivered, the default), jsonl or csv; taken from the extension of -o when absent."
    ),
    Options.optional
  ),
  columns: Options.text("columns").pipe(
    Options.withDescription(
      "The columns of csv and their order, as internal_id,data.basic_info.name, with a backslash before a comma or a dot in a name. Default: those of all rows, in the order of their appearance."
    ),
    Options.optional
  ),
  bom: Options.boolean("bom").pipe(
    Options.withDescription("Begin csv with a byte order mark, for Excel to take it for UTF-8.")
  ),
  parts: Options.boolean("parts").pipe(
    Options.withDescription("Keep the part files separate, in the folder that -o names.")
  ),
  concurrency: Options.integer("concurrency").pipe(
    Options.withDescription("Connections at most, 1 to 64; it starts with few and adapts. Default: 16"),
    Options.optional
  ),
  force: Options.boolean("force").pipe(Options.withDescription("Replace an existing destination.")),
  skipExisting: Options.boolean("skip-existing").pipe(
    Options.withDescription(
      "An existing destination that its receipt proves to be this batch's, read again, counts as done. Writes a receipt, as --receipt; with --force whatever else is there is replaced."
    )
  ),
  allowIncomplete: Options.boolean("allow-incomplete").pipe(
    Options.withDescription("Keep a result whose row count disagrees with result_count, with a warning.")
  ),
  receipt: Options.boolean("receipt").pipe(
    Options.withDescription(
      "Write <output>.receipt.json beside the output; with --parts <batch-id>.receipt.json in the folder."
    )
  ),
  json: Options.boolean("json").pipe(
    Options.withDescription("Print the receipt, one JSON object per batch and line.")
  ),
  quiet: Options.boolean("quiet").pipe(
    Options.withDescription("No progress and no notices on standard error; errors still.")
  )
}

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
