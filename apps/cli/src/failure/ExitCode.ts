/**
 * The exit codes, which scripts rely on; docs/errors.md and docs/cli.md list them. Those of a run that a signal has ended are in
 * `@org/batch-node/Signals`.
 */
import type { BatchError } from "@org/batch-core/BatchError"

/** Success: the results are complete and verified. */
export const ok = 0

/** A bug in batchctl. */
export const bug = 1

/** A bad flag, a bad id, a bad setting, an impossible combination. */
export const usage = 2

/** The job itself failed. */
export const jobFailed = 4

/** The job is still running. */
export const stillRunning = 5

/** It is not known whether a job was accepted. */
export const unsettled = 6

/** Disk full, no permission, destination exists, port in use. */
export const local = 9

const ofTag = {
  NotAuthorized: 3,
  RequestRejected: usage,
  RequestInvalid: usage,
  SubmitUnknown: 6,
  InputInvalid: usage,
  CampaignRefused: usage,
  CampaignTimeout: stillRunning,
  BatchNotFound: 8,
  RateLimited: 6,
  ApiUnavailable: 6,
  MalformedResponse: 6,
  BatchFailed: jobFailed,
  BatchNotCompleted: stillRunning,
  WaitTimeout: stillRunning,
  ResultsUnavailable: 7,
  TransferFailed: 6,
  ResultsCorrupt: 7,
  StorageError: local,
  RecordInvalid: 7,
  ColumnsNotFound: usage
} as const satisfies Record<BatchError["_tag"], number>

/** The exit code of a core failure. */
export const ofError = (error: BatchError): number => ofTag[error._tag]

/** The exit code of a job's status, for `--exit-status`. */
export const ofStatus = (status: string): number =>
  status === "completed" ? ok : status === "failed" ? jobFailed : stillRunning

const isTag = (type: string): type is keyof typeof ofTag => Object.hasOwn(ofTag, type)

/** Results are not there: whoever asked for them has to do something. */
const missing = 7

/** The exit code of a retrieval that is over: of one that has failed that of its failure, as `get` has it. */
export const ofRetrieval = (state: string, type: string | undefined): number =>
  state === "done" ? ok : type !== undefined && isTag(type) ? ofTag[type] : missing

/** The exit code of a refusal of the service that keeps retrievals, by its status; none where there was no answer. */
export const ofService = (status: number | undefined, type: string): number => {
  if (type === "MalformedResponse" || status === undefined || status === 429 || status >= 500) return 6
  return status === 404 ? 8 : status > 400 && status < 404 ? 3 : usage
}
