/**
 * The public failures: one class for each thing a caller does next. None carries a secret, so each may be logged,
 * printed or encoded with its schema as it is.
 *
 * @example
 * import { Effect } from "effect"
 * import { Batch, BatchClient } from "@org/batch-core"
 *
 * const program = (id: Batch.BatchId) =>
 *   BatchClient.status(id).pipe(
 *     Effect.catchTag("BatchNotFound", (error) => Effect.logWarning(error.message)),
 *     Effect.catchTag("RateLimited", (error) => Effect.sleep(error.retryAfter))
 *   )
 */
import type { Error as PlatformErrors } from "@effect/platform"
import { DateTime, Duration, Option, Predicate, Schema } from "effect"
import { Batch, BatchId, BatchStatus } from "./Batch.js"
import { count, plural } from "./CountText.js"
import * as DurationText from "./DurationText.js"
import { MaskedJson, MaskedText, maskText } from "./Masking.js"

const OptionalInt = Schema.optionalWith(Schema.Int, { as: "Option" })

const OptionalText = Schema.optionalWith(MaskedText, { as: "Option" }).pipe(
  Schema.withConstructorDefault(() => Option.none<string>())
)

/** The id by which the vendor knows a request, from its answer's `X-Request-Id`, where it has one. */
const ofRequest = {
  requestId: Schema.optionalWith(MaskedText, { as: "Option" }).pipe(
    Schema.fromKey("request_id"),
    Schema.withConstructorDefault(() => Option.none<string>())
  )
}

const request = (id: Option.Option<string>): string =>
  Option.match(id, { onNone: () => "", onSome: (text) => `; request ${text}` })

/** A message is made of other people's words, so it is masked as a whole. */
const shown = (parts: TemplateStringsArray, ...words: ReadonlyArray<unknown>): string =>
  maskText(String.raw({ raw: parts }, ...words))

/** 401, 402 or 403 of the API, or no key at all. Another key, more credits or another plan is needed. */
export class NotAuthorized extends Schema.TaggedError<NotAuthorized>()("NotAuthorized", {
  ...ofRequest,
  reason: Schema.Literal("InvalidKey", "InsufficientCredits", "NotOnPlan"),
  /** What the API said, or what is missing. */
  detail: MaskedText,
  /** Whether it came in a shape of the API's; a proxy or an edge may answer 401 and 403, too. */
  fromApi: Schema.optionalWith(Schema.Boolean, { default: () => true }).pipe(
    Schema.withConstructorDefault(() => true)
  )
}) {
  override get message(): string {
    const what = {
      InvalidKey: "the API key was not accepted",
      InsufficientCredits: "the account has no credits left for this",
      NotOnPlan: "the account's plan does not include this"
    }[this.reason]
    return shown`${what}: ${this.detail}${request(this.requestId)}`
  }
}

/** 400 or 422 of the API: the request itself is wrong, and the same request will be refused again. */
export class RequestRejected extends Schema.TaggedError<RequestRejected>()("RequestRejected", {
  ...ofRequest,
  status: Schema.Int,
  detail: MaskedText,
  /** What the API adds to help, for example `available_fields`. */
  metadata: Schema.optionalWith(MaskedJson, { as: "Option" })
}) {
  override get message(): string {
    return shown`the API refused the request (HTTP ${this.status}): ${this.detail}${request(this.requestId)}`
  }
}

/** A request that the API would refuse, found before it was sent. */
export class RequestInvalid extends Schema.TaggedError<RequestInvalid>()("RequestInvalid", {
  /** The kind of job: `company/enrich`, … */
  kind: MaskedText,
  /** The property that is wrong, with its place: `filters.conditions[0].type`. */
  property: OptionalText,
  detail: MaskedText
}) {
  override get message(): string {
    const where = Option.match(this.property, { onNone: () => "", onSome: (name) => ` (${name})` })
    return shown`the request for ${this.kind}${where} is not valid: ${this.detail}`
  }
}

/**
 * A job was sent, and its answer was lost: it may run and be billed, or not. It is never sent again by itself, and what
 * is known is for `Settlement.settle`.
 */
export class SubmitUnknown extends Schema.TaggedError<SubmitUnknown>()("SubmitUnknown", {
  ...ofRequest,
  /** The kind of job: `company/enrich`, … */
  kind: MaskedText,
  /** The inputs that it has; 1 for a search by a query. */
  count: Schema.Int,
  /** When it was sent. */
  sentAt: Schema.propertySignature(Schema.DateTimeUtc).pipe(Schema.fromKey("sent_at")),
  /** What came in place of the answer. */
  detail: MaskedText
}) {
  override get message(): string {
    return shown`whether the API took the job is not known: ${this.kind} with ${plural(this.count, "input")}, sent at ${DateTime.formatIso(this.sentAt)}: ${this.detail}${request(this.requestId)}; it was not sent again, since it would be billed twice if it was taken`
  }
}

