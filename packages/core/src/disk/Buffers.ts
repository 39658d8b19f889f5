/**
 * Gives memory outside the heap, such as the buffers of Node's streams, back as soon as it is used up. Left to the
 * garbage collector, it makes that walk the whole heap again for every 32 MiB that pass through.
 *
 * @example
 * import * as Buffers from "./Buffers.js"
 *
 * const bytes = new Uint8Array(1_048_576)
 * Buffers.release(bytes)
 * bytes.length // 0
 */

/**
 * Frees the buffer behind these bytes at once, provided that they reach to its end: for whoever owns a buffer, reads it
 * in order and none of it again. The bytes are detached then, of length 0. Node's pool of small buffers, which may be
 * anybody's, stays.
 */
export const release = ({ buffer, byteLength, byteOffset }: Uint8Array): void => {
  const isLast = byteOffset + byteLength === buffer.byteLength
  const isPool = byteOffset > 0 && buffer.byteLength <= poolSize()
  if (isLast && !isPool && buffer instanceof ArrayBuffer && buffer.byteLength >= worthwhile) {
    nowhere.postMessage(undefined, [buffer])
  }
}

/** The size of Node's pool; a browser has none. */
const poolSize = (): number => (typeof Buffer === "undefined" ? 0 : Buffer.poolSize)

/** The size in bytes from which freeing a buffer costs less than leaving it to the garbage collector. */
const worthwhile = 16_384

/** A closed port: a buffer that is transferred through it is freed. */
const nowhere = new MessageChannel().port1
nowhere.close()
