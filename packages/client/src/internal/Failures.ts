/** Failures of the core and of settings as the client's own. */
import type * as Core from "@org/batch-core/BatchError"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { maskText } from "@org/batch-core/Masking"
import type { BatchNode } from "@org/batch-node"
import { Cause, ConfigError, DateTime, Duration, Match, Option } from "effect"
import * as Client from "../BatchError.js"
import type { StandardIssue } from "../StandardSchema.js"
import * as Plain from "./Plain.js"

/** What an effect behind the client may fail with. */
export type Failed = Core.BatchError | BatchNode.SettingError | Client.Failure

/** What a call rejects with, of why its fiber ended: a failure of ours, or as it is what was thrown. */
export const thrown = (cause: Cause.Cause<Failed>): unknown => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) return of(Cause.originalError(failure.value))
  const error = Cause.originalError(Cause.squash(cause))
  return error instanceof Error ? error : new Error(String(error), { cause: error })
}

/** A failure as the client's own. */
export const of = (error: Failed): Client.Failure => {
  if (error instanceof Client.BatchError) return error
  if (error._tag === "ProxySettingError") return ofSetting(error)
  return ConfigError.isConfigError(error) ? ofSetting(BatchConfig.explain(error)) : ofCore(error)
}

const ofSetting = ({ detail, setting }: { readonly setting: string; readonly detail: string }) =>
  new Client.InvalidSetting({ setting, detail: maskText(detail), message: maskText(`${setting}: ${detail}`) })

const ofCore = (error: Core.BatchError): Client.Failure => {
  const requestId = "requestId" in error ? Option.getOrUndefined(error.requestId) : undefined
  const arose = { message: error.message, cause: whereOf(error), requestId }
  const detail = "detail" in error && typeof error.detail === "string" ? maskText(error.detail) : ""
  return Match.valueTags(error, {
    NotAuthorized: ({ fromApi, reason }) => new Client.NotAuthorized({ ...arose, detail, fromApi, reason }),
    RequestRejected: ({ metadata, status }) =>
      new Client.RequestRejected({ ...arose, detail, status, metadata: Option.getOrUndefined(metadata) }),
    RequestInvalid: ({ kind, property }) =>
      new Client.RequestInvalid({ ...arose, detail, kind, property: maskedOf(property) }),
    SubmitUnknown: ({ count, kind, sentAt }) =>
      new Client.SubmitUnknown({ ...arose, detail, kind, count, sentAt: DateTime.toDateUtc(sentAt) }),
    InputInvalid: ({ path }) => new Client.InputInvalid({ ...arose, detail, path: maskText(path) }),
    CampaignRefused: ({ reason }) => new Client.CampaignRefused({ ...arose, detail, reason }),
    CampaignTimeout: ({ campaign, elapsed }) =>
      new Client.CampaignTimeout({ ...arose, campaign, elapsedSeconds: Duration.toSeconds(elapsed) }),
    BatchNotFound: (one) =>
      new Client.BatchNotFound({ ...arose, batchId: one.batchId, detail: maskedOf(one.detail) }),
    RateLimited: ({ attempts, retryAfter }) =>
      new Client.RateLimited({ ...arose, attempts, retryAfterSeconds: Duration.toSeconds(retryAfter) }),
    ApiUnavailable: ({ attempts, lasting, reason, remedy, retryAfter, status }) =>
      new Client.ApiUnavailable({
        ...arose,
        detail,
        attempts,
        lasting,
        reason,
        remedy: maskedOf(remedy),
        retryAfterSeconds: Option.getOrUndefined(Option.map(retryAfter, Duration.toSeconds)),
        status: Option.getOrUndefined(status)
      }),
    MalformedResponse: ({ status }) =>
      new Client.MalformedResponse({ ...arose, detail, status: Option.getOrUndefined(status) }),
    BatchFailed: ({ batch, errorMessage }) =>
      new Client.BatchFailed({ ...arose, batch: Plain.batch(batch), errorMessage: maskText(errorMessage) }),
    BatchNotCompleted: ({ batchId, status }) => new Client.BatchNotCompleted({ ...arose, batchId, status }),
    WaitTimeout: ({ batchId, counts, elapsed, lastStatus, polls, transcript }) =>
      new Client.WaitTimeout({
        ...arose,
        batchId,
        counts: { ...counts },
        elapsedSeconds: Duration.toSeconds(elapsed),
        lastStatus: Option.getOrUndefined(lastStatus),
        polls,
        transcript: transcript.map(({ at, outcome, resultCount }) => ({
          atSeconds: at / 1000,
          outcome: maskText(outcome),
          resultCount: Option.getOrUndefined(resultCount)
        }))
      }),
    ResultsUnavailable: ({ batchId, reason }) =>
      new Client.ResultsUnavailable({ ...arose, detail, batchId, reason }),
    TransferFailed: ({ attempts, file, reason, status }) =>
      new Client.TransferFailed({
        ...arose,
        detail,
        attempts,
        file: maskText(file),
        reason,
        status: Option.getOrUndefined(status)
      }),
    ResultsCorrupt: ({ actual, expected, file, kept, reason }) =>
      new Client.ResultsCorrupt({
        ...arose,
        reason,
        file: maskText(file),
        expected: maskText(expected),
        actual: maskText(actual),
        kept: maskedOf(kept)
      }),
    StorageError: ({ path, reason }) =>
      new Client.StorageError({ ...arose, detail, reason, path: maskText(path) }),
    RecordInvalid: (one) => ofRecord(one),
    ColumnsNotFound: ({ columns }) => new Client.ColumnsNotFound({ ...arose, columns: columns.map(maskText) })
  })
}

/** A line that is no record, and what a schema has against it. */
export const ofRecord = (
  error: Core.RecordInvalid,
  issues: ReadonlyArray<StandardIssue> = []
): Client.RecordInvalid =>
  new Client.RecordInvalid({
    message: error.message,
    cause: whereOf(error),
    detail: maskText(error.detail),
    line: error.line,
    offset: error.offset,
    excerpt: maskText(error.excerpt),
    file: maskedOf(error.file),
    issues
  })

const maskedOf = (text: Option.Option<string>): string | undefined =>
  Option.getOrUndefined(Option.map(text, maskText))

/** An error without any fields, which tells where in the core a failure arose. */
const whereOf = ({ _tag, message, stack }: Core.BatchError): Error => {
  const where = new Error(message)
  where.name = _tag
  if (stack !== undefined) where.stack = maskText(stack)
  return where
}
