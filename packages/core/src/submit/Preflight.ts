/**
 * What is known before something that costs is done: the balance, whether the plan includes it, how many requests a minute
 * the key may make, and how many jobs run. All from free calls; what cannot be asked is none, and forbids nothing.
 *
 * @example
 * import { Effect } from "effect"
 * import { Preflight } from "@org/batch-core"
 *
 * const program = Effect.map(Preflight.look("company/enrich"), ({ activeJobs, credits }) => ({ activeJobs, credits }))
 */
import { Array, DateTime, Duration, Effect, Option } from "effect"
import { type Batch, isTerminal } from "../model/Batch.js"
import type { ApiError } from "../model/BatchError.js"
import * as JobKind from "../model/JobKind.js"
import type { Entitlements } from "../status/Account.js"
import { BatchClient } from "../status/BatchClient.js"

/** Jobs that an account may have pending or processing at a time. */
export const activeJobsAtMost = 5

/** What the free calls say. */
export interface Preflight {
  /** The balance, which may be fractional. */
  readonly credits: Option.Option<number>
  /** What the plan includes, of all kinds. */
  readonly entitlements: Option.Option<Entitlements>
  /** Whether the plan includes the kind of job. */
  readonly entitled: Option.Option<boolean>
  /** Requests a minute of the key over all paths. */
  readonly requestsPerMinute: Option.Option<number>
  /** Jobs that are pending or processing, of at most `activeJobsAtMost`. */
  readonly activeJobs: Option.Option<number>
  /** How long completed jobs of the kind took, of those that were submitted last: the middle one. */
  readonly jobDuration: Option.Option<Duration.Duration>
  /** Why one of the others could not be asked, if so. */
  readonly failures: ReadonlyArray<ApiError>
}

/** Asks. Cannot fail: what could not be asked is none, and why is among `failures`. */
export const look = Effect.fn("Preflight.look")(function* (
  kind?: string
): Effect.fn.Return<Preflight, never, BatchClient> {
  const client = yield* BatchClient
  const failures: Array<ApiError> = []
  const asked = <A>(call: Effect.Effect<A, ApiError>): Effect.Effect<Option.Option<A>> =>
    Effect.option(Effect.tapError(call, (error) => Effect.sync(() => failures.push(error))))
  const credits = Option.flatten(yield* asked(client.account.credits))
  const entitlements = yield* asked(client.account.entitlements)
  const page = yield* asked(client.page({ limit: 100 }))
  const known = kind === undefined ? undefined : JobKind.named(kind)
  return {
    credits,
    entitlements,
    requestsPerMinute: Option.flatMap(entitlements, ({ requestsPerMinute }) => requestsPerMinute),
    entitled: Option.flatMap(entitlements, ({ enabled }) =>
      Option.fromNullable(known === undefined ? undefined : enabled.get(`/batch/${known.path}`))
    ),
    activeJobs: Option.map(page, ({ jobs }) => jobs.filter(({ status }) => !isTerminal(status)).length),
    jobDuration: Option.flatMap(page, ({ jobs }) =>
      middleOf(jobs.filter((job) => known !== undefined && JobKind.isOf(known, job)))
    ),
    failures
  }
})

const middleOf = (jobs: ReadonlyArray<Batch>): Option.Option<Duration.Duration> => {
  const durations = Array.filterMap(jobs, ({ completedAt, createdAt, status }) =>
    status === "completed"
      ? Option.zipWith(createdAt, completedAt, (from, to) => Math.max(0, DateTime.distance(from, to)))
      : Option.none()
  ).toSorted((a, b) => a - b)
  return Option.map(Option.fromNullable(durations[Math.floor(durations.length / 2)]), Duration.millis)
}
