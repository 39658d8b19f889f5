/**
 * One line for every request, when its answer has ended: who it was (its id), what was asked for, what came of it, how
 * long it took and how much was sent. Never a query string, a header or a body.
 */
import { type HttpApp, HttpServerError, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { maskText } from "@org/batch-core/Secret"
import { Cause, Clock, Effect, Exit, Metric, MetricLabel, Option } from "effect"
import { randomUUID } from "node:crypto"
import { Drain } from "./Drain.js"
import * as Metrics from "./Metrics.js"
import * as Route from "./Route.js"

/** What a caller calls its request, if that is fit to be printed; else a name of ours. */
const idOf = ({ headers }: HttpServerRequest.HttpServerRequest): string => {
  const given = headers["x-request-id"] ?? ""
  return /^[\w.:+/=-]{1,128}$/u.test(given) ? given : randomUUID()
}

/** 499 is nginx's word for a caller that went away. */
const statusOf = (exit: Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>): number =>
  HttpServerError.exitResponse(exit).status

/** Why an answer was not sent to its end, in one line. */
const troubleOf = (exit: Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>): Option.Option<string> =>
  Exit.causeOption(exit).pipe(
    Option.flatMap((cause) => HttpServerError.causeResponseStripped(cause)[1]),
    Option.map((cause) =>
      Cause.isInterruptedOnly(cause)
        ? "the caller went away"
        : maskText(String(Cause.squash(cause)).split("\n", 1)[0] ?? "")
    )
  )

const logged = (level: "Info" | "Error", message: string, fields: Readonly<Record<string, unknown>>) =>
  (level === "Info" ? Effect.logInfo(message) : Effect.logError(message)).pipe(Effect.annotateLogs(fields))

/** Gives every request its id, counts it, and logs it when it has ended. */
export const middleware = <E, R>(
  app: HttpApp.Default<E, R>
): HttpApp.Default<E, R | HttpServerRequest.HttpServerRequest | Drain> =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const drain = yield* Drain
    const id = idOf(request)
    const path = Route.pathOf(request)
    const route = Route.nameOf(path) ?? "other"
    const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
    const sentBefore = socket.bytesWritten
    const begun = yield* Clock.currentTimeMillis
    const response = NodeHttpServerRequest.toServerResponse(request)
    yield* Effect.sync(() => response.setHeader("x-request-id", id))
    const exit = yield* Effect.exit(drain.during(app))
    const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
    const status = statusOf(exit)
    yield* Metric.increment(
      Metric.taggedWithLabels(Metrics.requests, [
        MetricLabel.make("route", route),
        MetricLabel.make("method", request.method),
        MetricLabel.make("status", String(status))
      ])
    )
    yield* Metric.update(Metric.tagged(Metrics.duration, "route", route), seconds)
    const trouble = troubleOf(exit)
    yield* logged(status >= 500 ? "Error" : "Info", `${request.method} ${maskText(path)} ${status}`, {
      request_id: id,
      method: request.method,
      path: maskText(path),
      status,
      duration_ms: Math.round(seconds * 1000),
      bytes: socket.bytesWritten - sentBefore,
      ...Option.match(trouble, { onNone: () => ({}), onSome: (error) => ({ error }) })
    })
    return yield* exit
  })
