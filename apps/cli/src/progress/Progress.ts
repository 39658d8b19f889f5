/**
 * What is known of batches under way, and how it reads: pure, so that every line can be tested.
 */
import type { Batch, BatchId } from "@org/batch-core/Batch"
import type { Event } from "@org/batch-core/Retrieval"

/** One moment of a transfer, for its rate. */
interface Sample {
  readonly at: number
  readonly bytes: number
}

/** A batch under way. Times are epoch milliseconds, bytes are compressed bytes. */
export interface Job {
  readonly id: BatchId
  readonly phase: "waiting" | "downloading" | "done" | "failed"
  readonly startedAt: number
  readonly phaseStartedAt: number
  readonly batch: Batch | undefined
  readonly files: number
  readonly bytes: number
  readonly totalBytes: number | undefined
  readonly resumedBytes: number
  readonly records: number
  /** The last seconds of the transfer, oldest first. */
  readonly samples: ReadonlyArray<Sample>
}

/** A batch of which nothing is known yet. */
export const start = (id: BatchId, now: number): Job => ({
  id,
  phase: "waiting",
  startedAt: now,
  phaseStartedAt: now,
  batch: undefined,
  files: 0,
  bytes: 0,
  totalBytes: undefined,
  resumedBytes: 0,
  records: 0,
  samples: []
})

const sampleEvery = 200
const samplesKept = 25

/** What an event changes. */
export const apply = (job: Job, event: Event, now: number): Job => {
  switch (event._tag) {
    case "Status":
      return { ...job, batch: event.batch }
    case "Planned":
      return { ...job, batch: event.batch, phase: "downloading", phaseStartedAt: now, files: event.files }
    case "Progress": {
      const { bytes, records, resumedBytes, totalBytes } = event
      return {
        ...job,
        bytes,
        records,
        resumedBytes,
        totalBytes,
        samples: sampled(job.samples, { at: now, bytes })
      }
    }
    case "Restarted":
      return { ...job, bytes: 0, totalBytes: undefined, resumedBytes: 0, records: 0, samples: [] }
    default:
      return job
  }
}

/** The end of a batch, one way or the other. */
export const end = (job: Job, phase: "done" | "failed", now: number): Job => ({
  ...job,
  phase,
  phaseStartedAt: now
})

const sampled = (samples: ReadonlyArray<Sample>, sample: Sample): ReadonlyArray<Sample> => {
  const last = samples.at(-1)
  return last !== undefined && sample.at - last.at < sampleEvery && samples.length > 1
    ? samples
    : [...samples, sample].slice(-samplesKept)
}

/** Bytes a second over the last seconds, once there is something to go by. */
export const rate = ({ bytes, samples }: Job, now: number): number | undefined => {
  const first = samples[0]
  const millis = first === undefined ? 0 : now - first.at
  return first === undefined || millis < 300 || bytes <= first.bytes
    ? undefined
    : ((bytes - first.bytes) * 1000) / millis
}

/** Milliseconds that are left, once size and rate are known. */
export const eta = (job: Job, now: number): number | undefined => {
  const speed = rate(job, now)
  return speed === undefined || job.totalBytes === undefined
    ? undefined
    : (Math.max(0, job.totalBytes - job.bytes) / speed) * 1000
}
