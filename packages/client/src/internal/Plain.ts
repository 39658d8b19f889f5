/** What the core tells, in values that need no Effect. */
import type * as Core from "@org/batch-core/Batch"
import { maskText } from "@org/batch-core/Masking"
import type * as CoreReceipt from "@org/batch-core/Receipt"
import type { Report } from "@org/batch-core/Report"
import type * as CoreVerification from "@org/batch-core/Verification"
import { DateTime, Option } from "effect"
import type { Batch } from "../Batch.js"
import type { CampaignReport } from "../Campaign.js"
import type { Receipt, Verification } from "../Receipt.js"

/** A job without its links. */
export const batch = (batch: Core.Batch): Batch => ({
  batchId: batch.batchId,
  status: batch.status,
  entity: batch.entity,
  action: batch.action,
  identifierCount: batch.identifierCount,
  resultCount: batch.resultCount,
  entitiesRequested: batch.entitiesRequested,
  entitiesFulfilled: batch.entitiesFulfilled,
  createdAt: Option.getOrUndefined(Option.map(batch.createdAt, DateTime.toDateUtc)),
  completedAt: Option.getOrUndefined(Option.map(batch.completedAt, DateTime.toDateUtc)),
  errorMessage: Option.getOrUndefined(Option.map(batch.errorMessage, maskText)),
  requestId: Option.getOrUndefined(batch.requestId)
})

/** A receipt. */
export const receipt = (receipt: CoreReceipt.Receipt): Receipt => ({
  batchId: receipt.batchId,
  status: receipt.status,
  output: receipt.output,
  format: receipt.format,
  columns: Option.getOrUndefined(receipt.columns),
  bytes: receipt.bytes,
  records: receipt.records,
  blankLines: Option.getOrElse(receipt.blankLines, () => 0),
  sha256: receipt.sha256,
  resultCount: receipt.resultCount,
  entitiesRequested: receipt.entitiesRequested,
  entitiesFulfilled: receipt.entitiesFulfilled,
  complete: receipt.complete,
  compressedHere: Option.isSome(receipt.compressedHere),
  source: receipt.source,
  parts: receipt.parts.map(({ output, sha256, ...part }) => ({
    ...part,
    sha256: Option.getOrUndefined(sha256),
    output: Option.getOrUndefined(output)
  })),
  resumedBytes: receipt.resumedBytes,
  retries: receipt.retries,
  urlRefreshes: receipt.urlRefreshes,
  requestId: Option.getOrUndefined(receipt.requestId),
  startedAt: DateTime.toDateUtc(receipt.startedAt),
  finishedAt: DateTime.toDateUtc(receipt.finishedAt)
})

/** What was found of one result. */
export const verification = ({
  receipt: found,
  ...verification
}: CoreVerification.Verification): Verification => ({
  ...verification,
  receipt: found === undefined ? undefined : receipt(found)
})

/** What came of a campaign. */
export const report = ({ credits, jobs, ...rest }: Report): CampaignReport => ({
  campaign: rest.campaign,
  kind: rest.kind,
  output: rest.output,
  rows: rest.rows,
  unique: rest.unique,
  fates: { ...rest.fates },
  records: rest.records,
  jobs: jobs.map((job) => ({
    batchId: job.batch_id,
    status: job.status,
    requested: job.requested,
    fulfilled: job.fulfilled,
    records: job.records,
    errorMessage: job.error_message
  })),
  credits: { atMost: credits.at_most ?? undefined, spent: credits.spent ?? undefined },
  complete: rest.complete
})
