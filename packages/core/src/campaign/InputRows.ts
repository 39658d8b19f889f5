/**
 * The rows of a list of inputs: a table, JSON lines or plain lines, read as a stream.
 *
 * @example
 * import { Stream } from "effect"
 * import * as InputRows from "./InputRows.js"
 *
 * const count = InputRows.read("leads.csv", { format: "csv", column: "website" }).pipe(Stream.runCount)
 */
import type { FileSystem } from "@effect/platform"
import { Chunk, Effect, Either, Option, Predicate, Stream } from "effect"
import * as Buffers from "../disk/Buffers.js"
import * as Storage from "../disk/Storage.js"
import { BatchConfig } from "../model/BatchConfig.js"
import { InputInvalid, type RecordInvalid, type StorageError } from "../model/BatchError.js"
import type { JsonObject } from "../model/Masking.js"
import { nearest } from "../model/Suggestion.js"
import * as RecordLines from "../records/RecordLines.js"

/** How a list is written: a table with a header, JSON objects, or one identifier a line. */
export type InputFormat = "csv" | "tsv" | "jsonl" | "lines"

/** All formats. */
export const formats: ReadonlyArray<InputFormat> = ["csv", "tsv", "jsonl", "lines"]

/** The format of a file by its extension; plain lines for any other. */
export const formatOf = (path: string): InputFormat => {
  const extension = /\.([a-z]+)$/iu.exec(path)?.[1]?.toLowerCase() ?? ""
  const known: Readonly<Record<string, InputFormat>> = {
    csv: "csv",
    tsv: "tsv",
    jsonl: "jsonl",
    ndjson: "jsonl"
  }
  return known[extension] ?? "lines"
}

/** How to read a list. */
export interface Options {
  readonly format: InputFormat
  /** The column, or the field, that holds the identifiers; plain lines have none. */
  readonly column?: string | undefined
  /** The name of the file in messages; default its path. */
  readonly name?: string | undefined
}

/** One row. */
export interface Row {
  /** Counted from 1, without the header and blank lines. */
  readonly row: number
  /** The identifier as it is written; why there is none. */
  readonly value: Either.Either<string, string>
  /** The names of its columns; those of a table are one array for all rows. */
  readonly columns: ReadonlyArray<string>
  /** The texts in these columns. */
  readonly cells: ReadonlyArray<string>
}

/** A row by its own columns. */
export const named = ({ cells, columns }: Pick<Row, "cells" | "columns">): Readonly<Record<string, string>> =>
  Object.fromEntries(columns.map((name, at) => [name, cells[at] ?? ""]))

/** The one column of plain lines. */
export const lineColumn = "identifier"

/** The rows of a file. Fails as `InputInvalid` where it has no such column, or is no table. */
export const read = (
  path: string,
  options: Options
): Stream.Stream<Row, InputInvalid | StorageError, BatchConfig | FileSystem.FileSystem> => {
  const bytes = Storage.stream(path, 65_536)
  const named = { ...options, name: options.name ?? path }
  switch (options.format) {
    case "csv":
      return table(bytes, named, ",")
    case "tsv":
      return table(bytes, named, "\t")
    case "jsonl":
      return objects(bytes, named)
    case "lines":
      return lines(bytes)
  }
}

type Bytes = Stream.Stream<Uint8Array, StorageError, FileSystem.FileSystem>
type Named = Options & { readonly name: string }
type Rows<R> = Stream.Stream<Row, InputInvalid | StorageError, R | FileSystem.FileSystem>

/**
 * Hands on the rows of a stream, a portion at a time. `Stream.runForEachChunk` would do the same; but of what it has handed on
 * one thing holds the next, so that V8 takes all rows for long-lived and gathers tens of MiB of them.
 */
