/**
 * What everything that waits, fetches or reads tells while it runs, for whoever shows or logs it: `onEvent` of `Retrieval`,
 * `ResultStream`, `Records` and `Download` takes one and the same type.
 *
 * @example
 * import type { Event } from "@org/batch-core"
 * import { Effect } from "effect"
 *
 * const show: Event.Emit = (event) =>
 *   event._tag === "Progress" ? Effect.log(`${event.records} rows proven`) : Effect.void
 */
import { type Duration, Effect } from "effect"
import type { Batch } from "../model/Batch.js"
import type { AwaitOptions, Notice } from "../status/BatchPoll.js"
import type { Pause } from "../transfer/Settling.js"

/** Something worth showing. Counters never go back, except when files are fetched again (`Restarted`). */
export type Event =
  /** The answer to a poll. */
  | { readonly _tag: "Status"; readonly batch: Batch }
  /** Something that did not end the wait. */
  | { readonly _tag: "Notice"; readonly notice: Notice }
  /** What will be fetched. */
  | {
      readonly _tag: "Planned"
      readonly batch: Batch
      readonly source: "merged" | "parts" | "none"
      readonly files: number
    }
  /** After each block: compressed bytes so far, of `totalBytes` once all sizes are known, and the rows proven. */
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
  /** If this run is interrupted, the next one will begin anew, because nothing proves that the object is the same. */
  | { readonly _tag: "NotResumable"; readonly file: string; readonly detail: string }
  /**
   * The file system refuses to make written bytes durable, with this code of the system's: what the disk has not written
   * yet when the power fails is lost.
   */
  | { readonly _tag: "NotDurable"; readonly path: string; readonly code: string }
  /** A fresh link is in use. `detail` says why the old one was of no use, unless it had expired or was about to. */
  | { readonly _tag: "LinkRefreshed"; readonly detail?: string | undefined }
  /**
   * The job is completed, but its links or its object are not there (yet), or its rows are not as many as were announced:
   * it is asked for again after a pause.
   */
  | ({ readonly _tag: "Settling" } & Pause)
  /** What came was replaced upstream, or damaged on the way, so it is fetched from its first byte again. */
  | { readonly _tag: "Restarted"; readonly detail: string }
  /** Columns that were asked for and that no row has: they are empty. */
  | { readonly _tag: "ColumnsAbsent"; readonly columns: ReadonlyArray<string> }
  /** Cells are longer than Excel takes (32,767 characters); column, row and characters are those of the longest. */
  | {
      readonly _tag: "LongCells"
      readonly cells: number
      readonly column: string
      readonly row: number
      readonly characters: number
    }
  /** Accepted, although rows and `result_count` disagree, because `allowIncomplete` was set. */
  | { readonly _tag: "Incomplete"; readonly records: number; readonly resultCount: number }

/** Takes events, in order. */
export type Emit = (event: Event) => Effect.Effect<void>

/** Tells nobody. */
export const silent: Emit = () => Effect.void

/** What `BatchPoll.await` tells, as events. */
export const ofWait = (emit: Emit): Pick<AwaitOptions, "onNotice" | "onStatus"> => ({
  onNotice: (notice) => emit({ _tag: "Notice", notice }),
  onStatus: (batch) => emit({ _tag: "Status", batch })
})
