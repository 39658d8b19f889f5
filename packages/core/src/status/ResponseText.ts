/**
 * The text of an answer: UTF-8 without a byte order mark, inflated if a proxy on the way has compressed it unasked.
 *
 * @example
 * import { Headers } from "@effect/platform"
 * import * as ResponseText from "./ResponseText.js"
 *
 * const text = (bytes: Uint8Array) => ResponseText.decode(bytes, Headers.empty, 1_000_000)
 */
import type { Headers } from "@effect/platform"
import { Option } from "effect"
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from "node:zlib"

/** Decodes a body. What cannot be inflated, or inflates to more than `maxBytes`, is decoded as it is. */
export const decode = (bytes: Uint8Array, headers: Headers.Headers, maxBytes: number): string => {
  const inflated = ways(bytes, headers["content-encoding"]?.toLowerCase() ?? "").map((inflate) =>
    Option.liftThrowable(inflate)(bytes, { maxOutputLength: maxBytes })
  )
  return new TextDecoder().decode(Option.getOrElse(Option.firstSomeOf(inflated), () => bytes))
}

type Inflate = typeof gunzipSync

/** How it may have been compressed: by its first bytes, since a client that has inflated it leaves the header there. */
const ways = (bytes: Uint8Array, encoding: string): ReadonlyArray<Inflate> => {
  const [first = 0, second = 0] = bytes
  if (first === 0x1f && second === 0x8b) return [gunzipSync]
  if (isText(first)) return []
  if (encoding.includes("br")) return [brotliDecompressSync]
  return encoding.includes("deflate") ? [inflateSync, inflateRawSync] : []
}

/** What JSON, a page or a byte order mark begins with. */
const isText = (first: number): boolean => first === 0xef || /^[\s{[<"]$/u.test(String.fromCodePoint(first))