export const forEachPortion = <A, E, R, E2, R2>(
  rows: Stream.Stream<A, E, R>,
  take: (portion: Chunk.Chunk<A>) => Effect.Effect<void, E2, R2>
): Effect.Effect<void, E | E2, R | R2> =>
  Effect.gen(function* () {
    const pull = yield* Stream.toPull(rows)
    while (true) {
      const portion = yield* nextOf(pull)
      if (Option.isNone(portion)) return
      yield* take(portion.value)
    }
  }).pipe(Effect.scoped)

/** What a stream gives next; none at its end. */
const nextOf = <A, E, R>(
  pull: Effect.Effect<Chunk.Chunk<A>, Option.Option<E>, R>
): Effect.Effect<Option.Option<Chunk.Chunk<A>>, E, R> =>
  pull.pipe(
    Effect.asSome,
    Effect.catchAll(Option.match({ onNone: () => Effect.succeedNone, onSome: (error) => Effect.fail(error) }))
  )

const table = (bytes: Bytes, options: Named, delimiter: string): Rows<never> =>
  Stream.fromPull(
    Effect.gen(function* () {
      const parser = yield* tableParser(options, delimiter)
      const pull = yield* Stream.toPull(bytes)
      let header: ReadonlyArray<string> | undefined
      let [row, isOver] = [0, false]
      const next = Effect.gen(function* () {
        const portions = yield* nextOf(pull)
        isOver = Option.isNone(portions)
        const found = yield* Option.match(portions, { onNone: () => parser.end, onSome: parser.push })
        const [first] = found
        if (header === undefined) {
          if (first === undefined) return isOver ? yield* empty(options) : Chunk.empty<Row>()
          header = yield* headerOf(first, options)
          found.shift()
        }
        const names = header
        return Chunk.unsafeFromArray(found.map((cells) => rowOf(names, cells, ++row, options)))
      })
      return Effect.suspend(() => (isOver ? Effect.fail(Option.none()) : Effect.asSomeError(next)))
    })
  )

type Cells = ReadonlyArray<string>

/** Takes a table apart, portion by portion: what a parser has is taken at once, since row by row is too dear. */
const tableParser = ({ name }: Named, delimiter: string) =>
  Effect.gen(function* () {
    const { parse } = yield* Effect.promise(() => import("csv-parse"))
    const options = {
      delimiter,
      bom: true,
      relax_column_count: true,
      skip_empty_lines: true,
      // A tab-separated file has no quotes, as the registration of its media type has it.
      ...(delimiter === "\t" ? { quote: false } : {})
    }
    const parser = yield* Effect.acquireRelease(
      Effect.sync(() => parse(options).on("error", () => undefined)),
      (parser) => Effect.sync(() => parser.destroy())
    )
    const unreadable = ({ message }: Error) =>
      new InputInvalid({ path: name, detail: `it is no table that can be read: ${message}` })
    const taken = (): Array<Cells> => {
      const rows: Array<Cells> = []
      for (let row: Cells | null = parser.read(); row !== null; row = parser.read()) rows.push(row)
      return rows
    }
    const push = (portions: Chunk.Chunk<Uint8Array>) =>
      Effect.suspend(() => {
        const rows = Chunk.toReadonlyArray(portions).flatMap((portion) => {
          // The parser keeps the end of what it is given, so it gets a copy, and what came is given back at once.
          parser.write(Uint8Array.from(portion))
          Buffers.release(portion)
          return taken()
        })
        return parser.errored === null ? Effect.succeed(rows) : unreadable(parser.errored)
      })
    const end = Effect.async<Array<Cells>, InputInvalid>((resume) => {
      const rows: Array<Cells> = []
      parser.on("readable", () => void rows.push(...taken()))
      parser.once("end", () => resume(Effect.succeed(rows)))
      parser.once("error", (error) => resume(unreadable(error)))
      parser.end()
    })
    return { push, end }
  })

const empty = ({ name }: Named): InputInvalid =>
  new InputInvalid({ path: name, detail: "it is empty, and a table begins with the names of its columns" })

