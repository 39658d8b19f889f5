/**
 * The presigned links of one job, and fresh ones when they end. However many connections find a link expired, the
 * API is asked once.
 *
 * @example
 * import { type Batch, BatchClient, BatchConfig, ResultLinks } from "@org/batch-core"
 * import { Effect } from "effect"
 *
 * const merged = (batch: Batch.Batch) =>
 *   Effect.gen(function* () {
 *     const client = yield* BatchClient.BatchClient
 *     const links = yield* ResultLinks.make(batch, { client, settings: yield* BatchConfig.BatchConfig })
 *     return yield* links.get("merged")
 *   })
 */
import { Clock, Effect, Metric, Option, Redacted, Ref } from "effect"
import type { Batch, BatchId } from "../model/Batch.js"
import type { BatchClient } from "../status/BatchClient.js"
import type { Settings } from "../model/BatchConfig.js"
import * as Monotonic from "../retry/Monotonic.js"
import { ResultsUnavailable, type StatusError } from "../model/BatchError.js"
import * as PresignedLink from "../model/PresignedLink.js"
import * as Telemetry from "../model/Telemetry.js"
import * as Settling from "./Settling.js"

/** Which of a job's files: the merged one, or a part by its place. */
export type Target = "merged" | number

/** A link as it was signed at one moment. */
export interface ResultLink {
  readonly url: Redacted.Redacted<string>
  /** Epoch milliseconds by the storage's clock, if the link says so. */
  readonly expiresAt: Option.Option<number>
  /** Links of one status answer share their generation. */
  readonly generation: number
}

/** The links of one job. */
export interface Links {
  readonly batchId: BatchId
  /** The current link; renewed first when it is about to expire. */
  readonly get: (target: Target) => Effect.Effect<ResultLink, StatusError | ResultsUnavailable>
  /**
   * Says that a link did not work (any more): the next `get` gives a newer one. One status call serves all. `first` comes
   * before it, such as a pause; `detail` says what was wrong with the link, if it had not expired.
   */
  readonly renew: (stale: ResultLink, how?: Renewal) => Effect.Effect<void, StatusError | ResultsUnavailable>
  /** The job as the last answer that has links says it is. */
  readonly batch: Effect.Effect<Batch>
  /** Asks for the job again, and goes on with its links if it is completed and has any. */
  readonly ask: Effect.Effect<Batch, StatusError>
  /** Learns the storage's clock from the `Date` of its answers. */
  readonly observeDate: (date: string | undefined) => Effect.Effect<void>
  /** Whether the link is past its time by the storage's clock. */
  readonly isExpired: (link: ResultLink) => Effect.Effect<boolean>
  /** How often fresh links were fetched. */
  readonly refreshes: Effect.Effect<number>
}

/** How links are renewed. */
export interface Renewal {
  readonly first?: Effect.Effect<void> | undefined
  readonly detail?: string | undefined
}

/** The links of one status answer. */
interface Generation {
  readonly number: number
  readonly batch: Batch
  /** The last answer, links or no. */
  readonly seen: Batch
  readonly obtainedAt: number
}

/**
 * The links of a job: at first those of its status answer, later fresh ones by `client`, each told to `onRefresh`, with
 * what was wrong with the old one if that was not its age. They go on with a job whose count has changed: whether the
 * files are still the same is for the ETags to say, and whether they hold all rows for the last count.
 */
