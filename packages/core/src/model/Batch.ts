/**
 * The vocabulary: what a batch job is, in which state it can be, and what the API says of it.
 *
 * @example
 * import { Effect, Schema } from "effect"
 * import { Batch } from "@org/batch-core"
 *
 * const program = Effect.gen(function* () {
 *   const id = yield* Schema.decodeUnknown(Batch.BatchId)("01234567-89ab-4cde-8f01-23456789abcd")
 *   const batch = yield* Schema.decodeUnknown(Batch.FromJson)({ batch_id: id, status: "processing", result_count: 12 })
 *   return Batch.isTerminal(batch.status) // false
 * })
 */
import { DateTime, Duration, Option, ParseResult, Predicate, Redacted, Schema } from "effect"
import * as JobFields from "./JobFields.js"
import { JsonObject, MaskedText, maskJson, SecretJson, SecretUrl } from "./Masking.js"

/** The id of a batch job, a UUID. */
export const BatchId = Schema.UUID.pipe(Schema.brand("BatchId")).annotations({
  identifier: "BatchId",
  message: (issue) =>
    `${JSON.stringify(issue.actual)} is no batch id: a batch id is a UUID such as 01234567-89ab-4cde-8f01-23456789abcd`
})

/** The id of a batch job, a UUID. */
export type BatchId = typeof BatchId.Type

/** Whether two ids name the same job: case does not count in a UUID. */
export const isSameId = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

/** The states that the upstream documents: `pending` → `processing` → `completed` or `failed`. */
export const knownStatuses = ["pending", "processing", "completed", "failed"] as const

/** The state of a job. The set is open: an unknown state is carried along, never an error of decoding. */
export const BatchStatus = MaskedText.pipe(Schema.nonEmptyString()).annotations({ identifier: "BatchStatus" })

/** The state of a job. The set is open: an unknown state is carried along, never an error of decoding. */
export type BatchStatus = (typeof knownStatuses)[number] | (string & {})

/** Whether the job has ended, well or badly. An unknown state has not. */
export const isTerminal = (status: BatchStatus): boolean => status === "completed" || status === "failed"

/** Whether the state is one that the upstream documents. */
export const isKnown = (status: BatchStatus): boolean => knownStatuses.some((known) => known === status)

const Count = Schema.NonNegativeInt.pipe(Schema.optionalWith({ nullable: true, default: () => 0 }))

const Text = MaskedText.pipe(Schema.optionalWith({ nullable: true, default: () => "" }))

/** ISO 8601 with or without a fraction; without an offset it is UTC; what cannot be read is absent, never an error. */
const Timestamp = Schema.transform(Schema.Unknown, Schema.OptionFromSelf(Schema.DateTimeUtcFromSelf), {
  strict: true,
  decode: (value) => (Predicate.isString(value) ? JobFields.instant(value) : Option.none()),
  encode: Option.match({ onNone: () => null, onSome: DateTime.formatIso })
}).pipe(Schema.optionalWith({ default: () => Option.none<DateTime.Utc>() }))

/** A job as the API described it at one moment. Encoded, it has the API's own field names, with links masked. */
export class Batch extends Schema.Class<Batch>("Batch")({
  /** The job's id. */
  batchId: Schema.propertySignature(BatchId).pipe(Schema.fromKey("batch_id")),
  /** The job's state, an open set. */
  status: BatchStatus,
  /** What the job is about: `company`, `person`, …; an open set. */
  entity: Text,
  /** What the job does: `enrich`, `search`, …; an open set. */
  action: Text,
  /** Identifiers submitted; 1 for searches. */
  identifierCount: Count.pipe(Schema.fromKey("identifier_count")),
  /** Lines produced so far; on `completed` the number of lines of the results file. */
  resultCount: Count.pipe(Schema.fromKey("result_count")),
  /** Entities asked for. */
  entitiesRequested: Count.pipe(Schema.fromKey("entities_requested")),
  /** Entities found; fewer than requested is information, not a failure. */
  entitiesFulfilled: Count.pipe(Schema.fromKey("entities_fulfilled")),
  /** When the job was submitted. */
  createdAt: Timestamp.pipe(Schema.fromKey("created_at")),
  /** When the job ended. */
  completedAt: Timestamp.pipe(Schema.fromKey("completed_at")),
  /** Why the job failed, in the upstream's words. */
  errorMessage: MaskedText.pipe(
    Schema.optionalWith({ nullable: true, as: "Option" }),
    Schema.fromKey("error_message")
  ),
  /** The link to the merged file, when there is one. */
  downloadUrl: SecretUrl.pipe(
    Schema.optionalWith({ nullable: true, as: "Option" }),
    Schema.fromKey("download_url")
  ),
  /** The links to the part files: the same rows as the merged file, in order. */
  downloadUrls: Schema.Array(SecretUrl).pipe(
    Schema.optionalWith({ nullable: true, default: () => [] }),
    Schema.fromKey("download_urls")
  ),
  /** The id by which the vendor knows the request that this is the answer to, where it had one. */
  requestId: Schema.optionalWith(Schema.String, { as: "Option" }).pipe(
    Schema.fromKey("request_id"),
    Schema.withConstructorDefault(() => Option.none<string>())
  ),
  /** The answer as it came, unknown fields included, for whoever passes it on. */
  raw: SecretJson.pipe(Schema.optionalWith({ default: () => Redacted.make<JsonObject>({}) }))
}) {}

/** How long the links of a completed job hold, by the vendor's word. */
export const linkLifetime = Duration.days(5)

/** When the links of a completed job die; none where it is not completed, or does not say since when. */
export const linksEndAt = ({ completedAt, status }: Batch): Option.Option<DateTime.Utc> =>
  status === "completed" ? Option.map(completedAt, DateTime.addDuration(linkLifetime)) : Option.none()

/**
 * The wire form: any JSON object with a `batch_id` and a `status`. Any other field that is missing, null, empty or
 * cannot be read is absent, and an absent count is 0: see `hasResultCount`.
 */
export const FromJson: Schema.Schema<Batch, JsonObject> = Schema.compose(
  Schema.transformOrFail(JsonObject, JsonObject, {
    strict: true,
    decode: (json) => {
      const decisive = Object.entries(json).filter(([name]) => name === "batch_id" || name === "status")
      return ParseResult.succeed({ ...Object.fromEntries(decisive), ...JobFields.read(json), raw: json })
    },
    encode: ({ raw, ...known }) =>
      ParseResult.succeed(Predicate.isRecord(raw) && "batch_id" in raw ? raw : known)
  }),
  Batch,
  { strict: false }
)

/** Whether the answer said a `result_count` that can be read: completeness is proven against it, so 0 is no default there. */
export const hasResultCount = (batch: Batch): boolean => {
  const raw = Redacted.value(batch.raw)
  return !("batch_id" in raw) || JobFields.read(raw)["result_count"] !== undefined
}

/** The names of the fields of the answer that could not be read, and are absent for that reason. */
export const unreadable = (batch: Batch): ReadonlyArray<string> =>
  JobFields.unreadable(Redacted.value(batch.raw))

/** The API's own JSON of a job; the query strings of links are masked unless `showUrls` is set. */
export const toJson = (batch: Batch, options?: { readonly showUrls?: boolean | undefined }): unknown =>
  options?.showUrls === true ? Redacted.value(batch.raw) : maskJson(Redacted.value(batch.raw))
