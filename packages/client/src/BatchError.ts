/**
 * The failures that a call rejects with: one class for each thing a caller does next. They hold plain values and no
 * secret, so each may be logged, printed or sent as JSON as it is.
 *
 * @example
 * import { BatchFailed, Client, WaitTimeout } from "@org/batch-client"
 *
 * const resultCount = async (client: Client, id: string) => {
 *   try {
 *     return (await client.wait(id, { timeout: "30m" })).resultCount
 *   } catch (error) {
 *     if (error instanceof WaitTimeout) return undefined // it goes on: wait again later
 *     if (error instanceof BatchFailed) console.error(error.errorMessage)
 *     throw error
 *   }
 * }
 */
import type { Batch, BatchStatus } from "./Batch.js"
import type { RetrievalState } from "./Retrieval.js"
import type { StandardIssue } from "./StandardSchema.js"

/** What a failure is made of: its own fields, its message, and where it arose. */
type Init<E extends BatchError> = Omit<E, keyof BatchError> & {
  readonly message: string
  readonly cause?: unknown
  readonly requestId?: string | undefined
}

/** What all failures are. `cause`, where there is one, is the error that tells where it arose. */
export abstract class BatchError extends Error {
  /** The name of the class, for a `switch`; it stands in `name` as well. */
  declare readonly _tag: string
  /** The id by which the vendor knows the request that it came of, where an answer had one. */
  declare readonly requestId: string | undefined

  constructor(tag: string, { cause, message, ...fields }: Init<BatchError>) {
    super(message, cause === undefined ? undefined : { cause })
    Object.defineProperty(this, "name", { value: tag, configurable: true })
    Object.assign(this, { _tag: tag }, fields)
  }

  /** All fields and the message. */
  toJSON(): object {
    return { ...this, message: this.message }
  }
}

/** 401, 402 or 403 of the API, or no key at all. Another key, more credits or another plan is needed. */
export class NotAuthorized extends BatchError {
  declare readonly _tag: "NotAuthorized"
  declare readonly reason: "InvalidKey" | "InsufficientCredits" | "NotOnPlan"
  /** What the API said, or what is missing. */
  declare readonly detail: string
  /** Whether it came in a shape of the API's; a proxy or an edge may answer 401 and 403, too. */
  declare readonly fromApi: boolean

  constructor(init: Init<NotAuthorized>) {
    super("NotAuthorized", init)
  }
}

/** 400 or 422 of the API: the request itself is wrong, and the same request will be refused again. */
export class RequestRejected extends BatchError {
  declare readonly _tag: "RequestRejected"
  /** Of HTTP. */
  declare readonly status: number
  declare readonly detail: string
  /** What the API adds to help, for example `available_fields`. */
  declare readonly metadata: unknown

  constructor(init: Init<RequestRejected>) {
    super("RequestRejected", init)
  }
}

/** A request that the API would refuse, found before it was sent. */
export class RequestInvalid extends BatchError {
  declare readonly _tag: "RequestInvalid"
  /** The kind of job: `company/enrich`, … */
  declare readonly kind: string
  /** The property that is wrong, with its place: `filters.conditions[0].type`. */
  declare readonly property: string | undefined
  declare readonly detail: string

  constructor(init: Init<RequestInvalid>) {
    super("RequestInvalid", init)
  }
}

/** A job was sent, and its answer was lost: it may run and be billed, or not. It is never sent again by itself. */
export class SubmitUnknown extends BatchError {
  declare readonly _tag: "SubmitUnknown"
  /** The kind of job: `company/enrich`, … */
  declare readonly kind: string
  /** The inputs that it has; 1 for a search by a query. */
  declare readonly count: number
  declare readonly sentAt: Date
  /** What came in place of the answer. */
  declare readonly detail: string

  constructor(init: Init<SubmitUnknown>) {
    super("SubmitUnknown", init)
  }
}

