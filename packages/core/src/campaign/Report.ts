/**
 * What came of a campaign, in figures. Encoded it has the names of `x.report.json`.
 *
 * @example
 * import { Schema } from "effect"
 * import { Report } from "@org/batch-core"
 *
 * const fromFile = Schema.decode(Schema.parseJson(Report.Report))
 */
import { Schema } from "effect"
import { BatchId } from "../model/Batch.js"

/**
 * What became of an input row: `rejected` was never sent, `duplicate` means the same as an earlier row, `redacted` is a
 * person who opted out and must never be submitted again, `failed` was in a job that failed, `undecided` was in one whose
 * answer was lost.
 */
export const Fate = Schema.Literal(
  "matched",
  "not_found",
  "redacted",
  "rejected",
  "duplicate",
  "failed",
  "undecided"
)

/** What became of an input row. */
export type Fate = typeof Fate.Type

const Count = Schema.NonNegativeInt

/** What came of a campaign. */
export class Report extends Schema.Class<Report>("CampaignReport")({
  campaign: Schema.String,
  /** `company/enrich`, … */
  kind: Schema.String,
  /** Where the joined result is. */
  output: Schema.String,
  /** Rows of the input, without its header. */
  rows: Count,
  /** Identifiers that were sent: no two mean the same. */
  unique: Count,
  /** Rows by what became of them; together they are `rows`. */
  fates: Schema.Struct({
    matched: Count,
    not_found: Count,
    redacted: Count,
    rejected: Count,
    duplicate: Count,
    failed: Count,
    undecided: Count
  }),
  /** Records that the jobs brought. */
  records: Count,
  jobs: Schema.Array(
    Schema.Struct({
      batch_id: BatchId,
      status: Schema.String,
      requested: Count,
      fulfilled: Count,
      records: Count,
      error_message: Schema.optional(Schema.String)
    })
  ),
  credits: Schema.Struct({
    /** What it may cost at most; none where no price is published. */
    at_most: Schema.NullOr(Schema.Number),
    /** What the API says that it has cost, if it does. */
    spent: Schema.NullOr(Schema.Number)
  }),
  /** Whether every row has a fate other than `failed` and `undecided`. */
  complete: Schema.Boolean
}) {}
