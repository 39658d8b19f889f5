/**
 * How long to wait until a batch is looked at again: the cadence of the core's `BatchPoll`, for looks that many processes
 * take in turn.
 */
import type { Settings } from "@org/batch-core/BatchConfig"
import * as BatchPoll from "@org/batch-core/BatchPoll"
import { Duration, Effect } from "effect"

/** What a look knows of those before it. */
export interface History {
  /** Looks so far, answered or failed. */
  readonly requests: number
  /** Since the first one. */
  readonly elapsed: Duration.Duration
}

/** Between half of the planned pause and all of it, as long at least as a server has asked for. */
export const next = (
  poll: Settings["poll"],
  { elapsed, requests }: History,
  asked: Duration.Duration = Duration.zero
): Effect.Effect<Duration.Duration> =>
  Effect.map(BatchPoll.jittered(poll, requests, Duration.toMillis(elapsed)), (planned) => {
    const hint = Duration.toMillis(Duration.min(asked, poll.maxHint))
    return Duration.millis(Math.round(Math.max(Duration.toMillis(poll.minDelay), hint, planned)))
  })
