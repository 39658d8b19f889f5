/**
 * Names for bytes: CRC-32, cheap, to find damage on our own disk; SHA-256, to say what was delivered. The one room
 * that knows Node's hashes.
 *
 * @example
 * import * as Digest from "./Digest.js"
 *
 * const whole = Digest.sha256()
 * whole.update(new TextEncoder().encode("rows"))
 * whole.hex()
 */
import { createHash } from "node:crypto"
import { crc32 as crc } from "node:zlib"

/** The CRC-32 of some bytes, or of bytes that go on where `before` ended. */
export const crc32 = (bytes: Uint8Array, before = 0): number => crc(bytes, before)

/** A SHA-256 that grows. */
export interface Sha256 {
  readonly update: (bytes: Uint8Array) => void
  /** Of everything so far, in hexadecimal; the last call. */
  readonly hex: () => string
}

/** Of nothing yet. */
export const sha256 = (): Sha256 => {
  const hash = createHash("sha256")
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") }
}

/** The SHA-256 of some bytes, in hexadecimal. */
export const sha256Of = (bytes: Uint8Array): string => {
  const digest = sha256()
  digest.update(bytes)
  return digest.hex()
}
