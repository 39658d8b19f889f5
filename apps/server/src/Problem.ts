/**
 * Error responses in the upstream's own shape, `{"error":{"type","message","metadata"}}`, with a fitting status. `type` is
 * the tag of the core's error, `metadata` its fields, or what the upstream added to help.
 */
import { HttpApiSchema, HttpServerResponse } from "@effect/platform"
import { toJson } from "@org/batch-core/Batch"
import { ApiUnavailable, BatchError, RateLimited } from "@org/batch-core/BatchError"
import { maskText } from "@org/batch-core/Masking"
import type { RetrievalError } from "@org/batch-durable"
import { Data, Duration, Option, ParseResult, Predicate, Schema } from "effect"

/** What makes a `Problem`. */
export interface Fields {
  /** The HTTP status, from 400 on. */
  readonly status: number
  /** The kind of failure, for programs: the tag of the core's error, or one of the service's own. */
  readonly type: string
  /** What happened and what to do, for people. */
  readonly message: string
  /** More about it, as JSON; null by default. */
  readonly metadata?: unknown
  /** Whether the connection is closed after the response. */
  readonly closes?: boolean | undefined
  /** The methods of the path, of 405. */
  readonly allow?: string | undefined
  /** The id by which the vendor knows the request that it came of, for the log. */
  readonly requestId?: string | undefined
  /** When the caller should ask again, if that helps: the `Retry-After` header. */
  readonly retryAfter?: Duration.Duration | undefined
}

/** A failed request, as the error response that tells its caller. */
export class Problem extends Data.TaggedError("Problem")<Fields> {
  constructor(fields: Fields) {
    super({ ...fields, metadata: fields.metadata ?? null })
  }
}

/** The schema of every error response's body. */
export const Wire = Schema.Struct({
  error: Schema.Struct({
    type: Schema.String.annotations({ description: "What kind of failure it is, for programs." }),
    message: Schema.String.annotations({ description: "What happened and what to do, for people." }),
    metadata: Schema.Unknown.annotations({
      jsonSchema: { type: ["object", "null"], description: "More about it, or null." }
    })
  })
}).annotations({ identifier: "Error", description: "Every error has this shape." })

/** The body of a problem. Links in the message are masked: one that a caller sent by mistake must not get into its logs. */
const encode = ({ message, metadata, type }: Problem): typeof Wire.Type => ({
  error: { type, message: maskText(message), metadata }
})

/** The schema of problems with one status, for endpoints to declare. */
export const at = (status: number, description: string) =>
  Schema.transformOrFail(
    Wire,
    Schema.declare((value): value is Problem => value instanceof Problem && value.status === status),
    {
      strict: true,
      decode: ({ error }) => ParseResult.succeed(new Problem({ status, ...error })),
      encode: (problem) => ParseResult.succeed(encode(problem))
    }
  ).annotations(HttpApiSchema.annotations({ status, description }))

/** The problem of a request that cannot be decoded: what is wrong first, with the name of its field. */
export const invalid = (error: ParseResult.ParseError): Problem => {
  const [{ message, path } = { message: error.message, path: [] }] =
    ParseResult.ArrayFormatter.formatErrorSync(error)
  const field = path.map(String).join(".")
  return new Problem({
    status: 400,
    type: "RequestRejected",
    message: field === "" ? message : `${field}: ${message}`
  })
}

/** The error response of a problem. */
export const toResponse = (problem: Problem): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(encode(problem), {
    status: problem.status,
    headers: {
      "cache-control": "no-store",
      ...(problem.retryAfter === undefined
        ? {}
        : { "retry-after": String(Math.ceil(Duration.toSeconds(problem.retryAfter))) }),
      ...(problem.closes === true ? { connection: "close" } : {}),
      ...(problem.status === 401 ? { "www-authenticate": "Bearer" } : {}),
      ...(problem.allow === undefined ? {} : { allow: problem.allow })
    }
  })

const statuses = {
  RequestInvalid: 400,
  SubmitUnknown: 502,
  InputInvalid: 400,
  CampaignRefused: 400,
  CampaignTimeout: 504,
  BatchNotFound: 404,
  RateLimited: 429,
  ApiUnavailable: 502,
  MalformedResponse: 502,
  BatchFailed: 422,
  BatchNotCompleted: 409,
  WaitTimeout: 504,
  ResultsUnavailable: 502,
  TransferFailed: 502,
  ResultsCorrupt: 502,
  RecordInvalid: 502,
  ColumnsNotFound: 400
} as const

const notAuthorized = { InvalidKey: 401, InsufficientCredits: 402, NotOnPlan: 403 } as const

const statusOf = (error: BatchError): number => {
  switch (error._tag) {
    case "NotAuthorized":
      return notAuthorized[error.reason]
    case "RequestRejected":
      return error.status === 422 ? 400 : error.status
    case "StorageError":
      return error.reason === "NoSpace" ? 507 : 500
    default:
      return statuses[error._tag]
  }
}

