/**
 * The kept answer about a job, given at once: routing and a fiber would cost several times what is left to do for it. A
 * request passes what any other one does, by the same functions; whatever is not answered here goes the usual way.
 */
import type { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { BatchId } from "@org/batch-core/Batch"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import * as Monotonic from "@org/batch-core/Monotonic"
import { Effect, Option, Schema } from "effect"
import type * as Http from "node:http"
import * as Access from "./Access.js"
import { Accounts } from "./Account.js"
import { statusPath } from "./Api.js"
import * as Cors from "./Cors.js"
import * as JobBody from "./JobBody.js"
import * as Listener from "./Listener.js"
import * as RequestLog from "./RequestLog.js"
import * as SecurityHeaders from "./SecurityHeaders.js"
import { isPassThrough, ServerSettings } from "./Settings.js"
import { Shutdown } from "./Shutdown.js"

/** Whether a caller takes a kept answer. */
export const isWanted = ({ headers }: Pick<HttpServerRequest.HttpServerRequest, "headers">): boolean =>
  !isFresh(headers["cache-control"])

const isFresh = (directives: string | undefined): boolean => /\bno-cache\b/iu.test(directives ?? "")

const isBatchId = Schema.is(BatchId)

const prefix = statusPath.slice(0, statusPath.indexOf(":"))

/** The job that a request asks for, if it asks for its status and a kept answer will do. */
const asked = ({ headers, method, url = "" }: Http.IncomingMessage): Option.Option<BatchId> => {
  if ((method !== "GET" && method !== "HEAD") || !url.startsWith(prefix)) return Option.none()
  const id = url.slice(prefix.length)
  return isBatchId(id) && !isFresh(headers["cache-control"]) ? Option.some(id) : Option.none()
}

/** A response as Node takes it: header names and values in turn. */
interface Written {
  readonly status: number
  readonly fields: ReadonlyArray<string>
  readonly body: string
}

const writtenOnce = new WeakMap<HttpServerResponse.HttpServerResponse, Written>()

const written = (response: HttpServerResponse.HttpServerResponse): Written => {
  const known = writtenOnce.get(response)
  if (known !== undefined) return known
  const { body, headers, status } = response
  const text = body._tag === "Raw" && typeof body.body === "string" ? body.body : ""
  const fresh = { status, fields: Object.entries(headers).flat(), body: text }
  writtenOnce.set(response, fresh)
  return fresh
}

/** What answers a request at once, if its answer is kept. With tracing, or as a worker, it answers none. */
export const make: Effect.Effect<
  Listener.Shortcut,
  never,
  Accounts | BatchConfig | ServerSettings | Shutdown
> = Effect.gen(function* () {
  const accounts = yield* Accounts
  const shutdown = yield* Shutdown
  const { corsOrigins, otlp, retrievals, tokens } = yield* ServerSettings
  const passThrough = isPassThrough(yield* BatchConfig)
  const clock = yield* Effect.clock
  const write = yield* RequestLog.writing
  if (Option.isSome(otlp) || retrievals.role === "worker") return () => false
  return (request, response) => {
    const id = asked(request)
    if (Option.isNone(id)) return false
    if (Listener.refusal(request, shutdown) !== undefined) return false
    if (Access.refusal(request, { tokens, passThrough }) !== undefined) return false
    const now = Monotonic.unsafeNow(clock)
    const batch = accounts.opened(request)?.cache.unsafeKept(id.value, now) ?? Option.none()
    if (Option.isNone(batch)) return false
    const entry = RequestLog.begin(request, now)
    const { body, fields, status } = written(
      Cors.withHeaders(
        SecurityHeaders.add(JobBody.response(batch.value)),
        corsOrigins,
        request.headers.origin
      )
    )
    shutdown.requestStarted()
    let isOver = false
    const over = (): void => {
      if (isOver) return
      isOver = true
      shutdown.requestEnded()
      write(
        RequestLog.end(entry, {
          status: response.writableFinished ? status : 499,
          at: Monotonic.unsafeNow(clock),
          trouble: Option.none(),
          isFailure: false
        })
      )
    }
    response.on("close", over)
    // An answer that waits behind another one on the same connection is not told when that closes; its request is.
    request.on("close", over)
    response.writeHead(status, [...fields, "x-request-id", entry.id])
    response.end(request.method === "HEAD" ? undefined : body)
    return true
  }
})
