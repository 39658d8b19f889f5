/**
 * What goes with every answer, and the page that shows the API: it holds all it needs, and may load nothing else.
 */
import { HttpServerResponse } from "@effect/platform"
import { createHash } from "node:crypto"

/** Nothing that a browser shows of us may do anything. */
const locked = "default-src 'none'; frame-ancestors 'none'"

/** The policy of a page: its own scripts by their digests, its styles and pictures, and calls to this service. */
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

/** Puts the headers on; what is answered again and again has them already. */
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
