/**
 * Reads the lines of a result as records. One bad line is a value, not the end: it says where it is, and the lines
 * behind it are read.
 *
 * @example
 * import { Schema, Stream } from "effect"
 * import * as RecordLines from "./RecordLines.js"
 *
 * const Info = Schema.Struct({ name: Schema.String })
 * const Company = Schema.Struct({ original_identifier: Schema.String, data: Schema.Struct({ basic_info: Info }) })
 *
 * const companies = <E, R>(inflated: Stream.Stream<Uint8Array, E, R>) =>
 *   RecordLines.schemaFromBytes(inflated, Company).pipe(Stream.mapEffect((company) => company))
 */
import { isUtf8 } from "#utf8"
import { Chunk, Effect, Either, Option, ParseResult, Predicate, Schema, SchemaAST, Stream } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import { RecordInvalid } from "../model/BatchError.js"
import { plural } from "../model/CountText.js"
import type { JsonObject } from "../model/Masking.js"
import * as Lines from "../proof/Lines.js"
import * as JsonFields from "./internal/JsonFields.js"
import { representable } from "./internal/JsonTokens.js"

/** One record: any JSON object. Integers beyond 2⁵³ − 1 have lost their last digits, as they do in JavaScript. */
export type Record = JsonObject

/** One line of a decompressed result that is not blank. */
export interface Line {
  /** Without the line feed, and without a byte order mark in front. Of use until the next portion is pushed. */
  readonly bytes: Uint8Array
  /** Its number, counted from 1; blank lines count. */
  readonly line: number
  /** The place of its first byte in the result. */
  readonly offset: number
}

/** How bytes are split. */
export interface FramerOptions {
  /** The longest line, in bytes. */
  readonly maxLineBytes: number
  /** Whether they are a table after RFC 4180: line feeds between quotes end no row, and a blank row is one. */
  readonly quoted?: boolean | undefined
}

/** A splitter of bytes, in any portions, into lines. Mutable and synchronous: it is asked for every portion. */
export interface Framer {
  /** The lines that end in these bytes, which may change again afterwards. A line that is too long is skipped. */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<Either.Either<Line, RecordInvalid>>
  /** No more bytes will come: a last line without a line feed counts. */
  readonly end: () => ReadonlyArray<Either.Either<Line, RecordInvalid>>
}

/**
 * Splits on the byte `0x0a` only: a carriage return belongs to its line, where JSON takes it for a space. Blank lines are
 * no records and are left out; so is a byte order mark before a line, as it is where files that begin with one are joined.
 */
export const framer = ({ maxLineBytes, quoted = false }: FramerOptions): Framer => {
  const tooLong = `it is longer than ${plural(maxLineBytes, "byte")} (BATCH_TRANSFER_MAX_LINE_BYTES)`
  let held: Array<Uint8Array> = []
  let heldBytes = 0
  let [line, offset] = [1, 0]
  let [isOpen, within] = [false, 0]

  /** Whether a line feed ends no row, since it is between quotes; `from` is where the quotes are not counted yet. */
  const isWithin = (bytes: Uint8Array, from: number, to: number): boolean => {
    const text = bytes.subarray(from, to)
    for (let at = text.indexOf(quote); at !== -1; at = text.indexOf(quote, at + 1)) isOpen = !isOpen
    return isOpen
  }

  const hold = (bytes: Uint8Array): void => {
    if (heldBytes <= maxLineBytes) held.push(bytes.slice())
    heldBytes += bytes.length
  }

  const take = (last: Uint8Array): Either.Either<Line, RecordInvalid> | undefined => {
    const length = heldBytes + last.length
    const whole = held.length === 0 ? last : join([...held, last])
    const found = { bytes: whole.subarray(Lines.textStart(whole)), line, offset }
    held = []
    heldBytes = 0
    line += 1 + within
    within = 0
    offset += length + 1
    if (length > maxLineBytes) return Either.left(invalid(found, tooLong))
    return !quoted && Lines.isBlank(found.bytes, 0, found.bytes.length) ? undefined : Either.right(found)
  }

  return {
    push: (bytes) => {
      const lines: Array<Either.Either<Line, RecordInvalid>> = []
      // Of Node's buffers only the search is faster; what reads both kinds byte by byte reads either at half the speed.
      const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
      let [from, read] = [0, 0]
      for (let at = bytes.indexOf(lineFeed); at !== -1; at = bytes.indexOf(lineFeed, read)) {
        const isInner = quoted && isWithin(bytes, read, at)
        read = at + 1
        if (isInner) {
          within += 1
          continue
        }
        const line = take(plain.subarray(from, at))
        if (line !== undefined) lines.push(line)
        from = read
      }
      if (quoted) isWithin(bytes, read, bytes.length)
      if (from < bytes.length) hold(plain.subarray(from))
      return lines
    },
    end: () => {
      const line = heldBytes === 0 ? undefined : take(new Uint8Array(0))
      return line === undefined ? [] : [line]
    }
  }
}

const lineFeed = 0x0a
const quote = 0x22

const join = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  chunks.reduce((at, chunk) => {
    whole.set(chunk, at)
    return at + chunk.length
  }, 0)
  return whole
}

