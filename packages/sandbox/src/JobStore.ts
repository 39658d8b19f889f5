/**
 * The jobs of the account.
 */
import { Clock, Effect, Option } from "effect"
import * as Job from "./Job.js"
import type { JobSpec } from "./JobSpec.js"
import { SandboxError } from "./SandboxError.js"
import * as Seed from "./Seed.js"

/** What a submitted job has beside its specification: where it was submitted, and the identifiers and fields that were asked for. */
export type Submitted = Pick<Job.Origin, "endpoint" | "identifiers" | "identifierType" | "fields">

/** All jobs, in the order they were made. */
export interface JobStore {
  readonly create: (spec: JobSpec, submitted?: Submitted) => Effect.Effect<Job.Job>
  readonly find: (id: string) => Effect.Effect<Option.Option<Job.Job>>
  readonly get: (id: string) => Effect.Effect<Job.Job, SandboxError>
  readonly update: (id: string, change: (job: Job.Job) => Job.Job) => Effect.Effect<Job.Job, SandboxError>
  /** Newest first. */
  readonly all: Effect.Effect<ReadonlyArray<Job.Job>>
  /** How many are pending or processing. */
  readonly active: Effect.Effect<number>
}

/** Make the store of an account's jobs, in memory. Ids are drawn from the seed. */
export const make = (seed: number, defaults: Job.Defaults): Effect.Effect<JobStore> =>
  Effect.sync(() => {
    const jobs = new Map<string, Job.Job>()
    let count = 0

    const find: JobStore["find"] = (id) => Effect.sync(() => Option.fromNullable(jobs.get(id.toLowerCase())))

    const get: JobStore["get"] = (id) =>
      Effect.flatMap(
        find(id),
        Option.match({
          onNone: () => new SandboxError({ reason: "UnknownJob", detail: id }),
          onSome: Effect.succeed
        })
      )

    const put = (job: Job.Job) =>
      Effect.sync(() => {
        jobs.set(job.id, job)
        return job
      })

    const all = Effect.sync(() => [...jobs.values()].toReversed())

    return {
      find,
      get,
      all,
      create: (spec, submitted = {}) =>
        Effect.flatMap(Clock.currentTimeMillis, (createdAt) => {
          const sequence = ++count
          const id = (spec.batchId ?? Seed.uuid(seed, "batch", sequence)).toLowerCase()
          return put(Job.make(spec, defaults, { ...submitted, id, sequence, createdAt }))
        }),
      update: (id, change) => Effect.flatMap(get(id), (job) => put(change(job))),
      active: Effect.zipWith(
        all,
        Clock.currentTimeMillis,
        (every, now) => every.filter((job) => Job.isActive(Job.standing(job, now).status)).length
      )
    }
  })
