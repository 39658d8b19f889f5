/**
 * Cross-origin calls from browsers: without `CORS_ORIGINS` no page of another origin may read an answer.
 */
import { type HttpApp, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, Either, Predicate } from "effect"

/** Whose pages may call: those of these origins, or anybody's. */
export interface Origins {
  readonly isAnybody: boolean
  readonly named: ReadonlyArray<string>
}

/** No other origin's. */
export const nobody: Origins = { isAnybody: false, named: [] }

const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text

/** Parses `CORS_ORIGINS`: origins such as `https://app.example`, separated by commas, or `*`. Left is what is wrong. */
export const parse = (text: string): Either.Either<Origins, string> => {
  const named = text.split(",").map((origin) => origin.trim())
  if (named.length === 1 && named[0] === "*") return Either.right({ isAnybody: true, named: [] })
  const wrong = named.find((origin) => !isOrigin(origin))
  return wrong === undefined
    ? Either.right({ isAnybody: false, named })
    : Either.left(`${wrong} is no origin: write it as https://host or https://host:port, or * for any`)
}

/** What a page may send beside the headers that every page may. */
const allowedHeaders = [
  "authorization",
  "cache-control",
  "content-type",
  "idempotency-key",
  "if-none-match",
  "if-range",
  "last-event-id",
  "range",
  "x-request-id"
]

/** What a page may read beside the headers that every page may. */
const exposedHeaders = [
  "accept-ranges",
  "content-disposition",
  "content-range",
  "etag",
  "retry-after",
  "x-request-id",
  "x-result-count"
]

/** Whether pages of an origin may call. */
export const isAllowed = ({ isAnybody, named }: Origins, origin: string | undefined): boolean =>
  origin !== undefined && (isAnybody || named.includes(origin))

/** A browser's question whether a page may send a request. */
const isPreflight = ({ headers, method }: HttpServerRequest.HttpServerRequest): boolean =>
  method === "OPTIONS" && "origin" in headers && "access-control-request-method" in headers

const withHeaders = (
  response: HttpServerResponse.HttpServerResponse,
  origins: Origins,
  origin: string | undefined
): HttpServerResponse.HttpServerResponse => {
  const vary = [response.headers["vary"], ...(origins.isAnybody ? [] : ["origin"])].filter(
    Predicate.isNotUndefined
  )
  return HttpServerResponse.setHeaders(response, {
    ...(vary.length === 0 ? {} : { vary: vary.join(", ") }),
    ...(isAllowed(origins, origin)
      ? {
          "access-control-allow-origin": origins.isAnybody ? "*" : (origin ?? ""),
          "access-control-expose-headers": exposedHeaders.join(", ")
        }
      : {})
  })
}

const preflight = HttpServerResponse.empty({
  status: 204,
  headers: {
    "access-control-allow-methods": "GET, HEAD, POST, DELETE",
    "access-control-allow-headers": allowedHeaders.join(", "),
    "access-control-max-age": "600"
  }
})

/** The middleware that lets pages of these origins read answers; it answers their browsers' questions as well. */
export const middleware =
  (origins: Origins) =>
  <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R | HttpServerRequest.HttpServerRequest> =>
    origins.isAnybody || origins.named.length > 0
      ? Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const { origin } = request.headers
          const answered =
            isPreflight(request) && isAllowed(origins, origin) ? Effect.succeed(preflight) : app
          return Effect.map(answered, (response) => withHeaders(response, origins, origin))
        })
      : app
