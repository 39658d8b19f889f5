/**
 * The security headers of every response, `Content-Security-Policy` among them.
 */
import { HttpServerResponse } from "@effect/platform"
import { createHash } from "node:crypto"

/** The policy of what is no page: if a browser shows it, it may do nothing. */
const locked = "default-src 'none'; frame-ancestors 'none'"

/** The policy of a response. A page may run its own scripts (by their digests) and styles, and call this service only. */
const policyOf = ({ body }: HttpServerResponse.HttpServerResponse): string => {
  if (body._tag !== "Uint8Array" || !body.contentType.startsWith("text/html")) return locked
  const scripts = [...new TextDecoder().decode(body.body).matchAll(/<script>(.*?)<\/script>/gsu)].map(
    ([, script = ""]) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`
  )
  return `${locked}; script-src ${scripts.join(" ")}; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'`
}

const common = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY"
}

const secured = new WeakMap<HttpServerResponse.HttpServerResponse, HttpServerResponse.HttpServerResponse>()

/** Adds the headers. Responses that are sent again and again are remembered, so that it is done once. */
export const add = (
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  const known = secured.get(response)
  if (known !== undefined) return known
  const whole = HttpServerResponse.setHeaders(response, {
    ...common,
    "content-security-policy": policyOf(response)
  })
  secured.set(response, whole)
  return whole
}
