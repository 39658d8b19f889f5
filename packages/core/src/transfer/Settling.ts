/**
 * Patience with a job that is `completed` before its links, its object or its last count are to be seen: the state is
 * asked for again, at the cadence of polling, for as long as `BATCH_TRANSFER_SETTLE` says. Time is that of the monotonic
 * clock.
 *
 * @example
 * import { BatchClient, BatchConfig } from "@org/batch-core"
 * import type { Batch } from "@org/batch-core/Batch"
 * import { Effect } from "effect"
 * import * as Settling from "./Settling.js"
 *
 * const withLinks = (batch: Batch) =>
 *   Effect.gen(function* () {
 *     const client = yield* BatchClient.BatchClient
 *     const settings = yield* BatchConfig.BatchConfig
 *     return yield* Settling.links(batch, { client, settings, onPause: () => Effect.void })
 *   })
 */
import { Clock, Duration, Effect, Option, Random, Redacted } from "effect"
import { type Batch, isTerminal } from "../model/Batch.js"
import type { Settings } from "../model/BatchConfig.js"
import type { StatusError } from "../model/BatchError.js"
import { plural } from "../model/CountText.js"
import type { BatchClient } from "../status/BatchClient.js"

/** What is not there yet, why we think so, and how long we wait before the next question. */
export interface Pause {
  readonly cause: "NoLink" | "Missing" | "RowCount"
  readonly detail: string
  readonly delay: Duration.Duration
}

/** The settings that matter here. */
export type Patience = Pick<Settings, "poll" | "transfer">

/**
 * The pause that follows when something has been missing for so long: as the pauses between polls grow, between half of
 * it and all. None when the time is up; the last question comes at its end.
 */
export const pause = (
  { poll, transfer }: Patience,
  missingFor: Duration.Duration
): Effect.Effect<Option.Option<Duration.Duration>> =>
  Effect.map(Random.next, (random) => {
    const [elapsed, shortest] = [Duration.toMillis(missingFor), Duration.toMillis(poll.minDelay)]
    const left = Duration.toMillis(transfer.settle) - elapsed
    const grown = Duration.toMillis(poll.initialDelay) + elapsed * (poll.factor - 1)
    const planned = Math.min(grown, Duration.toMillis(poll.maxDelay)) * (0.5 + random / 2)
    return left <= 0
      ? Option.none()
      : Option.some(Duration.millis(Math.ceil(Math.min(left, Math.max(shortest, planned)))))
  })

/** How long it has been since a moment of the monotonic clock. */
export const since = (nanos: bigint): Effect.Effect<Duration.Duration> =>
  Effect.map(Clock.currentTimeNanos, (now) => Duration.nanos(now - nanos))

/**
 * The job once it has links, if it announces rows; as it was if it has none when the time is up, or if it has ended
 * otherwise. One that says for all that time that it is running after all is taken as it was, completed.
 */
export const links = (
  batch: Batch,
  options: {
    readonly client: Pick<BatchClient["Type"], "status">
    readonly settings: Patience
    readonly onPause: (pause: Pause) => Effect.Effect<void>
  }
): Effect.Effect<Batch, StatusError> =>
  Effect.gen(function* () {
    const begun = yield* Clock.currentTimeNanos
    let latest = batch
    while (batch.status === "completed" && isWithoutLinks(latest)) {
      const delay = yield* pause(options.settings, yield* since(begun))
      if (Option.isNone(delay)) return isTerminal(latest.status) ? latest : batch
      const detail = `it announces ${plural(latest.resultCount, "row")}, but no link to them yet`
      yield* options.onPause({ cause: "NoLink", detail, delay: delay.value })
      yield* Effect.sleep(delay.value)
      latest = yield* options.client.status(batch.batchId, { known: latest })
    }
    return latest
  })

/** An answer that is older than the one before says that the job is still running: it has no links either. */
const isWithoutLinks = (batch: Batch): boolean =>
  !isTerminal(batch.status) || (batch.status === "completed" && batch.resultCount > 0 && !hasLinks(batch))

/** Whether a job has any link. */
export const hasLinks = ({ downloadUrl, downloadUrls }: Batch): boolean =>
  Option.isSome(downloadUrl) || downloadUrls.length > 0

/** How often the state is asked for again when the rows are not as many as were announced. */
const recounts = 2

const recountEvery = Duration.seconds(10)

/** Asks again about rows that are not as many as were announced. */
export interface Recount<R> {
  /** The job, once an answer says something new of it; none when it was asked often enough. */
  readonly next: (detail: string) => Effect.Effect<Option.Option<Batch>, never, R>
}

/** `ask` gives the job anew, if it can be had; `isNews` says whether something about it or its files has changed. */
export const recount = <R>(options: {
  readonly settings: Patience
  readonly ask: Effect.Effect<Option.Option<Batch>>
  readonly isNews: (batch: Batch) => Effect.Effect<boolean, never, R>
  readonly onPause: (pause: Pause) => Effect.Effect<void>
}): Recount<R> => {
  const { settle } = options.settings.transfer
  const delay = Duration.min(recountEvery, Duration.times(settle, 1 / recounts))
  let left = Duration.greaterThan(settle, Duration.zero) ? recounts : 0
  return {
    next: (detail) =>
      Effect.gen(function* () {
        while (left > 0) {
          left -= 1
          yield* options.onPause({ cause: "RowCount", detail, delay })
          yield* Effect.sleep(delay)
          const fresh = yield* options.ask
          if (Option.isSome(fresh) && (yield* options.isNews(fresh.value))) return fresh
        }
        return Option.none()
      })
  }
}

/** Whether two answers say the same of a job's rows: their count, and where their files are, whatever the signature. */
export const isSameResult = (before: Batch, after: Batch): boolean =>
  before.resultCount === after.resultCount && placesOf(before) === placesOf(after)

const placesOf = ({ downloadUrl, downloadUrls }: Batch): string =>
  [...Option.toArray(downloadUrl), ...downloadUrls]
    .map((link) => new URL(Redacted.value(link)))
    .map(({ origin, pathname }) => `${origin}${pathname}`)
    .join("\n")
