/**
 * The access log: one line for each request when its response has ended, with its id, method, path, status, duration and
 * bytes sent. Never a query string, a header or a body.
 */
import { type HttpApp, HttpServerError, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { maskText } from "@org/batch-core/Masking"
import * as Monotonic from "@org/batch-core/Monotonic"
import { Cause, Context, Effect, Exit, LogLevel, Option, Tracer } from "effect"
import { randomUUID } from "node:crypto"
import type { IncomingMessage } from "node:http"
import * as Logging from "./Logging.js"
import * as Metrics from "./Metrics.js"
import * as RouteName from "./RouteName.js"
import { Shutdown } from "./Shutdown.js"

/** The id of a request: its `X-Request-Id` header, if that is fit to be printed, else a random one. */
export const idOf = (given: string | ReadonlyArray<string> | undefined): string =>
  typeof given === "string" && /^[\w.:+/=-]{1,128}$/u.test(given) ? given : randomUUID()

/** The status of a response; 499, as nginx logs it, if the caller went away before. */
const statusOf = (exit: Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>): number =>
  HttpServerError.exitResponse(exit).status

/** Why a response was not sent to its end, in one line. */
const troubleOf = (exit: Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>): Option.Option<string> =>
  Exit.causeOption(exit).pipe(
    Option.flatMap((cause) => HttpServerError.causeResponseStripped(cause)[1]),
    Option.map((cause) =>
      Cause.isInterruptedOnly(cause) ? gone : maskText(String(Cause.squash(cause)).split("\n", 1)[0] ?? "")
    )
  )

const explanations = new WeakMap<IncomingMessage, string>()

/** Sets the reason for a failed request that its log line gives. */
export const explain = (request: HttpServerRequest.HttpServerRequest, reason: string): void => {
  explanations.set(NodeHttpServerRequest.toIncomingMessage(request), maskText(reason))
}

const upstreams = new WeakMap<IncomingMessage, string>()

/** Sets the id by which the vendor knows the request that the answer came of, for the log line. */
export const upstream = (request: HttpServerRequest.HttpServerRequest, id: Option.Option<string>): void => {
  if (Option.isSome(id)) upstreams.set(NodeHttpServerRequest.toIncomingMessage(request), maskText(id.value))
}

/** A caller that goes away during the response leaves no trace in the exit, but Node marks its request as errored. */
const leftEarly = ({ errored }: IncomingMessage): Option.Option<string> =>
  errored === null ? Option.none() : Option.some(gone)

const gone = "the caller went away"

/** A request that has been answered. */
export interface Line {
  readonly id: string
  readonly method: string
  /** Masked, without a query string. */
  readonly path: string
  /** The name of its route, or `other`. */
  readonly route: string
  readonly status: number
  readonly millis: number
  readonly bytes: number
  /** Why it was not answered as it should, if so. */
  readonly trouble: Option.Option<string>
  /** Whether that is the service's own trouble. */
  readonly isBroken: boolean
  /** The vendor's own id of the request that was made for it, if there was one that had one. */
  readonly upstream?: string | undefined
  /** The id of its trace, if there is one. */
  readonly trace?: string | undefined
}

/** Takes the line of a request that has been answered: counts it and logs it. */
export type Write = (line: Line) => void

/** What counts requests, and logs them where the effect is run. */
export const writing: Effect.Effect<Write> = Effect.map(
  Logging.direct,
  (log) =>
    (line): void =>
      write(log, line)
)

const write = (
  log: Logging.Log,
  { bytes, id, isBroken, method, millis, path, route, status, trace, trouble, upstream }: Line
): void => {
  Metrics.count({ route, method, status, seconds: millis / 1000 })
  log(status >= 500 || isBroken ? LogLevel.Error : LogLevel.Info, `${method} ${path} ${status}`, {
    request_id: id,
    method,
    path,
    status,
    duration_ms: millis,
    bytes,
    ...(upstream === undefined ? {} : { upstream_request_id: upstream }),
    ...(Option.isNone(trouble) ? {} : { error: trouble.value }),
    ...(trace === undefined ? {} : { trace_id: trace })
  })
}

/** The name of a request's span, as OpenTelemetry's conventions for HTTP say. */
export const spanName = (request: HttpServerRequest.HttpServerRequest): string =>
  [
    request.method,
    ...Option.toArray(Option.fromNullable(RouteName.fromPath(RouteName.pathOf(request))))
  ].join(" ")

/** Tells the request's span, if it has one, what the platform does not. */
const describe = ({ source }: Entry, span: Option.Option<Tracer.Span>): void => {
  if (Option.isSome(span)) span.value.attribute("network.protocol.version", source.httpVersion)
}

const spanOf = (context: Context.Context<never>): Option.Option<Tracer.Span> =>
  Option.filter(Context.getOption(context, Tracer.ParentSpan), (span) => span._tag === "Span")

const traceOf = (span: Option.Option<Tracer.Span>): string | undefined =>
  Option.isSome(span) ? span.value.traceId : undefined

/** What is known of a request when it comes in. */
export interface Entry {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly route: string
  readonly begun: number
  readonly source: IncomingMessage
  readonly sentBefore: number
}

/** Notes a request that comes in at this moment. */
export const begin = (source: IncomingMessage, begun: number): Entry => {
  const path = RouteName.pathOf(source)
  return {
    id: idOf(source.headers["x-request-id"]),
    method: source.method ?? "-",
    path: maskText(path),
    route: RouteName.fromPath(path) ?? "other",
    begun,
    source,
    sentBefore: source.socket.bytesWritten
  }
}

/** How the answer to a request has ended. */
export interface End {
  readonly status: number
  readonly at: number
  /** Why it was not sent as it should, if so; whether the caller went away is seen without it. */
  readonly trouble: Option.Option<string>
  readonly isFailure: boolean
  readonly trace?: string | undefined
}

/** The line of a request whose answer has ended. */
export const end = (entry: Entry, { at, isFailure, status, trace, trouble }: End): Line => {
  const { begun, id, method, path, route, sentBefore, source } = entry
  const told = Option.fromNullable(explanations.get(source)).pipe(
    Option.orElse(() => trouble),
    Option.orElse(() => leftEarly(source))
  )
  return {
    id,
    method,
    path,
    route,
    status,
    millis: at - begun,
    bytes: source.socket.bytesWritten - sentBefore,
    trouble: told,
    upstream: upstreams.get(source),
    isBroken: isFailure && !Option.contains(told, gone),
    trace
  }
}

/**
 * The middleware that gives each request an id, counts it as under way, and logs it when its response has ended. All lines
 * that are logged meanwhile have its id, and that of its trace, if there is one.
 */
export const middleware =
  (write: Write) =>
  <E, R>(
    app: HttpApp.Default<E, R>
  ): HttpApp.Default<E, R | HttpServerRequest.HttpServerRequest | Shutdown> =>
    Effect.contextWithEffect((context: Context.Context<HttpServerRequest.HttpServerRequest | Shutdown>) =>
      Effect.clockWith((clock) => {
        const shutdown = Context.get(context, Shutdown)
        const request = Context.get(context, HttpServerRequest.HttpServerRequest)
        const source = NodeHttpServerRequest.toIncomingMessage(request)
        const entry = begin(source, Monotonic.unsafeNow(clock))
        NodeHttpServerRequest.toServerResponse(request).setHeader("x-request-id", entry.id)
        const span = spanOf(context)
        const trace = traceOf(span)
        describe(entry, span)
        shutdown.requestStarted()
        return Effect.onExit(app, (exit) =>
          Effect.sync(() => {
            shutdown.requestEnded()
            const at = Monotonic.unsafeNow(clock)
            const isFailure = Exit.isFailure(exit)
            write(end(entry, { status: statusOf(exit), at, trouble: troubleOf(exit), isFailure, trace }))
          })
        ).pipe(
          Effect.annotateLogs({ request_id: entry.id, ...(trace === undefined ? {} : { trace_id: trace }) })
        )
      })
    )