/** A list of inputs that cannot be used: no such column, no such format, nothing in it. */
export class InputInvalid extends Schema.TaggedError<InputInvalid>()("InputInvalid", {
  /** The file, or `-` for standard input. */
  path: MaskedText,
  detail: MaskedText
}) {
  override get message(): string {
    return shown`the list in ${this.path === "-" ? "standard input" : this.path} cannot be used: ${this.detail}`
  }
}

/** A campaign that may not start as it is. Nothing was submitted. */
export class CampaignRefused extends Schema.TaggedError<CampaignRefused>()("CampaignRefused", {
  reason: Schema.Literal("MaxCredits", "Balance", "NotConfirmed", "NotEntitled", "NothingToSend", "NotFound"),
  detail: MaskedText
}) {
  override get message(): string {
    return shown`nothing was submitted: ${this.detail}`
  }
}

/** The deadline of a campaign passed. Nothing is lost: the same again goes on. */
export class CampaignTimeout extends Schema.TaggedError<CampaignTimeout>()("CampaignTimeout", {
  campaign: Schema.String,
  /** Encoded in milliseconds. */
  elapsed: Schema.DurationFromMillis
}) {
  override get message(): string {
    return shown`campaign ${this.campaign} was not at its end after ${DurationText.format(this.elapsed)}; its jobs go on`
  }
}

/** 404 of the API: this account has no such batch. */
export class BatchNotFound extends Schema.TaggedError<BatchNotFound>()("BatchNotFound", {
  ...ofRequest,
  batchId: BatchId,
  /** What the API said, if it said anything. */
  detail: OptionalText
}) {
  override get message(): string {
    const words = Option.match(this.detail, { onNone: () => "", onSome: (said) => `: ${said}` })
    return shown`the API knows no batch ${this.batchId} for this account${words}${request(this.requestId)}`
  }
}

/**
 * 429 beyond our patience, or any answer that asks for a longer pause than that. `retryAfter` is what the server
 * asked for, or our own last pause.
 */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", {
  ...ofRequest,
  /** Encoded in milliseconds. */
  retryAfter: Schema.DurationFromMillis,
  attempts: Schema.Int
}) {
  override get message(): string {
    return shown`the API is limiting this account's requests (${plural(this.attempts, "attempt")}): try again in ${DurationText.format(this.retryAfter)}${request(this.requestId)}`
  }
}

/** The API could not be reached, or answered 5xx, after all retries; or it gave no good answer in a whole wait. */
export class ApiUnavailable extends Schema.TaggedError<ApiUnavailable>()("ApiUnavailable", {
  ...ofRequest,
  reason: Schema.Literal("Network", "Timeout", "Server"),
  status: OptionalInt,
  attempts: Schema.Int,
  detail: MaskedText,
  /** The pause that the server asked for, if it did. Encoded in milliseconds. */
  retryAfter: Schema.optionalWith(Schema.DurationFromMillis, { as: "Option" }).pipe(
    Schema.withConstructorDefault(() => Option.none<Duration.Duration>())
  ),
  /** Whether this will not heal by itself: an unknown host, a certificate that is not trusted, a proxy that refuses. */
  lasting: Schema.optionalWith(Schema.Boolean, { default: () => false }).pipe(
    Schema.withConstructorDefault(() => false)
  ),
  /** What may mend it, if we know. */
  remedy: OptionalText
}) {
  override get message(): string {
    const remedy = Option.match(this.remedy, { onNone: () => "", onSome: (advice) => `; ${advice}` })
    const pause = Option.match(this.retryAfter, {
      onNone: () => "",
      onSome: (asked) => `; it asks to be tried again in ${DurationText.format(asked)}`
    })
    return shown`the API could not be asked (${plural(this.attempts, "attempt")}): ${this.detail}${remedy}${pause}${request(this.requestId)}`
  }
}

/** An answer that is not the API's: a proxy's page, another service, or a shape that we cannot read. */
export class MalformedResponse extends Schema.TaggedError<MalformedResponse>()("MalformedResponse", {
  ...ofRequest,
  status: OptionalInt,
  detail: MaskedText
}) {
  override get message(): string {
    return shown`the answer is not the batch API's: ${this.detail}${request(this.requestId)}`
  }
}

/** The job ended `failed`. It will not change any more; submit a new one. */
export class BatchFailed extends Schema.TaggedError<BatchFailed>()("BatchFailed", {
  batch: Batch,
  errorMessage: MaskedText
}) {
  override get message(): string {
    return shown`batch ${this.batch.batchId} failed upstream: ${this.errorMessage}`
  }
}

