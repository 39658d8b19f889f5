/**
 * The target of a request line, byte for byte as it stands in the URL. `URL` would write it anew (`'` as `%27`, without
 * its dots), and the signature of a presigned link holds for the text that was signed.
 *
 * @example
 * import * as RequestTarget from "./RequestTarget.js"
 *
 * RequestTarget.of("https://bucket.test/it's/./a.gz?sig='1'") // "/it's/./a.gz?sig='1'"
 */

/** The path and the query of an absolute URL; `/` if it has none. What no request line may carry is percent-encoded. */
export const of = (url: string): string => {
  const text = url.replace(ignored, "")
  const [, rest = ""] = /^[a-z][a-z0-9+.-]*:\/\/[^/?#\\]*([^#]*)/iu.exec(text) ?? []
  const target = rest.replace(unsendable, encode)
  return /^[/\\]/u.test(target) ? `/${target.slice(1)}` : `/${target}`
}

/* eslint-disable no-control-regex */

/** What `URL` takes away as well: spaces around it, line ends and tabs in it. */
const ignored = /^[\u0000-\u0020]+|[\t\r\n]|[\u0000-\u0020]+$/gu

/** Spaces, control characters and whatever is not ASCII: nobody signs them as they are. */
const unsendable = /[\u0000-\u0020\u007f]|[^\u0000-\u007f]+/gu

const encode = (found: string): string =>
  found < "\u0080"
    ? `%${found.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`
    : encodeURIComponent(found.replace(/\p{Surrogate}/gu, "\u{fffd}"))
