/**
 * Status calls that are shared, and their answers cached: identical calls that are under way are one call, and an
 * answer that cannot change any more is kept for as long as its links hold, or for good if it has none. Whoever goes
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
import { type Batch, type BatchId, isTerminal } from "../model/Batch.js"
import { BatchClient } from "./BatchClient.js"
import { BatchConfig, type Settings } from "../model/BatchConfig.js"
import type { StatusError } from "../model/BatchError.js"
import * as PresignedLink from "../model/PresignedLink.js"

/** The status calls of one account, shared and cached. */
export interface Service {
  /** The kept answer, if there is one that still holds. */
  readonly kept: (batchId: BatchId) => Effect.Effect<Option.Option<Batch>>
  /** The kept answer, or the API's own. */
  readonly status: (batchId: BatchId) => Effect.Effect<Batch, StatusError>
  /** The calls of the API, for polling and fresh links: always asked now, but together, and the answer is kept. */
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
    const calls = yield* RcMap.make({
      lookup: (batchId: BatchId) =>
        client
          .status(batchId)
          .pipe(
            Effect.tap((batch) =>
              Effect.map(Clock.currentTimeMillis, (now) =>
                answers.put(batchId, batch, keptUntil(batch, transfer, now))
              )
            )
          )
    })
    const ask = (batchId: BatchId) => Effect.scoped(RcMap.get(calls, batchId))
    const kept = (batchId: BatchId) => Effect.map(Clock.currentTimeMillis, (now) => answers.get(batchId, now))
    return {
      kept,
      status: (batchId) =>
        Effect.flatMap(kept(batchId), Option.match({ onNone: () => ask(batchId), onSome: Effect.succeed })),
      client: { ...client, status: ask }
    }
  }
)

/** The cache of one account, over its calls. */
export const layer: Layer.Layer<StatusCache, never, BatchClient | BatchConfig> = Layer.scoped(
  StatusCache,
  make
)

/** How long a link that does not say when it ends is taken to hold, in milliseconds. */
const unspoken = Duration.toMillis("1 minute")

/**
 * Until when an answer may be given again, in epoch milliseconds: a running job's not at all, links until shortly
 * before the first of them ends.
 */
export const keptUntil = (batch: Batch, transfer: Settings["transfer"], now: number): number => {
  if (!isTerminal(batch.status)) return now
  const links = [...Option.toArray(batch.downloadUrl), ...batch.downloadUrls]
  const ends = links.map((link) =>
    Option.match(PresignedLink.expiry(new URL(Redacted.value(link))), {
      onNone: () => now + unspoken,
      onSome: (end) => end - PresignedLink.margin(transfer.refreshBefore, end - now)
    })
  )
  return Math.min(Number.POSITIVE_INFINITY, ...ends)
}

interface Kept {
  readonly get: (batchId: BatchId, now: number) => Option.Option<Batch>
  readonly put: (batchId: BatchId, batch: Batch, until: number) => void
}

/** Answers by their id, the one that was used last at the end; the first ones go when there are too many. */
const makeKept = (): Kept => {
  const entries = new Map<
    BatchId,
    { readonly batch: Batch; readonly until: number; readonly weight: number }
  >()
  let weight = 0
  const remove = (batchId: BatchId) => {
    weight -= entries.get(batchId)?.weight ?? 0
    entries.delete(batchId)
  }
  return {
    get: (batchId, now) => {
      const entry = entries.get(batchId)
      if (entry === undefined) return Option.none()
      entries.delete(batchId)
      if (entry.until > now) entries.set(batchId, entry)
      else weight -= entry.weight
      return entry.until > now ? Option.some(entry.batch) : Option.none()
    },
    put: (batchId, batch, until) => {
      remove(batchId)
      if (!isTerminal(batch.status)) return
      const entry = { batch, until, weight: 2 + batch.downloadUrls.length }
      entries.set(batchId, entry)
      weight += entry.weight
      for (const [oldest] of entries) {
        if (weight <= capacity) break
        remove(oldest)
      }
    }
  }
}
