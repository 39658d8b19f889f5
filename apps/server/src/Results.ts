/**
 * The response of `/results`: a job's records in the media type that the caller accepts, streamed from the file host and
 * verified on the way. A stream that fails resets the connection, so that nobody takes what was sent for the whole.
 */
import { FileSystem, HttpServerRequest, HttpServerResponse, type Path } from "@effect/platform"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type { Batch } from "@org/batch-core/Batch"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { type BatchError, storageErrorAt } from "@org/batch-core/BatchError"
import * as Csv from "@org/batch-core/Csv"
import { type Format, mediaTypes } from "@org/batch-core/Format"
import * as Buffers from "@org/batch-core/Buffers"
import * as Compression from "@org/batch-core/Compression"
import * as ResultPlan from "@org/batch-core/ResultPlan"
import * as ResultRange from "@org/batch-core/ResultRange"
import * as ResultStream from "@org/batch-core/ResultStream"
import * as Retrieval from "@org/batch-core/Retrieval"
import * as Telemetry from "@org/batch-core/Telemetry"
import { Cause, DateTime, Effect, Either, Exit, Option, type Scope, Stream } from "effect"
import Negotiator from "negotiator"
import { createHash } from "node:crypto"
import * as ByteRange from "./ByteRange.js"
import { fromStream, type Source, waitForFirstChunk } from "./FirstChunk.js"
import * as Metrics from "./Metrics.js"
import { fromError, Problem } from "./Problem.js"

/** The formats on offer, each by the names that callers have for it; the first one goes to callers that accept any. */
const names = {
  jsonl: [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/json-lines"
  ],
  "jsonl.gz": ["application/gzip", "application/x-gzip"],
  csv: ["text/csv", "application/csv"]
} as const satisfies Partial<Record<Format, ReadonlyArray<string>>>

const forms = ["jsonl", "jsonl.gz", "csv"] as const

/** Every name, the usual ones first. */
const offered = [...forms.map((form) => names[form][0]), ...forms.flatMap((form) => names[form].slice(1))]

/** The representation of the results that a request asks for. */
export interface Form {
  readonly format: Format
  /** Whether text is compressed on its way (`Content-Encoding`). */
  readonly isEncoded: boolean
  /** The columns of CSV; all, if none are named. */
  readonly columns: Option.Option<ReadonlyArray<string>>
}

const notAcceptable = new Problem({
  status: 406,
  type: "NotAcceptable",
  message: `Accept allows none of ${forms.map((form) => names[form][0]).join(", ")}`
})

const refused = (detail: string): Problem =>
  new Problem({ status: 400, type: "RequestRejected", message: `columns: ${detail}` })

/** Content negotiation: the best format that `Accept` allows, and the columns. Fails with 406, or 400 for the columns. */
export const negotiate = (
  { headers }: HttpServerRequest.HttpServerRequest,
  columns: string | undefined
): Effect.Effect<Form, Problem> =>
  Effect.gen(function* () {
    const { accept, "accept-encoding": encodings } = headers
    const negotiator = new Negotiator({
      headers: {
        ...(accept === undefined ? {} : { accept }),
        ...(encodings === undefined ? {} : { "accept-encoding": encodings })
      }
    })
    const wanted = negotiator.mediaType(offered)
    const format = forms.find((form) => names[form].some((name) => name === wanted))
    if (format === undefined) return yield* notAcceptable
    const isEncoded = format !== "jsonl.gz" && negotiator.encodings(["gzip"]).length > 0
    if (columns === undefined) return { format, isEncoded, columns: Option.none() }
    if (format !== "csv") return yield* refused("only CSV has them: send Accept: text/csv as well")
    return {
      format,
      isEncoded,
      columns: Option.some(yield* Either.mapLeft(Csv.parseColumns(columns), refused))
    }
  })

/** A weak tag: the records of a completed job do not change, but its files may be compressed anew. */
const etagOf = ({ batchId, completedAt, resultCount }: Batch, { columns, format }: Form): string => {
  const ended = Option.match(completedAt, { onNone: () => 0, onSome: DateTime.toEpochMillis })
  const named = Option.match(columns, { onNone: () => "", onSome: (names) => `-${digest(names.join())}` })
  return `W/"${batchId}-${resultCount}-${ended}-${format}${named}"`
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16)

/** A strong tag of the bytes as delivered, which are those of one version of one file. */
const strongTag = ({ etag, total }: ResultStream.DeliveredFile): string => `"${digest(`${etag} ${total}`)}"`

type File = Option.Option<ResultStream.DeliveredFile>

const headersOf = (batch: Batch, form: Form, file: File): Readonly<Record<string, string>> => ({
  "cache-control": "private, no-cache",
  etag: Option.match(file, { onNone: () => etagOf(batch, form), onSome: strongTag }),
  vary: "accept, accept-encoding",
  ...(Option.isSome(file) ? { "accept-ranges": "bytes" } : {}),
  ...(form.isEncoded ? { "content-encoding": "gzip" } : {}),
  "x-result-count": String(batch.resultCount),
  ...(form.format === "jsonl"
    ? {}
    : { "content-disposition": `attachment; filename="${batch.batchId}.${form.format}"` })
})

/** The services that a response needs. */
type Needs = ResultStream.Needs | FileSystem.FileSystem | Path.Path

