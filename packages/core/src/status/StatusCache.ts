/**
 * Status calls that are shared, and their answers cached: identical calls that are under way are one call, and an
 * answer that is final is kept for as long as its links hold. Whoever goes
 * away ends the call only if nobody else waits for it.
 *
 * @example
 * import { Effect } from "effect"
 * import { type Batch, StatusCache } from "@org/batch-core"
 *
 * const program = (id: Batch.BatchId) =>
 *   Effect.flatMap(StatusCache.StatusCache, (cache) => cache.status(id)).pipe(Effect.provide(StatusCache.layer))
 */
import { Clock, Context, Duration, Effect, Layer, Option, RcMap, Redacted, type Scope } from "effect"
import { type Batch, type BatchId, hasResultCount, isTerminal } from "../model/Batch.js"
import { BatchClient, type StatusOptions } from "./BatchClient.js"
import { BatchConfig, type Settings } from "../model/BatchConfig.js"
import type { StatusError } from "../model/BatchError.js"
import * as Monotonic from "../retry/Monotonic.js"
import * as PresignedLink from "../model/PresignedLink.js"

/** The status calls of one account, shared and cached. */
export interface Service {
  /** The kept answer, if there is one that still holds. */
  readonly kept: (batchId: BatchId) => Effect.Effect<Option.Option<Batch>>
  /** The same at a moment of the monotonic clock, in milliseconds, for code that cannot wait for an effect. */
  readonly unsafeKept: (batchId: BatchId, now: number) => Option.Option<Batch>
  /** The kept answer, or the API's own. */
  readonly status: (batchId: BatchId) => Effect.Effect<Batch, StatusError>
  /** Drops the kept answer, because what it promised is not there. */
  readonly forget: (batchId: BatchId) => Effect.Effect<void>
  /**
   * The calls of the API, for polling and fresh links: asked now, but together, and the answer is kept. Those who ask
   * again and again, with the answer that they know, are also given a newer one of the last 5 seconds.
   */
  readonly client: BatchClient["Type"]
}

/** The status calls of one account, shared and cached. */
export class StatusCache extends Context.Tag("@org/batch-core/StatusCache")<StatusCache, Service>() {}

/** The most that kept answers may weigh together: one each, and one more for each of their links of some 500 bytes. */
const capacity = 50_000

/** Makes the cache of one account, over its calls: make one for each key. Calls under way end with the scope. */
export const make: Effect.Effect<Service, never, BatchClient | BatchConfig | Scope.Scope> = Effect.gen(
  function* () {
    const client = yield* BatchClient
    const { transfer } = yield* BatchConfig
    const answers = makeKept()
    const keep = (batchId: BatchId) => (batch: Batch) =>
      Effect.zipWith(Monotonic.now, Clock.currentTimeMillis, (now, date) =>
        answers.put(batchId, { batch, at: now, until: now + keptFor(batch, transfer, date) })
      )
    const shared = (options?: StatusOptions) =>
      RcMap.make({
        lookup: (batchId: BatchId) => Effect.tap(client.status(batchId, options), keep(batchId))
      })
    const calls = yield* shared()
    const polls = yield* shared({ once: true })
    const ask = (batchId: BatchId, options?: StatusOptions) =>
      Effect.flatMap(RcMap.has(calls, batchId), (isUnderWay) =>
        Effect.scoped(RcMap.get(options?.once === true && !isUnderWay ? polls : calls, batchId))
      )
    const kept = (batchId: BatchId) => Effect.map(Monotonic.now, (now) => answers.get(batchId, now))
    return {
      kept,
      unsafeKept: answers.get,
      forget: (batchId) => Effect.sync(() => answers.remove(batchId)),
      status: (batchId) =>
        Effect.flatMap(kept(batchId), Option.match({ onNone: () => ask(batchId), onSome: Effect.succeed })),
      client: {
        ...client,
        status: (batchId, options) =>
          Effect.flatMap(Monotonic.now, (now) =>
            Option.match(answers.newer(batchId, options?.known, now - recent), {
              onNone: () => ask(batchId, options),
              onSome: Effect.succeed
            })
          )
      }
    }
  }
)

/** The cache of one account, over its calls. */
export const layer: Layer.Layer<StatusCache, never, BatchClient | BatchConfig> = Layer.scoped(
  StatusCache,
  make
)

/** How long an answer without an end of its own is kept, in milliseconds: a failed job, an empty result, such a link. */
const unspoken = Duration.toMillis("1 minute")

/**
 * For how long an answer may be given again, in milliseconds: a running job's not at all, nor a completed one's that has
 * rows and no links yet; links until shortly before the first of them ends. `now` is the date in epoch milliseconds.
 */
export const keptFor = (batch: Batch, transfer: Settings["transfer"], now: number): number => {
  if (!isTerminal(batch.status)) return 0
  if (batch.status === "failed") return unspoken
  const links = [...Option.toArray(batch.downloadUrl), ...batch.downloadUrls]
  const ends = links.map((link) =>
    Option.match(PresignedLink.expiry(new URL(Redacted.value(link))), {
      onNone: () => unspoken,
      onSome: (end) => end - now - PresignedLink.margin(transfer.refreshBefore, end - now)
    })
  )
  if (links.length === 0) return batch.resultCount > 0 || !hasResultCount(batch) ? 0 : unspoken
  return Math.max(0, Math.min(...ends))
}

/** How old a newer answer may be for those who know one, in milliseconds: together they ask 12 times a minute. */
const recent = Duration.toMillis("5 seconds")

interface Answer {
  readonly batch: Batch
  /** When it came, and how long it holds. */
  readonly at: number
  readonly until: number
}

interface Kept {
  readonly get: (batchId: BatchId, now: number) => Option.Option<Batch>
  /** An answer other than the known one that came after a moment, whether it holds or not. */
  readonly newer: (batchId: BatchId, known: Batch | undefined, since: number) => Option.Option<Batch>
  readonly put: (batchId: BatchId, answer: Answer) => void
  readonly remove: (batchId: BatchId) => void
}

/** Answers by their id, the one that was used last at the end; the first ones go when there are too many. */
const makeKept = (): Kept => {
  const entries = new Map<BatchId, Answer & { readonly weight: number }>()
  let weight = 0
  const remove = (batchId: BatchId): void => {
    weight -= entries.get(batchId)?.weight ?? 0
    entries.delete(batchId)
  }
  return {
    remove,
    get: (batchId, now) => {
      const entry = entries.get(batchId)
      if (entry === undefined || entry.until <= now) return Option.none()
      entries.delete(batchId)
      entries.set(batchId, entry)
      return Option.some(entry.batch)
    },
    newer: (batchId, known, since) =>
      Option.fromNullable(entries.get(batchId)).pipe(
        Option.filter(({ at, batch }) => known !== undefined && batch !== known && at > since),
        Option.map(({ batch }) => batch)
      ),
    put: (batchId, answer) => {
      remove(batchId)
      if (!isTerminal(answer.batch.status)) return
      const entry = { ...answer, weight: 2 + answer.batch.downloadUrls.length }
      entries.set(batchId, entry)
      weight += entry.weight
      for (const [oldest] of entries) {
        if (weight <= capacity) break
        remove(oldest)
      }
    }
  }
}