/** The failure of a job that ended `failed`, with the API's reason if it gave one. */
export const batchFailed = (batch: Batch): BatchFailed =>
  new BatchFailed({ batch, errorMessage: Option.getOrElse(batch.errorMessage, () => "no reason was given") })

/** Results were asked of a job that is still running. */
export class BatchNotCompleted extends Schema.TaggedError<BatchNotCompleted>()("BatchNotCompleted", {
  batchId: BatchId,
  status: BatchStatus
}) {
  override get message(): string {
    return shown`batch ${this.batchId} is still ${this.status}: there are no results yet`
  }
}

/** One poll or one failed request of a wait, for the transcript. */
export const WaitEvent = Schema.Struct({
  /** Milliseconds since the wait began. */
  at: Schema.Number,
  /** The state the API answered with, or the tag of the request's failure. */
  outcome: MaskedText,
  /** `result_count` at that moment, if there was an answer. */
  resultCount: Schema.optionalWith(Schema.Int, { as: "Option" })
})

/** The deadline passed while the job was running, as the API said at least once. Nothing is cancelled: wait again to go on. */
export class WaitTimeout extends Schema.TaggedError<WaitTimeout>()("WaitTimeout", {
  batchId: BatchId,
  /** The last state known. */
  lastStatus: Schema.OptionFromNullOr(BatchStatus),
  counts: Schema.Struct({
    resultCount: Schema.Int,
    entitiesRequested: Schema.Int,
    entitiesFulfilled: Schema.Int
  }),
  /** Encoded in milliseconds. */
  elapsed: Schema.DurationFromMillis,
  /** Answered status requests. */
  polls: Schema.Int,
  /** The last polls and failures, oldest first, at most 50. */
  transcript: Schema.Array(WaitEvent)
}) {
  override get message(): string {
    const last = Option.match(this.lastStatus, {
      onNone: () => "its state is not known",
      onSome: (status) => `last seen ${status} with ${plural(this.counts.resultCount, "row")}`
    })
    return shown`batch ${this.batchId} was still running after ${DurationText.format(this.elapsed)} and ${plural(this.polls, "poll")} (${last}); the job itself goes on`
  }
}

/** There are no results to fetch: no link, no object behind it, or another object than before. */
export class ResultsUnavailable extends Schema.TaggedError<ResultsUnavailable>()("ResultsUnavailable", {
  reason: Schema.Literal("NoLink", "Missing", "Expired", "Changed"),
  /** The job whose results they are, unless a link of one's own was fetched. */
  batchId: Schema.optional(BatchId),
  detail: MaskedText
}) {
  override get message(): string {
    const what = {
      NoLink: "there is no download link that can be used",
      Missing: "the results file is not there",
      Expired: "the download link has expired",
      Changed: "the results file was replaced during the download"
    }[this.reason]
    return shown`${what}: ${this.detail}`
  }
}

/** A results file could not be fetched, after all retries. What has arrived is kept. */
export class TransferFailed extends Schema.TaggedError<TransferFailed>()("TransferFailed", {
  reason: Schema.Literal("Transport", "Stalled", "Protocol", "Server"),
  /** The results file by its name, without its link. */
  file: MaskedText,
  status: OptionalInt,
  attempts: Schema.Int,
  detail: MaskedText
}) {
  override get message(): string {
    return shown`${this.file} could not be downloaded (${plural(this.attempts, "attempt")}): ${this.detail}`
  }
}

/** A results file came, and is not what was promised. It is never published under the name that was asked for. */
export class ResultsCorrupt extends Schema.TaggedError<ResultsCorrupt>()("ResultsCorrupt", {
  reason: Schema.Literal("Gzip", "RowCount", "Length", "Encoding"),
  file: MaskedText,
  expected: MaskedText,
  actual: MaskedText,
  /** Where the data is kept for a look, if it is. */
  kept: Schema.optionalWith(MaskedText, { as: "Option" })
}) {
  override get message(): string {
    const what = {
      Gzip: "is no sound gzip file",
      RowCount: "has the wrong number of rows",
      Length: "has the wrong length",
      Encoding: "is not what was promised"
    }[this.reason]
    const kept = Option.match(this.kept, {
      onNone: () => "",
      onSome: (path) => `; what came is kept as ${path}`
    })
    return shown`${this.file} ${what}: expected ${this.expected}, got ${this.actual}${kept}`
  }
}

/** A failure of our own disk, a destination that must not be written, or a file that cannot be read. What was there before is untouched. */
export class StorageError extends Schema.TaggedError<StorageError>()("StorageError", {
  reason: Schema.Literal("NoSpace", "Denied", "Exists", "Unwritable", "Unreadable"),
  path: MaskedText,
  detail: MaskedText
}) {
  override get message(): string {
    const what = {
      NoSpace: "the disk is full",
      Denied: "no permission",
      Exists: "the destination exists already",
      Unwritable: "the destination cannot be written",
      Unreadable: "it cannot be read"
    }[this.reason]
    return shown`${this.path}: ${what} (${this.detail})`
  }
}

