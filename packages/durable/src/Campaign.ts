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
import * as Ledger from "@org/batch-core/Ledger"
import { Report } from "@org/batch-core/Report"
import { Effect, Option, Schema } from "effect"
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

/** What its ledger does not say of how far it is. */
export interface Told {
  readonly atMost: Option.Option<number>
  readonly balance: Option.Option<number>
  readonly notice: Option.Option<string>
}

/** Nothing of it. */
export const untold: Told = { atMost: Option.none(), balance: Option.none(), notice: Option.none() }

const encodeProgress = Schema.encode(Schema.parseJson(Progress))

/** How far a campaign is, by its ledger, as the JSON that its row keeps. */
export const progressOf = (entries: ReadonlyArray<Ledger.Entry>, told: Told): Effect.Effect<string> => {
  const { chunks, plan } = Ledger.stateOf(entries)
  const planned = Option.getOrUndefined(plan)
  const having = (...tags: ReadonlyArray<Ledger.Standing["_tag"]>) =>
    chunks.filter(({ _tag }) => tags.includes(_tag)).length
  // What was sent just now has no answer yet; it is undecided once it was looked for.
  const undecided = chunks.filter((one) => one._tag === "Lost" && one.detail !== undefined).length
  const progress: Progress = {
    rows: planned?.rows ?? null,
    unique: planned?.unique ?? null,
    rejected: planned?.rejected ?? null,
    duplicates: planned?.duplicates ?? null,
    jobs: {
      total: chunks.length,
      waiting: having("Planned"),
      running: having("Running", "Lost") - undecided,
      completed: having("Completed"),
      fetched: having("Kept"),
      failed: having("Failed"),
      undecided
    },
    records: chunks.reduce((sum, one) => sum + (one._tag === "Kept" ? one.records : 0), 0),
    credits: { atMost: Option.getOrNull(told.atMost), balance: Option.getOrNull(told.balance) },
    notice: Option.getOrNull(told.notice)
  }
  return Effect.orDie(encodeProgress(progress))
}

/** The id of what is the same: account, input, kind, options and name. */
export const idOf = (account: string, { campaign }: typeof Ledger.Begun.Type, name: string): string =>
  DerivedId.of(account, campaign, name)
