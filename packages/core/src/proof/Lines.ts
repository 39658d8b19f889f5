/**
 * Counts the lines of a text that comes in chunks, and tells blank ones from records: those of nothing but spaces, tabs
 * and carriage returns. A byte order mark before the first line is no part of it. Mutable and synchronous: it is asked
 * for every chunk, and looks at one byte of a line, seldom at more.
 *
 * @example
 * import * as Lines from "./Lines.js"
 *
 * const lines = Lines.make()
 * lines.push(new TextEncoder().encode('{"id":1}\n\n{"id":2}'))
 * Lines.countOf(lines.position()) // 2
 */

/** How far a text is read. */
export interface Position {
  /** Line feeds so far. */
  readonly lineFeeds: number
  /** Lines so far that hold nothing, the last one too if it has begun. */
  readonly blankLines: number
  /** Bytes of text so far, without a byte order mark. */
  readonly inflatedBytes: number
  /** Where the last line begins, among them. */
  readonly lineStart: number
}

/** Whether a line has begun that has no line feed. */
export const isUnterminated = ({ inflatedBytes, lineStart }: Position): boolean => inflatedBytes > lineStart

/** How many records there are: lines that are not blank. A last one without a line feed counts. */
export const countOf = (position: Position): number =>
  position.lineFeeds + (isUnterminated(position) ? 1 : 0) - position.blankLines

/** A count that grows with every chunk. */
export interface Lines {
  /** Takes the next chunk, and gives what of it is text. */
  readonly push: (chunk: Uint8Array) => Uint8Array
  /** No more chunks will come: gives bytes at the beginning that could have become a byte order mark. */
  readonly end: () => Uint8Array
  readonly position: () => Position
}

const lineFeed = 0x0a
const space = 0x20

const byteOrderMark = Uint8Array.from([0xef, 0xbb, 0xbf])

/** Whether a line from `from` to `to` is blank. Most lines are found not to be by their last byte. */
export const isBlank = (bytes: Uint8Array, from: number, to: number): boolean => {
  for (let at = to - 1; at >= from; at--) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x0d && byte !== 0x09) return false
  }
  return true
}

/** Where the text of a line begins: behind a byte order mark, if there is one. */
export const textStart = (bytes: Uint8Array): number =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0

/** A count of lines. */
export const make = (): Lines => {
  let [lineFeeds, blankLines, inflatedBytes, lineStart] = [0, 0, 0, 0]
  let isBlankSoFar = true
  let isBegun = false
  let head: Uint8Array = new Uint8Array(0)

  const count = (chunk: Uint8Array): Uint8Array => {
    let from = 0
    for (let at = chunk.indexOf(lineFeed); at !== -1; at = chunk.indexOf(lineFeed, at + 1)) {
      // A record begins with a byte beyond the space, so one look at it decides for nearly every line.
      if (isBlankSoFar && (chunk[from] ?? 0) <= space && isBlank(chunk, from, at)) blankLines += 1
      lineFeeds += 1
      from = at + 1
      isBlankSoFar = true
    }
    if (from > 0) lineStart = inflatedBytes + from
    isBlankSoFar = isBlankSoFar && isBlank(chunk, from, chunk.length)
    inflatedBytes += chunk.length
    return chunk
  }

  return {
    push: (chunk) => {
      if (isBegun) return count(chunk)
      const first = head.length === 0 ? chunk : join(head, chunk)
      if (first.length < byteOrderMark.length && first.every((byte, at) => byte === byteOrderMark[at])) {
        head = new Uint8Array(first)
        return nothing
      }
      isBegun = true
      return count(first.subarray(textStart(first)))
    },
    end: () => {
      if (isBegun) return nothing
      isBegun = true
      return count(head)
    },
    position: () => ({
      lineFeeds,
      blankLines: blankLines + (isBlankSoFar && inflatedBytes > lineStart ? 1 : 0),
      inflatedBytes,
      lineStart
    })
  }
}

const nothing = new Uint8Array(0)

const join = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}
