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

/** How the rows are stored. */
export const Format = Schema.Literal("jsonl.gz", "jsonl", "csv")

/** How the rows are stored. */
export type Format = typeof Format.Type

/** All formats; each is also the extension of its files. */
export const all: ReadonlyArray<Format> = Format.literals

/** What HTTP calls them. */
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

/** The format that a file's name speaks of. */
export const ofName = (file: string): Option.Option<Format> =>
  Option.fromNullable(extensions.find(([extension]) => extension.test(file))?.[1])
