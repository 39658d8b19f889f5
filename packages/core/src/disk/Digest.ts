/**
 * Checksums of bytes: CRC-32, cheap, to compare rows that come by two ways; SHA-256, to say what was delivered. The one
 * module that knows Node's hashes.
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

/** The CRC-32 of bytes, an unsigned integer; `before` is that of the bytes in front of them. */
export const crc32 = (bytes: Uint8Array, before = 0): number => crc(bytes, before)

/** A SHA-256 that is computed portion by portion. */
export interface Sha256 {
  /** Takes the next bytes. */
  readonly update: (bytes: Uint8Array) => void
  /** The digest of all bytes taken, as 64 hexadecimal digits. Neither method may be called after it. */
  readonly hex: () => string
}

/** Starts a SHA-256 of bytes that come in portions. */
export const sha256 = (): Sha256 => {
  const hash = createHash("sha256")
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") }
}

/** The SHA-256 of bytes that are all there, as 64 hexadecimal digits. */
export const sha256Of = (bytes: Uint8Array): string => {
  const digest = sha256()
  digest.update(bytes)
  return digest.hex()
}
