/**
 * What came of a campaign, as the answers to `/results`, `/fates` and `/remainder`: files that no longer change, of which
 * parts can be had.
 */
import { FileSystem, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { BatchConfig } from "@org/batch-core/BatchConfig"
import { mediaTypes } from "@org/batch-core/Format"
import * as InputRows from "@org/batch-core/InputRows"
import type { Campaigns } from "@org/batch-durable"
import { Chunk, Duration, Effect, Option, type Scope, Stream } from "effect"
import Negotiator from "negotiator"
import { createHash } from "node:crypto"
import * as ByteRange from "./ByteRange.js"
import { fromStream, waitForFirstChunk } from "./FirstChunk.js"
import { fromError, Problem } from "./Problem.js"

/** What sending needs. */
export type Needs = BatchConfig | FileSystem.FileSystem | HttpServerRequest.HttpServerRequest | Scope.Scope

/** An answer with a file. */
export type Sent = Effect.Effect<HttpServerResponse.HttpServerResponse, Problem, Needs>

const csv = mediaTypes.csv

/** The joined result, in the format that was asked for. */
export const results = ({ campaign, files }: Campaigns.Outcome): Sent =>
  send(campaign, {
    path: files.output,
    contentType: mediaTypes[campaign.format],
    name: `${campaign.campaignId}.${campaign.format}`
  })

/** The rows that are worth submitting again, in the columns of the list. */
export const remainder = ({ campaign, files }: Campaigns.Outcome): Sent =>
  send(campaign, { path: files.remainder, contentType: csv, name: `${campaign.campaignId}.remainder.csv` })

const ndjson = ["application/x-ndjson", "application/ndjson", "application/jsonl"]

const notAcceptable = new Problem({
  status: 406,
  type: "NotAcceptable",
  message: `Accept allows none of text/csv, ${ndjson[0]}`
})

/** What became of each row, as CSV, or as a JSON object a line where that is what `Accept` asks for. */
export const fates = ({ campaign, files }: Campaigns.Outcome): Sent =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { accept } = request.headers
    const wanted = new Negotiator({ headers: accept === undefined ? {} : { accept } }).mediaType([
      "text/csv",
      ...ndjson
    ])
    if (wanted === undefined) return yield* notAcceptable
    const name = `${campaign.campaignId}.fates.csv`
    if (wanted === "text/csv") {
      const sent = yield* send(campaign, { path: files.fates, contentType: csv, name })
      return HttpServerResponse.setHeader(sent, "vary", "accept")
    }
    yield* sizeOf(files.fates)
    const lines = InputRows.read(files.fates, { format: "csv", column: "row", name }).pipe(
      Stream.map((row) => `${JSON.stringify(fateOf(InputRows.named(row)))}\n`),
      Stream.grouped(256),
      Stream.map(Chunk.join("")),
      Stream.encodeText
    )
    const started = yield* Effect.mapError(waitForFirstChunk(fromStream(lines), request), fromError)
    return HttpServerResponse.stream(started, {
      contentType: "application/x-ndjson",
      headers: { "cache-control": "private, no-cache", vary: "accept" }
    })
  })

/** A row of the fates, with null for what it has not. */
const fateOf = (row: Readonly<Record<string, string>>) => ({
  row: Number(row["row"]),
  identifier: row["identifier"] ?? "",
  fate: row["fate"] ?? "",
  reason: orNull(row["reason"]),
  batch_id: orNull(row["batch_id"]),
  duplicate_of: row["duplicate_of"] ? Number(row["duplicate_of"]) : null
})

const orNull = (text: string | undefined): string | null => (text === undefined || text === "" ? null : text)

const unseen = new Problem({
  status: 503,
  type: "ResultsElsewhere",
  message:
    "this process does not see the files of the campaign: all processes of the service need the same BATCH_SERVER_FOLDER",
  retryAfter: Duration.minutes(1)
})

const sizeOf = (
  path: string
): Effect.Effect<{ readonly size: number; readonly changed: number }, Problem, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapBoth(fs.stat(path), {
      onFailure: () => unseen,
      onSuccess: ({ mtime, size }) => ({
        size: Number(size),
        changed: Option.match(mtime, { onNone: () => 0, onSome: (date) => date.getTime() })
      })
    })
  )

/** A file: whole, in parts, or not again for whoever has it. */
const send = (
  { attempt, campaignId }: Campaigns.Outcome["campaign"],
  { contentType, name, path }: { readonly path: string; readonly contentType: string; readonly name: string }
): Sent =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const fs = yield* FileSystem.FileSystem
    const { changed, size } = yield* sizeOf(path)
    const version = [campaignId, name, attempt, size, changed].join(" ")
    const etag = `"${createHash("sha256").update(version).digest("hex").slice(0, 16)}"`
    const headers = {
      "accept-ranges": "bytes",
      "cache-control": "private, no-cache",
      "content-disposition": `attachment; filename="${name}"`,
      etag
    }
    if (ByteRange.isKnown(request, etag)) return HttpServerResponse.empty({ status: 304, headers })
    if (request.method === "HEAD") {
      return HttpServerResponse.stream(Stream.empty, { contentType, headers, contentLength: size })
    }
    const range = ByteRange.of(request, { etag, total: size })
    const { end, start } = Option.getOrElse(range, () => ({ start: 0, end: size }))
    if (Option.isSome(range) && start >= end) return ByteRange.unsatisfiable(size)
    const bytes = fs.stream(path, { offset: start, bytesToRead: end - start, chunkSize: 262_144 })
    return HttpServerResponse.stream(bytes, {
      contentType,
      contentLength: end - start,
      ...(Option.isSome(range)
        ? { status: 206, headers: { ...headers, "content-range": `bytes ${start}-${end - 1}/${size}` } }
        : { headers })
    })
  })