/** What a failed call of the file system on `path` means, as a `StorageError` by the system's own code (`ENOSPC` …). */
export const storageErrorAt =
  (path: string) =>
  (error: PlatformErrors.PlatformError): StorageError => {
    const code = systemCode(error)
    const [reason, detail] = systemErrors[code] ?? ["Unwritable", code]
    return new StorageError({ reason, path, detail })
  }

/** The system's own code of a failed call, such as `ENOSPC`. */
export const systemCode = (error: PlatformErrors.PlatformError): string => {
  const cause = "cause" in error ? error.cause : undefined
  return Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : error._tag
}

const systemErrors: Readonly<Record<string, readonly [StorageError["reason"], string]>> = {
  ENOSPC: ["NoSpace", "no space left on the device"],
  EDQUOT: ["NoSpace", "the quota is used up"],
  EFBIG: ["NoSpace", "the file system allows no file of this size"],
  EACCES: ["Denied", "permission denied"],
  EPERM: ["Denied", "not permitted"],
  EROFS: ["Denied", "the file system is read-only"],
  EEXIST: ["Exists", "EEXIST"],
  ENOENT: ["Unwritable", "no such file or folder"],
  ENOTDIR: ["Unwritable", "a part of the path is no folder"],
  EISDIR: ["Unwritable", "it is a folder"],
  ENAMETOOLONG: ["Unwritable", "the name is too long"],
  ELOOP: ["Unwritable", "too many links"],
  EIO: ["Unwritable", "the device reports an error"]
}

/** One line of a result that is no record. */
export class RecordInvalid extends Schema.TaggedError<RecordInvalid>()("RecordInvalid", {
  /** The file that it is in, where there may be several. */
  file: OptionalText,
  /** Counted from 1. */
  line: Schema.Int,
  /** The place of the line's first byte in the decompressed file. */
  offset: Schema.Int,
  /** What is wrong with it. */
  detail: MaskedText,
  /** The line's beginning, at most 120 characters. */
  excerpt: MaskedText
}) {
  override get message(): string {
    const file = Option.match(this.file, { onNone: () => "", onSome: (path) => `${path}, ` })
    return shown`${file}line ${count(this.line)} (byte ${count(this.offset)}) is no record, since ${this.detail}: ${this.excerpt}`
  }
}

/** The result has rows, and none of them has any of the columns that were asked for. Nothing is published. */
export class ColumnsNotFound extends Schema.TaggedError<ColumnsNotFound>()("ColumnsNotFound", {
  /** As they were asked for. */
  columns: Schema.Array(MaskedText)
}) {
  override get message(): string {
    const [first, ...others] = this.columns
    return others.length === 0
      ? shown`no row has the column ${first ?? ""}`
      : shown`no row has any of the columns ${this.columns.join(", ").slice(0, 240)}`
  }
}

/** What a single call of the API can fail with, whatever the call. */
export type ApiError = NotAuthorized | RequestRejected | RateLimited | ApiUnavailable | MalformedResponse

/** What starting a job can fail with: all but `SubmitUnknown` mean that it was not accepted. */
export type SubmitError = ApiError | SubmitUnknown

/** What asking for one batch can fail with. */
export type StatusError = ApiError | BatchNotFound

/** What waiting can fail with before the job has ended; `ApiUnavailable` if the API gave no good answer at all. */
export type WatchError = NotAuthorized | RequestRejected | BatchNotFound | ApiUnavailable | WaitTimeout

/** What waiting for a completed job can fail with. */
export type AwaitError = WatchError | BatchFailed

/** What bringing one file to disk can fail with. */
export type TransferError = StatusError | ResultsUnavailable | TransferFailed | ResultsCorrupt | StorageError

/** What rows can fail with on their way into a table, beside what brings them. */
export type TableError = RecordInvalid | ColumnsNotFound

/** Every failure of this package, for encoding. */
export const BatchError = Schema.Union(
  NotAuthorized,
  RequestRejected,
  RequestInvalid,
  SubmitUnknown,
  InputInvalid,
  CampaignRefused,
  CampaignTimeout,
  BatchNotFound,
  RateLimited,
  ApiUnavailable,
  MalformedResponse,
  BatchFailed,
  BatchNotCompleted,
  WaitTimeout,
  ResultsUnavailable,
  TransferFailed,
  ResultsCorrupt,
  StorageError,
  RecordInvalid,
  ColumnsNotFound
)

/** Every failure of this package. */
export type BatchError = typeof BatchError.Type
