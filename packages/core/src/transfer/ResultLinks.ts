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
import { Clock, Effect, Either, Metric, Option, Redacted, Ref } from "effect"
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

/** The links to files that are fetched. `E` is what asking for fresh ones can fail with. */
export interface FileLinks<E> {
  /** The current link; renewed first when it is about to expire. */
  readonly get: (target: Target) => Effect.Effect<ResultLink, E | ResultsUnavailable>
  /**
   * Says that a link did not work (any more): the next `get` gives a newer one. One question serves all. `first` comes
   * before it, such as a pause; `detail` says what was wrong with the link, if it had not expired.
   */
  readonly renew: (stale: ResultLink, how?: Renewal) => Effect.Effect<void, E | ResultsUnavailable>
  /** Whether there is anything to ask for fresh ones. */
  readonly isRenewable: boolean
  /** Learns the storage's clock from the `Date` of its answers. */
  readonly observeDate: (date: string | undefined) => Effect.Effect<void>
  /** Whether the link is past its time by the storage's clock. */
  readonly isExpired: (link: ResultLink) => Effect.Effect<boolean>
  /** How often fresh links were fetched. */
  readonly refreshes: Effect.Effect<number>
  /** The failure of the files that they lead to. */
  readonly unavailable: (reason: ResultsUnavailable["reason"], detail: string) => ResultsUnavailable
}

/** The links of one job. */
export interface Links extends FileLinks<StatusError> {
  readonly batchId: BatchId
  /** The job as the last answer that has links says it is. */
  readonly batch: Effect.Effect<Batch>
  /** Asks for the job again, and goes on with its links if it is completed and has any. */
  readonly ask: Effect.Effect<Batch, StatusError>
}

/** How links are renewed. */
export interface Renewal {
  readonly first?: Effect.Effect<void> | undefined
  readonly detail?: string | undefined
}

/** How to renew links, and whom to tell. */
export interface Options {
  readonly settings: Pick<Settings, "baseUrl" | "transfer">
  /** Told of each fresh link, with what was wrong with the old one if that was not its age. */
  readonly onRefresh?: ((detail: string | undefined) => Effect.Effect<void>) | undefined
}

/**
 * The links of a job: at first those of its status answer, later fresh ones by `client`. They go on with a job whose count
 * has changed: whether the files are still the same is for the ETags to say, and whether they hold all rows for the last
 * count.
 */
export const make = (
  batch: Batch,
  options: Options & { readonly client: Pick<BatchClient["Type"], "status"> }
): Effect.Effect<Links> => {
  const { batchId } = batch
  const unavailable = (reason: ResultsUnavailable["reason"], detail: string) =>
    new ResultsUnavailable({ reason, batchId, detail })
  const renewing = renewable(batch, {
    ...options,
    ask: Option.some((known: Batch) => options.client.status(batchId, { known })),
    unavailable,
    // An answer without links, which is older than the one that had them, changes nothing about them.
    next: (held, fresh) => (fresh.status === "completed" && Settling.hasLinks(fresh) ? fresh : held),
    changes,
    urlOf: ({ downloadUrl, downloadUrls }, target) => {
      const url = target === "merged" ? downloadUrl : Option.fromNullable(downloadUrls[target])
      return Either.fromOption(url, () =>
        target === "merged" ? "there is no download_url" : `there is no part ${target} in download_urls`
      )
    }
  })
  return Effect.map(renewing, ({ adopt, held, links, seen, turn }) => ({
    ...links,
    batchId,
    batch: held,
    ask: seen.pipe(
      Effect.flatMap((known) => options.client.status(batchId, { known })),
      Effect.tap(adopt),
      turn
    )
  }))
}

/** Fresh links must be about as many files: what is wrong with them, if they are not. */
const changes = (before: Batch, after: Batch): string | undefined =>
  after.status !== "completed"
    ? `the job is ${after.status} now`
    : Settling.hasLinks(after) && after.downloadUrls.length !== before.downloadUrls.length
      ? `there were ${before.downloadUrls.length} part files and are ${after.downloadUrls.length} now`
      : undefined

/**
 * The link to one file, whichever part of it is asked for: `first`, and later those of `fresh`. Without that the link is
 * what it is.
 */
export const ofLink = <E = never>(
  first: Redacted.Redacted<string>,
  options: Options & { readonly fresh: Option.Option<Effect.Effect<Redacted.Redacted<string>, E>> }
): Effect.Effect<FileLinks<E>> =>
  Effect.map(
    renewable(first, {
      ...options,
      ask: Option.map(options.fresh, (fresh) => () => fresh),
      unavailable: (reason, detail) => new ResultsUnavailable({ reason, detail }),
      next: (_, fresh) => fresh,
      changes: () => undefined,
      urlOf: Either.right
    }),
    ({ links }) => links
  )