/** A list of inputs that cannot be used: no such column, no such format, nothing in it. */
export class InputInvalid extends BatchError {
  declare readonly _tag: "InputInvalid"
  /** The file, or `-` for standard input. */
  declare readonly path: string
  declare readonly detail: string

  constructor(init: Init<InputInvalid>) {
    super("InputInvalid", init)
  }
}

/** A campaign that may not start as it is. Nothing was submitted. */
export class CampaignRefused extends BatchError {
  declare readonly _tag: "CampaignRefused"
  declare readonly reason:
    "MaxCredits" | "Balance" | "NotConfirmed" | "NotEntitled" | "NothingToSend" | "NotFound"
  declare readonly detail: string

  constructor(init: Init<CampaignRefused>) {
    super("CampaignRefused", init)
  }
}

/** The deadline of a campaign passed. Nothing is lost: the same again goes on. */
export class CampaignTimeout extends BatchError {
  declare readonly _tag: "CampaignTimeout"
  declare readonly campaign: string
  declare readonly elapsedSeconds: number

  constructor(init: Init<CampaignTimeout>) {
    super("CampaignTimeout", init)
  }
}

/** 404 of the API: this account has no such batch. */
export class BatchNotFound extends BatchError {
  declare readonly _tag: "BatchNotFound"
  declare readonly batchId: string
  /** What the API said, if it said anything. */
  declare readonly detail: string | undefined

  constructor(init: Init<BatchNotFound>) {
    super("BatchNotFound", init)
  }
}

/** 429 beyond our patience, or any answer that asks for a longer pause than that. */
export class RateLimited extends BatchError {
  declare readonly _tag: "RateLimited"
  /** What the server asked for, or our own last pause. */
  declare readonly retryAfterSeconds: number
  declare readonly attempts: number

  constructor(init: Init<RateLimited>) {
    super("RateLimited", init)
  }
}

/** The API could not be reached, or answered 5xx, after all retries; or it gave no good answer in a whole wait. */
export class ApiUnavailable extends BatchError {
  declare readonly _tag: "ApiUnavailable"
  declare readonly reason: "Network" | "Timeout" | "Server"
  /** Of HTTP, if there was an answer. */
  declare readonly status: number | undefined
  declare readonly attempts: number
  declare readonly detail: string
  /** The pause that the server asked for, if it did. */
  declare readonly retryAfterSeconds: number | undefined
  /** Whether this will not heal by itself: an unknown host, a certificate that is not trusted, a proxy that refuses. */
  declare readonly lasting: boolean
  /** What may mend it, if we know. */
  declare readonly remedy: string | undefined

  constructor(init: Init<ApiUnavailable>) {
    super("ApiUnavailable", init)
  }
}

/** An answer that is not the API's: a proxy's page, another service, or a shape that we cannot read. */
export class MalformedResponse extends BatchError {
  declare readonly _tag: "MalformedResponse"
  /** Of HTTP, if there was an answer. */
  declare readonly status: number | undefined
  declare readonly detail: string

  constructor(init: Init<MalformedResponse>) {
    super("MalformedResponse", init)
  }
}

/** The job ended `failed`. It will not change any more; submit a new one. */
export class BatchFailed extends BatchError {
  declare readonly _tag: "BatchFailed"
  declare readonly batch: Batch
  declare readonly errorMessage: string

  constructor(init: Init<BatchFailed>) {
    super("BatchFailed", init)
  }
}

/** Results were asked of a job that is still running. */
export class BatchNotCompleted extends BatchError {
  declare readonly _tag: "BatchNotCompleted"
  declare readonly batchId: string
  declare readonly status: BatchStatus

  constructor(init: Init<BatchNotCompleted>) {
    super("BatchNotCompleted", init)
  }
}

/** One poll or one failed request of a wait. */
export interface WaitEvent {
  /** Seconds since the wait began. */
  readonly atSeconds: number
  /** The state the API answered with, or the tag of the request's failure. */
  readonly outcome: string
  /** `resultCount` at that moment, if there was an answer. */
  readonly resultCount: number | undefined
}

