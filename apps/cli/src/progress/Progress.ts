/**
 * The progress of a batch as a value: its state, folded from events, with transfer rate and time left.
 */
import type { Batch, BatchId } from "@org/batch-core/Batch"
import type { Event } from "@org/batch-core/Retrieval"

/** The bytes of a transfer at one moment, for its rate. */
interface Sample {
  readonly at: number
  readonly bytes: number
}

/** The progress of one batch. Times are milliseconds of the monotonic clock, bytes are compressed bytes. */
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
  /** Samples of the last seconds of the transfer, oldest first. */
  readonly samples: ReadonlyArray<Sample>
}

/** The progress of a batch before its first event. */
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

/** The progress after an event. */
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

/** The progress of a batch that has succeeded or failed. */
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

/** Bytes per second over the last seconds; `undefined` in the first 300 ms and while no bytes arrive. */
export const rate = ({ bytes, samples }: Job, now: number): number | undefined => {
  const first = samples[0]
  const millis = first === undefined ? 0 : now - first.at
  return first === undefined || millis < 300 || bytes <= first.bytes
    ? undefined
    : ((bytes - first.bytes) * 1000) / millis
}

/** Milliseconds left; `undefined` until size and rate are known. */
export const eta = (job: Job, now: number): number | undefined => {
  const speed = rate(job, now)
  return speed === undefined || job.totalBytes === undefined
    ? undefined
    : (Math.max(0, job.totalBytes - job.bytes) / speed) * 1000
}
