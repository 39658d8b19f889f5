/**
 * The balance of the account. A submitted job takes its price when it completes; a failed one takes nothing.
 */
import { Clock, Effect } from "effect"
import type { Endpoint } from "./Endpoint.js"
import * as Job from "./Job.js"
import type { JobStore } from "./JobStore.js"
import * as Seed from "./Seed.js"
import type { Usage } from "./Usage.js"

/** The balance, never below 0. */
export interface Credits {
  /** What is left, after all jobs that have completed by now. */
  readonly balance: Effect.Effect<number>
  readonly set: (credits: number) => Effect.Effect<void>
}

/** What a balance rests on. */
export interface Options {
  readonly seed: number
  readonly initial: number
  readonly jobs: JobStore
  readonly usage: Usage
}

/** Make a balance. Jobs are billed when somebody looks, as of the moment they completed. */
export const make = ({ initial, jobs, seed, usage }: Options): Effect.Effect<Credits> =>
  Effect.sync(() => {
    const billed = new Set<string>()
    let left = initial

    const bill = (job: Job.Job, { path, price }: Endpoint, at: number) =>
      Effect.suspend(() => {
        billed.add(job.id)
        const credits = rounded(price * Job.found(job))
        left = rounded(Math.max(0, left - credits))
        return usage.record({
          id: Seed.uuid(seed, "bill", job.sequence),
          at,
          surface: "batch",
          method: "POST",
          endpoint: `/batch/${path}`,
          status: 200,
          credits,
          results: Job.found(job),
          problem: undefined,
          request: undefined
        })
      })

    const settle = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      for (const job of (yield* jobs.all).toReversed()) {
        if (job.endpoint === undefined || billed.has(job.id)) continue
        const { since, status } = Job.standing(job, now)
        if (status === "completed") yield* bill(job, job.endpoint, since)
      }
    })

    return {
      balance: Effect.map(settle, () => left),
      set: (credits) =>
        Effect.map(settle, () => {
          left = credits
        })
    }
  })

/** Free of what sums of 0.03 leave behind. */
const rounded = (credits: number): number => Math.round(credits * 10_000) / 10_000
