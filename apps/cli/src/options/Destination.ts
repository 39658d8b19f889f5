/**
 * The destination and format of results, from `-o`, `--format`, `--columns` and `--parts` together.
 */
import type { BatchId } from "@org/batch-core/Batch"
import * as Csv from "@org/batch-core/Csv"
import * as Format from "@org/batch-core/Format"
import { Either, Option } from "effect"

/** The flags that decide the destination. */
export interface Request {
  readonly ids: ReadonlyArray<BatchId>
  readonly output: Option.Option<string>
  readonly format: Option.Option<string>
  readonly columns: Option.Option<string>
  readonly bom: boolean
  readonly parts: boolean
  readonly json: boolean
  readonly receipt: boolean
  readonly skipExisting: boolean
}

/** What exists at the path of `-o`. */
export type Present = "file" | "directory" | "nothing"

/** The destination of each result. */
export type Destination =
  /** Rows on standard output, after all of them are downloaded and verified. */
  | ({ readonly _tag: "Stdout" } & Form)
  | ({
      readonly _tag: "Files"
      readonly path: (id: BatchId) => string
      /** What is written, where the name that was given does not say it. */
      readonly note?: string | undefined
    } & Form)

/** The format of the rows. */
export interface Form {
  readonly format: Format.Format
  /** The columns of `csv`, or `undefined` for those that the rows have. */
  readonly columns: ReadonlyArray<string> | undefined
}

const names = `${Format.all.slice(0, -1).join(", ")} and ${Format.all.slice(-1).join("")}`

const otherFormats =
  /\.(?:csv\.gz|(?:tsv|parquet|arrow|xlsx|json|sqlite|db)(?:\.gz)?|zst|zip|bz2|xz|t(?:ar\.)?gz)$/iu

/**
 * Resolves the flags to a destination. `Left` is the usage error: flags that exclude each other, or a value that is
 * not valid.
 */
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
  return Either.map(formOf(request, directory ? undefined : output, "jsonl.gz"), (form) => ({
    _tag: "Files",
    ...form,
    note: directory || Option.isSome(request.format) ? undefined : noteOf(output),
    path: (id) => (directory ? inFolder(output, `${id}.${form.format}`) : (output ?? `${id}.${form.format}`))
  }))
}

/** A name that ends in .gz says that much itself. */
const noteOf = (file: string | undefined): string | undefined =>
  file === undefined || /\.gz$/iu.test(file) || Option.isSome(Format.ofName(file))
    ? undefined
    : `${file} names no format, so it gets jsonl.gz, as delivered (see --format)`

const inFolder = (folder: string, name: string): string => `${folder.replace(/\/+$/u, "") || ""}/${name}`

const standardOutput = (request: Request): Either.Either<Destination, string> => {
  if (request.parts) return Either.left("--parts needs a folder, so it cannot go with -o -")
  if (request.json) return Either.left("--json and -o - both want standard output: use one of them")
  if (request.receipt) return Either.left("--receipt is written beside a file, so it cannot go with -o -")
  if (request.skipExisting) {
    return Either.left("--skip-existing looks for a file, so it cannot go with -o -")
  }
  return Either.flatMap(formOf(request, undefined, "jsonl"), (form) => {
    if (form.format === "jsonl.gz") {
      return Either.left("-o - writes jsonl or csv, so it cannot go with --format jsonl.gz")
    }
    if (form.format === "csv" && request.ids.length > 1) {
      return Either.left(
        `-o - writes one table, but there are ${request.ids.length} batches, each with a header of its own: give a folder, as -o out/`
      )
    }
    return Either.right({ _tag: "Stdout", ...form })
  })
}

const parts = (
  request: Request,
  output: string | undefined,
  present: Present
): Either.Either<Destination, string> => {
  if (output === undefined) return Either.left("--parts needs a folder: give one with -o")
  if (present === "file") return Either.left(`--parts needs a folder, but -o ${output} is a file`)
  const folder = output.replace(/(?<=.)\/+$/u, "")
  return Either.flatMap(formOf(request, undefined, "jsonl.gz"), (form) =>
    form.format === "jsonl.gz"
      ? Either.right({ _tag: "Files", ...form, path: () => folder })
      : Either.left(
          `--parts keeps the files as delivered (jsonl.gz), so it cannot go with --format ${form.format}`
        )
  )
}

const formOf = (
  request: Request,
  file: string | undefined,
  otherwise: Format.Format
): Either.Either<Form, string> =>
  Either.flatMap(formatOf(request, file, otherwise), (format) =>
    Either.map(columnsOf(request, format), (columns) => ({ format, columns }))
  )

const columnsOf = (request: Request, format: Format.Format): Either.Either<Form["columns"], string> => {
  if (request.bom && format !== "csv") {
    return Either.left(`--bom is for csv, so it cannot go with ${format}: add --format csv`)
  }
  if (Option.isNone(request.columns)) return Either.right(undefined)
  return format === "csv"
    ? Either.mapLeft(Csv.parseColumns(request.columns.value), (problem) => `--columns ${problem}`)
    : Either.left(`--columns names the columns of csv, so it cannot go with ${format}: add --format csv`)
}

const formatOf = (
  request: Request,
  file: string | undefined,
  otherwise: Format.Format
): Either.Either<Format.Format, string> => {
  if (Option.isSome(request.format)) {
    const wanted = request.format.value
    const format = Format.all.find((known) => known === wanted)
    return Either.fromNullable(format, () => `--format ${wanted} is not available: there are ${names}`)
  }
  const other = file === undefined ? null : otherFormats.exec(file)
  if (other !== null) {
    return Either.left(
      `-o ${file}: there is no format for ${other[0]} (there are ${names}; --format chooses one for any name)`
    )
  }
  return Either.right(Option.getOrElse(Format.ofName(file ?? ""), () => otherwise))
}
