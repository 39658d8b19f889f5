/**
 * Records as CSV after RFC 4180: UTF-8, CRLF, one row a record, one column a field.
 *
 * Objects are flattened, their names joined by dots (`data.basic_info.name`); a dot or a backslash that is part of a
 * name has a backslash in front. Lists and empty objects are JSON, exactly as delivered; so are numbers, with all
 * their digits. Null and what is absent are an empty cell, an empty text is `""`. A text, or a header, that a
 * spreadsheet would run as a formula has an apostrophe in front. U+FFFD stands for what text cannot hold, NUL and half of
 * a pair of surrogates, in names too: names that differ in nothing else are one. Of a name that is twice in one object
 * the last value counts.
 *
 * @example
 * import { Csv } from "@org/batch-core"
 * import { Stream } from "effect"
 *
 * const table = <E, R>(inflated: Stream.Stream<Uint8Array, E, R>) =>
 *   inflated.pipe(Csv.encode(["original_identifier", "data.basic_info.name"]))
 */
import { Effect, Either, Option, Stream } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import { ColumnsNotFound, type RecordInvalid } from "../model/BatchError.js"
import * as CsvText from "./internal/CsvText.js"
import * as JsonFields from "./internal/JsonFields.js"
import * as RecordLines from "./RecordLines.js"

/** The header of a path. */
const headerOf = (path: ReadonlyArray<string>): string =>
  path.map((name) => name.replace(/[\\.]/gu, String.raw`\$&`)).join(".")

/** The path of a header. */
const pathOf = (header: string): ReadonlyArray<string> =>
  header.split(unescapedDot).map((name) => name.replace(/\\([\\.])/gu, "$1"))

const unescapedDot = /(?<=(?<!\\)(?:\\\\)*)\./u
const unescapedComma = /(?<=(?<!\\)(?:\\\\)*),/u
const spaceAround = /^\s+|(?<=(?<!\\)(?:\\\\)*)\s+$/gu

/**
 * The columns that a list such as `id,data.name` names; `Left` says which of them is empty or there twice. Every column
 * that a table can have has a name here: its header, with a backslash before a comma of its own and before a space at its
 * ends; `\e` is the one without a name. The apostrophe that disarms a header in the table may stay.
 */
export const parseColumns = (list: string): Either.Either<ReadonlyArray<string>, string> => {
  const names = list.split(unescapedComma).map((name) => name.replace(spaceAround, ""))
  if (names.includes("")) return Either.left(`"${list}" has an empty name in it`)
  const columns = names.map((name) => headerOf(pathOf(armed(unescaped(name)))))
  const twice = names.find((_, index) => columns.indexOf(columns[index] ?? "") < index)
  return twice === undefined ? Either.right(columns) : Either.left(`"${list}" names ${twice} twice`)
}

const unescaped = (name: string): string =>
  name === String.raw`\e`
    ? ""
    : name.replace(/\\([\\.,\s])/gu, (escape, sign: string) => (/[\\.]/u.test(sign) ? escape : sign))

/** A header without the apostrophe that disarms it, if it has one. */
const armed = (header: string): string => {
  const bare = header.slice(1)
  return header.startsWith("'") && CsvText.neutral(bare) === header ? bare : header
}

/** A converter of a result's decompressed bytes, portion by portion. Mutable and synchronous. */
export interface Conversion<A, E = never> {
  /** Converts the next portion, which may change again afterwards. */
  readonly push: (bytes: Uint8Array) => Either.Either<A, RecordInvalid>
  /** Converts the rest: no more bytes will come. */
  readonly end: () => Either.Either<A, RecordInvalid | E>
}

/** How lines are read. */
export interface Options {
  /** The longest line, in bytes. */
  readonly maxLineBytes: number
}

/** How a table is written. */
export interface TableOptions extends Options {
  /** Whether it begins with a byte order mark, without which Excel does not take it for UTF-8. */
  readonly bom?: boolean | undefined
}

