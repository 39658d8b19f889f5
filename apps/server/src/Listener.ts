/**
 * The listener, with limits on what a stranger may send and how long it may take.
 */
import { HttpServerRequest, HttpServerResponse, type HttpApp } from "@effect/platform"
import { Duration, Effect } from "effect"
import * as Http from "node:http"
import { Drain } from "./Drain.js"
import { Problem, toResponse } from "./Problem.js"

const millis = (duration: Duration.DurationInput): number => Duration.toMillis(duration)

/** Headers of at most 16 KiB, within 10 seconds; whole requests within 30; idle connections end after 75. */
export const make = (): Http.Server =>
  Http.createServer({
    maxHeaderSize: 16_384,
    headersTimeout: millis("10 seconds"),
    requestTimeout: millis("30 seconds"),
    keepAliveTimeout: millis("75 seconds")
  })

/** No path takes a body, so a small one is tolerated and passed over, and any other is not. */
const longestBody = 65_536

const bodyProblem = ({ headers }: HttpServerRequest.HttpServerRequest): Problem | undefined =>
  "transfer-encoding" in headers || Number(headers["content-length"] ?? 0) > longestBody
    ? new Problem({
        status: 413,
        type: "RequestRejected",
        message: "no path of this service takes a body",
        metadata: null
      })
    : undefined

const leaving = new Problem({
  status: 503,
  type: "Draining",
  message: "this service is about to end: ask another one, or this one again in a moment",
  metadata: null,
  retryAfter: Duration.seconds(5)
})

const close = HttpServerResponse.setHeader("connection", "close")

/** Turns away what is too large, and new work once the end has begun. */
export const middleware = <E, R>(
  app: HttpApp.Default<E, R>
): HttpApp.Default<E, R | HttpServerRequest.HttpServerRequest | Drain> =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { isBegun } = yield* Drain
    const problem = bodyProblem(request)
    if (problem !== undefined) return close(toResponse(problem))
    const isProbe = request.url === "/health" || request.url === "/ready"
    return (yield* isBegun) && !isProbe ? close(toResponse(leaving)) : yield* app
  })
