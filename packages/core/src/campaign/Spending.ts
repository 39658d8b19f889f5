/**
 * What the jobs of a campaign have cost, where the API says it: its usage events have one for each job that was completed,
 * without the id of the job, so they are told apart by time and number of results.
 *
 * @example
 * import { Effect, Option } from "effect"
 * import type * as JobKind from "../model/JobKind.js"
 * import type * as Ledger from "./Ledger.js"
 * import * as Spending from "./Spending.js"
 *
 * const credits = (kind: JobKind.JobKind, chunks: ReadonlyArray<Ledger.Standing>) =>
 *   Effect.map(Spending.spent(kind, chunks), Option.getOrNull)
 */
import { Array, Clock, DateTime, Duration, Effect, Option, Order } from "effect"
import type * as JobKind from "../model/JobKind.js"
import type { UsageEvent } from "../status/Account.js"
import { BatchClient } from "../status/BatchClient.js"
import * as Settlement from "../submit/Settlement.js"
import type * as Ledger from "./Ledger.js"

/** How long after the end of a job its cost may take to show. */
const usageLag = Duration.seconds(20)

/**
 * The credits that the jobs whose results are here have cost together; none unless there is an event for each of them. What
 * shows late is waited for while it may still come.
 */
export const spent = (
  kind: JobKind.JobKind,
  chunks: ReadonlyArray<Ledger.Standing>
): Effect.Effect<Option.Option<number>, never, BatchClient> =>
  Effect.gen(function* () {
    const client = yield* BatchClient
    const jobs = chunks.filter((one) => one._tag === "Kept")
    const ends = Array.filterMap(jobs, ({ completedAt }) => Option.fromNullable(completedAt))
    if (jobs.length === 0) return Option.some(0)
    if (ends.length < jobs.length) return Option.none()
    const millis = ends.map(DateTime.toEpochMillis)
    const begin = DateTime.unsafeMake(Math.min(...millis) - 60_000)
    const lastShown = Math.max(...millis) + Duration.toMillis(usageLag)
    while (true) {
      const events = yield* Effect.option(Settlement.eventsSince(client, begin))
      const cost = Option.flatMap(events, (all) => total(kind, jobs, all))
      const isOver = (yield* Clock.currentTimeMillis) > lastShown
      if (Option.isNone(events) || Option.isSome(cost) || isOver) return cost
      yield* Effect.sleep(Duration.seconds(4))
    }
  })

const total = (
  kind: JobKind.JobKind,
  jobs: ReadonlyArray<Ledger.Ended>,
  events: ReadonlyArray<UsageEvent>
): Option.Option<number> => {
  let left = events.filter(
    ({ endpoint, surface }) => Option.contains(surface, "batch") && endpoint.endsWith(`/batch/${kind.path}`)
  )
  let sum = 0
  for (const { completedAt, fulfilled } of jobs) {
    const fits = left.filter(
      ({ at, results }) =>
        completedAt !== undefined &&
        Option.exists(at, (time) => Math.abs(DateTime.distance(time, completedAt)) < 60_000) &&
        Option.getOrElse(results, () => fulfilled) === fulfilled
    )
    const [event] = Array.sortWith(
      fits,
      ({ at }) =>
        completedAt === undefined
          ? 0
          : Math.abs(
              DateTime.distance(
                Option.getOrElse(at, () => completedAt),
                completedAt
              )
            ),
      Order.number
    )
    if (event === undefined || Option.isNone(event.creditsUsed)) return Option.none()
    left = left.filter((one) => one !== event)
    sum += event.creditsUsed.value
  }
  return Option.some(Math.round(sum * 100) / 100)
}
