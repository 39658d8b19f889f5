/**
 * Which bytes of one file are here: a grid of cells of equal size, each filled from its beginning. Runs of empty cells
 * are claimed by connections, filled, and given back if they fail. Mutable and synchronous: it is asked for every block.
 *
 * @example
 * import * as Cells from "./Cells.js"
 *
 * const cells = Cells.make({ total: 20, cellBytes: 8 })
 * cells.claim(2) // { start: 0, end: 16 }
 * cells.fill(0, 10)
 * cells.contiguous() // 10
 */
import { Option } from "effect"

/** Bytes that one connection fetches: from `start`, up to and without `end`. */
export interface Run {
  readonly start: number
  readonly end: number
}

/** The grid of one file: which of its bytes are here, and which somebody fetches. */
export interface Cells {
  /** The file's size in bytes. */
  readonly total: number
  readonly cellBytes: number
  /** The first run that is not here and that nobody else fetches, over at most `most` cells. */
  readonly claim: (most: number) => Option.Option<Run>
  /** Claims a run that nobody claimed, or one that grows: with `whole` over all that follows and is free. Gives its end. */
  readonly extend: (run: Run, whole: boolean) => number
  /** Gives back what is not here yet of a run. */
  readonly release: (run: Run) => void
  /** Notes so many bytes that are written; they must follow on what their cell holds, or it throws. */
  readonly fill: (position: number, length: number) => void
  /** How many bytes are here without a gap, from the file's first. */
  readonly contiguous: () => number
  /** How many bytes are here. */
  readonly count: () => number
  /** How many cells nobody has claimed or filled. */
  readonly unclaimed: () => number
  /** How many bytes each cell holds. */
  readonly filled: () => ReadonlyArray<number>
}

/**
 * A grid over `total` bytes in cells of `cellBytes`, of which the last may be shorter. It begins empty, or with the
 * bytes that `filled` counts for each cell, or with the first `here` bytes of the file.
 */
export const make = (options: {
  readonly total: number
  readonly cellBytes: number
  readonly filled?: ReadonlyArray<number> | undefined
  readonly here?: number | undefined
}): Cells => {
  const { cellBytes, here = 0, total } = options
  const size = Math.ceil(total / cellBytes)
  const sizeOf = (cell: number) => Math.min(cellBytes, total - cell * cellBytes)
  const held = (cell: number) => options.filled?.[cell] ?? Math.max(0, here - cell * cellBytes)
  const filled = Array.from({ length: size }, (_, cell) => Math.min(held(cell), sizeOf(cell)))
  const claimed = new Set<number>()
  let count = filled.reduce((sum, bytes) => sum + bytes, 0)
  let first = 0

  const isFree = (cell: number) => filledOf(cell) < sizeOf(cell) && !claimed.has(cell)
  const filledOf = (cell: number) => filled[cell] ?? 0

  const advance = () => {
    while (first < size && filledOf(first) === sizeOf(first)) first += 1
    return first
  }

  return {
    total,
    cellBytes,
    claim: (most) => {
      let cell = advance()
      while (cell < size && !isFree(cell)) cell += 1
      if (cell >= size) return Option.none()
      const start = cell * cellBytes + filledOf(cell)
      claimed.add(cell)
      let next = cell + 1
      while (next < size && next - cell < most && isFree(next) && filledOf(next) === 0) claimed.add(next++)
      return Option.some({ start, end: Math.min(total, next * cellBytes) })
    },
    extend: (run, whole) => {
      let cell = Math.floor(run.start / cellBytes)
      while (cell < size && (cell * cellBytes < run.end || (whole && isFree(cell) && filledOf(cell) === 0))) {
        claimed.add(cell++)
      }
      return Math.min(total, cell * cellBytes)
    },
    release: (run) => {
      for (let cell = Math.floor(run.start / cellBytes); cell < size && cell * cellBytes < run.end; cell++)
        claimed.delete(cell)
    },
    fill: (position, length) => {
      for (let at = position; at < position + length;) {
        const cell = Math.floor(at / cellBytes)
        if (at !== cell * cellBytes + filledOf(cell)) throw new Error("a cell was filled out of order")
        const more = Math.min(position + length - at, sizeOf(cell) - filledOf(cell))
        filled[cell] = filledOf(cell) + more
        count += more
        at += more
      }
    },
    contiguous: () => {
      const cell = advance()
      return cell >= size ? total : cell * cellBytes + filledOf(cell)
    },
    count: () => count,
    unclaimed: () => filled.filter((_, cell) => isFree(cell)).length,
    filled: () => [...filled]
  }
}
