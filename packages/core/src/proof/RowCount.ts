/**
 * Counts the rows of a CSV table after RFC 4180 that comes in any portions. Mutable and synchronous: it is asked for
 * every slice of a file.
 *
 * @example
 * import * as RowCount from "./RowCount.js"
 *
 * const table = RowCount.ofTable()
 * table.push(new TextEncoder().encode('id,name\r\n1,"two\nlines"\r\n'))
 * table.rows() // 1
 */

/** A count that grows with every portion. */
export interface RowCount {
  /** Takes the next portion. */
  readonly push: (bytes: Uint8Array) => void
  /** How many rows there were so far. A last one without a line end counts. */
  readonly rows: () => number
}

const lineFeed = 0x0a
const quote = 0x22

/** A count of the rows of a table without its header: of line ends that are not inside quotes. */
export const ofTable = (): RowCount => {
  let lineEnds = 0
  let isQuoted = false
  let isBegun = false
  return {
    push: (bytes) => {
      for (let at = 0; at < bytes.length; at++) {
        const byte = bytes[at]
        if (byte === quote) isQuoted = !isQuoted
        else if (byte === lineFeed && !isQuoted) lineEnds += 1
      }
      if (bytes.length > 0) isBegun = isQuoted || bytes.at(-1) !== lineFeed
    },
    rows: () => Math.max(0, lineEnds + (isBegun ? 1 : 0) - 1)
  }
}