/** What is worth knowing of a table that was written. */
export interface Findings {
  /** The columns that no row has. */
  readonly absent: ReadonlyArray<string>
  /** The cells of more than 32,767 characters, which Excel cuts; none if there are none. */
  readonly longCells: Option.Option<{
    readonly cells: number
    /** Column, row (counted from 1, without the header) and characters of the longest. */
    readonly column: string
    readonly row: number
    readonly characters: number
  }>
}

/** A converter to a table. */
export interface Table extends Conversion<Uint8Array, ColumnsNotFound> {
  /** What was found so far. */
  readonly findings: () => Findings
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
export const header = (
  columns: ReadonlyArray<string>,
  { bom = false }: Pick<TableOptions, "bom"> = {}
): Uint8Array => {
  const text = CsvText.make()
  if (bom) text.mark()
  text.header(columns)
  return text.take()
}

/** How much of a table is held back while it is not known whether rows have any of its columns, in bytes. */
const heldBack = 1_048_576

/**
 * A converter to CSV: the header, then these columns of every row. One that a row does not have is an empty cell. One
 * that holds an object is the object's JSON, unless columns below it are wanted as well. At the end it fails if there are
 * rows, and none has any of the columns.
 */
export const rowsOf = (columns: ReadonlyArray<string>, options: TableOptions): Table => {
  const fields = JsonFields.named(columns.map(pathOf))
  const text = CsvText.make()
  if (options.bom === true) text.mark()
  text.header(columns)
  const absent = () => columns.filter((_, index) => fields.columns[index]?.met === 0)
  let isKnown = columns.length === 0
  const rows = convert(
    options,
    (bytes) => {
      const outcome = JsonFields.read(fields, bytes)
      if (outcome === "Record") text.row(fields, bytes)
      return outcome
    },
    () => {
      isKnown ||= absent().length < columns.length
      return isKnown || text.size() > heldBack ? text.take() : new Uint8Array(0)
    }
  )
  return {
    push: rows.push,
    end: () =>
      Either.flatMap(rows.end(), (last): Either.Either<Uint8Array, ColumnsNotFound> => {
        if (isKnown) return Either.right(last)
        return fields.records > 0 ? Either.left(new ColumnsNotFound({ columns })) : Either.right(text.take())
      }),
    findings: () => {
      const { column, ...long } = text.longCells()
      return {
        absent: fields.records > 0 ? absent() : [],
        longCells: long.cells > 0 ? Option.some({ ...long, column: columns[column] ?? "" }) : Option.none()
      }
    }
  }
}

const convert = <A>(
  options: Options,
  read: (record: Uint8Array) => JsonFields.Outcome,
  result: () => A
): Conversion<A> => {
  const lines = RecordLines.framer(options)
  const readAll = (found: ReturnType<RecordLines.Framer["push"]>): Either.Either<A, RecordInvalid> => {
    for (const framed of found) {
      const line = Either.flatMap(framed, RecordLines.checked)
      if (Either.isLeft(line)) return Either.left(line.left)
      const outcome = read(line.right.bytes)
      if (outcome !== "Record") return Either.left(RecordLines.invalid(line.right, faults[outcome]))
    }
    return Either.right(result())
  }
  return { push: (bytes) => readAll(lines.push(bytes)), end: () => readAll(lines.end()) }
}

const faults = {
  NoObject: "it is no JSON object",
  TooDeep: `it is nested deeper than ${JsonFields.deepest} levels`
}

/**
 * Decompressed bytes of a result into a table of these columns, header first, while they come. Fails at the first
 * line that is no record, behind rows of the lines before it, maybe not all of them; and at the end if no row has any of
 * the columns.
 */
export const encode =
  (columns: ReadonlyArray<string>) =>
  <E, R>(
    inflated: Stream.Stream<Uint8Array, E, R>
  ): Stream.Stream<Uint8Array, E | RecordInvalid | ColumnsNotFound, R | BatchConfig> =>
    Stream.unwrap(
      Effect.map(BatchConfig, ({ transfer }) => {
        const rows = rowsOf(columns, transfer)
        return Stream.mapEffect(inflated, rows.push).pipe(
          Stream.concat(Stream.suspend(() => Stream.fromEffect(rows.end()))),
          Stream.filter(({ length }) => length > 0)
        )
      })
    )
