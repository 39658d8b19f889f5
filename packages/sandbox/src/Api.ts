/**
 * The batch API: submit, status, list.
 */
import { Clock, Effect, Option } from "effect"
import * as Answer from "./Answer.js"
import * as Endpoint from "./Endpoint.js"
import type { Incoming } from "./Incoming.js"
import * as Job from "./Job.js"
import type { JobStore } from "./JobStore.js"
import * as JobView from "./JobView.js"
import type { Presign } from "./Presign.js"
import { badRequest, Problem, toAnswer } from "./Problem.js"
import type { Passage } from "./RateLimit.js"
import type { Results } from "./Results.js"
import type { Handler } from "./Serve.js"
import * as Storage from "./Storage.js"
import { mergedName, partName } from "./StoredObject.js"
import * as Submit from "./Submit.js"

/** What the API needs. */
export interface Options {
  readonly apiKey: string
  readonly seed: number
  readonly maxActiveJobs: number
  readonly jobs: JobStore
  readonly results: Results
  readonly presign: Presign
  readonly rateLimit: Effect.Effect<Passage>
  /** `host:port` of the file host. */
  readonly storageHost: string
}

const apiVersion = "2025-11-01"
const statuses = ["pending", "processing", "completed", "failed"]
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The handler of the API. Every answer tells the rate limit. */
export const make =
  (options: Options): Handler =>
  (incoming) =>
    Effect.gen(function* () {
      const passage = yield* options.rateLimit
      const answer = yield* authenticate(options, incoming).pipe(
        Effect.zipRight(
          passage.allowed ? Effect.void : new Problem({ status: 429, message: "Rate limit exceeded" })
        ),
        Effect.zipRight(route(options, incoming)),
        Effect.catchAll((problem) => Effect.succeed(toAnswer(problem)))
      )
      const date = new Date(yield* Clock.currentTimeMillis).toUTCString()
      return Answer.withHeaders(answer, { ...passage.headers, date })
    })

const authenticate = ({ apiKey }: Options, { headers }: Incoming): Effect.Effect<void, Problem> =>
  headers.authorization === `Bearer ${apiKey}`
    ? Effect.void
    : new Problem({
        status: 401,
        message: headers.authorization === undefined ? "No API key" : "Invalid API key"
      })

const route = (options: Options, incoming: Incoming): Effect.Effect<Answer.Answer, Problem> => {
  const { method, path } = incoming
  if (method === "POST") return submit(options, incoming)
  const id = /^\/batch\/([^/]+)$/.exec(path)?.[1]
  if (path !== "/batch" && id === undefined) return new Problem({ status: 404, message: "No such resource" })
  if (method !== "GET") return new Problem({ status: 405, message: `${method} is not allowed here` })
  return id === undefined ? list(options, incoming) : status(options, id)
}

const submit = (options: Options, incoming: Incoming): Effect.Effect<Answer.Answer, Problem> =>
  Effect.gen(function* () {
    const endpoint = Endpoint.at(incoming.path)
    if (endpoint === undefined) return yield* new Problem({ status: 404, message: "No such resource" })
    if (incoming.headers["x-api-version"] !== apiVersion) {
      return yield* badRequest(`The header x-api-version: ${apiVersion} is required`)
    }
    const body = yield* Effect.mapError(
      incoming.body,
      ({ reason }) =>
        new Problem({ status: reason === "TooLarge" ? 413 : 400, message: "The body could not be read" })
    )
    const { spec, submitted } = yield* Submit.parse(endpoint, body)
    if ((yield* options.jobs.active) >= options.maxActiveJobs) {
      return yield* new Problem({
        status: 429,
        message: `At most ${options.maxActiveJobs} batches may be active at a time`
      })
    }
    return Answer.json(202, Submit.answer(yield* options.jobs.create(spec, submitted)))
  })

const status = (options: Options, id: string): Effect.Effect<Answer.Answer, Problem> =>
  Effect.gen(function* () {
    if (!uuid.test(id)) return yield* badRequest("batch_id must be a UUID")
    const found = yield* options.jobs.find(id)
    if (Option.isNone(found)) return yield* new Problem({ status: 404, message: `Batch ${id} not found` })
    const job = found.value
    const view = yield* show(options, job)
    const links =
      view.status === "completed" ? yield* Effect.map(Clock.currentTimeMillis, sign(options, job)) : {}
    return Answer.json(200, { ...view, ...links })
  })

/** By the time line alone: that the results of a job are still being written shows in its status only. */
const list = (options: Options, { query }: Incoming): Effect.Effect<Answer.Answer, Problem> =>
  Effect.gen(function* () {
    const parameters = new URLSearchParams(query)
    const wanted = parameters.get("status")
    if (wanted !== null && !statuses.includes(wanted)) {
      return yield* badRequest(`status must be one of ${statuses.join(", ")}`)
    }
    const limit = Number(parameters.get("limit") ?? 20)
    if (!Number.isInteger(limit)) return yield* badRequest("limit must be an integer")
    const now = yield* Clock.currentTimeMillis
    const every = yield* after(yield* options.jobs.all, parameters.get("cursor"))
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
