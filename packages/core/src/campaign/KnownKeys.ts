/**
 * Which keys of a long list were seen already, and where: flat memory, some 32 bytes a key. Keys are kept as hashes of 96
 * bits, so that two of a million are taken for one with a probability of 10⁻¹⁷.
 *
 * @example
 * import * as KnownKeys from "./KnownKeys.js"
 *
 * const known = KnownKeys.make()
 * known.claim("acme.com", 1) // 1
 * known.claim("acme.com", 7) // 1: it is that of row 1
 */
import * as Buffers from "../disk/Buffers.js"

/** Mutable and synchronous: it is asked for each row. */
export interface KnownKeys {
  /** The row that a key came from first: this one if it is new. Rows count from 1, up to 2³² − 1. */
  readonly claim: (key: string, row: number) => number
}

/** Numbers for each key: three of its hash, and its row, which is 0 where there is none. */
const width = 4

/** Tables, among which keys are divided: while one grows it is there twice, and all others once. */
const tables = 64

/** Knows no key yet. */
export const make = (): KnownKeys => {
  const parts = Array.from({ length: tables }, part)
  const hashed = new Uint32Array(3)
  return {
    claim: (key, row) => {
      hash(key, hashed)
      const [a = 0, b = 0, c = 0] = hashed
      return parts[c % tables]?.claim(a, b, c, row) ?? row
    }
  }
}

/** A hash table with open addressing, which doubles when it is full to seven tenths. */
const part = () => {
  let table = new Uint32Array(width * 64)
  let [capacity, size] = [64, 0]

  /** The place of a hash, or the free one where it belongs. */
  const placeIn = (places: Uint32Array, count: number, a: number, b: number, c: number): number => {
    let at = width * (a & (count - 1))
    while (places[at + 3] !== 0 && !(places[at] === a && places[at + 1] === b && places[at + 2] === c)) {
      at = (at + width) % places.length
    }
    return at
  }

  const grow = (): void => {
    const larger = new Uint32Array(table.length * 2)
    for (let at = 0; at < table.length; at += width) {
      if (table[at + 3] === 0) continue
      const place = placeIn(larger, capacity * 2, table[at] ?? 0, table[at + 1] ?? 0, table[at + 2] ?? 0)
      larger.set(table.subarray(at, at + width), place)
    }
    Buffers.release(new Uint8Array(table.buffer))
    table = larger
    capacity *= 2
  }

  return {
    claim: (a: number, b: number, c: number, row: number): number => {
      const at = placeIn(table, capacity, a, b, c)
      const first = table[at + 3] ?? 0
      if (first !== 0) return first
      table[at] = a
      table[at + 1] = b
      table[at + 2] = c
      table[at + 3] = row
      size += 1
      if (size > capacity * 0.7) grow()
      return row
    }
  }
}

/** Three independent multiplicative hashes over the UTF-16 code units, each mixed at the end. */
const hash = (key: string, into: Uint32Array): void => {
  let [a, b, c] = [0x9e3779b9, 0x85ebca6b, 0xc2b2ae35]
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul(b ^ unit, 0x5bd1e995) ^ (b >>> 15)
    c = Math.imul((c << 5) ^ (c >>> 27) ^ unit, 0x27d4eb2f)
  }
  into[0] = mixed(a ^ key.length)
  into[1] = mixed(b ^ into[0])
  into[2] = mixed(c ^ into[1])
}

const mixed = (value: number): number => {
  const once = Math.imul(value ^ (value >>> 16), 0x7feb352d)
  const twice = Math.imul(once ^ (once >>> 15), 0x846ca68b)
  return (twice ^ (twice >>> 16)) >>> 0
}
