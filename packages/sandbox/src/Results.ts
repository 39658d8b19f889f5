/**
 * The results of jobs: spooled once, when a job is first seen under way, and looked up as objects.
 */
import { Clock, Deferred, Effect, FiberId, Option, Scope } from "effect"
import { join } from "node:path"
import * as Job from "./Job.js"
import * as Records from "./Records.js"
import type { SandboxError } from "./SandboxError.js"
import * as Spool from "./Spool.js"
import * as StoredObject from "./StoredObject.js"
import * as WallClock from "./WallClock.js"

/** The results of all jobs. */
export interface Results {
  /** Write the results of a job, or wait until they are written. */
  readonly spool: (job: Job.Job) => Effect.Effect<Spool.Spool, SandboxError>
  /**
   * Where a job stands now. A job is `completed` once its results are written: for small ones that is when its time has come, a
   * large one stays `processing` until then.
   */
  readonly standing: (job: Job.Job) => Effect.Effect<Job.Standing, SandboxError>
  /** An object of a job by name. */
  readonly object: (
    job: Job.Job,
    name: string
  ) => Effect.Effect<Option.Option<StoredObject.StoredObject>, SandboxError>
}

interface Entry {
  readonly done: Deferred.Deferred<Spool.Spool, SandboxError>
  /** Laid out objects, by name and version. */
  readonly objects: Map<string, StoredObject.StoredObject | undefined>
  lines: number
}

const patience = "2 seconds"
const writers = 4

/** Keep results in a folder, made from the seed; what is being written ends with the scope. */
export const make = (folder: string, seed: number): Effect.Effect<Results, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const permits = yield* Effect.makeSemaphore(writers)
    const entries = new Map<string, Entry>()

    const start = (job: Job.Job): Effect.Effect<Entry> =>
      Effect.suspend(() => {
        const known = entries.get(job.id)
        if (known !== undefined) return Effect.succeed(known)
        const entry: Entry = { done: Deferred.unsafeMake(FiberId.none), objects: new Map(), lines: 0 }
        entries.set(job.id, entry)
        const path = join(folder, `${job.id}.deflate`)
        const progress = (lines: number) => {
          entry.lines = lines
        }
        return Spool.write(path, job, Records.lines(seed, job), progress).pipe(
          permits.withPermits(1),
          Effect.intoDeferred(entry.done),
          Effect.forkIn(scope),
          Effect.as(entry)
        )
      })

    const spool = (job: Job.Job) => Effect.flatMap(start(job), ({ done }) => Deferred.await(done))

    const layOut = (job: Job.Job, name: string, version: number) =>
      Effect.flatMap(start(job), ({ done, objects }) =>
        Effect.map(Deferred.await(done), (written) => {
          const key = `${name}@${version}`
          if (!objects.has(key)) objects.set(key, StoredObject.find(written, name, version))
          return Option.fromNullable(objects.get(key))
        })
      )

    const complete = (job: Job.Job, standing: Job.Standing) =>
      spool(job).pipe(
        Effect.timeoutOption(patience),
        WallClock.use,
        Effect.map(Option.match({ onSome: () => standing, onNone: () => late(job, standing) }))
      )

    const late = (job: Job.Job, standing: Job.Standing): Job.Standing => ({
      status: "processing",
      since: standing.since,
      share: (entries.get(job.id)?.lines ?? 0) / Math.max(1, job.records)
    })

    return {
      spool,
      standing: (job) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const standing = Job.standing(job, now)
          if (job.records === 0 || !completes(job) || standing.status === "pending")
            return Effect.succeed(standing)
          return standing.status === "completed" ? complete(job, standing) : Effect.as(start(job), standing)
        }),
      object: (job, name) => {
        const version = Job.objectVersion(job, name)
        return job.records === 0 || version === "Deleted" ? Effect.succeedNone : layOut(job, name, version)
      }
    }
  })

const completes = (job: Job.Job): boolean => job.timeline.some(({ status }) => status === "completed")
