/**
 * Lists of any length, and all that is completed: what `Client.run` and `Client.collect` take and give.
 *
 * @example
 * import { Client } from "@org/batch-client"
 *
 * const enrich = (client: Client, path: string) =>
 *   client.run("company/enrich", {
 *     input: { path, column: "website" },
 *     as: "domains",
 *     output: "companies.jsonl.gz",
 *     maxCredits: 5000,
 *     onProgress: ({ jobs, kept }) => console.error(`${kept} jobs of ${jobs} came`)
 *   })
 */
import type { Batch } from "./Batch.js"
import type { Failure } from "./BatchError.js"
import type { Duration } from "./Duration.js"
import type { Format, Receipt } from "./Receipt.js"
import type { JobKind } from "./Submit.js"

/** The form of a list: a table with a header, JSON objects, or an identifier a line. */
export type InputFormat = "csv" | "tsv" | "jsonl" | "lines"

/** A list of identifiers. */
export interface CampaignInput {
  /** The file, or the name of what `bytes` gives. */
  readonly path: string
  /** Its bytes, where they do not come from the file at `path`. */
  readonly bytes?: Uint8Array | AsyncIterable<Uint8Array> | undefined
  /** Default: what the extension of `path` says, otherwise `lines`. */
  readonly format?: InputFormat | undefined
  /** The column, or the field, that holds the identifiers; plain lines need none. */
  readonly column?: string | undefined
}

/** What a campaign is, and how it is carried out. */
export interface CampaignOptions {
  /** Ends the call. Nothing is lost: the jobs go on, and the same call goes on as well. */
  readonly signal?: AbortSignal | undefined
  readonly input: CampaignInput
  /** The property that the identifiers are, such as `domains`, where the kind takes several. */
  readonly as?: string | undefined
  /** The fields to ask for. */
  readonly fields?: ReadonlyArray<string> | undefined
  /** Where the joined result goes; `x.fates.csv`, `x.remainder.csv` and `x.report.json` go beside `x.jsonl.gz`. */
  readonly output: string
  /** Default: what the extension of `output` says, otherwise `jsonl.gz`. */
  readonly format?: Format | undefined
  /** Write one line per input row, with its record, instead of the records as they came. */
  readonly join?: boolean | undefined
  /** Where campaigns have their folders. Default: that of `batchctl`, which then shows them with `runs`. */
  readonly folder?: string | undefined
  /** Jobs active at a time, at most. Default: 4 of the 5 that an account may have. */
  readonly maxActive?: number | undefined
  /** Credits that it may cost all in all: what might cost more is a `CampaignRefused` before anything is sent. */
  readonly maxCredits?: number | undefined
  /** How long, from now; then it is a `CampaignTimeout`, and the same call goes on. Default: as long as it takes. */
  readonly timeout?: Duration | undefined
  /** Submit the inputs of failed jobs again. */
  readonly retryFailed?: boolean | undefined
  /** Told whenever a job gets further, and waited for if it returns a promise; what it throws ends the call. */
  readonly onProgress?: ((progress: CampaignProgress) => void | Promise<void>) | undefined
}

/** How far a campaign is. */
export interface CampaignProgress {
  readonly campaign: string
  /** Jobs all in all. */
  readonly jobs: number
  /** Those of them that are submitted, now or in earlier runs. */
  readonly submitted: number
  /** Jobs whose results came in this run, proven. */
  readonly kept: number
  /** Records of these jobs. */
  readonly records: number
}

/** What became of an input row; `undecided` was in a job whose answer was lost. */
export type Fate = "matched" | "not_found" | "redacted" | "rejected" | "duplicate" | "failed" | "undecided"

/** What came of a campaign. */
export interface CampaignReport {
  readonly campaign: string
  readonly kind: string
  readonly output: string
  /** Rows of the input, without its header. */
  readonly rows: number
  /** Identifiers that were sent: no two mean the same. */
  readonly unique: number
  /** Rows by what became of them; together they are `rows`. */
  readonly fates: Readonly<Record<Fate, number>>
  /** Records that the jobs brought. */
  readonly records: number
  readonly jobs: ReadonlyArray<CampaignJob>
  /** At most by the published prices, and as the API tells; `undefined` where that is not known. */
  readonly credits: { readonly atMost: number | undefined; readonly spent: number | undefined }
  /** Whether every row has a fate other than `failed` and `undecided`. */
  readonly complete: boolean
}

/** A job of a campaign. */
export interface CampaignJob {
  readonly batchId: string
  readonly status: string
  readonly requested: number
  readonly fulfilled: number
  readonly records: number
  readonly errorMessage: string | undefined
}

/** What to collect, and where. */
export interface CollectOptions {
  /** Ends the call; what has been brought stays. */
  readonly signal?: AbortSignal | undefined
  /** Where `<batch-id>.<format>` and `<batch-id>.receipt.json` of each job go; it is made if need be. */
  readonly folder: string
  /** Default `jsonl.gz`. */
  readonly format?: Format | undefined
  /** Only jobs that were completed then or later. */
  readonly since?: Date | undefined
  readonly kind?: JobKind | undefined
  /** Only tell what would be fetched. */
  readonly dryRun?: boolean | undefined
}

/** What became of one completed job; one that fails does not keep the others. */
export type Collected =
  /** Its results are in the folder already, and sound. */
  | { readonly _tag: "Present"; readonly batch: Batch; readonly receipt: Receipt }
  | { readonly _tag: "Delivered"; readonly batch: Batch; readonly receipt: Receipt }
  /** With `dryRun`: it would be fetched, to this file. */
  | { readonly _tag: "Due"; readonly batch: Batch; readonly output: string }
  | { readonly _tag: "Failed"; readonly batch: Batch; readonly output: string; readonly error: Failure }
