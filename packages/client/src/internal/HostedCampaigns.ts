/** What the service says of campaigns, in values that need no Effect. */
import * as CoreFormat from "@org/batch-core/Format"
import { Report } from "@org/batch-core/Report"
import { Schema } from "effect"
import type { HostedCampaign } from "../HostedCampaign.js"
import type * as Answers from "./Answers.js"
import { decoded, nextOf, pageFields } from "./Answers.js"
import * as Plain from "./Plain.js"

const Known = Schema.NullOr(Schema.Number)

const Wire = Schema.Struct({
  campaign_id: Schema.String,
  state: Schema.String,
  name: Schema.String,
  kind: Schema.String,
  as: Schema.String,
  input: Schema.Struct({
    name: Schema.String,
    format: Schema.Literal("csv", "tsv", "jsonl", "lines"),
    column: Schema.NullOr(Schema.String),
    bytes: Schema.Number,
    sha256: Schema.String
  }),
  format: CoreFormat.Format,
  join: Schema.Boolean,
  max_active: Schema.Number,
  max_credits: Known,
  attempt: Schema.Number,
  progress: Schema.Struct({
    rows: Known,
    unique: Known,
    rejected: Known,
    duplicates: Known,
    jobs: Schema.Struct({
      total: Schema.Number,
      waiting: Schema.Number,
      running: Schema.Number,
      completed: Schema.Number,
      fetched: Schema.Number,
      failed: Schema.Number,
      undecided: Schema.Number
    }),
    records: Schema.Number,
    credits: Schema.Struct({ at_most: Known, balance: Known }),
    notice: Schema.NullOr(Schema.String)
  }),
  report: Schema.NullOr(Report),
  error: Schema.NullOr(Schema.Struct({ type: Schema.String, message: Schema.String })),
  created_at: Schema.Date,
  updated_at: Schema.Date
})

const plain = ({ input, progress, ...one }: typeof Wire.Type): HostedCampaign => ({
  campaignId: one.campaign_id,
  state: one.state,
  name: one.name,
  kind: one.kind,
  as: one.as,
  input: { ...input, column: input.column ?? undefined },
  format: one.format,
  join: one.join,
  maxActive: one.max_active,
  maxCredits: one.max_credits ?? undefined,
  attempt: one.attempt,
  progress: {
    rows: progress.rows ?? undefined,
    unique: progress.unique ?? undefined,
    rejected: progress.rejected ?? undefined,
    duplicates: progress.duplicates ?? undefined,
    jobs: { ...progress.jobs },
    records: progress.records,
    credits: {
      atMost: progress.credits.at_most ?? undefined,
      balance: progress.credits.balance ?? undefined
    },
    notice: progress.notice ?? undefined
  },
  report: one.report === null ? undefined : Plain.report(one.report),
  error: one.error ?? undefined,
  createdAt: one.created_at,
  updatedAt: one.updated_at
})

const Page = Schema.Struct({ campaigns: Schema.Array(Wire), ...pageFields })

/** A campaign; throws `MalformedResponse` of what is none. */
export const one = (value: unknown): HostedCampaign => plain(decoded(Wire, value, "campaign"))

/** A campaign as text. */
export const parsed = (text: string): HostedCampaign =>
  plain(decoded(Schema.parseJson(Wire), text, "campaign"))

/** A page of a list. */
export const page = (value: unknown): Answers.Page<HostedCampaign> => {
  const found = decoded(Page, value, "campaign")
  return { items: found.campaigns.map(plain), next: nextOf(found) }
}