const encodeError = Schema.encodeOption(BatchError)

/** Fields that the core's schemas encode in milliseconds. */
const inMillis: ReadonlySet<string> = new Set(["retryAfter", "elapsed", "at"])

const snakeCase = (name: string): string => name.replace(/[A-Z]/gu, (char) => `_${char.toLowerCase()}`)

/** Fields by their names on the wire: snake_case, durations in seconds, which the name says. */
const named = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(named)
  if (!Predicate.isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) =>
      inMillis.has(name) && Predicate.isNumber(field)
        ? [`${snakeCase(name)}_seconds`, field / 1000]
        : [snakeCase(name), named(field)]
    )
  )
}

/** The metadata of an error: its fields without secrets, or what the upstream added to a refusal, as it came. */
const metadataOf = (error: BatchError): unknown => {
  const request = Option.match(requestIdOf(error), {
    onNone: () => ({}),
    onSome: (id) => ({ request_id: id })
  })
  if (error._tag === "RequestRejected") {
    const added = Option.getOrNull(error.metadata)
    return Predicate.isRecord(added)
      ? { ...added, ...request }
      : Option.isNone(requestIdOf(error))
        ? added
        : request
  }
  if (error._tag === "BatchFailed") return { batch: toJson(error.batch), ...request }
  return Option.match(encodeError(error), {
    onNone: () => null,
    onSome: ({ _tag, ...fields }) => named(fields)
  })
}

const requestIdOf = (error: BatchError): Option.Option<string> => {
  if (error._tag === "BatchFailed") return error.batch.requestId
  return "requestId" in error ? error.requestId : Option.none()
}

/** The `Retry-After` of a job that is not completed yet. */
const soon = Duration.seconds(5)

const retryAfterOf = (error: BatchError): Duration.Duration | undefined => {
  switch (error._tag) {
    case "RateLimited":
      return error.retryAfter
    case "ApiUnavailable":
      return Option.getOrUndefined(error.retryAfter)
    case "BatchNotCompleted":
      return soon
    default:
      return undefined
  }
}

/** The longest pause that callers are told: a server that asks for more may have slipped. */
const longestPause = Duration.hours(1)

const bounded = (error: BatchError): BatchError => {
  switch (error._tag) {
    case "RateLimited":
      return new RateLimited({ ...error, retryAfter: Duration.min(error.retryAfter, longestPause) })
    case "ApiUnavailable":
      return new ApiUnavailable({
        ...error,
        retryAfter: Option.map(error.retryAfter, Duration.min(longestPause))
      })
    default:
      return error
  }
}

/** The problem that an error of the core is to a caller. */
export const fromError = (failure: BatchError): Problem => {
  const error = bounded(failure)
  return new Problem({
    status: statusOf(error),
    type: error._tag,
    message: error.message,
    metadata: metadataOf(error),
    requestId: Option.getOrUndefined(requestIdOf(error)),
    retryAfter: retryAfterOf(error)
  })
}

/** A failure of retrievals and campaigns. */
type RetrievalFailure =
  | RetrievalError.RetrievalInvalid
  | RetrievalError.RetrievalNotFound
  | RetrievalError.RetrievalConflict
  | RetrievalError.CampaignNotFound
  | RetrievalError.CampaignConflict
  | RetrievalError.IdempotencyKeyReused
  | RetrievalError.StoreUnavailable
  | RetrievalError.StoreRefused

const ofRetrieval = (error: RetrievalFailure): Pick<Fields, "status" | "metadata" | "retryAfter"> => {
  switch (error._tag) {
    case "RetrievalInvalid":
      return { status: 400, metadata: { field: error.field } }
    case "RetrievalNotFound":
      return { status: 404, metadata: { retrieval_id: error.retrievalId } }
    case "RetrievalConflict":
      return { status: 409, metadata: { retrieval_id: error.retrievalId, state: error.state } }
    case "CampaignNotFound":
      return { status: 404, metadata: { campaign_id: error.campaignId } }
    case "CampaignConflict":
      return { status: 409, metadata: { campaign_id: error.campaignId, state: error.state } }
    case "IdempotencyKeyReused":
      return { status: 422, metadata: { campaign_id: error.campaignId } }
    case "StoreUnavailable":
      return { status: 503, retryAfter: error.retryAfter }
    case "StoreRefused":
      return { status: 503, metadata: { reason: error.reason, place: error.place } }
  }
}

/** The problem that a failure of retrievals is to a caller, who may ask again after a pause where nothing else is known. */
export const fromRetrievalError = (error: RetrievalFailure, pause?: Duration.Duration): Problem =>
  new Problem({ retryAfter: pause, ...ofRetrieval(error), type: error._tag, message: error.message })