/** The time was up while the job was running, as the API said at least once. Nothing is cancelled: wait again to go on. */
export class WaitTimeout extends BatchError {
  declare readonly _tag: "WaitTimeout"
  declare readonly batchId: string
  /** The last state known. */
  declare readonly lastStatus: BatchStatus | undefined
  declare readonly counts: {
    readonly resultCount: number
    readonly entitiesRequested: number
    readonly entitiesFulfilled: number
  }
  declare readonly elapsedSeconds: number
  /** Answered status requests. */
  declare readonly polls: number
  /** The last polls and failures, oldest first, at most 50. */
  declare readonly transcript: ReadonlyArray<WaitEvent>

  constructor(init: Init<WaitTimeout>) {
    super("WaitTimeout", init)
  }
}

/** There are no results to fetch: no link, no object behind it, or another object than before. */
export class ResultsUnavailable extends BatchError {
  declare readonly _tag: "ResultsUnavailable"
  declare readonly reason: "NoLink" | "Missing" | "Expired" | "Changed"
  declare readonly batchId: string | undefined
  declare readonly detail: string

  constructor(init: Init<ResultsUnavailable>) {
    super("ResultsUnavailable", init)
  }
}

/** A results file could not be fetched, after all retries. What has arrived is kept. */
export class TransferFailed extends BatchError {
  declare readonly _tag: "TransferFailed"
  declare readonly reason: "Transport" | "Stalled" | "Protocol" | "Server"
  /** The results file by its name, without its link. */
  declare readonly file: string
  /** Of HTTP, if there was an answer. */
  declare readonly status: number | undefined
  declare readonly attempts: number
  declare readonly detail: string

  constructor(init: Init<TransferFailed>) {
    super("TransferFailed", init)
  }
}

/** A results file came, and is not what was promised. It is never published under the name that was asked for. */
export class ResultsCorrupt extends BatchError {
  declare readonly _tag: "ResultsCorrupt"
  declare readonly reason: "Gzip" | "RowCount" | "Length" | "Encoding"
  declare readonly file: string
  declare readonly expected: string
  declare readonly actual: string
  /** Where the data is kept for a look, if it is. */
  declare readonly kept: string | undefined

  constructor(init: Init<ResultsCorrupt>) {
    super("ResultsCorrupt", init)
  }
}

/** A failure of our own disk, a destination that must not be written, or a file that cannot be read. */
export class StorageError extends BatchError {
  declare readonly _tag: "StorageError"
  declare readonly reason: "NoSpace" | "Denied" | "Exists" | "Unwritable" | "Unreadable"
  declare readonly path: string
  declare readonly detail: string

  constructor(init: Init<StorageError>) {
    super("StorageError", init)
  }
}

/** One line of a result that is no record, or that the schema refuses. */
export class RecordInvalid extends BatchError {
  declare readonly _tag: "RecordInvalid"
  /** The file that it is in, where there may be several. */
  declare readonly file: string | undefined
  /** Counted from 1. */
  declare readonly line: number
  /** The place of the line's first byte in the decompressed file. */
  declare readonly offset: number
  /** What is wrong with it. */
  declare readonly detail: string
  /** The line's beginning, at most 120 characters. */
  declare readonly excerpt: string
  /** Everything that the schema finds wrong, if it is the schema that refuses it. */
  declare readonly issues: ReadonlyArray<StandardIssue>

  constructor(init: Init<RecordInvalid>) {
    super("RecordInvalid", init)
  }
}

/** The result has rows, and none of them has any of the columns that were asked for. Nothing is published. */
export class ColumnsNotFound extends BatchError {
  declare readonly _tag: "ColumnsNotFound"
  /** As they were asked for. */
  declare readonly columns: ReadonlyArray<string>

  constructor(init: Init<ColumnsNotFound>) {
    super("ColumnsNotFound", init)
  }
}

/** The service has no such retrieval of this account. */
export class RetrievalNotFound extends BatchError {
  declare readonly _tag: "RetrievalNotFound"
  declare readonly retrievalId: string