const rowOf = (
  columns: ReadonlyArray<string>,
  cells: ReadonlyArray<string>,
  row: number,
  { column = "" }: Options
): Row => {
  // Cells without a column mean that a comma has no quotes around it: whose cell is whose is not known.
  const isLong =
    cells.length > columns.length && cells.slice(columns.length).some((cell) => cell.trim() !== "")
  const value = isLong
    ? Either.left(`it has ${cells.length} cells, and the header has ${columns.length}`)
    : Either.right(cells[columns.indexOf(column)] ?? "")
  return { row, value, columns, cells }
}

/** The names of the columns; the wanted one must be among them, once. */
const headerOf = (
  cells: ReadonlyArray<string>,
  { column, name }: Named
): Effect.Effect<ReadonlyArray<string>, InputInvalid> => {
  const header = distinct(cells.map((cell) => cell.trim()))
  if (column === undefined) {
    return new InputInvalid({
      path: name,
      detail: `name the column that holds the identifiers: ${header.join(", ")}`
    })
  }
  if (header.includes(column)) return Effect.succeed(header)
  const near = nearest(column, header)
  const hint = near === undefined ? `there are ${header.join(", ")}` : `did you mean ${near}?`
  return new InputInvalid({ path: name, detail: `it has no column ${column}; ${hint}` })
}

/** Columns without a name, and those whose name was there before, are numbered. */
const distinct = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  return names.map((name, at) => {
    let unique = name === "" ? `column ${at + 1}` : name
    for (let times = 2; seen.has(unique); times++) unique = `${name} (${times})`
    seen.add(unique)
    return unique
  })
}

const lineDecoder = new TextDecoder("utf-8", { ignoreBOM: true })

const framed = <A>(
  bytes: Bytes,
  read: (line: Either.Either<RecordLines.Line, RecordInvalid>, row: number) => A
): Stream.Stream<A, StorageError, BatchConfig | FileSystem.FileSystem> =>
  Stream.unwrap(
    Effect.map(BatchConfig, ({ transfer }) => {
      const framer = RecordLines.framer(transfer)
      let row = 0
      const readAll = (found: ReturnType<typeof framer.push>) =>
        found.map((line) => {
          row += 1
          return read(line, row)
        })
      return bytes.pipe(
        Stream.mapConcat((portion) => {
          const rows = readAll(framer.push(portion))
          Buffers.release(portion)
          return rows
        }),
        Stream.concat(Stream.suspend(() => Stream.fromIterable(readAll(framer.end()))))
      )
    })
  )

const lineColumns: ReadonlyArray<string> = [lineColumn]

const lines = (bytes: Bytes): Rows<BatchConfig> =>
  framed(bytes, (line, row): Row => {
    const value = Either.mapBoth(line, {
      onLeft: ({ detail }) => detail,
      onRight: (found) => lineDecoder.decode(found.bytes).replace(/\r$/u, "")
    })
    return { row, value, columns: lineColumns, cells: [Either.getOrElse(value, () => "")] }
  })

const objects = (bytes: Bytes, { column, name }: Named): Rows<BatchConfig> => {
  if (column === undefined) {
    return Stream.fail(
      new InputInvalid({ path: name, detail: "name the field that holds the identifiers (--column)" })
    )
  }
  return framed(bytes, (line, row): Row => {
    const record = Either.flatMap(line, RecordLines.decode)
    if (Either.isLeft(record)) return { row, value: Either.left(record.left.detail), columns: [], cells: [] }
    const columns = Object.keys(record.right)
    const found = at(record.right, column)
    const value = found === undefined ? Either.left(`it has no field ${column}`) : Either.right(inText(found))
    return { row, value, columns, cells: Object.values(record.right).map(inText) }
  })
}

/** A field by its name, or by a path with dots. */
const at = (record: JsonObject, path: string): unknown =>
  Object.hasOwn(record, path)
    ? record[path]
    : path
        .split(".")
        .reduce<unknown>(
          (value, name) =>
            Predicate.isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined,
          record
        )

const inText = (value: unknown): string =>
  value === null || value === undefined ? "" : Predicate.isString(value) ? value : JSON.stringify(value)
