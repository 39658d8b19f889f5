/**
 * A campaign that the service carries: a list that was handed in, and what becomes of it.
 *
 * @example
 * import type { HostedCampaign } from "@org/batch-client"
 *
 * const tell = ({ error, progress, state }: HostedCampaign) =>
 *   error?.message ?? `${state}, ${progress.jobs.fetched} jobs of ${progress.jobs.total} came`
 */
import type { CampaignReport, InputFormat } from "./Campaign.js"
import type { Format } from "./Receipt.js"
import type { RetrievalState } from "./Retrieval.js"

/** `waiting` for its turn, `running`, and the three ends; a newer service may have more. */
export type HostedCampaignState = RetrievalState

/** How far a campaign is; what is `undefined` is not known before the list was read. */
export interface HostedCampaignProgress {
  /** Rows of the list, without its header. */
  readonly rows: number | undefined
  /** Identifiers that are sent: no two mean the same. */
  readonly unique: number | undefined
  readonly rejected: number | undefined
  readonly duplicates: number | undefined
  /** Jobs all in all, and in which state they are. */
  readonly jobs: {
    readonly total: number
    readonly waiting: number
    readonly running: number
    /** At their end, with results to be fetched. */
    readonly completed: number
    readonly fetched: number
    readonly failed: number
    readonly undecided: number
  }
  /** Records fetched so far. */
  readonly records: number
  /** What was to be submitted at the last start may cost at most, and what the account had then. */
  readonly credits: { readonly atMost: number | undefined; readonly balance: number | undefined }
  /** Why it goes on slowly, or submits no more. */
  readonly notice: string | undefined
}

/** A campaign as it was at one moment. It has no key and no link. */
export interface HostedCampaign {
  /** A UUID. */
  readonly campaignId: string
  readonly state: HostedCampaignState
  /** Tells campaigns with the same list apart. */
  readonly name: string
  /** `company/enrich`, … */
  readonly kind: string
  /** The property that the identifiers are. */
  readonly as: string
  readonly input: {
    readonly name: string
    readonly format: InputFormat
    readonly column: string | undefined
    readonly bytes: number
    readonly sha256: string
  }
  readonly format: Format
  readonly join: boolean
  readonly maxActive: number
  readonly maxCredits: number | undefined
  /** From 1; each retry adds one. */
  readonly attempt: number
  readonly progress: HostedCampaignProgress
  /** Of one that is `done`; its `output` is a path of the service. */
  readonly report: CampaignReport | undefined
  /** Why it `failed`: `type` is the name of a failure, as of this package. */
  readonly error: { readonly type: string; readonly message: string } | undefined
  readonly createdAt: Date
  readonly updatedAt: Date
}
