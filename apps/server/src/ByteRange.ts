/**
 * The range of bytes that a request asks for (RFC 9110, 14): one only; whatever else is asked for is answered as a whole.
 */
import { type HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Option } from "effect"
import { Problem, toResponse } from "./Problem.js"

/** From `start` on, up to and without `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** Whether a request asks for a part, or about a version, so that it must be known which one there is. */
export const isConcerned = ({ headers, method }: HttpServerRequest.HttpServerRequest): boolean =>
  method === "HEAD" || "range" in headers || "if-none-match" in headers

/**
 * The part of `total` bytes that a request asks for; none if it asks for all of them, in a way that we do not know, or for
 * a part of another version than the one with this strong `etag`. A part that is not there ends where it begins.
 */
export const of = (
  { headers, method }: HttpServerRequest.HttpServerRequest,
  { etag, total }: { readonly etag: string; readonly total: number }
): Option.Option<ByteRange> => {
  const [, from = "", to = ""] =
    /^bytes=(\d{0,15})-(\d{0,15})$/u.exec(headers["range"]?.replaceAll(" ", "") ?? "") ?? []
  const isOther = "if-range" in headers && headers["if-range"] !== etag
  if (method !== "GET" || isOther || (from === "" && to === "")) return Option.none()
  if (from === "") return Option.some({ start: Math.max(0, total - Number(to)), end: total })
  const end = to === "" ? total : Math.min(total, Number(to) + 1)
  const start = Number(from)
  if (to !== "" && Number(to) < start) return Option.none()
  return Option.some({ start: Math.min(start, total), end: Math.max(end, Math.min(start, total)) })
}

/** Whether `If-None-Match` has the tag. Weak and strong tags are compared alike, and `*` is any (RFC 9110, 13.1.2). */
export const isKnown = ({ headers }: HttpServerRequest.HttpServerRequest, etag: string): boolean =>
  (headers["if-none-match"] ?? "")
    .split(",")
    .map((known) => known.trim().replace(/^W\//u, ""))
    .some((known) => known === "*" || known === etag.replace(/^W\//u, ""))

/** The answer to a request for bytes that are not there. */
export const unsatisfiable = (total: number): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setHeader(
    toResponse(
      new Problem({
        status: 416,
        type: "RangeNotSatisfiable",
        message: `Range asks for bytes behind the last one: there are ${total}`
      })
    ),
    "content-range",
    `bytes */${total}`
  )
