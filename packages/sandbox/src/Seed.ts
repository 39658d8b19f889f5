/**
 * Reproducible choices: everything that looks random in the sandbox is drawn from here.
 */
import { createHash } from "node:crypto"

/** A source of numbers that is the same for the same key. */
export interface Seed {
  /** In [0, 1). */
  readonly next: () => number
  /** A whole number in [from, to]. */
  readonly int: (from: number, to: number) => number
  readonly pick: <A>(choices: readonly [A, ...ReadonlyArray<A>]) => A
}

/** The source of numbers for a key, such as `[seed, "record", 12]`. */
export const make = (...key: ReadonlyArray<string | number>): Seed =>
  from(createHash("sha256").update(key.join("\u0000")).digest().readUInt32LE(0))

/** The source of numbers for a line of results: as `make`, for a fraction of the cost. */
export const light = (seed: number, sequence: number, index: number): Seed =>
  from(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(sequence, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35))

/** Hex digits for a key. */
export const hex = (length: number, ...key: ReadonlyArray<string | number>): string =>
  createHash("sha512").update(key.join("\u0000")).digest("hex").slice(0, length)

/** A version 4 UUID for a key. */
export const uuid = (...key: ReadonlyArray<string | number>): string =>
  hex(32, ...key).replace(
    /^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/,
    (_, a: string, b: string, c: string, d: string, e: string) => `${a}-${b}-4${c}-a${d}-${e}`
  )

const from = (start: number): Seed => {
  let state = start
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return { next, int, pick: (choices) => choices[int(0, choices.length - 1)] ?? choices[0] }
}
