/**
 * What a presigned link says of itself: whether it may be followed, and when it ends. Both signature forms of S3 occur:
 * `X-Amz-Date` + `X-Amz-Expires` (seconds), and `Expires` (epoch seconds).
 *
 * @example
 * import { PresignedLink } from "@org/batch-core"
 *
 * const url = "https://h/merged.jsonl.gz?X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=…"
 * PresignedLink.expiry(new URL(url)) // Option.some(epoch milliseconds of 2026-01-01T00:01:00Z)
 */
import { Duration, Option } from "effect"

/** Whether a link may be followed: `https` always, plain `http` only when the API itself is plain `http`. */
export const isAllowed = (link: URL, baseUrl: string): boolean =>
  link.protocol === "https:" || (link.protocol === "http:" && new URL(baseUrl).protocol === "http:")

/**
 * Where a `Location` header leads from a link: byte for byte as it stands there, since it may be signed; none if that is
 * no URL. Only one that is relative to the link's folder is written anew.
 */
export const redirected = (location: string, link: string): Option.Option<string> => {
  if (!URL.canParse(location, link)) return Option.none()
  const { href, origin, protocol } = new URL(location, link)
  // Node reads a header as Latin-1: what is not ASCII in it are single bytes.
  const text = location
    .trim()
    .replace(/[\u0080-\u00ff]/gu, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
  if (/^https?:\/\//iu.test(text)) return Option.some(text)
  if (text.startsWith("//")) return Option.some(`${protocol}${text}`)
  return Option.some(text.startsWith("/") ? `${origin}${text}` : href)
}

/** When a link ends, in epoch milliseconds by the storage's clock; none if it does not say so. */
export const expiry = (link: URL): Option.Option<number> => {
  const query = new Map([...link.searchParams].map(([name, value]) => [name.toLowerCase(), value]))
  const signed = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/u.exec(query.get("x-amz-date") ?? "")
  const lifetime = wholeNumber(query.get("x-amz-expires"))
  if (signed !== null && !Number.isNaN(lifetime)) {
    const [, year, month, day, hour, minute, second] = signed
    return finite(Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) + lifetime * 1000)
  }
  return finite(wholeNumber(query.get("expires")) * 1000)
}

/**
 * How long before its end a link is no longer trusted, in milliseconds: `refreshBefore`, but of a short-lived one a
 * tenth of its `lifetime` (milliseconds).
 */
export const margin = (refreshBefore: Duration.Duration, lifetime: number): number =>
  Math.min(Duration.toMillis(refreshBefore), Math.max(0, lifetime) / 10)

const wholeNumber = (text: string | undefined): number =>
  /^\d+$/u.test(text ?? "") ? Number(text) : Number.NaN

const finite = (millis: number): Option.Option<number> =>
  Number.isFinite(millis) ? Option.some(millis) : Option.none()
