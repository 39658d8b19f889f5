/**
 * Checksums of joined stretches from those of the stretches, as zlib's `crc32_combine` does: by multiplying polynomials modulo the
 * CRC polynomial. So a gzip member can be made of stretches deflated on their own, in any order.
 */

const polynomial = 0xedb88320

/** A checksum and the length in bytes of what it covers. */
export interface Checksum {
  readonly crc: number
  readonly length: number
}

/** The checksum of no bytes. */
export const empty: Checksum = { crc: 0, length: 0 }

/** The checksum of `first` followed by `second`. */
export const combine = (first: Checksum, second: Checksum): Checksum => ({
  crc: (multiply(powerOfX(second.length * 8), first.crc) ^ second.crc) >>> 0,
  length: first.length + second.length
})

/** The product of two polynomials. They are bit-reversed: the highest bit is x⁰. */
const multiply = (left: number, right: number): number => {
  let product = 0
  let factor = right
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((left & bit) !== 0) product ^= factor
    factor = (factor & 1) === 1 ? (factor >>> 1) ^ polynomial : factor >>> 1
  }
  return product >>> 0
}

const powerOfX = (exponent: number): number => {
  let power = 0x80000000
  let square = 0x40000000
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = multiply(square, power)
    square = multiply(square, square)
  }
  return power
}
