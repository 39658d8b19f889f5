/**
 * The listener, with limits on what a stranger may send and how long it may take.
 */
import { type HttpApp, HttpServer, type HttpServerError, HttpServerRequest } from "@effect/platform"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Duration, Effect, Layer } from "effect"
import * as Http from "node:http"
import { Problem } from "./Problem.js"
import type { Service } from "./Shutdown.js"

const millis = (duration: Duration.DurationInput): number => Duration.toMillis(duration)

/** Headers of at most 16 KiB, within 10 seconds; whole requests within 30; idle connections end after 75. */
export const make = (): Http.Server =>
  Http.createServer({
    maxHeaderSize: 16_384,
    headersTimeout: millis("10 seconds"),
    requestTimeout: millis("30 seconds"),
    connectionsCheckingInterval: millis("1 second"),
    keepAliveTimeout: millis("75 seconds")
  })

/**
 * Serves requests, and nothing but requests. `NodeHttpServer.layer` takes WebSockets as well: while it listens for
 * `upgrade`, Node lets go of the connection of every request that offers another protocol, as Java's `HttpClient` and
 * `curl --http2` do with each; nothing tells then that the caller has read what was sent, or that it went away. Without
 * such a listener Node passes over the offer, and the answer is plain HTTP/1.1.
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

/** No path takes a body, so a small one is tolerated and passed over, and any other is not. */
const longestBody = 65_536

const bodyProblem = ({ headers }: HttpServerRequest.HttpServerRequest): Problem | undefined =>
  "transfer-encoding" in headers || Number(headers["content-length"] ?? 0) > longestBody
    ? new Problem({
        status: 413,
        type: "RequestRejected",
        message: "no path of this service takes a body",
        closes: true
      })
    : undefined

const leaving = new Problem({
  status: 503,
  type: "Draining",
  message: "this service is about to end: ask another one, or this one again in a moment",
  closes: true,
  retryAfter: Duration.seconds(5)
})

/** Turns away at once what is too large, and new work once the end has begun. */
export const turnAway =
  (shutdown: Service) =>
  <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E | Problem, R | HttpServerRequest.HttpServerRequest> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): HttpApp.Default<E | Problem, R> => {
      const problem = refusal(request, shutdown)
      return problem === undefined ? app : Effect.fail(problem)
    })

const refusal = (
  request: HttpServerRequest.HttpServerRequest,
  { isStarted }: Service
): Problem | undefined => {
  const isProbe = request.url === "/health" || request.url === "/ready"
  return bodyProblem(request) ?? (isStarted() && !isProbe ? leaving : undefined)
}
