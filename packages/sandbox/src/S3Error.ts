/**
 * The errors of S3, as XML.
 */
import type { Answer } from "./Answer.js"
import * as Content from "./Content.js"

/** The codes the sandbox answers with, and their status. */
const statuses = {
  AccessDenied: 403,
  ExpiredToken: 400,
  InvalidArgument: 400,
  InvalidRange: 416,
  MethodNotAllowed: 405,
  NoSuchKey: 404,
  PreconditionFailed: 412,
  SignatureDoesNotMatch: 403,
  SlowDown: 503
} as const

/** An error code of S3. */
export type Code = keyof typeof statuses

/** An XML error; `details` become elements beside `Code` and `Message`. */
export const make = (
  code: Code,
  message: string,
  details: Readonly<Record<string, string>> = {},
  headers: Readonly<Record<string, string>> = {}
): Answer => {
  const elements = { Code: code, Message: message, ...details }
  const inner = Object.entries(elements).map(([name, value]) => `<${name}>${escape(value)}</${name}>`)
  return {
    status: statuses[code],
    headers: { "content-type": "application/xml", ...headers },
    body: Content.text(`<?xml version="1.0" encoding="UTF-8"?>\n<Error>${inner.join("")}</Error>`)
  }
}

/** What S3 says of a link past its time, or of temporary credentials past theirs. */
export const expired = (code: "AccessDenied" | "ExpiredToken"): Answer =>
  code === "AccessDenied" ? make(code, "Request has expired") : make(code, "The provided token has expired.")

const escape = (value: string): string =>
  value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")
