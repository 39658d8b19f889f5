/**
 * Masking of what signs a link, in URLs, texts and JSON. It needs nothing else, so that it can be had without loading
 * anything; `Masking` is all of it.
 *
 * @example
 * import { MaskText } from "@org/batch-core"
 *
 * MaskText.maskText("see https://bucket.s3.amazonaws.com/part-000.jsonl.gz?X-Amz-Signature=abc")
 * // "see https://bucket.s3.amazonaws.com/part-000.jsonl.gz?***"
 */

/** Replaces the query string, the fragment and the user of a URL by `***`; host and path stay readable. */
export const maskUrl = (url: string): string =>
  url.replace(/^([a-z][a-z0-9+.-]*:(?:\\?\/){2})[^/?#\\]*@/iu, "$1***@").replace(/[?#].+$/su, "?***")

/** A link in a text: an apostrophe is lawful in it, and some writers of JSON escape its slashes. */
const link = /https?:(?:\\?\/){2}(?:[^\s"<>\\]|\\\/)+/giu

/** What signs a link, wherever it stands: behind a bare path, in XML, encoded inside another link. */
const signature =
  /((?:x-[a-z]+-)?(?:signature|credential|security-token)|awsaccesskeyid)(=|%3D)[^\s&"'<>\\]+/giu

/** Masks every URL and every signature inside a free text, such as an error message of a server or of a socket. */
export const maskText = (text: string): string => text.replace(link, maskUrl).replace(signature, "$1$2***")

/** Masks every string of a JSON value, at any depth; keys, numbers and structure stay as they are. */
export const maskJson = (json: unknown): unknown => {
  if (typeof json === "string") return /^\s*https?:\/\//iu.test(json) ? maskUrl(json) : maskText(json)
  if (Array.isArray(json)) return json.map(maskJson)
  if (typeof json !== "object" || json === null) return json
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, maskJson(value)]))
}
