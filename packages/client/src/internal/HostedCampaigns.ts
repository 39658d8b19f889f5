/** What the service says of campaigns, in values that need no Effect. */
import * as CoreFormat from "@org/batch-core/Format"
import { Report } from "@org/batch-core/Report"
import { Either, ParseResult, Schema } from "effect"
import { MalformedResponse } from "../BatchError.js"
import type { HostedCampaign } from "../HostedCampaign.js"
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

const Page = Schema.Struct({
  campaigns: Schema.Array(Wire),
  next_cursor: Schema.NullOr(Schema.String),
  has_more: Schema.Boolean
})

/** A campaign; throws `MalformedResponse` of what is none. */
export const one = (value: unknown): HostedCampaign => plain(decoded(Wire, value))

/** A campaign as text. */
export const parsed = (text: string): HostedCampaign => plain(decoded(Schema.parseJson(Wire), text))

/** A page of a list, and where the next one begins, if there is one. */
export const page = (
  value: unknown
): { readonly campaigns: ReadonlyArray<HostedCampaign>; readonly next: string | undefined } => {
  const { campaigns, has_more: hasMore, next_cursor: cursor } = decoded(Page, value)
  return { campaigns: campaigns.map(plain), next: hasMore ? (cursor ?? undefined) : undefined }
}

const decoded = <A, I>(schema: Schema.Schema<A, I>, value: unknown): A =>
  Either.getOrThrowWith(Schema.decodeUnknownEither(schema)(value), (error) => {
    const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
    const detail = `${issue?.path.join(".") ?? ""} is not as it must be`.trim()
    return new MalformedResponse({
      status: 200,
      detail,
      message: `the service's answer is no campaign: ${detail}`
    })
  })
