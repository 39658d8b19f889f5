/**
 * The vocabulary of campaigns: a list of any length to one verified result, over as many jobs as it takes. Encoded, its
 * fields are those of the service's JSON (`campaign_id`, `created_at`, …); it never contains a key or a link.
 *
 * @example
 * import { Campaign } from "@org/batch-durable"
 * import { Schema } from "effect"
 *
 * const fromBody = Schema.decodeUnknown(Schema.parseJson(Campaign.Campaign))
 * const hasEnded = (campaign: Campaign.Campaign) => Campaign.isEnded(campaign.state)
 */
import * as Format from "@org/batch-core/Format"
import type * as Ledger from "@org/batch-core/Ledger"
import { Report } from "@org/batch-core/Report"
import { Effect, Schema } from "effect"
import * as DerivedId from "./DerivedId.js"
import { Failure, State } from "./Retrieval.js"

export { isEnded, State, states } from "./Retrieval.js"

/** The id of a campaign, a UUID made from its account, input, kind, options and name. */
export const CampaignId = Schema.UUID.pipe(Schema.brand("CampaignId"))

/** The id of a campaign, a UUID made from its account, input, kind, options and name. */
export type CampaignId = typeof CampaignId.Type

const Count = Schema.NonNegativeInt

/** A figure that is not known before the list was read. */
const Planned = Schema.NullOr(Count)

/** How far it is. */
export const Progress = Schema.Struct({
  /** Rows of the input, without its header. */
  rows: Planned,
  /** Identifiers that are sent: no two mean the same. */
  unique: Planned,
  rejected: Planned,
  duplicates: Planned,
  /** Each of the jobs is in one of the six states. */
  jobs: Schema.Struct({
    total: Count,
    /** Not submitted yet. */
    waiting: Count,
    running: Count,
    /** At their end, with results to be fetched. */
    completed: Count,
    /** Their results are here, and proven. */
    fetched: Count,
    failed: Count,
    /** The answer to the submit was lost, and it is not known whether the job was accepted. */
    undecided: Count
  }),
  /** Records fetched so far. */
  records: Count,
  credits: Schema.Struct({
    /** What was to be submitted at the last start may cost at most; none where no price is published. */
    atMost: Schema.propertySignature(Schema.NullOr(Schema.Number)).pipe(Schema.fromKey("at_most")),
    /** What the account had at the last start, where it could be read. */
    balance: Schema.NullOr(Schema.Number)
  }),
  /** Why it goes on slowly, or submits no more; for people. */
  notice: Schema.NullOr(Schema.String)
})

/** How far it is. */
export type Progress = typeof Progress.Type

/** A campaign as it is at one moment. */
export class Campaign extends Schema.Class<Campaign>("Campaign")({
  campaignId: Schema.propertySignature(CampaignId).pipe(Schema.fromKey("campaign_id")),
  state: State,
  /** Tells campaigns with the same list apart; empty if nobody named it. */
  name: Schema.String,
  /** `company/enrich`, … */
  kind: Schema.String,
  /** The property that the identifiers are. */
  as: Schema.String,
  input: Schema.Struct({
    /** As it was named. */
    name: Schema.String,
    format: Schema.Literal("csv", "tsv", "jsonl", "lines"),
    column: Schema.NullOr(Schema.String),
    bytes: Count,
    sha256: Schema.String
  }),
  /** The rest of the body of each job. */
  body: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  format: Format.Format,
  join: Schema.Boolean,
  maxActive: Schema.propertySignature(Schema.Int).pipe(Schema.fromKey("max_active")),
  maxCredits: Schema.propertySignature(Schema.NullOr(Schema.Number)).pipe(Schema.fromKey("max_credits")),
  /** From 1; each retry adds one. */
  attempt: Schema.Int,
  progress: Progress,
  /** What came of it, once it is done: the fates of all rows, the jobs and what they have cost. */
  report: Schema.NullOr(Report),
  error: Schema.NullOr(Failure),
  createdAt: Schema.propertySignature(Schema.DateTimeUtc).pipe(Schema.fromKey("created_at")),
  updatedAt: Schema.propertySignature(Schema.DateTimeUtc).pipe(Schema.fromKey("updated_at"))
}) {}

const encodeProgress = Schema.encode(Schema.parseJson(Progress))

/** How far a campaign is that has this plan, or none yet, as the JSON that its row keeps. */
export const planned = (plan?: typeof Ledger.Planned.Type): Effect.Effect<string> => {
  const total = plan?.chunks.length ?? 0
  const progress: Progress = {
    rows: plan?.rows ?? null,
    unique: plan?.unique ?? null,
    rejected: plan?.rejected ?? null,
    duplicates: plan?.duplicates ?? null,
    jobs: { total, waiting: total, running: 0, completed: 0, fetched: 0, failed: 0, undecided: 0 },
    records: 0,
    credits: { atMost: null, balance: null },
    notice: null
  }
  return Effect.orDie(encodeProgress(progress))
}

/** The id of what is the same: account, input, kind, options and name. */
export const idOf = (account: string, { campaign }: typeof Ledger.Begun.Type, name: string): string =>
  DerivedId.of(account, campaign, name)
