/**
 * The HTTP server, with limits on the size and the duration of requests.
 */
import { type HttpApp, HttpServer, type HttpServerError, HttpServerRequest } from "@effect/platform"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Duration, Effect, Layer } from "effect"
import * as Http from "node:http"
import { Problem } from "./Problem.js"
import * as RequestBody from "./RequestBody.js"
import * as RouteName from "./RouteName.js"
import type { Service } from "./Shutdown.js"

const millis = (duration: Duration.DurationInput): number => Duration.toMillis(duration)

/** How long the headers of a request may take. */
export const headersTimeout = Duration.seconds(10)

/**
 * Node's server. Headers of at most 16 KiB, whole requests within an hour, as long as a long list may take: bodies that are
 * read as a whole have a shorter time of their own. Idle connections end after 75 s.
 */
export const make = (options: { readonly headersTimeout: Duration.DurationInput }): Http.Server =>
  Http.createServer({
    maxHeaderSize: 16_384,
    // Node's own answer to a request without one would have no shape and no log line.
    requireHostHeader: false,
    headersTimeout: millis(options.headersTimeout),
    requestTimeout: millis("1 hour"),
    connectionsCheckingInterval: millis("1 second"),
    keepAliveTimeout: millis("75 seconds")
  })

/**
 * The server as Effect's `HttpServer`, for plain HTTP only. `NodeHttpServer.layer` serves WebSockets, too: with its
 * listener for `upgrade`, Node detaches its own handlers from the socket of every request with an `Upgrade` header, as
 * Java's `HttpClient` and `curl --http2` send with each, so that `drain` never comes and a caller's going away is not
 * seen. Without such a listener Node ignores the header and answers in HTTP/1.1 (RFC 9110, 7.8, allows that).
 */
export const layer = (
  server: Http.Server,
  options: { readonly host: string; readonly port: number }
): Layer.Layer<HttpServer.HttpServer, HttpServerError.ServeError> =>
  Layer.scoped(
    HttpServer.HttpServer,
    Effect.map(
      NodeHttpServer.make(() => server, options),
      ({ address }) =>
        HttpServer.make({
          address,
          serve: (app, middleware) =>
            Effect.gen(function* () {
              const handle = yield* middleware === undefined
                ? NodeHttpServer.makeHandler(app)
                : NodeHttpServer.makeHandler(app, middleware)
              yield* Effect.acquireRelease(
                Effect.sync(() => server.on("request", handle)),
                () => Effect.sync(() => server.off("request", handle))
              )
            })
        })
    )
  )

/** The longest body that is ignored rather than refused where none is taken, in bytes. */
const longestIgnored = 65_536

/** A body in chunks is measured by whoever reads it. */
const bodyProblem = (request: HttpServerRequest.HttpServerRequest): Problem | undefined => {
  const { headers, method } = request
  const isTaken = method === "POST" && RouteName.allowed(RouteName.pathOf(request)).includes("POST")
  if (isTaken) return RequestBody.announced(request)
  return !("transfer-encoding" in headers) && Number(headers["content-length"] ?? 0) <= longestIgnored
    ? undefined
    : new Problem({
        status: 413,
        type: "RequestRejected",
        message: "this path takes no body",
        closes: true
      })
}

/** Two hosts are two opinions on where a request belongs, and one proxy may believe the first, the next one the last. */
const hostProblem = (request: HttpServerRequest.HttpServerRequest): Problem | undefined => {
  const { httpVersion, rawHeaders } = NodeHttpServerRequest.toIncomingMessage(request)
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host").length
  return hosts > 1 || (hosts === 0 && httpVersion === "1.1")
    ? new Problem({
        status: 400,
        type: "RequestRejected",
        message:
          hosts > 1
            ? "the request has several Host headers: send one"
            : "the request has no Host header: send one",
        closes: true
      })
    : undefined
}

const leaving = new Problem({
  status: 503,
  type: "Draining",
  message: "this service is about to end: ask another one, or this one again in a moment",
  closes: true,
  retryAfter: Duration.seconds(5)
})

/** The middleware that refuses requests without a host, or with several, or with a large body, and any but probes once the shutdown has started. */
export const turnAway =
  (shutdown: Service) =>
  <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E | Problem, R | HttpServerRequest.HttpServerRequest> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): HttpApp.Default<E | Problem, R> => {
      const problem = refusal(request, shutdown)
      return problem === undefined ? app : Effect.fail(problem)
    })

/** The paths of a worker. */
const ofWorker: ReadonlySet<string | undefined> = new Set(["/health", "/ready", "/metrics"])

/** The middleware of a worker, which answers about itself and takes nothing in. */
export const onlyOperations = <E, R>(
  app: HttpApp.Default<E, R>
): HttpApp.Default<E | Problem, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): HttpApp.Default<E | Problem, R> => {
    const path = RouteName.pathOf(request)
    return ofWorker.has(RouteName.fromPath(path)) ? app : Effect.fail(notOfWorker)
  })

const notOfWorker = new Problem({
  status: 404,
  type: "NotFound",
  message: `a worker (BATCH_SERVER_ROLE) has ${[...ofWorker].join(", ")} only: ask a service of the role all or api`
})

const refusal = (
  request: HttpServerRequest.HttpServerRequest,
  { isStarted }: Service
): Problem | undefined => {
  const isProbe = request.url === "/health" || request.url === "/ready"
  return hostProblem(request) ?? bodyProblem(request) ?? (isStarted() && !isProbe ? leaving : undefined)
}
