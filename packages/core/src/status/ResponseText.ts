/**
 * The text of an answer: UTF-8 without a byte order mark, inflated if a proxy on the way has compressed it unasked.
 *
 * @example
 * import { Headers } from "@effect/platform"
 * import * as ResponseText from "./ResponseText.js"
 *
 * const text = (bytes: Uint8Array) => ResponseText.decode(bytes, Headers.empty, 1_000_000)
 */
import * as Inflation from "#inflation"
import type { Headers } from "@effect/platform"
import { Option } from "effect"

/** Decodes a body. What cannot be inflated, or inflates to more than `maxBytes`, is decoded as it is. */
export const decode = (bytes: Uint8Array, headers: Headers.Headers, maxBytes: number): string => {
  const inflated = Inflation.ways(bytes, headers["content-encoding"]?.toLowerCase() ?? "").map((inflate) =>
    Option.liftThrowable(inflate)(bytes, { maxOutputLength: maxBytes })
  )
  return new TextDecoder().decode(Option.getOrElse(Option.firstSomeOf(inflated), () => bytes))
}
