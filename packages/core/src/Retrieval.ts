/**
 * The whole story: await → plan → transfer → verify → format → publish → receipt.
 *
 * @example
 * import { type Batch, Retrieval } from "@org/batch-core"
 *
 * const program = (id: Batch.BatchId) =>
 *   Retrieval.get(id, { deadline: "30 minutes", output: `${id}.jsonl.gz`, format: "jsonl.gz" })
 */
import type { FileSystem, Path } from "@effect/platform"
import type { Duration, Effect } from "effect"
import type { Batch, BatchId } from "./Batch.js"
import type { BatchClient } from "./BatchClient.js"
import type { BatchConfig } from "./BatchConfig.js"
import type {
  AwaitError,
  BatchFailed,
  BatchNotCompleted,
  ResultsCorrupt,
  StorageError,
  TransferError
} from "./BatchError.js"
import type { BatchHttp } from "./BatchHttp.js"
import type { Notice } from "./BatchPoll.js"
import type { Format, Receipt } from "./Receipt.js"

/** Something worth showing. Counters never go back, except when a replaced file is started over (`Restarted`). */
export type Event =
  /** The answer to a poll. */
  | { readonly _tag: "Status"; readonly batch: Batch }
  /** Something that did not end the wait. */
  | { readonly _tag: "Notice"; readonly notice: Notice }
  /** What will be fetched; `resumedBytes` are here already. */
  | {
      readonly _tag: "Planned"
      readonly batch: Batch
      readonly source: "merged" | "parts" | "none"
      readonly files: number
    }
  /** After each block: compressed bytes of all files so far, of `totalBytes` once all sizes are known, and proven rows. */
  | {
      readonly _tag: "Progress"
      readonly bytes: number
      readonly totalBytes: number | undefined
      readonly resumedBytes: number
      readonly records: number
    }
  /** A file is fetched again from where it stopped, after a pause. */
  | {
      readonly _tag: "Retrying"
      readonly file: string
      readonly detail: string
      readonly delay: Duration.Duration
    }
  /** A link had expired, or was about to, and a fresh one is in use. */
  | { readonly _tag: "LinkRefreshed" }
  /** The object was replaced upstream, so its file is fetched from its first byte again. */
  | { readonly _tag: "Restarted"; readonly file: string }
  /** Accepted, although rows and `result_count` disagree, because `allowIncomplete` was set. */
  | { readonly _tag: "Incomplete"; readonly records: number; readonly resultCount: number }

/** Where the result goes and in which form. */
export interface DownloadOptions {
  /** The file to write; with `parts` the folder. Its name appears only when the result is complete and verified. */
  readonly output: string
  /** Default `jsonl.gz`. */
  readonly format?: Format | undefined
  /** Keep the part files separate, as `<batch-id>.part-000.jsonl.gz` … in the folder `output`. */
  readonly parts?: boolean | undefined
  /** Connections at most, 1 to 64; default from `BatchConfig`. */
  readonly concurrency?: number | undefined
  /** Replace an existing destination. */
  readonly force?: boolean | undefined
  /** Accept a result whose row count disagrees with `result_count`. */
  readonly allowIncomplete?: boolean | undefined
  /** Write `<output>.receipt.json` beside the output as well. */
  readonly receipt?: boolean | undefined
  /** Told of everything worth showing, in order. */
  readonly onEvent?: ((event: Event) => Effect.Effect<void>) | undefined
}

/** As `DownloadOptions`, and how long to wait for the job. */
export interface GetOptions extends DownloadOptions {
  /** There is no default: `Infinity` must be said. */
  readonly deadline: Duration.DurationInput
}

/** What everything here needs. */
export type Needs = BatchClient | BatchConfig | BatchHttp | FileSystem.FileSystem | Path.Path

/** What fetching the results of a job can fail with. */
export type DownloadError = TransferError | BatchFailed | BatchNotCompleted

/** What `get` can fail with. */
export type GetError = AwaitError | TransferError

/** Fetches the results of a job that is completed already. */
export declare const download: (
  batchId: BatchId,
  options: DownloadOptions
) => Effect.Effect<Receipt, DownloadError, Needs>

/** Waits for the job, then fetches its results: the main job. */
export declare const get: (batchId: BatchId, options: GetOptions) => Effect.Effect<Receipt, GetError, Needs>

/** What `verify` found. */
export interface Verification {
  readonly file: string
  readonly bytes: number
  readonly records: number
  readonly sha256: string
  /** The receipt beside the file, if there is one. */
  readonly receipt: Receipt | undefined
}

/**
 * Reads a file (or the folder of the parts) again and compares it with the receipt beside it, offline. Without a
 * receipt, what the file itself proves is checked: gzip structure, CRCs, no cut-off last line.
 */
export declare const verify: (
  file: string
) => Effect.Effect<
  Verification,
  ResultsCorrupt | StorageError,
  BatchConfig | FileSystem.FileSystem | Path.Path
>
