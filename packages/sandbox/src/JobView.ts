/**
 * A job as the API shows it.
 */
import * as Identifier from "./Identifier.js"
import * as Job from "./Job.js"

/** The fields of an item of the list; the status answer adds the links. */
export interface JobView {
  readonly batch_id: string
  readonly status: string
  readonly entity: string
  readonly action: string
  readonly identifier_count: number
  readonly result_count: number
  readonly entities_requested: number
  readonly entities_fulfilled: number
  readonly created_at: string
  readonly completed_at: string | null
  readonly error_message?: string
}

/** A job in its standing. */
export const make = (job: Job.Job, standing: Job.Standing): JobView => {
  const { status } = standing
  const produced = Math.floor(job.records * (status === "failed" ? 0.5 : standing.share))
  const resultCount = status === "completed" ? job.resultCount : produced
  const misses = Identifier.listsMisses(job.action) ? Math.floor(job.unresolved * standing.share) : 0
  return {
    batch_id: job.id,
    status,
    entity: job.entity,
    action: job.action,
    identifier_count: job.identifierCount,
    result_count: resultCount,
    entities_requested: job.requested,
    entities_fulfilled: Job.isSearch(job.action) ? resultCount : Math.max(0, produced - misses),
    created_at: timestamp(job, job.createdAt),
    completed_at: Job.isOver(status) ? timestamp(job, standing.since) : null,
    ...(status === "failed" ? { error_message: job.errorMessage } : {})
  }
}

/** ISO 8601 with microseconds (made up beyond the millisecond) and `+00:00`, or in whole seconds. */
const timestamp = (job: Job.Job, millis: number): string => {
  const micros = String(((job.sequence * 7919 + millis) % 999) + 1).padStart(3, "0")
  const iso = new Date(millis).toISOString()
  return job.wholeSeconds ? `${iso.slice(0, 19)}+00:00` : `${iso.slice(0, 23)}${micros}+00:00`
}
