/**
 * The batches of the API: submit, status, list.
 */
import { Clock, Effect, Option } from "effect"
import * as Answer from "./Answer.js"
import type { Credits } from "./Credits.js"
import type { Endpoint } from "./Endpoint.js"
import type { Incoming } from "./Incoming.js"
import * as Job from "./Job.js"
import type { JobStore } from "./JobStore.js"
import * as JobView from "./JobView.js"
import type { Presign } from "./Presign.js"
import { badRequest, Problem } from "./Problem.js"
import type { Results } from "./Results.js"
import * as Storage from "./Storage.js"
import { mergedName, partName } from "./StoredObject.js"
import * as Submit from "./Submit.js"
import type { SubmitScript } from "./SubmitScript.js"

/** What batches need. */
export interface Options {
  readonly seed: number
  readonly maxActiveJobs: number
  readonly jobs: JobStore
  readonly submits: SubmitScript
  readonly credits: Credits
  readonly results: Results
  readonly presign: Presign
  /** `host:port` of the file host. */
  readonly storageHost: string
}

const statuses = ["pending", "processing", "completed", "failed"]
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Take a submit: check it, and make its job, if there is a slot for it. */
export const submit = (
  options: Options,
  endpoint: Endpoint,
  incoming: Incoming
): Effect.Effect<Answer.Answer, Problem> =>
  Effect.gen(function* () {
    const body = yield* Effect.mapError(
      incoming.body,
      ({ reason }) =>
        new Problem({ status: reason === "TooLarge" ? 413 : 400, message: "The body could not be read" })
    )
    const { spec, submitted } = yield* Submit.parse(endpoint, body)
    if ((yield* options.credits.balance) <= 0) {
      return yield* new Problem({ status: 402, message: "Insufficient credits" })
    }
    if ((yield* options.jobs.active) >= options.maxActiveJobs) {
      return yield* new Problem({
        status: 429,
        message: `At most ${options.maxActiveJobs} batches may be active at a time`
      })
    }
    const job = yield* options.jobs.create({ ...(yield* options.submits.next), ...spec }, submitted)
    return Answer.json(202, Submit.answer(job))
  })

/** The status of a batch, with its links once it has completed. */
export const status = (options: Options, id: string): Effect.Effect<Answer.Answer, Problem> =>
  Effect.gen(function* () {
    if (!uuid.test(id)) return yield* badRequest("batch_id must be a UUID")
    const found = yield* options.jobs.find(id)
    const now = yield* Clock.currentTimeMillis
    if (Option.isNone(found) || found.value.visibleAt > now) {
      return yield* new Problem({ status: 404, message: `Batch ${id} not found` })
    }
    const job = found.value
    const view = yield* show(options, job)
    const links =
      view.status === "completed" ? yield* Effect.map(Clock.currentTimeMillis, sign(options, job)) : {}
    return Answer.json(200, { ...view, ...links })
  })

/** A page of the list, by the time line alone: that the results of a job are still being written shows in its status only. */
export const list = (options: Options, { query }: Incoming): Effect.Effect<Answer.Answer, Problem> =>
  Effect.gen(function* () {
    const parameters = new URLSearchParams(query)
    const wanted = parameters.get("status")
    if (wanted !== null && !statuses.includes(wanted)) {
      return yield* badRequest(`status must be one of ${statuses.join(", ")}`)
    }
    const limit = Number(parameters.get("limit") ?? 20)
    if (!Number.isInteger(limit)) return yield* badRequest("limit must be an integer")
    const now = yield* Clock.currentTimeMillis
    const visible = (yield* options.jobs.all).filter(({ visibleAt }) => visibleAt <= now)
    const every = yield* after(visible, parameters.get("cursor"))
    const views = every.map((job) => JobView.make(job, Job.standing(job, now)))
    const matching = views.filter((view) => wanted === null || view.status === wanted)
    const jobs = matching.slice(0, Math.min(100, Math.max(1, limit)))
    const hasMore = matching.length > jobs.length
    return Answer.json(200, { jobs, next_cursor: hasMore ? jobs.at(-1)?.batch_id : null, has_more: hasMore })
  })

const after = (
  jobs: ReadonlyArray<Job.Job>,
  cursor: string | null
): Effect.Effect<ReadonlyArray<Job.Job>, Problem> => {
  const at = jobs.findIndex(({ id }) => id === cursor)
  return cursor !== null && at < 0 ? badRequest("Unknown cursor") : Effect.succeed(jobs.slice(at + 1))
}

const show = ({ results }: Options, job: Job.Job): Effect.Effect<JobView.JobView, Problem> =>
  results.standing(job).pipe(
    Effect.map((standing) => JobView.make(job, standing)),
    Effect.mapError(({ message }) => new Problem({ status: 500, message }))
  )

/** The links of a completed job, signed anew each time. */
const sign = (options: Options, job: Job.Job) => (signedAt: number) => {
  const link = (name: string) =>
    options.presign.sign({
      path: Storage.objectPath(job, name),
      host: options.storageHost,
      session: Storage.session(options.seed, job),
      signedAt,
      ttlSeconds: job.linkTtlSeconds
    })
  return {
    ...(job.offersMerged ? { download_url: link(mergedName) } : {}),
    ...(job.offersParts
      ? { download_urls: Array.from({ length: job.parts }, (_, part) => link(partName(part))) }
      : {})
  }
}
