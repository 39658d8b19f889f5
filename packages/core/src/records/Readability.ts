/**
 * Whether everything in a text can be read: every line as a record, or every row of a table as cells. The text comes in
 * any portions. Mutable and synchronous: it is asked for every portion.
 *
 * @example
 * import * as Readability from "./Readability.js"
 *
 * const table = Readability.ofTable({ maxLineBytes: 1_048_576 })
 * table.push(new TextEncoder().encode("id,name\r\n1,Ada"))
 * table.end() // Either.left(RecordInvalid): the last row has no line end
 */
import { Either } from "effect"
import { count, plural } from "../model/CountText.js"
import { RecordInvalid } from "../model/BatchError.js"
import * as RecordLines from "./RecordLines.js"

/** A reader of one text. */
export interface Reader {
  /** Takes the next portion, which may change again afterwards. */
  readonly push: (bytes: Uint8Array) => void
  /** No more will come: gives how many records or rows there were, or the first thing that cannot be read. */
  readonly end: () => Either.Either<number, RecordInvalid>
}

type Options = Pick<RecordLines.FramerOptions, "maxLineBytes">

const cut = "has no line end: the file is cut off there"

/** A reader of JSON lines, each of which must be an object. The last one needs no line feed, if it is whole. */
export const ofLines = (options: Options): Reader =>
  make(RecordLines.framer(options), {
    read: (line) => Either.map(RecordLines.decode(line), () => 1),
    last: (line) =>
      Either.mapBoth(RecordLines.decode(line), {
        onLeft: (error) => new RecordInvalid({ ...error, detail: `${error.detail} and ${cut}` }),
        onRight: () => 1
      })
  })

/** A reader of a table after RFC 4180: a header, and rows of as many cells, each with a line end, as `Csv` writes them. */
export const ofTable = (options: Options): Reader => {
  let width: number | undefined
  return make(RecordLines.framer({ ...options, quoted: true }), {
    read: (line) =>
      Either.flatMap(RecordLines.checked(line), ({ bytes }) => {
        const cells = cellsIn(bytes.at(-1) === carriageReturn ? bytes.subarray(0, -1) : bytes)
        if (cells === undefined)
          return Either.left(RecordLines.invalid(line, "its quotes are not those of a table"))
        const isHeader = width === undefined
        width ??= cells
        return cells === width
          ? Either.right(isHeader ? 0 : 1)
          : Either.left(
              RecordLines.invalid(
                line,
                `it has ${plural(cells, "cell")} where the header has ${count(width)}`
              )
            )
      }),
    last: (line) => Either.left(RecordLines.invalid(line, `it ${cut}`))
  })
}

/** How a line is read, and the last one if it has no line feed: as how many rows it counts. */
interface Rule {
  readonly read: (line: RecordLines.Line) => Either.Either<number, RecordInvalid>
  readonly last: Rule["read"]
}

const make = (framer: RecordLines.Framer, { last, read }: Rule): Reader => {
  let state: Either.Either<number, RecordInvalid> = Either.right(0)
  const take = (found: ReturnType<RecordLines.Framer["push"]>, rule: Rule["read"]): void => {
    for (const line of found) {
      if (Either.isLeft(state)) return
      const rows = state.right
      state = Either.map(Either.flatMap(line, rule), (more) => rows + more)
    }
  }
  return {
    push: (bytes) => {
      if (Either.isRight(state)) take(framer.push(bytes), read)
    },
    end: () => {
      take(framer.end(), last)
      return state
    }
  }
}

const quote = 0x22
const comma = 0x2c
const carriageReturn = 0x0d

/** How many cells a row has; `undefined` where a quote is not closed, or stands where none may. */
const cellsIn = (row: Uint8Array): number | undefined => {
  let [at, cells] = [0, 1]
  while (true) {
    const end = row[at] === quote ? quotedEnd(row, at) : plainEnd(row, at)
    if (end === row.length) return cells
    if (row[end] !== comma) return undefined
    cells += 1
    at = end + 1
  }
}

const plainEnd = (row: Uint8Array, from: number): number => {
  let at = from
  while (at < row.length && row[at] !== comma && row[at] !== quote) at += 1
  return at
}

/** The place behind the closing quote; behind the row where there is none. */
const quotedEnd = (row: Uint8Array, from: number): number => {
  let at = row.indexOf(quote, from + 1)
  while (at !== -1 && row[at + 1] === quote) at = row.indexOf(quote, at + 2)
  return at === -1 ? row.length + 1 : at + 1
}
