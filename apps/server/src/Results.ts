/**
 * The response of `/results`: a job's records in the media type that the caller accepts, streamed from the file host and
 * verified on the way. A stream that fails resets the connection, so that nobody takes what was sent for the whole.
 */
import { FileSystem, HttpServerRequest, HttpServerResponse, type Path } from "@effect/platform"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type { Batch } from "@org/batch-core/Batch"
import { type BatchError, storageErrorAt } from "@org/batch-core/BatchError"
import * as Csv from "@org/batch-core/Csv"
import { type Format, mediaTypes } from "@org/batch-core/Format"
import * as Buffers from "@org/batch-core/Buffers"
import * as ResultPlan from "@org/batch-core/ResultPlan"
import * as ResultStream from "@org/batch-core/ResultStream"
import * as Retrieval from "@org/batch-core/Retrieval"
import * as Telemetry from "@org/batch-core/Telemetry"
import { Cause, DateTime, Effect, Either, Exit, Option, type Scope, Stream } from "effect"
import Negotiator from "negotiator"
import { createHash } from "node:crypto"
import { waitForFirstChunk } from "./FirstChunk.js"
import * as Metrics from "./Metrics.js"
import { fromError, Problem } from "./Problem.js"

/** The formats on offer; the first one goes to callers that accept any. */
const forms = ["jsonl", "jsonl.gz", "csv"] as const satisfies ReadonlyArray<Format>

const mediaTypeOf = (format: Format): string => mediaTypes[format].split(";", 1)[0] ?? ""

/** The representation of the results that a request asks for. */
export interface Form {
  readonly format: Format
  /** The columns of CSV; all, if none are named. */
  readonly columns: Option.Option<ReadonlyArray<string>>
}

const notAcceptable = new Problem({
  status: 406,
  type: "NotAcceptable",
  message: `Accept allows none of ${forms.map(mediaTypeOf).join(", ")}`
})

const refused = (detail: string): Problem =>
  new Problem({ status: 400, type: "RequestRejected", message: `columns: ${detail}` })

/** Content negotiation: the best format that `Accept` allows, and the columns. Fails with 406, or 400 for the columns. */
export const negotiate = (
  { headers }: HttpServerRequest.HttpServerRequest,
  columns: string | undefined
): Effect.Effect<Form, Problem> =>
  Effect.gen(function* () {
    const { accept } = headers
    const negotiator = new Negotiator({ headers: accept === undefined ? {} : { accept } })
    const wanted = negotiator.mediaType(forms.map(mediaTypeOf))
    const format = forms.find((form) => mediaTypeOf(form) === wanted)
    if (format === undefined) return yield* notAcceptable
    if (columns === undefined) return { format, columns: Option.none() }
    if (format !== "csv") return yield* refused("only CSV has them: send Accept: text/csv as well")
    return { format, columns: Option.some(yield* Either.mapLeft(Csv.parseColumns(columns), refused)) }
  })

/** A weak tag: the records of a completed job do not change, but its files may be compressed anew. */
const etagOf = ({ batchId, completedAt, resultCount }: Batch, { columns, format }: Form): string => {
  const ended = Option.match(completedAt, { onNone: () => 0, onSome: DateTime.toEpochMillis })
  const named = Option.match(columns, { onNone: () => "", onSome: (names) => `-${digest(names.join())}` })
  return `W/"${batchId}-${resultCount}-${ended}-${format}${named}"`
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16)

const headersOf = (batch: Batch, form: Form): Readonly<Record<string, string>> => ({
  "cache-control": "private, no-cache",
  etag: etagOf(batch, form),
  vary: "accept",
  "x-result-count": String(batch.resultCount),
  ...(form.format === "jsonl"
    ? {}
    : { "content-disposition": `attachment; filename="${batch.batchId}.${form.format}"` })
})

/** Whether `If-None-Match` has the tag. Weak and strong tags are compared alike, and `*` is any (RFC 9110, 13.1.2). */
const isKnown = ({ headers }: HttpServerRequest.HttpServerRequest, etag: string): boolean =>
  (headers["if-none-match"] ?? "")
    .split(",")
    .map((known) => known.trim().replace(/^W\//u, ""))
    .some((known) => known === "*" || `W/${known}` === etag)

/** The services that a response needs. */
type Needs = ResultStream.Needs | FileSystem.FileSystem | Path.Path

/**
 * The response, after its first bytes have come from the file host, so that a failure until then is answered by a status.
 * 304 and `HEAD` fetch nothing. `forget` drops the kept answer about the job. Fails with 409 or 422 if the job has no
 * results; links may still be about to come.
 */
export const respond = (
  batch: Batch,
  form: Form,
  forget: Effect.Effect<void>
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  Problem,
  Needs | HttpServerRequest.HttpServerRequest | Scope.Scope
> =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    yield* ResultPlan.make(batch, { parts: false }).pipe(
      Effect.catchTag("ResultsUnavailable", () => Effect.void),
      Effect.mapError(fromError)
    )
    const headers = headersOf(batch, form)
    if (isKnown(request, etagOf(batch, form))) return HttpServerResponse.empty({ status: 304, headers })
    const options = { contentType: mediaTypes[form.format], headers }
    if (request.method === "HEAD") return HttpServerResponse.stream(Stream.empty, options)
    yield* Metrics.whileOpen("results")
    const { stream } = yield* Effect.mapError(
      waitForFirstChunk(Stream.tapError(bytes(batch, form), forgetting(forget))),
      fromError
    )
    return HttpServerResponse.stream(
      stream.pipe(Stream.map(releasing(request)), Stream.ensuringWith(conclude(request))),
      options
    )
  })

/** Drops the kept answer of a job whose results are not what it promised: the API may know better by now. */
const forgetting =
  (forget: Effect.Effect<void>) =>
  (error: BatchError): Effect.Effect<void> =>
    (error._tag === "ResultsUnavailable" && (error.reason === "NoLink" || error.reason === "Missing")) ||
    (error._tag === "ResultsCorrupt" && error.reason === "RowCount")
      ? forget
      : Effect.void

/** Releases the memory of the last chunk when the next one comes, if Node has written all it was given until then. */
const releasing = (request: HttpServerRequest.HttpServerRequest) => {
  const response = NodeHttpServerRequest.toServerResponse(request)
  let last: Uint8Array = new Uint8Array(0)
  return (next: Uint8Array): Uint8Array => {
    if (response.writableLength === 0) Buffers.release(last)
    last = next
    return next
  }
}

const bytes = (batch: Batch, { columns, format }: Form): Stream.Stream<Uint8Array, BatchError, Needs> => {
  if (format !== "csv") return ResultStream.make(batch, { format })
  return Option.match(columns, {
    onNone: () => table(batch),
    onSome: (names) => Csv.encode(names)(ResultStream.make(batch, { format: "jsonl" }))
  })
}

/** CSV with all columns. Which there are is known only after the last record, so the table is spooled to the disk first. */
const table = (batch: Batch): Stream.Stream<Uint8Array, BatchError, Needs> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* Effect.mapError(
        fs.makeTempDirectoryScoped({ prefix: "batch-server-" }),
        storageErrorAt("the temporary folder")
      )
      const output = `${folder}/rows.csv`
      yield* Retrieval.download(batch.batchId, { output, format: "csv" })
      return Stream.mapError(fs.stream(output, { chunkSize: 262_144 }), storageErrorAt(output))
    })
  )

/** Counts the end of a stream, and resets the connection of one that is not whole. */
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
