/**
 * Memory outside the heap, such as the buffers of Node's streams: given back when it is used up, not when it is found
 * to be. Left to the garbage collector, it makes that walk the whole heap again for every 32 MiB that pass through.
 *
 * @example
 * import * as Buffers from "./Buffers.js"
 *
 * const bytes = new Uint8Array(1_048_576)
 * Buffers.release(bytes)
 * bytes.length // 0
 */

/**
 * Gives back at once the memory that these bytes are the last of, for whoever reads bytes of their own in order and
 * none of them again. Node's pool of small buffers, which may be anybody's, stays.
 */
export const release = ({ buffer, byteLength, byteOffset }: Uint8Array): void => {
  const isLast = byteOffset + byteLength === buffer.byteLength
  const isPool = byteOffset > 0 && buffer.byteLength <= Buffer.poolSize
  if (isLast && !isPool && buffer instanceof ArrayBuffer && buffer.byteLength >= worthwhile) {
    nowhere.postMessage(undefined, [buffer])
  }
}

/** Less costs more to give back than to find. */
const worthwhile = 16_384

/** A closed port: what is moved through it is freed. */
const nowhere = new MessageChannel().port1
nowhere.close()