  constructor(init: Init<RetrievalNotFound>) {
    super("RetrievalNotFound", init)
  }
}

/** The retrieval is there, and in no state for this: ended already, still on its way, or promised to another `notify`. */
export class RetrievalConflict extends BatchError {
  declare readonly _tag: "RetrievalConflict"
  /** `undefined` where the service does not say it. */
  declare readonly retrievalId: string | undefined
  /** Its state, where the service says it. */
  declare readonly state: RetrievalState | undefined
  declare readonly detail: string

  constructor(init: Init<RetrievalConflict>) {
    super("RetrievalConflict", init)
  }
}

/** The service has no such campaign of this account. */
export class CampaignNotFound extends BatchError {
  declare readonly _tag: "CampaignNotFound"
  declare readonly campaignId: string

  constructor(init: Init<CampaignNotFound>) {
    super("CampaignNotFound", init)
  }
}

/** The campaign is there, and in no state for this: ended already, under way, complete, or not done. */
export class CampaignConflict extends BatchError {
  declare readonly _tag: "CampaignConflict"
  /** `undefined` where the service does not say it. */
  declare readonly campaignId: string | undefined
  /** Its state, where the service says it. */
  declare readonly state: RetrievalState | undefined
  declare readonly detail: string

  constructor(init: Init<CampaignConflict>) {
    super("CampaignConflict", init)
  }
}

/** The service refuses a retrieval, or a list of them, as it was asked for. Nothing was stored. */
export class RetrievalInvalid extends BatchError {
  declare readonly _tag: "RetrievalInvalid"
  /** What is wrong, such as `destination.path`, where the service says it. */
  declare readonly field: string | undefined
  declare readonly detail: string

  constructor(init: Init<RetrievalInvalid>) {
    super("RetrievalInvalid", init)
  }
}

/** The service cannot reach its database now. Nothing was changed that was not confirmed. */
export class StoreUnavailable extends BatchError {
  declare readonly _tag: "StoreUnavailable"
  declare readonly retryAfterSeconds: number
  declare readonly detail: string

  constructor(init: Init<StoreUnavailable>) {
    super("StoreUnavailable", init)
  }
}

/** A setting that cannot be used, given in code or in the environment. */
export class InvalidSetting extends BatchError {
  declare readonly _tag: "InvalidSetting"
  /** The variable that sets it, such as `BATCH_POLL_FACTOR`, wherever it was given. */
  declare readonly setting: string
  declare readonly detail: string

  constructor(init: Init<InvalidSetting>) {
    super("InvalidSetting", init)
  }
}

/** An argument of a call that cannot be used. Nothing was asked. */
export class InvalidArgument extends BatchError {
  declare readonly _tag: "InvalidArgument"
  declare readonly argument: string
  declare readonly detail: string

  constructor(init: Init<InvalidArgument>) {
    super("InvalidArgument", init)
  }
}

/** The client was closed, before the call or during it. */
export class ClientClosed extends BatchError {
  declare readonly _tag: "ClientClosed"

  constructor() {
    super("ClientClosed", { message: "the client is closed" })
  }
}

/** Every failure, for a `switch` over `_tag`. */
export type Failure =
  | NotAuthorized
  | RequestRejected
  | RequestInvalid
  | SubmitUnknown
  | InputInvalid
  | CampaignRefused
  | CampaignTimeout
  | BatchNotFound
  | RateLimited
  | ApiUnavailable
  | MalformedResponse
  | BatchFailed
  | BatchNotCompleted
  | WaitTimeout
  | ResultsUnavailable
  | TransferFailed
  | ResultsCorrupt
  | StorageError
  | RecordInvalid
  | ColumnsNotFound
  | RetrievalNotFound
  | RetrievalConflict
  | RetrievalInvalid
  | CampaignNotFound
  | CampaignConflict
  | StoreUnavailable
  | InvalidSetting
  | InvalidArgument
  | ClientClosed
