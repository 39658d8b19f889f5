/**
 * Memory outside the heap, such as the buffers of Node's streams: given back when it is used up, not when it is found
 * to be. Left to the garbage collector, it makes that walk the whole heap again for every 32 MiB that pass through.
 *
 * @example
 * import * as Memory from "./Memory.js"
 *
 * const bytes = new Uint8Array(1_048_576)
 * Memory.release(bytes.buffer)
 * bytes.length // 0
 */

/**
 * Gives memory of our own, which nobody reads again, back at once. All bytes that lie in it are gone then; those of
 * Node's pool of small buffers, which may be anybody's, stay.
 */
export const release = (buffer: ArrayBufferLike): void => {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize)
    nowhere.postMessage(undefined, [buffer])
}

/** A closed port: what is moved through it is freed. */
const nowhere = new MessageChannel().port1
nowhere.close()
