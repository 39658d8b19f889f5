/**
 * What goes with every answer, and the page that shows the API: it holds all it needs, and may load nothing else.
 */
import { HttpApiSwagger, HttpServerResponse } from "@effect/platform"
import { createHash } from "node:crypto"

/** Nothing that a browser shows of us may do anything. */
const locked = "default-src 'none'; frame-ancestors 'none'"

/** The policy of a page: its own scripts by their digests, its styles and pictures, and calls to this service. */
const policyOf = (html: string): string => {
  const scripts = [...html.matchAll(/<script>(.*?)<\/script>/gsu)].map(
    ([, script = ""]) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`
  )
  return `${locked}; script-src ${scripts.join(" ")}; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'`
}

const common = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY"
}

const policies = new WeakMap<object, string>()

/** The policy for a body, found once for each page. */
const policyFor = (body: HttpServerResponse.HttpServerResponse["body"]): string => {
  if (body._tag !== "Uint8Array" || !body.contentType.startsWith("text/html")) return locked
  const policy = policies.get(body) ?? policyOf(new TextDecoder().decode(body.body))
  policies.set(body, policy)
  return policy
}

/** Puts the headers on. */
export const secure = (
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setHeaders(response, {
    ...common,
    "content-security-policy": policyFor(response.body)
  })

/** `GET /docs` */
export const layer = HttpApiSwagger.layer({ path: "/docs" })
