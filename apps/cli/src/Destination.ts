/**
 * Where results go and in which form: what `-o`, `--format` and `--parts` mean together.
 */
import type { BatchId } from "@org/batch-core/Batch"
import type { Format } from "@org/batch-core/Receipt"
import { Either, Option } from "effect"

/** What was asked for. */
export interface Request {
  readonly ids: ReadonlyArray<BatchId>
  readonly output: Option.Option<string>
  readonly format: Option.Option<string>
  readonly parts: boolean
  readonly json: boolean
  readonly receipt: boolean
}

/** What is at the path of `-o` already. */
export type Present = "file" | "directory" | "nothing"

/** Where each result goes. */
export type Destination =
  /** Rows on standard output, once all of them are here and verified. */
  | { readonly _tag: "Stdout" }
  | {
      readonly _tag: "Files"
      readonly format: Format
      readonly path: (id: BatchId) => string
    }

/** The formats that can be written. */
export const formats = ["jsonl.gz", "jsonl"] as const

const extensions: ReadonlyArray<readonly [RegExp, Format]> = [
  [/\.(?:jsonl|ndjson)\.gz$/iu, "jsonl.gz"],
  [/\.(?:jsonl|ndjson)$/iu, "jsonl"]
]

const otherFormats = /\.(?:csv|tsv|parquet|arrow|xlsx|json|sqlite|db|zst|zip)$/iu

/** `Left` says which flags cannot go together, or which value cannot be used. */
export const resolve = (request: Request, present: Present): Either.Either<Destination, string> => {
  const output = Option.getOrUndefined(request.output)
  if (output === "") return Either.left("-o needs a path")
  if (output === "-") return standardOutput(request)
  const directory = output !== undefined && (present === "directory" || output.endsWith("/"))
  if (directory && present === "file") return Either.left(`-o ${output} ends in / but is a file`)
  if (request.parts) return parts(request, output, present)
  if (request.ids.length > 1 && output !== undefined && !directory) {
    return Either.left(
      `-o ${output} is one file, but there are ${request.ids.length} batches: give a folder, as ${output}/`
    )
  }
  return Either.map(formatOf(request, directory ? undefined : output), (format) => ({
    _tag: "Files",
    format,
    path: (id) => (directory ? inFolder(output, `${id}.${format}`) : (output ?? `${id}.${format}`))
  }))
}

const inFolder = (folder: string, name: string): string => `${folder.replace(/\/+$/u, "") || ""}/${name}`

const standardOutput = (request: Request): Either.Either<Destination, string> => {
  const format = Option.getOrElse(request.format, () => "jsonl")
  if (request.parts) return Either.left("--parts needs a folder, so it cannot go with -o -")
  if (request.json) return Either.left("--json and -o - both want standard output: use one of them")
  if (request.receipt) return Either.left("--receipt is written beside a file, so it cannot go with -o -")
  if (format !== "jsonl") return Either.left(`-o - writes jsonl, so it cannot go with --format ${format}`)
  return Either.right({ _tag: "Stdout" })
}

const parts = (
  request: Request,
  output: string | undefined,
  present: Present
): Either.Either<Destination, string> => {
  const format = Option.getOrElse(request.format, () => "jsonl.gz")
  if (output === undefined) return Either.left("--parts needs a folder: give one with -o")
  if (present === "file") return Either.left(`--parts needs a folder, but -o ${output} is a file`)
  if (format !== "jsonl.gz") {
    return Either.left(
      `--parts keeps the files as delivered (jsonl.gz), so it cannot go with --format ${format}`
    )
  }
  if (request.receipt && request.ids.length > 1) {
    return Either.left("--receipt with --parts is one receipt for a folder: give one batch at a time")
  }
  const folder = output.replace(/(?<=.)\/+$/u, "")
  return Either.right({ _tag: "Files", format, path: () => folder })
}

const formatOf = (request: Request, file: string | undefined): Either.Either<Format, string> => {
  if (Option.isSome(request.format)) {
    const wanted = request.format.value
    const format = formats.find((known) => known === wanted)
    return format === undefined
      ? Either.left(`--format ${wanted} is not available: there are ${formats.join(" and ")}`)
      : Either.right(format)
  }
  const other = file === undefined ? null : otherFormats.exec(file)
  if (other !== null) {
    return Either.left(
      `-o ${file}: there is no format for ${other[0]} (there are ${formats.join(" and ")}; --format chooses one for any name)`
    )
  }
  return Either.right(
    extensions.find(([pattern]) => file !== undefined && pattern.test(file))?.[1] ?? "jsonl.gz"
  )
}
