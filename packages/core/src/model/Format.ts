/**
 * The forms in which results are written: `jsonl.gz` keeps the bytes as delivered, `jsonl` is decompressed, `csv` is a
 * table (see `Csv`). The list is closed: what is written here can be verified again.
 *
 * @example
 * import { Format } from "@org/batch-core"
 *
 * Format.ofName("results/companies.csv") // Option.some("csv")
 */
import { Option, Schema } from "effect"

/** The format of a results file, which is also the extension of its name. */
export const Format = Schema.Literal("jsonl.gz", "jsonl", "csv")

/** The format of a results file, which is also the extension of its name. */
export type Format = typeof Format.Type

/** All formats. */
export const all: ReadonlyArray<Format> = Format.literals

/** The media type of each format, for `Content-Type` and `Accept`. */
export const mediaTypes: Readonly<Record<Format, string>> = {
  "jsonl.gz": "application/gzip",
  jsonl: "application/x-ndjson",
  csv: "text/csv; charset=utf-8; header=present"
}

const extensions: ReadonlyArray<readonly [RegExp, Format]> = [
  [/\.(?:jsonl|ndjson)\.gz$/iu, "jsonl.gz"],
  [/\.(?:jsonl|ndjson)$/iu, "jsonl"],
  [/\.csv$/iu, "csv"]
]

/** A file's name without the extension of a format. */
export const withoutExtension = (file: string): string =>
  extensions.reduce((name, [extension]) => name.replace(extension, ""), file)

/** The format that the extension of a file's name stands for; none for other extensions. `ndjson` counts as `jsonl`. */
export const ofName = (file: string): Option.Option<Format> =>
  Option.fromNullable(extensions.find(([extension]) => extension.test(file))?.[1])
