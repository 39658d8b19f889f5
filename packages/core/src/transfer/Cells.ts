/**
 * Which bytes of one file are here: a grid of cells of equal size, each filled from its beginning and named by the
 * CRC-32 of what it holds. Runs of empty cells are claimed by connections, filled, and given back if they fail.
 * Mutable and synchronous: it is asked for every block.
 *
 * @example
 * import * as Cells from "./Cells.js"
 *
 * const cells = Cells.make({ total: 20, cellBytes: 8 })
 * cells.claim(2) // { start: 0, end: 16 }
 * cells.fill(0, new Uint8Array(10))
 * cells.contiguous() // 10
 */
import { Option } from "effect"
import { crc32 } from "../disk/Digest.js"

/** Bytes that one connection fetches: from `start`, up to and without `end`. */
export interface Run {
  readonly start: number
  readonly end: number
}

/** How far one cell is filled, and the CRC-32 of what it holds. */
export type Cell = readonly [filled: number, crc: number]

/** The bytes of one file. */
export interface Cells {
  readonly total: number
  readonly cellBytes: number
  /** The first run that is not here and that nobody else fetches, over at most `most` cells. */
  readonly claim: (most: number) => Option.Option<Run>
  /** Claims a run that nobody claimed, or one that grows: with `whole` over all that follows and is free. Gives its end. */
  readonly extend: (run: Run, whole: boolean) => number
  /** Gives back what is not here yet of a run. */
  readonly release: (run: Run) => void
  /** Notes bytes that are written; they must follow on what their cell holds. */
  readonly fill: (position: number, bytes: Uint8Array) => void
  /** How many bytes are here without a gap, from the file's first. */
  readonly contiguous: () => number
  /** How many bytes are here. */
  readonly count: () => number
  /** How many cells nobody has claimed or filled. */
  readonly unclaimed: () => number
  /** The state to keep; none if the CRC of some bytes is not known. */
  readonly snapshot: () => Option.Option<ReadonlyArray<Cell>>
}

/** An empty grid; or one that holds what a snapshot says, or the first `here` bytes, with no CRC known. */
export const make = (options: {
  readonly total: number
  readonly cellBytes: number
  readonly snapshot?: ReadonlyArray<Cell> | undefined
  readonly here?: number | undefined
}): Cells => {
  const { cellBytes, total } = options
  const size = Math.ceil(total / cellBytes)
  const sizeOf = (cell: number) => Math.min(cellBytes, total - cell * cellBytes)
  const here = options.here ?? 0
  const held = (cell: number) => options.snapshot?.[cell]?.[0] ?? Math.max(0, here - cell * cellBytes)
  const filled = Array.from({ length: size }, (_, cell) => Math.min(held(cell), sizeOf(cell)))
  const crcs = Array.from({ length: size }, (_, cell) => options.snapshot?.[cell]?.[1] ?? 0)
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
    fill: (position, bytes) => {
      for (let at = 0; at < bytes.length;) {
        const cell = Math.floor((position + at) / cellBytes)
        const here = bytes.subarray(at, at + sizeOf(cell) - filledOf(cell))
        if (position + at !== cell * cellBytes + filledOf(cell))
          throw new Error("a cell was filled out of order")
        crcs[cell] = crc32(here, crcs[cell] ?? 0)
        filled[cell] = filledOf(cell) + here.length
        count += here.length
        at += here.length
      }
    },
    contiguous: () => {
      const cell = advance()
      return cell >= size ? total : cell * cellBytes + filledOf(cell)
    },
    count: () => count,
    unclaimed: () => filled.filter((_, cell) => isFree(cell)).length,
    snapshot: () =>
      here > 0 ? Option.none() : Option.some(filled.map((bytes, cell): Cell => [bytes, crcs[cell] ?? 0]))
  }
}
