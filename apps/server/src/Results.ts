/**
 * The records of a job as a response: in the form that the caller accepts, straight from the file host, verified on
 * the way. A stream that fails breaks the connection, so that nobody takes what was sent for the whole.
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type { Batch } from "@org/batch-core/Batch"
import * as ResultPlan from "@org/batch-core/ResultPlan"
import * as ResultStream from "@org/batch-core/ResultStream"
import * as Telemetry from "@org/batch-core/Telemetry"
import { Cause, DateTime, Effect, Exit, Option, type Scope, Stream } from "effect"
import Negotiator from "negotiator"
import { begin } from "./Begun.js"
import * as Metrics from "./Metrics.js"
import { fromError, Problem } from "./Problem.js"

/** The forms of results by what HTTP calls them; the first one is for whoever accepts anything. */
const forms = [
  { mediaType: "application/x-ndjson", format: "jsonl" },
  { mediaType: "application/gzip", format: "jsonl.gz" }
] as const

type Form = (typeof forms)[number]

const notAcceptable = new Problem({
  status: 406,
  type: "NotAcceptable",
  message: `Accept allows none of ${forms.map(({ mediaType }) => mediaType).join(", ")}`,
  metadata: null
})

/** What the caller accepts best. */
export const negotiate = ({ headers }: HttpServerRequest.HttpServerRequest): Effect.Effect<Form, Problem> => {
  const { accept } = headers
  const wanted = new Negotiator({ headers: accept === undefined ? {} : { accept } }).mediaType(
    forms.map(({ mediaType }) => mediaType)
  )
  const form = forms.find(({ mediaType }) => mediaType === wanted)
  return form === undefined ? Effect.fail(notAcceptable) : Effect.succeed(form)
}

/** The results of a completed job do not change, but their bytes may be packed anew: the tag is a weak one. */
const etagOf = ({ batchId, completedAt, resultCount }: Batch, { format }: Form): string => {
  const ended = Option.match(completedAt, { onNone: () => 0, onSome: DateTime.toEpochMillis })
  return `W/"${batchId}-${resultCount}-${ended}-${format}"`
}

const headersOf = (batch: Batch, form: Form): Readonly<Record<string, string>> => ({
  "cache-control": "private, no-cache",
  etag: etagOf(batch, form),
  vary: "accept",
  "x-result-count": String(batch.resultCount),
  ...(form.format === "jsonl"
    ? {}
    : { "content-disposition": `attachment; filename="${batch.batchId}.${form.format}"` })
})

const isKnown = ({ headers }: HttpServerRequest.HttpServerRequest, etag: string): boolean =>
  (headers["if-none-match"] ?? "").split(",").some((known) => known.trim() === etag)

/** The response, once its first bytes are here; whatever is wrong with the job is told by a status instead. */
export const respond = (
  batch: Batch,
  form: Form
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  Problem,
  ResultStream.Needs | HttpServerRequest.HttpServerRequest | Scope.Scope
> =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    yield* Effect.mapError(ResultPlan.make(batch, { parts: false }), fromError)
    const headers = headersOf(batch, form)
    if (isKnown(request, etagOf(batch, form))) return HttpServerResponse.empty({ status: 304, headers })
    const options = { contentType: form.mediaType, headers }
    if (request.method === "HEAD") return HttpServerResponse.stream(Stream.empty, options)
    yield* Metrics.whileOpen("results")
    const needs = yield* Effect.context<ResultStream.Needs>()
    const { stream } = yield* begin(ResultStream.make(batch, { format: form.format })).pipe(
      Effect.mapError(fromError)
    )
    return HttpServerResponse.stream(
      stream.pipe(Stream.ensuringWith(conclude(request)), Stream.provideContext(needs)),
      options
    )
  })

/** Ends a stream: nothing is to be done for one that is whole; any other takes its connection with it. */
const conclude =
  (request: HttpServerRequest.HttpServerRequest) =>
  (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const outcome = Exit.match(exit, {
        onSuccess: () => "complete",
        onFailure: (cause) => (Cause.isInterruptedOnly(cause) ? "abandoned" : "broken")
      })
      if (outcome !== "complete") NodeHttpServerRequest.toIncomingMessage(request).socket.resetAndDestroy()
      return Telemetry.count(Metrics.results, "outcome", outcome)
    })
