/**
 * A batch that was handed to the service: it waits for the end, and puts the verified results where they are wanted.
 *
 * @example
 * import type { Retrieval } from "@org/batch-client"
 *
 * const tell = ({ error, receipt, state }: Retrieval) => error?.message ?? `${state}, ${receipt?.records ?? 0} rows`
 */
import type { BatchStatus } from "./Batch.js"
import type { Format, Receipt } from "./Receipt.js"

/** `waiting` for the batch or for its turn, `running` while it downloads, and the three ends; a newer service may have more. */
export type RetrievalState = "waiting" | "running" | "done" | "failed" | "cancelled" | (string & {})

/** A file below the folder of the service. */
export interface FolderDestination {
  readonly type: "folder"
  /** Relative; a folder when it ends in `/`. Left out: `<batch-id>.<format>`. */
  readonly path?: string | undefined
}

/** An object in an S3-compatible bucket, to which the service has access. */
export interface S3Destination {
  readonly type: "s3"
  readonly bucket: string
  /** A folder when it ends in `/`. */
  readonly key: string
  /** Default: that of AWS. */
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
}

/** Where the results go. */
export type RetrievalDestination = FolderDestination | S3Destination

/** How far a retrieval is. */
export interface RetrievalProgress {
  /** What the API said last of the batch; `undefined` before the first look. */
  readonly status: BatchStatus | undefined
  /** Lines that the API announced. */
  readonly resultCount: number
  /** Bytes fetched so far; in the end the size of what was delivered. */
  readonly bytes: number
  /** Bytes in all, once that is known. */
  readonly totalBytes: number | undefined
  /** Rows proven so far. */
  readonly records: number
}

/** A retrieval as it was at one moment. It has no key and no link. */
export interface Retrieval {
  /** A UUID. */
  readonly retrievalId: string
  readonly state: RetrievalState
  readonly batchId: string
  readonly destination: RetrievalDestination
  readonly format: Format
  /** From 1; each retry adds one. */
  readonly attempt: number
  readonly progress: RetrievalProgress
  /** Of one that is `done`. */
  readonly receipt: Receipt | undefined
  /** Why it `failed`: `type` is the name of a failure, as of this package. */
  readonly error: { readonly type: string; readonly message: string } | undefined
  readonly createdAt: Date
  readonly updatedAt: Date
  /** When the service looks at the batch next; `undefined` while it downloads, and after its end. */
  readonly nextLookAt: Date | undefined
}
