/**
 * How an answer may have been compressed on the way, so that a client that does not inflate gets at its text.
 * Bundles for browsers have `InflationBrowser` in its place (`imports` of package.json).
 *
 * @example
 * import * as Inflation from "./Inflation.js"
 *
 * const inflated = (bytes: Uint8Array) =>
 *   Inflation.ways(bytes, "gzip").map((inflate) => inflate(bytes, { maxOutputLength: 1_000_000 }))
 */
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from "node:zlib"

/** Inflates a whole body; throws if it is not compressed in this way, or is longer than `maxOutputLength` bytes. */
export type Inflate = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array

/** How it may have been compressed: by its first bytes, since a client that has inflated it leaves the header there. */
export const ways = (bytes: Uint8Array, encoding: string): ReadonlyArray<Inflate> => {
  const [first = 0, second = 0] = bytes
  if (first === 0x1f && second === 0x8b) return [gunzipSync]
  if (isText(first)) return []
  if (encoding.includes("br")) return [brotliDecompressSync]
  return encoding.includes("deflate") ? [inflateSync, inflateRawSync] : []
}

/** What JSON, a page or a byte order mark begins with. */
const isText = (first: number): boolean => first === 0xef || /^[\s{[<"]$/u.test(String.fromCodePoint(first))
