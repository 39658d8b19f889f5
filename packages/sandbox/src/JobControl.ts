/**
 * Seeding jobs and changing them, past the rules of the API.
 */
import { Clock, Effect, Schema } from "effect"
import * as Job from "./Job.js"
import { JobAction, JobSpec } from "./JobSpec.js"
import type { JobStore } from "./JobStore.js"
import type { Results } from "./Results.js"
import { checked, type SandboxError } from "./SandboxError.js"

/** Seed a job; one that is over at once has its results written when this returns. */
export const create = (
  jobs: JobStore,
  results: Results,
  spec: JobSpec
): Effect.Effect<string, SandboxError> =>
  Effect.gen(function* () {
    const job = yield* jobs.create(yield* checkedSpec(spec))
    const { status } = Job.standing(job, yield* Clock.currentTimeMillis)
    if (status === "completed" && job.records > 0) yield* results.spool(job)
    return job.id
  })

/** Change a job. */
export const act = (jobs: JobStore, id: string, action: JobAction): Effect.Effect<void, SandboxError> =>
  Effect.gen(function* () {
    yield* checkedId(id)
    const checked = yield* checkedAction(action)
    const now = yield* Clock.currentTimeMillis
    yield* jobs.update(id, (job) => change(job, checked, now))
  })

const checkedSpec = checked(JobSpec)

const checkedAction = checked(JobAction)

const checkedId = checked(
  Schema.UUID.annotations({ message: ({ actual }) => `${String(actual)} is no batch id: these are UUIDs` })
)

const change = (job: Job.Job, action: JobAction, now: number): Job.Job => {
  switch (action.action) {
    case "complete":
      return Job.end(job, "completed", now)
    case "fail":
      return Job.end(job, "failed", now, action.message)
    case "replaceObject":
      return Job.replaceObject(job, action.object)
    case "deleteObject":
      return Job.deleteObject(job, action.object)
    case "expireLinks":
      return Job.expireLinks(job, action.as ?? "AccessDenied")
    case "linkTtl":
      return { ...job, linkTtlSeconds: action.seconds }
  }
}
