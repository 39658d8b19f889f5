/**
 * A job as the API described it at one moment.
 *
 * @example
 * import { type Batch, Client } from "@org/batch-client"
 *
 * const isOver = ({ status }: Batch) => status === "completed" || status === "failed"
 * const ask = async (client: Client, id: string) => isOver(await client.status(id))
 */

/** The state of a job: `pending` → `processing` → `completed` or `failed`, and whatever the API may add. */
export type BatchStatus = "pending" | "processing" | "completed" | "failed" | (string & {})

/** A job as the API described it at one moment. Links to results are secrets and are not in it. */
export interface Batch {
  readonly batchId: string
  readonly status: BatchStatus
  /** What the job is about: `company`, `person`, …; empty where the API does not say. */
  readonly entity: string
  /** What the job does: `enrich`, `search`, …; empty where the API does not say. */
  readonly action: string
  /** Identifiers submitted; 1 for searches. */
  readonly identifierCount: number
  /** Lines produced so far; of a completed job the number of lines of its results. */
  readonly resultCount: number
  /** Entities asked for. */
  readonly entitiesRequested: number
  /** Entities found; fewer than requested is information, not a failure. */
  readonly entitiesFulfilled: number
  /** When the job was submitted. */
  readonly createdAt: Date | undefined
  /** When the job ended. */
  readonly completedAt: Date | undefined
  /** Why the job failed, in the API's words. */
  readonly errorMessage: string | undefined
  /** The id by which the vendor knows the request that this came of, if the answer had one. */
  readonly requestId: string | undefined
}
