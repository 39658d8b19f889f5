/**
 * Masking of secrets, the API key and the signatures of presigned links, in URLs, texts and JSON.
 *
 * The query string of a presigned link is its signature, so whoever reads it can read the results. Everything
 * that leaves the process as text (errors, logs, JSON, state files) passes one of these functions first.
 *
 * @example
 * import { Masking } from "@org/batch-core"
 *
 * Masking.maskUrl("https://bucket.s3.amazonaws.com/part-000.jsonl.gz?X-Amz-Signature=abc")
 * // "https://bucket.s3.amazonaws.com/part-000.jsonl.gz?***"
 */
import { ParseResult, Redacted, Schema } from "effect"
import { maskJson, maskText, maskUrl } from "./MaskText.js"

export { maskJson, maskText, maskUrl } from "./MaskText.js"

/** Any JSON object, as it came over the wire. */
export const JsonObject = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/** Any JSON object, as it came over the wire. */
export type JsonObject = typeof JsonObject.Type

/** Removes a secret from a text, in case a peer echoes it. */
export const scrub = (text: string, secret: Redacted.Redacted<string>): string => {
  const value = Redacted.value(secret)
  return value === "" ? text : text.replaceAll(value, "***")
}

/** A shorter key, as a sandbox may have, can occur in an answer by chance. */
const shortestSecret = 16

/** The ways in which writers of JSON escape a character. */
const escapes: Readonly<Record<string, string>> = {
  "/": String.raw`\\?/`,
  '"': String.raw`\\?"`,
  "\\": String.raw`\\{1,2}`
}

/**
 * A function that removes a secret from the text of a JSON answer, whose form it keeps. A short one is removed where it
 * stands alone, and not from a string that is a link, which would lead nowhere then.
 */
export const scrubJson = (secret: Redacted.Redacted<string>): ((json: string) => string) => {
  const value = Redacted.value(secret)
  if (value === "") return (json) => json
  const written = Array.from(
    value,
    (char) => escapes[char] ?? char.replace(/[.*+?^${}()|[\]]/u, String.raw`\$&`)
  ).join("")
  const pattern =
    value.length < shortestSecret
      ? String.raw`"https?:(?:\\?/){2}[^"\s]*"|(?<![\w-])${written}(?![\w-])`
      : written
  const found = new RegExp(pattern, "gu")
  return (json) => json.replace(found, (match) => (match.startsWith('"http') ? match : "***"))
}

/**
 * A presigned link: `Redacted` in memory, masked when encoded. Encoding is lossy on purpose, so that an error or
 * a model that carries links can be serialised without a second thought.
 */
export const SecretUrl = Schema.transformOrFail(Schema.String, Schema.RedactedFromSelf(Schema.String), {
  strict: true,
  decode: (url, _, ast) =>
    URL.canParse(url)
      ? ParseResult.succeed(Redacted.make(url))
      : ParseResult.fail(new ParseResult.Type(ast, "***", "Expected a URL")),
  encode: (link) => ParseResult.succeed(maskUrl(Redacted.value(link)))
}).annotations({ identifier: "SecretUrl" })

/** A text of a server: the links that may be in it are masked, decoded and encoded alike. */
export const MaskedText = Schema.transform(Schema.String, Schema.String, {
  strict: true,
  decode: maskText,
  encode: maskText
}).annotations({ identifier: "MaskedText" })

/** Any JSON of a server: the links that may be in it are masked, decoded and encoded alike. */
export const MaskedJson = Schema.transform(Schema.Unknown, Schema.Unknown, {
  strict: true,
  decode: maskJson,
  encode: maskJson
}).annotations({ identifier: "MaskedJson" })

/** The answer of a server as it came, for whoever passes it on: `Redacted` in memory, masked when encoded. */
export const SecretJson = Schema.transform(JsonObject, Schema.RedactedFromSelf(JsonObject), {
  strict: true,
  decode: (json) => Redacted.make(json),
  encode: (raw) =>
    Schema.decodeUnknownOption(JsonObject)(maskJson(Redacted.value(raw))).pipe((masked) =>
      masked._tag === "Some" ? masked.value : {}
    )
}).annotations({ identifier: "SecretJson" })
