/**
 * What everything that waits, fetches or reads tells while it runs.
 *
 * @example
 * import { Client, type Event } from "@org/batch-client"
 *
 * const show = (event: Event) => {
 *   if (event._tag === "Status") console.log(event.batch.status)
 *   if (event._tag === "Progress") console.log(`${event.records} rows proven`)
 * }
 * const fetched = (client: Client, id: string) => client.get(id, { output: "rows.csv", onEvent: show })
 */
import type { Batch } from "./Batch.js"
import type { Failure } from "./BatchError.js"

/** How far a transfer is: compressed bytes so far, of `totalBytes` once all sizes are known, and the rows proven. */
export interface Progress {
  readonly bytes: number
  readonly totalBytes: number | undefined
  /** Of the bytes, those that an earlier run had already brought. */
  readonly resumedBytes: number
  readonly records: number
}

/** Something worth showing. Counters never go back, except when files are fetched again (`Restarted`). */
export type Event =
  /** The answer to a poll. */
  | { readonly _tag: "Status"; readonly batch: Batch }
  /** A request that failed and does not end the wait. */
  | { readonly _tag: "RequestFailed"; readonly error: Failure }
  /** A state that is not known to us, and is taken for a running one. */
  | { readonly _tag: "UnknownStatus"; readonly status: string }
  /** What will be fetched. */
  | {
      readonly _tag: "Planned"
      readonly batch: Batch
      readonly source: "merged" | "parts" | "none"
      readonly files: number
    }
  /** After each block. */
  | ({ readonly _tag: "Progress" } & Progress)
  /** A file is fetched again from where it stopped, after a pause. */
  | {
      readonly _tag: "Retrying"
      readonly file: string
      readonly detail: string
      readonly delaySeconds: number
    }
  /** If this run is interrupted, the next one will begin anew, because nothing proves that the object is the same. */
  | { readonly _tag: "NotResumable"; readonly file: string; readonly detail: string }
  /** The file system refuses to make written bytes durable, with this code of the system's. */
  | { readonly _tag: "NotDurable"; readonly path: string; readonly code: string }
  /** A fresh link is in use. `detail` says why the old one was of no use, unless it had expired or was about to. */
  | { readonly _tag: "LinkRefreshed"; readonly detail: string | undefined }
  /** The job is completed, but its links, its object or its last rows are not there (yet): it is asked again after a pause. */
  | {
      readonly _tag: "Settling"
      readonly cause: "NoLink" | "Missing" | "RowCount"
      readonly detail: string
      readonly delaySeconds: number
    }
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
  /** Accepted, although rows and `resultCount` disagree, because `allowIncomplete` was set. */
  | { readonly _tag: "Incomplete"; readonly records: number; readonly resultCount: number }

/** Who is told, in order. What runs waits for a promise; what is thrown ends it, and is what the call rejects with. */
export interface Listeners {
  /** Told of everything worth showing. */
  readonly onEvent?: ((event: Event) => void | Promise<void>) | undefined
  /** Told of the answer to each poll. */
  readonly onStatus?: ((batch: Batch) => void | Promise<void>) | undefined
  /** Told how far the transfer is, after each block. */
  readonly onProgress?: ((progress: Progress) => void | Promise<void>) | undefined
}
