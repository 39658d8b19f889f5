/**
 * The middleware that turns failures of requests into error responses: problems of the core and the service, unknown
 * paths, parameters that cannot be decoded, and defects, of which a caller learns no more than that there is a bug.
 */
import { HttpApiError, type HttpApp, HttpServerRequest, type HttpServerResponse } from "@effect/platform"
import { maskText } from "@org/batch-core/Masking"
import { Cause, Effect, Either, Option, Predicate } from "effect"
import { Problem, toResponse } from "./Problem.js"
import * as RequestLog from "./RequestLog.js"
import * as RouteName from "./RouteName.js"

/**
 * The problem of a request that no route has matched. The router does not match an id that is too long or whose
 * percent encoding is wrong, so a known route with an allowed method means that.
 */
const notThere = (method: string, path: string): Problem => {
  const allow = RouteName.allowed(path)
  if (allow.includes(method))
    return undecodable("the path has no usable id: it is too long, or its percent encoding is wrong")
  const isKnown = allow.length > 0
  return new Problem({
    status: isKnown ? 405 : 404,
    type: isKnown ? "MethodNotAllowed" : "NotFound",
    allow: isKnown ? allow.join(", ") : undefined,
    message: `there is no ${method} ${maskText(path)} here; /docs lists what there is`
  })
}

const undecodable = (message: string): Problem =>
  new Problem({ status: 400, type: "RequestRejected", message })

const bug = new Problem({
  status: 500,
  type: "Bug",
  message: "this is a bug in the service; its log has more under the x-request-id of this answer"
})

/** The first issue of a decode error, with the name of its parameter. */
const inWords = ({ issues }: HttpApiError.HttpApiDecodeError): string =>
  issues
    .slice(0, 1)
    .map(({ message, path }) => `${path.map(String).join(".")}: ${message}`)
    .join("")

const problemOf = (error: unknown, request: HttpServerRequest.HttpServerRequest): Option.Option<Problem> => {
  if (error instanceof Problem) return Option.some(error)
  if (Predicate.isTagged(error, "RouteNotFound")) {
    return Option.some(notThere(request.method, RouteName.pathOf(request)))
  }
  return error instanceof HttpApiError.HttpApiDecodeError
    ? Option.some(undecodable(inWords(error)))
    : Option.none()
}

const answerFor = (
  error: unknown,
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Option.match(problemOf(error, request), {
    onNone: () => Effect.as(Effect.logError("a bug", Cause.die(error)), toResponse(bug)),
    onSome: (problem) => {
      RequestLog.explain(request, `${problem.type}: ${problem.message}`)
      RequestLog.upstream(request, Option.fromNullable(problem.requestId))
      return Effect.succeed(toResponse(problem))
    }
  })

/** Answers failures. An interrupted request stays interrupted: its caller has gone away and needs no response. */
export const middleware = <E, R>(
  app: HttpApp.Default<E, R>
): HttpApp.Default<never, R | HttpServerRequest.HttpServerRequest> =>
  Effect.catchAllCause(app, (cause) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Either.match(Cause.failureOrCause(cause), {
        onLeft: (error) => answerFor(error, request),
        onRight: (rest) =>
          Cause.isInterruptedOnly(rest) ? Effect.failCause(rest) : answerFor(Cause.squash(rest), request)
      })
    )
  )
