/**
 * Records as CSV after RFC 4180: UTF-8, CRLF, one row a record, one column a field.
 *
 * Objects are flattened, their names joined by dots (`data.basic_info.name`); a dot or a backslash that is part of a
 * name has a backslash in front. Lists and empty objects are JSON, exactly as delivered; so are numbers, with all
 * their digits. Null and what is absent are an empty cell, an empty text is `""`. A text, or a header, that a
 * spreadsheet would run as a formula has an apostrophe in front.
 *
 * @example
 * import { Csv } from "@org/batch-core"
 * import { Stream } from "effect"
 *
 * const table = <E, R>(inflated: Stream.Stream<Uint8Array, E, R>) =>
 *   inflated.pipe(Csv.encode(["original_identifier", "data.basic_info.name"]))
 */
import { Effect, Either, Stream } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import type { RecordInvalid } from "../model/BatchError.js"
import * as CsvText from "./internal/CsvText.js"
import * as JsonFields from "./internal/JsonFields.js"
import * as Records from "./Records.js"

/** The header of a path. */
const headerOf = (path: ReadonlyArray<string>): string =>
  path.map((name) => name.replace(/[\\.]/gu, String.raw`\$&`)).join(".")

/** The path of a header. */
const pathOf = (header: string): ReadonlyArray<string> =>
  header.split(unescapedDot).map((name) => name.replace(/\\([\\.])/gu, "$1"))

const unescapedDot = /(?<=(?<!\\)(?:\\\\)*)\./u

/** The columns that a list such as `id,data.name` names; `Left` says which of them is empty or there twice. */
export const parseColumns = (list: string): Either.Either<ReadonlyArray<string>, string> => {
  const columns = list.split(",").map((name) => name.trim())
  if (columns.includes("")) return Either.left(`"${list}" has an empty name in it`)
  const headers = columns.map((column) => headerOf(pathOf(column)))
  const twice = columns.find((_, index) => headers.indexOf(headers[index] ?? "") < index)
  return twice === undefined ? Either.right(columns) : Either.left(`"${list}" names ${twice} twice`)
}

/** A converter of a result's decompressed bytes, portion by portion. Mutable and synchronous. */
export interface Conversion<A> {
  /** Converts the next portion, which may change again afterwards. */
  readonly push: (bytes: Uint8Array) => Either.Either<A, RecordInvalid>
  /** Converts the rest: no more bytes will come. */
  readonly end: () => Either.Either<A, RecordInvalid>
}

/** How lines are read. */
export interface Options {
  /** The longest line, in bytes. */
  readonly maxLineBytes: number
}

/** A converter to the columns of all rows, in the order of their appearance; each step gives those so far. */
export const columnsOf = (options: Options): Conversion<ReadonlyArray<string>> => {
  const fields = JsonFields.learning()
  return convert(
    options,
    (bytes) => JsonFields.read(fields, bytes),
    () => fields.columns.map(({ path }) => headerOf(path))
  )
}

/** A table of these columns without rows: its header line. */
export const header = (columns: ReadonlyArray<string>): Uint8Array => {
  const text = CsvText.make()
  text.header(columns)
  return text.take()
}

/**
 * A converter to CSV: the header, then these columns of every row. One that a row does not have is an empty cell. One
 * that holds an object is the object's JSON, unless columns below it are wanted as well.
 */
export const rowsOf = (columns: ReadonlyArray<string>, options: Options): Conversion<Uint8Array> => {
  const fields = JsonFields.named(columns.map(pathOf))
  const text = CsvText.make()
  text.header(columns)
  return convert(
    options,
    (bytes) => {
      const isRecord = JsonFields.read(fields, bytes)
      if (isRecord) text.row(fields, bytes)
      return isRecord
    },
    text.take
  )
}

const convert = <A>(
  options: Options,
  read: (record: Uint8Array) => boolean,
  result: () => A
): Conversion<A> => {
  const lines = Records.framer(options)
  const readAll = (found: ReturnType<Records.Framer["push"]>): Either.Either<A, RecordInvalid> => {
    for (const framed of found) {
      const line = Either.flatMap(framed, Records.checked)
      if (Either.isLeft(line)) return Either.left(line.left)
      if (!read(line.right.bytes)) return Either.left(Records.invalid(line.right, "it is no JSON object"))
    }
    return Either.right(result())
  }
  return { push: (bytes) => readAll(lines.push(bytes)), end: () => readAll(lines.end()) }
}

/**
 * Decompressed bytes of a result into a table of these columns, header first, while they come. Fails at the first
 * line that is no record, behind rows of the lines before it; maybe not all of them.
 */
export const encode =
  (columns: ReadonlyArray<string>) =>
  <E, R>(
    inflated: Stream.Stream<Uint8Array, E, R>
  ): Stream.Stream<Uint8Array, E | RecordInvalid, R | BatchConfig> =>
    Stream.unwrap(
      Effect.map(BatchConfig, ({ transfer }) => {
        const rows = rowsOf(columns, transfer)
        return Stream.mapEffect(inflated, rows.push).pipe(
          Stream.concat(Stream.suspend(() => Stream.fromEffect(rows.end()))),
          Stream.filter(({ length }) => length > 0)
        )
      })
    )
