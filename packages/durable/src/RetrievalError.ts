/**
 * The failures of this package: one class for each thing a caller does next. None carries a secret.
 *
 * @example
 * import { type Retrieval, Retrievals } from "@org/batch-durable"
 * import { Effect } from "effect"
 *
 * const stop = (account: string, id: Retrieval.RetrievalId) =>
 *   Effect.flatMap(Retrievals.Retrievals, (retrievals) => retrievals.cancel(account, id)).pipe(
 *     Effect.catchTag("RetrievalConflict", (error) => Effect.logWarning(error.message))
 *   )
 */
import { MaskedText } from "@org/batch-core/Masking"
import { Schema } from "effect"

/** What was asked for makes no sense or is not allowed here: HTTP 400. */
export class RetrievalInvalid extends Schema.TaggedError<RetrievalInvalid>()("RetrievalInvalid", {
  /** The field, as in the body or the query: `destination.path`. */
  field: Schema.String,
  detail: MaskedText
}) {
  override get message(): string {
    return `${this.field}: ${this.detail}`
  }
}

/** This account has no such retrieval: HTTP 404. */
export class RetrievalNotFound extends Schema.TaggedError<RetrievalNotFound>()("RetrievalNotFound", {
  retrievalId: Schema.String
}) {
  override get message(): string {
    return `there is no retrieval ${this.retrievalId} of this account`
  }
}

/** The retrieval is there, and in no state for this: HTTP 409. */
export class RetrievalConflict extends Schema.TaggedError<RetrievalConflict>()("RetrievalConflict", {
  retrievalId: Schema.String,
  state: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `retrieval ${this.retrievalId} is ${this.state}: ${this.detail}`
  }
}

/** This account has no such campaign: HTTP 404. */
export class CampaignNotFound extends Schema.TaggedError<CampaignNotFound>()("CampaignNotFound", {
  campaignId: Schema.String
}) {
  override get message(): string {
    return `there is no campaign ${this.campaignId} of this account`
  }
}

/** The campaign is there, and in no state for this: HTTP 409. */
export class CampaignConflict extends Schema.TaggedError<CampaignConflict>()("CampaignConflict", {
  campaignId: Schema.String,
  state: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `campaign ${this.campaignId} is ${this.state}: ${this.detail}`
  }
}

/** Another campaign came under the same key: HTTP 422. */
export class IdempotencyKeyReused extends Schema.TaggedError<IdempotencyKeyReused>()("IdempotencyKeyReused", {
  campaignId: Schema.String
}) {
  override get message(): string {
    return `the idempotency key belongs to campaign ${this.campaignId}: another list, or other options, take a new key`
  }
}

/** The database cannot be asked now, and nothing was changed that was not confirmed: HTTP 503. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  detail: MaskedText,
  /** When to try again. Encoded in milliseconds. */
  retryAfter: Schema.DurationFromMillis
}) {
  override get message(): string {
    return `the store cannot be reached: ${this.detail}`
  }
}

/** The store cannot be opened: another process has it, it is on a network file system, or it does not answer. */
export class StoreRefused extends Schema.TaggedError<StoreRefused>()("StoreRefused", {
  reason: Schema.Literal("InUse", "NetworkFileSystem", "Unusable", "Unreachable"),
  /** The folder, or the address without user and password. */
  place: MaskedText,
  detail: MaskedText
}) {
  override get message(): string {
    return `the store ${this.place} cannot be opened: ${this.detail}`
  }
}
