/**
 * The vocabulary: a retrieval, where it delivers to, and in which state it can be. Encoded, its fields are those of the
 * service's JSON (`retrieval_id`, `batch_id`, …); it never contains a key or a link.
 *
 * @example
 * import { Retrieval } from "@org/batch-durable"
 * import { Schema } from "effect"
 *
 * const fromBody = Schema.decodeUnknown(Schema.parseJson(Retrieval.Retrieval))
 * const hasEnded = (retrieval: Retrieval.Retrieval) => Retrieval.isEnded(retrieval.state)
 */
import { BatchId, BatchStatus } from "@org/batch-core/Batch"
import * as Format from "@org/batch-core/Format"
import { Receipt } from "@org/batch-core/Receipt"
import { Option, Schema } from "effect"
import * as DerivedId from "./DerivedId.js"

/** The id of a retrieval, a UUID made from its account, batch, destination and format. */
export const RetrievalId = Schema.UUID.pipe(Schema.brand("RetrievalId"))

/** The id of a retrieval, a UUID made from its account, batch, destination and format. */
export type RetrievalId = typeof RetrievalId.Type

/** All states: `waiting` for the batch or for its turn, `running` while it downloads, and the three ends. */
export const states = ["waiting", "running", "done", "failed", "cancelled"] as const

/** The state of a retrieval. */
export const State = Schema.Literal(...states)

/** The state of a retrieval. */
export type State = typeof State.Type

/** Whether nothing will change any more unless it is retried. */
export const isEnded = (state: State): boolean => state !== "waiting" && state !== "running"

/** A file below the root folder of the service. */
export const Folder = Schema.Struct({
  type: Schema.Literal("folder"),
  /** Relative; a folder when it ends in `/`. Left out: `<batch-id>.<ext>`. */
  path: Schema.optional(Schema.String)
})

/** An object in an S3-compatible bucket. */
export const S3 = Schema.Struct({
  type: Schema.Literal("s3"),
  bucket: Schema.NonEmptyString,
  /** A folder when it ends in `/`. */
  key: Schema.NonEmptyString,
  /** Default: that of AWS, as its SDK finds it. */
  endpoint: Schema.optional(Schema.String),
  /** Default: as the SDK of AWS finds it. */
  region: Schema.optional(Schema.String)
})

/** Where a retrieval delivers to. */
export const Destination = Schema.Union(Folder, S3)

/** Where a retrieval delivers to. */
export type Destination = typeof Destination.Type

/** How far it is. */
export const Progress = Schema.Struct({
  /** What the API said last of the batch; none before the first look. */
  status: Schema.NullOr(BatchStatus),
  resultCount: Schema.propertySignature(Schema.NonNegativeInt).pipe(Schema.fromKey("result_count")),
  /** Bytes fetched so far; in the end the size of what was delivered. */
  bytes: Schema.NonNegativeInt,
  totalBytes: Schema.propertySignature(Schema.NullOr(Schema.NonNegativeInt)).pipe(
    Schema.fromKey("total_bytes")
  ),
  /** Rows proven so far. */
  records: Schema.NonNegativeInt
})

/** How far it is. */
export type Progress = typeof Progress.Type

/** Why it failed: `type` is the tag of the failure, as of a `BatchError`. */
export const Failure = Schema.Struct({ type: Schema.String, message: Schema.String })

/** Why it failed: `type` is the tag of the failure, as of a `BatchError`. */
export type Failure = typeof Failure.Type

/** A retrieval as it is at one moment. */
export class Retrieval extends Schema.Class<Retrieval>("Retrieval")({
  retrievalId: Schema.propertySignature(RetrievalId).pipe(Schema.fromKey("retrieval_id")),
  state: State,
  batchId: Schema.propertySignature(BatchId).pipe(Schema.fromKey("batch_id")),
  destination: Destination,
  format: Format.Format,
  /** From 1; each retry adds one. */
  attempt: Schema.Int,
  progress: Progress,
  receipt: Schema.NullOr(Receipt),
  error: Schema.NullOr(Failure),
  createdAt: Schema.propertySignature(Schema.DateTimeUtc).pipe(Schema.fromKey("created_at")),
  updatedAt: Schema.propertySignature(Schema.DateTimeUtc).pipe(Schema.fromKey("updated_at")),
  /** When the batch is looked at next; none while it downloads, and after its end. */
  nextLookAt: Schema.propertySignature(Schema.NullOr(Schema.DateTimeUtc)).pipe(Schema.fromKey("next_look_at"))
}) {}

/** What a caller asks for, as the body of `POST /retrievals`. */
export const Request = Schema.Struct({
  batchId: Schema.propertySignature(BatchId).pipe(Schema.fromKey("batch_id")),
  destination: Destination,
  /** Default: what the extension of the destination stands for, else `jsonl.gz`. */
  format: Schema.optional(Format.Format),
  /** Who is told of its end. */
  notify: Schema.optional(Schema.Struct({ url: Schema.String })),
  /** Whether a destination that exists is replaced. */
  replace: Schema.optional(Schema.Boolean)
})

/** What a caller asks for, as the body of `POST /retrievals`. */
export type Request = typeof Request.Type

/** The name of the file or object: the last part of its path, with `<batch-id>.<ext>` behind a `/`. */
const placed = (path: string, batchId: string, format: Format.Format): string =>
  path === "" || path.endsWith("/") ? `${path}${batchId.toLowerCase()}.${format}` : path

/** The destination with what it left out, and the format that it implies unless one is named. */
export const resolve = (
  request: Request
): { readonly destination: Destination; readonly format: Format.Format } => {
  const { batchId, destination } = request
  const named = destination.type === "folder" ? (destination.path ?? "") : destination.key
  const format = request.format ?? Option.getOrElse(Format.ofName(named), () => "jsonl.gz" as const)
  if (destination.type === "s3") {
    return { destination: { ...destination, key: placed(named, batchId, format) }, format }
  }
  const plain = named.replace(/\/+/gu, "/").replace(/^(?:\.\/)+|(?<=\/)(?:\.\/)+/gu, "")
  return { destination: { type: "folder", path: placed(plain, batchId, format) }, format }
}

/** The id of what is the same: account, batch, destination and format. */
export const idOf = (
  account: string,
  batchId: BatchId,
  { destination, format }: ReturnType<typeof resolve>
): string => {
  const place =
    destination.type === "folder"
      ? ["folder", destination.path]
      : ["s3", destination.bucket, destination.key, destination.endpoint ?? null, destination.region ?? null]
  return DerivedId.of(account, batchId.toLowerCase(), place, format)
}
