/**
 * A writer of cells and rows as RFC 4180 has them, in UTF-8, into one buffer. Mutable and synchronous: it is asked for
 * every cell.
 *
 * @example
 * import * as CsvText from "./CsvText.js"
 *
 * const text = CsvText.make()
 * text.header(["id", "data.name"])
 * text.take() // id,data.name\r\n
 */
import type * as JsonFields from "./JsonFields.js"
import { backslash, comma, openBrace, openBracket, quote, representable } from "./JsonTokens.js"

/** A writer of CSV rows into a buffer of its own, which grows. */
export interface CsvText {
  /** Writes a byte order mark. */
  readonly mark: () => void
  /** Writes a row of names, each as a text. */
  readonly header: (cells: ReadonlyArray<string>) => void
  /** Writes a row of the values that were found in a record, whose bytes these are. */
  readonly row: (fields: JsonFields.Fields, bytes: Uint8Array) => void
  /** Takes the rows written since the last take, as bytes, out of the buffer. */
  readonly take: () => Uint8Array
  /** How many bytes there are to take. */
  readonly size: () => number
  /** The cells so far that are longer than a spreadsheet takes. */
  readonly longCells: () => LongCells
}

/** Cells that are longer than a spreadsheet takes. */
export interface LongCells {
  readonly cells: number
  /** The longest of them: the place of its column, the number of its row, and its characters. */
  readonly column: number
  readonly row: number
  readonly characters: number
}

/** The longest cell of Excel, in UTF-16 code units. */
export const longestCell = 32_767

/**
 * How a cell begins that a spreadsheet would take for a formula, half-width or full-width. Apostrophes before it count
 * as well, so that the one that is put there can be taken away again.
 */
const formula = /^'*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/u

const number = /^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/iu

/** Words that a spreadsheet shows as they are: a formula gets an apostrophe in front; a plain number is none. */
export const neutral = (words: string): string =>
  formula.test(words) && !number.test(words) ? `'${words}` : words

/** Makes a writer with an empty buffer. */
export const make = (): CsvText => {
  let out = new Uint8Array(initialBytes)
  let end = 0
  let long: LongCells = { cells: 0, column: 0, row: 0, characters: 0 }

  const reserve = (more: number): void => {
    if (end + more <= out.length) return
    const larger = new Uint8Array(2 * (end + more))
    larger.set(out.subarray(0, end))
    out = larger
  }

  const copy = (bytes: Uint8Array, from: number, to: number): void => {
    for (let at = from; at < to; at++) out[end++] = bytes[at] ?? 0
  }

  const quoted = (bytes: Uint8Array, from: number, to: number): void => {
    out[end++] = quote
    for (let at = from; at < to; at++) {
      const byte = bytes[at] ?? 0
      out[end++] = byte
      if (byte === quote) out[end++] = quote
    }
    out[end++] = quote
  }

  const words = (text: string): void => {
    const bytes = encoder.encode(neutral(representable(text)))
    reserve(2 * bytes.length + 4)
    if (text === "" || special.test(text)) quoted(bytes, 0, bytes.length)
    else copy(bytes, 0, bytes.length)
  }

  /** Most strings can be copied as they are written in the record. */
  const string = (bytes: Uint8Array, from: number, to: number): void => {
    let hasComma = from === to
    for (let at = from; at < to; at++) {
      const byte = bytes[at]
      if (byte === backslash) return words(JSON.parse(decoder.decode(bytes.subarray(from - 1, to + 1))))
      if (byte === comma) hasComma = true
    }
    if (mayBeFormula(bytes[from])) words(decoder.decode(bytes.subarray(from, to)))
    else if (hasComma) quoted(bytes, from, to)
    else copy(bytes, from, to)
  }

  /** Writes a value: of null nothing, of a list, or of an object that is a value, its JSON. */
  const cell = (bytes: Uint8Array, from: number, to: number): void => {
    reserve(2 * (to - from) + 4)
    const first = bytes[from]
    if (first === letterN) return
    if (first === quote) string(bytes, from + 1, to - 1)
    else if (isNested(first) && to - from > 2) quoted(bytes, from, to)
    else copy(bytes, from, to)
  }

  /** Writes a row and its end. One without a byte, which would be no row for many readers, gets an empty text. */
  const row = (write: () => void): void => {
    const start = end
    write()
    reserve(4)
    if (end === start) quoted(out, 0, 0)
    out[end++] = 0x0d
    out[end++] = 0x0a
  }

  const measure = (bytes: Uint8Array, column: number, row: number): void => {
    const written = decoder.decode(bytes)
    const value: string = bytes[0] === quote ? JSON.parse(written) : written
    const characters = value.length
    if (characters <= longestCell) return
    long =
      characters > long.characters
        ? { cells: long.cells + 1, column, row, characters }
        : { ...long, cells: long.cells + 1 }
  }

  const separate = (index: number): void => {
    if (index > 0) out[end++] = comma
  }

  return {
    mark: () => copy(Uint8Array.of(0xef, 0xbb, 0xbf), 0, 3),
    header: (cells) =>
      row(() => {
        for (const [index, name] of cells.entries()) {
          reserve(1)
          separate(index)
          if (name !== "") words(name)
        }
      }),
    row: ({ columns, records }, bytes) =>
      row(() => {
        for (const [index, field] of columns.entries()) {
          reserve(1)
          separate(index)
          if (field.record !== records) continue
          cell(bytes, field.from, field.to)
          if (field.to - field.from > longestCell)
            measure(bytes.subarray(field.from, field.to), index, records)
        }
      }),
    size: () => end,
    longCells: () => long,
    take: () => {
      const taken = out.slice(0, end)
      end = 0
      return taken
    }
  }
}

/** The size of a new buffer, in bytes. */
const initialBytes = 65_536

const special = /[",\r\n]/u

const mayBeFormula = (first: number | undefined): boolean =>
  first === 0x3d || first === 0x2b || first === 0x2d || first === 0x40 || first === 0x27 || first === 0xef

const isNested = (first: number | undefined): boolean => first === openBracket || first === openBrace

const letterN = 0x6e

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