/**
 * The response, after its first bytes have come from the file host, so that a failure until then is answered by a status.
 * 304 and `HEAD` fetch nothing but, of the bytes as delivered, which version they are. `forget` drops the kept answer about
 * the job. Fails with 409 or 422 if the job has no results; links may still be about to come.
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
    yield* Either.mapLeft(ResultPlan.completed(batch), fromError)
    const isAsked = form.format === "jsonl.gz" && ByteRange.isConcerned(request)
    const known = isAsked ? yield* ResultRange.file(batch) : Option.none()
    const headers = headersOf(batch, form, known)
    if (ByteRange.isKnown(request, headers["etag"] ?? ""))
      return HttpServerResponse.empty({ status: 304, headers })
    if (request.method === "HEAD") {
      return HttpServerResponse.stream(Stream.empty, {
        contentType: mediaTypes[form.format],
        headers,
        ...lengthOf(known)
      })
    }
    const part = Option.flatMap(known, (file) =>
      Option.map(ByteRange.of(request, { etag: strongTag(file), total: file.total }), (range) => ({
        ...range,
        file
      }))
    )
    if (Option.isSome(part))
      return yield* partial(batch, part.value, { contentType: mediaTypes[form.format], headers })
    let file: File = Option.none()
    const noted = (delivered: ResultStream.DeliveredFile) =>
      Effect.sync(() => void (file = Option.some(delivered)))
    const whole = yield* sending(bytes(batch, form, noted), forgetting(forget))
    return HttpServerResponse.stream(whole, {
      contentType: mediaTypes[form.format],
      // Without a length: by that a caller would take for whole what is not proven yet.
      headers: headersOf(batch, form, file)
    })
  })

const lengthOf = (file: File): { readonly contentLength?: number } =>
  Option.match(file, { onNone: () => ({}), onSome: ({ total }) => ({ contentLength: total }) })

/** A body whose first bytes are here, to be sent: it is counted, and broken off if it fails. */
const sending = <R>(
  source: Source<BatchError, R>,
  onFailure: (error: BatchError) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<
  Stream.Stream<Uint8Array, unknown>,
  Problem,
  R | HttpServerRequest.HttpServerRequest | Scope.Scope
> =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    yield* Metrics.whileOpen("results")
    const started = yield* waitForFirstChunk(source, request).pipe(
      Effect.tapError(onFailure),
      Effect.mapError(fromError)
    )
    return started.pipe(Stream.tapError(onFailure), Stream.ensuringWith(conclude(request)))
  })

/** A part of the bytes as delivered, or 416 if there is none. */
const partial = (
  batch: Batch,
  { end, file, start }: ByteRange.ByteRange & { readonly file: ResultStream.DeliveredFile },
  options: { readonly contentType: string; readonly headers: Readonly<Record<string, string>> }
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  Problem,
  Needs | HttpServerRequest.HttpServerRequest | Scope.Scope
> =>
  Effect.gen(function* () {
    if (start >= end) {
      return ByteRange.unsatisfiable(file.total)
    }
    const stream = yield* sending(fromStream(ResultRange.stream(batch, { file, start, end })))
    return HttpServerResponse.stream(stream, {
      ...options,
      status: 206,
      headers: { ...options.headers, "content-range": `bytes ${start}-${end - 1}/${file.total}` },
      contentLength: end - start
    })
  })

/** Drops the kept answer of a job whose results are not what it promised: the API may know better by now. */
const forgetting =
  (forget: Effect.Effect<void>) =>
  (error: BatchError): Effect.Effect<void> =>
    (error._tag === "ResultsUnavailable" && (error.reason === "NoLink" || error.reason === "Missing")) ||
    (error._tag === "ResultsCorrupt" && error.reason === "RowCount")
      ? forget
      : Effect.void

/** Bytes in a chunk of the last of so many streams: a few have what makes one fast, and many take less memory each. */
const chunkBytesOf = (streams: number): number =>
  streams > 32 ? 65_536 : Math.min(1_048_576, Math.floor(4_194_304 / streams))

const bytes = (
  batch: Batch,
  { columns, format, isEncoded }: Form,
  onFile: ResultStream.StreamOptions["onFile"]
): Source<BatchError, Needs> => {
  const chunkBytes = chunkBytesOf(Metrics.openNow("results") + 1)
  const rows =
    (format: ResultStream.StreamOptions["format"]): Source<BatchError, Needs> =>
    (write) =>
      ResultStream.run(batch, { format, onFile, chunkBytes }, write)
  const text = Option.match(columns, {
    onNone: () => (format === "csv" ? fromStream(table(batch)) : rows(format)),
    onSome: (names) => asTable(names, rows("jsonl"))
  })
  return isEncoded ? encoded(text) : text
}

/** Rows as a table of these columns, portion by portion. */
const asTable =
  <R>(columns: ReadonlyArray<string>, rows: Source<BatchError, R>): Source<BatchError, R | BatchConfig> =>
  (write) =>
    Effect.gen(function* () {
      const { transfer } = yield* BatchConfig
      const cells = Csv.rowsOf(columns, transfer)
      yield* rows((bytes) => {
        const portion = cells.push(bytes)
        Buffers.release(bytes)
        return Effect.flatMap(portion, write)
      })
      yield* write(yield* cells.end())
    })

/** Of zlib: on its way to a caller a text is compressed at the pace of its arrival. */
const fastest = 1

/**
 * A text compressed into one gzip member. The delivered members would do for few callers: curl refuses a second one, and
 * browsers leave it out without a word.
 */
const encoded =
  <E, R>(text: Source<E, R>): Source<E, R> =>
  (write) =>
    Effect.gen(function* () {
      const member = yield* Compression.make(Effect.forEach(write, { discard: true }), { level: fastest })
      yield* text((bytes) =>
        Effect.zipRight(
          member.push(bytes),
          Effect.sync(() => Buffers.release(bytes))
        )
      )
      yield* member.end
    }).pipe(Effect.scoped)

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
