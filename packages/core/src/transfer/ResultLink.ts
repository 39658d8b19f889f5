/**
 * Presigned links: each a value that knows when it ends, and a shared source of fresh ones. However many
 * connections find a link expired, the API is asked once.
 *
 * @example
 * import { Effect, Redacted } from "effect"
 * import { ResultLink } from "@org/batch-core"
 *
 * const url = "https://h/merged.jsonl.gz?X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=…"
 * ResultLink.expiry(new URL(url)) // Option.some(epoch milliseconds of 2026-01-01T00:01:00Z)
 */
import { Clock, Duration, Effect, Metric, Option, Redacted, Ref } from "effect"
import type { Batch, BatchId } from "../model/Batch.js"
import type { BatchClient } from "../status/BatchClient.js"
import type { Settings } from "../model/BatchConfig.js"
import { ResultsUnavailable, type StatusError } from "../model/BatchError.js"
import * as Telemetry from "../model/Telemetry.js"

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
  /** Says that a link did not work (any more): the next `get` gives a newer one. One status call serves all. */
  readonly renew: (stale: ResultLink) => Effect.Effect<void, StatusError | ResultsUnavailable>
  /** Learns the storage's clock from the `Date` of its answers. */
  readonly observeDate: (date: string | undefined) => Effect.Effect<void>
  /** Whether the link is past its time by the storage's clock. */
  readonly isExpired: (link: ResultLink) => Effect.Effect<boolean>
  /** How often fresh links were fetched. */
  readonly refreshes: Effect.Effect<number>
}

interface Generation {
  readonly number: number
  readonly batch: Batch
  readonly obtainedAt: number
}

/** Begins with the links that a status answer brought. */
export const make = (
  batch: Batch,
  options: {
    readonly client: BatchClient["Type"]
    readonly transfer: Settings["transfer"]
    /** Plain `http` links are accepted only when the API itself is plain `http`. */
    readonly allowHttp: boolean
    readonly onRefresh?: Effect.Effect<void> | undefined
  }
): Effect.Effect<Links> =>
  Effect.gen(function* () {
    const now = Clock.currentTimeMillis
    const current = yield* Ref.make<Generation>({ number: 0, batch, obtainedAt: yield* now })
    const clockLead = yield* Ref.make(0)
    const turn = yield* Effect.makeSemaphore(1)

    const refresh = (stale: number) =>
      Effect.gen(function* () {
        const held = yield* Ref.get(current)
        if (held.number !== stale) return
        const fresh = yield* options.client.status(batch.batchId)
        yield* sameResult(batch, fresh)
        yield* Ref.set(current, { number: stale + 1, batch: fresh, obtainedAt: yield* now })
        yield* Metric.increment(Telemetry.linkRefreshes)
        yield* options.onRefresh ?? Effect.void
      }).pipe(turn.withPermits(1))

    const storageNow = Effect.zipWith(now, Ref.get(clockLead), (local, lead) => local + lead)

    const isDue = (generation: Generation, link: ResultLink) =>
      Effect.zipWith(now, Ref.get(clockLead), (local, lead) =>
        Option.exists(link.expiresAt, (end) => {
          const lifetime = end - (generation.obtainedAt + lead)
          return lifetime > 0 && local + lead > end - margin(options.transfer, lifetime)
        })
      )

    const get = (target: Target): Effect.Effect<ResultLink, StatusError | ResultsUnavailable> =>
      Effect.gen(function* () {
        const generation = yield* Ref.get(current)
        const link = yield* select(generation, target, options.allowHttp)
        if (!(yield* isDue(generation, link))) return link
        yield* refresh(generation.number)
        return yield* select(yield* Ref.get(current), target, options.allowHttp)
      })

    return {
      batchId: batch.batchId,
      get,
      renew: (stale) => refresh(stale.generation),
      observeDate: (date) =>
        Effect.flatMap(now, (local) => {
          const server = Date.parse(date ?? "")
          return Number.isNaN(server) ? Effect.void : Ref.set(clockLead, server - local)
        }),
      isExpired: (link) => Effect.map(storageNow, (at) => Option.exists(link.expiresAt, (end) => at >= end)),
      refreshes: Effect.map(Ref.get(current), (generation) => generation.number)
    }
  })

/** How long before its end a link is no longer trusted, in milliseconds; of a short-lived one a tenth of its life. */
export const margin = ({ refreshBefore }: Settings["transfer"], lifetime: number): number =>
  Math.min(Duration.toMillis(refreshBefore), Math.max(0, lifetime) / 10)

/** Fresh links must be about the same rows in the same files. */
const sameResult = (before: Batch, after: Batch): Effect.Effect<void, ResultsUnavailable> => {
  const detail =
    after.status !== "completed"
      ? `the job is ${after.status} now`
      : after.resultCount !== before.resultCount
        ? `result_count was ${before.resultCount} and is ${after.resultCount} now`
        : after.downloadUrls.length !== before.downloadUrls.length
          ? `there were ${before.downloadUrls.length} part files and are ${after.downloadUrls.length} now`
          : undefined
  return detail === undefined
    ? Effect.void
    : Effect.fail(new ResultsUnavailable({ reason: "Changed", batchId: before.batchId, detail }))
}

const select = (
  { batch, number }: Generation,
  target: Target,
  allowHttp: boolean
): Effect.Effect<ResultLink, ResultsUnavailable> => {
  const { batchId } = batch
  const url = target === "merged" ? batch.downloadUrl : Option.fromNullable(batch.downloadUrls[target])
  if (Option.isNone(url)) {
    const detail =
      target === "merged" ? "there is no download_url" : `there is no part ${target} in download_urls`
    return Effect.fail(new ResultsUnavailable({ reason: "NoLink", batchId, detail }))
  }
  const parsed = new URL(Redacted.value(url.value))
  if (!isAllowed(parsed, allowHttp)) {
    const detail = `the link is ${parsed.protocol}//, and only https:// is accepted`
    return Effect.fail(new ResultsUnavailable({ reason: "NoLink", batchId, detail }))
  }
  return Effect.succeed({ url: url.value, expiresAt: expiry(parsed), generation: number })
}

/** The link policy of `interface.md`: https, or http when the API itself is plain http. */
export const isAllowed = (url: URL, allowHttp: boolean): boolean =>
  url.protocol === "https:" || (allowHttp && url.protocol === "http:")

/** When a link ends, in epoch milliseconds: `X-Amz-Date` + `X-Amz-Expires` (seconds), or `Expires` (epoch seconds). */
export const expiry = (url: URL): Option.Option<number> => {
  const query = new Map([...url.searchParams].map(([name, value]) => [name.toLowerCase(), value]))
  const signed = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/u.exec(query.get("x-amz-date") ?? "")
  const lifetime = wholeNumber(query.get("x-amz-expires"))
  if (signed !== null && !Number.isNaN(lifetime)) {
    const [, year, month, day, hour, minute, second] = signed
    return finite(Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) + lifetime * 1000)
  }
  return finite(wholeNumber(query.get("expires")) * 1000)
}

const wholeNumber = (text: string | undefined): number =>
  /^\d+$/u.test(text ?? "") ? Number(text) : Number.NaN

const finite = (millis: number): Option.Option<number> =>
  Number.isFinite(millis) ? Option.some(millis) : Option.none()