/** What links are taken from, and how it is asked for anew. */
interface Source<A, E> extends Options {
  /** Takes the last answer. */
  readonly ask: Option.Option<(seen: A) => Effect.Effect<A, E>>
  /** What to go on with after a fresh answer. */
  readonly next: (held: A, fresh: A) => A
  /** Why a fresh answer is not about the same files. */
  readonly changes: (held: A, fresh: A) => string | undefined
  readonly urlOf: (held: A, target: Target) => Either.Either<Redacted.Redacted<string>, string>
  readonly unavailable: FileLinks<E>["unavailable"]
}

/** The links of one answer. */
interface Generation<A> {
  readonly number: number
  readonly answer: A
  /** The last answer, links or no. */
  readonly seen: A
  readonly obtainedAt: number
}

interface Renewing<A, E> {
  readonly links: FileLinks<E>
  /** The answer that the links are taken from. */
  readonly held: Effect.Effect<A>
  /** The last answer, links or no. */
  readonly seen: Effect.Effect<A>
  readonly adopt: (fresh: A) => Effect.Effect<void>
  /** One question at a time. */
  readonly turn: <B, E2>(question: Effect.Effect<B, E2>) => Effect.Effect<B, E2>
}

const renewable = <A, E>(answer: A, source: Source<A, E>): Effect.Effect<Renewing<A, E>> =>
  Effect.gen(function* () {
    const { settings, unavailable } = source
    const { now } = Monotonic
    const current = yield* Ref.make<Generation<A>>({
      number: 0,
      answer,
      seen: answer,
      obtainedAt: yield* now
    })
    // How far the storage's clock is ahead of the monotonic one: until it has told its date, it is taken to be ours.
    const clockLead = yield* Ref.make((yield* Clock.currentTimeMillis) - (yield* now))
    const turn = (yield* Effect.makeSemaphore(1)).withPermits(1)

    const adopt = (fresh: A) =>
      Effect.flatMap(now, (obtainedAt) =>
        Ref.update(current, (held) => ({
          number: held.number + 1,
          answer: source.next(held.answer, fresh),
          seen: fresh,
          obtainedAt
        }))
      )

    const refresh = (stale: number, { detail, first }: Renewal = {}) =>
      Effect.gen(function* () {
        const held = yield* Ref.get(current)
        if (held.number !== stale) return
        yield* first ?? Effect.void
        if (Option.isNone(source.ask)) return
        const fresh = yield* source.ask.value(held.seen)
        yield* adopt(fresh)
        const change = source.changes(held.answer, fresh)
        if (change !== undefined) return yield* unavailable("Changed", change)
        yield* Metric.increment(Telemetry.linkRefreshes)
        if (first === undefined) yield* source.onRefresh?.(detail) ?? Effect.void
      }).pipe(turn)

    const storageNow = Effect.zipWith(now, Ref.get(clockLead), (local, lead) => local + lead)

    const isDue = (generation: Generation<A>, link: ResultLink) =>
      Effect.zipWith(now, Ref.get(clockLead), (local, lead) =>
        Option.exists(link.expiresAt, (end) => {
          const lifetime = end - (generation.obtainedAt + lead)
          return (
            lifetime > 0 &&
            local + lead > end - PresignedLink.margin(settings.transfer.refreshBefore, lifetime)
          )
        })
      )

    const select = ({ answer, number }: Generation<A>, target: Target) =>
      source.urlOf(answer, target).pipe(
        Either.flatMap((url) => checked(url, settings.baseUrl)),
        Either.map((link): ResultLink => ({ ...link, generation: number })),
        Either.mapLeft((detail) => unavailable("NoLink", detail))
      )

    const get = (target: Target): Effect.Effect<ResultLink, E | ResultsUnavailable> =>
      Effect.gen(function* () {
        const generation = yield* Ref.get(current)
        const link = yield* select(generation, target)
        if (Option.isNone(source.ask) || !(yield* isDue(generation, link))) return link
        yield* refresh(generation.number)
        return yield* select(yield* Ref.get(current), target)
      })

    return {
      held: Effect.map(Ref.get(current), (held) => held.answer),
      seen: Effect.map(Ref.get(current), (held) => held.seen),
      adopt,
      turn,
      links: {
        get,
        renew: (stale, how) => refresh(stale.generation, how),
        isRenewable: Option.isSome(source.ask),
        observeDate: (date) =>
          Effect.flatMap(now, (local) => {
            const server = Date.parse(date ?? "")
            return Number.isNaN(server) ? Effect.void : Ref.set(clockLead, server - local)
          }),
        isExpired: (link) =>
          Effect.map(storageNow, (at) => Option.exists(link.expiresAt, (end) => at >= end)),
        refreshes: Effect.map(Ref.get(current), (generation) => generation.number),
        unavailable
      }
    }
  })

/** A link that may be followed; in words, why one may not. */
const checked = (
  url: Redacted.Redacted<string>,
  baseUrl: string
): Either.Either<Omit<ResultLink, "generation">, string> => {
  const text = Redacted.value(url)
  if (!URL.canParse(text)) return Either.left("the link is no URL")
  const parsed = new URL(text)
  return PresignedLink.isAllowed(parsed, baseUrl)
    ? Either.right({ url, expiresAt: PresignedLink.expiry(parsed) })
    : Either.left(`the link is ${parsed.protocol}//, and only https:// is accepted`)
}