export const make = (
  batch: Batch,
  options: {
    readonly client: BatchClient["Type"]
    readonly settings: Pick<Settings, "baseUrl" | "transfer">
    readonly onRefresh?: ((detail: string | undefined) => Effect.Effect<void>) | undefined
  }
): Effect.Effect<Links> =>
  Effect.gen(function* () {
    const { settings } = options
    const { now } = Monotonic
    const current = yield* Ref.make<Generation>({ number: 0, batch, seen: batch, obtainedAt: yield* now })
    // How far the storage's clock is ahead of the monotonic one: until it has told its date, it is taken to be ours.
    const clockLead = yield* Ref.make((yield* Clock.currentTimeMillis) - (yield* now))
    const turn = yield* Effect.makeSemaphore(1)

    /** An answer without links, which is older than the one that had them, changes nothing about them. */
    const adopt = (fresh: Batch) =>
      Effect.flatMap(now, (obtainedAt) =>
        Ref.update(current, (held) => ({
          number: held.number + 1,
          batch: fresh.status === "completed" && Settling.hasLinks(fresh) ? fresh : held.batch,
          seen: fresh,
          obtainedAt
        }))
      )

    const ask = Effect.flatMap(Ref.get(current), ({ seen }) =>
      options.client.status(batch.batchId, { known: seen })
    )

    const refresh = (stale: number, { detail, first }: Renewal = {}) =>
      Effect.gen(function* () {
        const held = yield* Ref.get(current)
        if (held.number !== stale) return
        yield* first ?? Effect.void
        const fresh = yield* ask
        yield* adopt(fresh)
        yield* sameFiles(held.batch, fresh)
        yield* Metric.increment(Telemetry.linkRefreshes)
        if (first === undefined) yield* options.onRefresh?.(detail) ?? Effect.void
      }).pipe(turn.withPermits(1))

    const storageNow = Effect.zipWith(now, Ref.get(clockLead), (local, lead) => local + lead)

    const isDue = (generation: Generation, link: ResultLink) =>
      Effect.zipWith(now, Ref.get(clockLead), (local, lead) =>
        Option.exists(link.expiresAt, (end) => {
          const lifetime = end - (generation.obtainedAt + lead)
          return (
            lifetime > 0 &&
            local + lead > end - PresignedLink.margin(settings.transfer.refreshBefore, lifetime)
          )
        })
      )

    const get = (target: Target): Effect.Effect<ResultLink, StatusError | ResultsUnavailable> =>
      Effect.gen(function* () {
        const generation = yield* Ref.get(current)
        const link = yield* select(generation, target, settings.baseUrl)
        if (!(yield* isDue(generation, link))) return link
        yield* refresh(generation.number)
        return yield* select(yield* Ref.get(current), target, settings.baseUrl)
      })

    return {
      batchId: batch.batchId,
      get,
      renew: (stale, how) => refresh(stale.generation, how),
      batch: Effect.map(Ref.get(current), (held) => held.batch),
      ask: ask.pipe(Effect.tap(adopt), turn.withPermits(1)),
      observeDate: (date) =>
        Effect.flatMap(now, (local) => {
          const server = Date.parse(date ?? "")
          return Number.isNaN(server) ? Effect.void : Ref.set(clockLead, server - local)
        }),
      isExpired: (link) => Effect.map(storageNow, (at) => Option.exists(link.expiresAt, (end) => at >= end)),
      refreshes: Effect.map(Ref.get(current), (generation) => generation.number)
    }
  })

/** Fresh links must be about as many files. */
const sameFiles = (before: Batch, after: Batch): Effect.Effect<void, ResultsUnavailable> => {
  const detail =
    after.status !== "completed"
      ? `the job is ${after.status} now`
      : Settling.hasLinks(after) && after.downloadUrls.length !== before.downloadUrls.length
        ? `there were ${before.downloadUrls.length} part files and are ${after.downloadUrls.length} now`
        : undefined
  return detail === undefined
    ? Effect.void
    : Effect.fail(new ResultsUnavailable({ reason: "Changed", batchId: before.batchId, detail }))
}

const select = (
  { batch, number }: Generation,
  target: Target,
  baseUrl: string
): Effect.Effect<ResultLink, ResultsUnavailable> => {
  const { batchId } = batch
  const url = target === "merged" ? batch.downloadUrl : Option.fromNullable(batch.downloadUrls[target])
  if (Option.isNone(url)) {
    const detail =
      target === "merged" ? "there is no download_url" : `there is no part ${target} in download_urls`
    return Effect.fail(new ResultsUnavailable({ reason: "NoLink", batchId, detail }))
  }
  const parsed = new URL(Redacted.value(url.value))
  if (!PresignedLink.isAllowed(parsed, baseUrl)) {
    const detail = `the link is ${parsed.protocol}//, and only https:// is accepted`
    return Effect.fail(new ResultsUnavailable({ reason: "NoLink", batchId, detail }))
  }
  return Effect.succeed({ url: url.value, expiresAt: PresignedLink.expiry(parsed), generation: number })
}