/** The record of a line, or why it is none. */
export const decode = (line: Line): Either.Either<Record, RecordInvalid> =>
  Either.gen(function* () {
    const { bytes } = yield* checked(line)
    const json = yield* Either.try({
      try: (): unknown => JSON.parse(utf8.decode(bytes)),
      catch: () => invalid(line, "it is no JSON")
    })
    return isRecord(json) ? json : yield* Either.left(invalid(line, "it is JSON, but no object"))
  })

/** The line, if it is UTF-8, as JSON has to be. */
export const checked = (line: Line): Either.Either<Line, RecordInvalid> =>
  isUtf8(line.bytes) ? Either.right(line) : Either.left(invalid(line, "it is no UTF-8"))

/** The failure of a line that is no record, with the line's beginning. */
export const invalid = ({ bytes, line, offset }: Line, detail: string): RecordInvalid =>
  new RecordInvalid({ line, offset, detail, excerpt: readable.decode(bytes.subarray(0, 480)).slice(0, 120) })

const isRecord = (json: unknown): json is Record => Predicate.isReadonlyRecord(json) && !Array.isArray(json)

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

const readable = new TextDecoder()

/** The records of a decompressed result, from its first byte on. Fails with what the bytes fail with, and no more. */
export const fromBytes = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<Either.Either<Record, RecordInvalid>, E, R | BatchConfig> => linesInto(bytes, decode)

/** As `fromBytes`, with records of a type. One that the schema refuses is a bad line, which says why. */
export const schemaFromBytes = <A, I, E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  schema: Schema.Schema<A, I>
): Stream.Stream<Either.Either<A, RecordInvalid>, E, R | BatchConfig> => linesInto(bytes, decoder(schema))

/**
 * A decoder of lines to records of a type. Where the schema asks for nothing but texts, numbers and other scalars of the
 * record itself, such as `internal_id`, the rest of the line (`data`) is skipped, not parsed.
 */
export const decoder = <A, I>(
  schema: Schema.Schema<A, I>
): ((line: Line) => Either.Either<A, RecordInvalid>) => {
  const decodeRecord = Schema.decodeUnknownEither(schema)
  const skim = skimmer(scalarsOf(schema))
  return (line) =>
    Either.flatMap(skim(line), (record) =>
      Either.mapLeft(decodeRecord(record), (error) => invalid(line, inWords(error)))
    )
}

/** Reads these fields alone; a line in which that fails is read whole, which says what is wrong with it. */
const skimmer = (
  names: Option.Option<ReadonlyArray<string>>
): ((line: Line) => Either.Either<Record, RecordInvalid>) => {
  if (Option.isNone(names)) return decode
  const fields = JsonFields.named(names.value.map((name) => [name]))
  const parse = Option.liftThrowable((line: Line): Record =>
    Object.fromEntries(
      fields.columns.flatMap(({ from, path, record, to }) =>
        record === fields.records ? [[path[0], JSON.parse(utf8.decode(line.bytes.subarray(from, to)))]] : []
      )
    )
  )
  return (line) => {
    if (!isUtf8(line.bytes) || JsonFields.read(fields, line.bytes) !== "Record") return decode(line)
    return Either.fromOption(parse(line), () => undefined).pipe(Either.orElse(() => decode(line)))
  }
}

/** The fields that a schema asks for, if they are all scalars of the record itself. */
const scalarsOf = <A, I>(schema: Schema.Schema<A, I>): Option.Option<ReadonlyArray<string>> => {
  const { ast } = Schema.encodedSchema(schema)
  const isSkimmed =
    SchemaAST.isTypeLiteral(ast) &&
    ast.indexSignatures.length === 0 &&
    ast.propertySignatures.every(({ name, type }) => isPlainName(name) && isScalar(type))
  return isSkimmed ? Option.some(ast.propertySignatures.map(({ name }) => String(name))) : Option.none()
}

/** A name that JSON has as it is. */
const isPlainName = (name: PropertyKey): boolean => Predicate.isString(name) && representable(name) === name

const isScalar = (ast: SchemaAST.AST): boolean =>
  SchemaAST.isUnion(ast)
    ? ast.types.every(isScalar)
    : SchemaAST.isStringKeyword(ast) ||
      SchemaAST.isNumberKeyword(ast) ||
      SchemaAST.isBooleanKeyword(ast) ||
      SchemaAST.isLiteral(ast) ||
      SchemaAST.isUndefinedKeyword(ast) ||
      SchemaAST.isTemplateLiteral(ast) ||
      SchemaAST.isEnums(ast)

const inWords = (error: ParseResult.ParseError): string =>
  ParseResult.ArrayFormatter.formatErrorSync(error)
    .slice(0, 1)
    .map(({ message, path }) => `${path.map(String).join(".")}: ${message}`)
    .join("")
    .slice(0, 240)

const linesInto = <A, E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  read: (line: Line) => Either.Either<A, RecordInvalid>
): Stream.Stream<Either.Either<A, RecordInvalid>, E, R | BatchConfig> =>
  Stream.unwrap(
    Effect.map(BatchConfig, ({ transfer }) => {
      const lines = framer(transfer)
      const readAll = (found: ReadonlyArray<Either.Either<Line, RecordInvalid>>) =>
        found.map(Either.flatMap(read))
      return bytes.pipe(
        Stream.mapChunks((portions) =>
          Chunk.flatMap(portions, (portion) => Chunk.unsafeFromArray(readAll(lines.push(portion))))
        ),
        Stream.concat(Stream.suspend(() => Stream.fromIterable(readAll(lines.end()))))
      )
    })
  )
