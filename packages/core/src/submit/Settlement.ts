/**
 * What has become of a job whose answer was lost. It is looked for among the jobs of the account and in its usage events,
 * for two minutes: found it is adopted; known to be in neither it was not accepted; and where that is not known, it stays
 * undecided, and is never sent again by itself.
 *
 * @example
 * import { Effect } from "effect"
 * import { Settlement, SubmitRequest } from "@org/batch-core"
 *
 * const program = Effect.gen(function* () {
 *   const request = yield* SubmitRequest.make("company/enrich", { domains: ["acme.com"] })
 *   const { batchId } = yield* Settlement.submit(request)
 *   yield* Effect.log(batchId)
 * })
 */
import { Array, Clock, DateTime, Duration, Effect, Option, Order, Predicate, Stream } from "effect"
import type { Batch, BatchId } from "../model/Batch.js"
import { type ApiError, type SubmitError, SubmitUnknown } from "../model/BatchError.js"
import * as JobKind from "../model/JobKind.js"
import type { JsonObject } from "../model/Masking.js"
import { inputs, type SubmitRequest } from "../model/SubmitRequest.js"
import type { UsageDetail, UsageEvent } from "../status/Account.js"
import { BatchClient, type Page } from "../status/BatchClient.js"

/** A request whose answer was lost, as far as it is known. */
export interface Lost {
  readonly kind: JobKind.JobKind
  /** The body as it was sent. */
  readonly body: JsonObject
  /** The inputs it has; 1 for a search by a query. */
  readonly count: number
  readonly sentAt: DateTime.Utc
  /** The id by which the vendor knows it, if an answer had one. */
  readonly requestId: Option.Option<string>
}

/** What became of it. */
export type Verdict =
  | { readonly _tag: "Accepted"; readonly batch: Batch }
  | { readonly _tag: "NotAccepted"; readonly detail: string }
  | { readonly _tag: "Undecided"; readonly detail: string }

/** How to look. */
export interface Options {
  /** Whether a job is known to come of another request, so that it is nobody's. Default: none is. */
  readonly isClaimed?: ((batchId: BatchId) => Effect.Effect<boolean>) | undefined
}

/** How long a lost job is looked for. */
export const patience = Duration.minutes(2)

/** How long after its answer an event may take to show, by the vendor's word about 10 s. */
const usageDelay = Duration.seconds(20)

/** How far apart the clocks of the vendor's services may be, and how long a job may take to be made. */
const tolerance = { before: Duration.seconds(15), after: Duration.seconds(90) }

const pauses = [3, 5, 7, 10, 15, 15, 15, 15, 15, 15].map((seconds) => Duration.seconds(seconds))

/** Pages of the list and of the events that are looked through, at most. */
const mostPages = 20

/** Looks for the job, again and again for two minutes from when it was sent. Cannot fail: what cannot be asked is not known. */
export const settle = Effect.fn("Settlement.settle")(function* (
  lost: Lost,
  options: Options = {}
): Effect.fn.Return<Verdict, never, BatchClient> {
  let verdict = undecided("it could not be looked for")
  for (const pause of [Duration.zero, ...pauses]) {
    yield* Effect.sleep(pause)
    const elapsed = (yield* Clock.currentTimeMillis) - DateTime.toEpochMillis(lost.sentAt)
    const isLast = elapsed >= Duration.toMillis(patience)
    const sight = yield* look(lost, options)
    verdict = conclude(lost, sight, { elapsed, isLast })
    if (verdict._tag !== "Undecided" || (isLast && Option.isSome(sight.jobs))) return verdict
  }
  return verdict
})

/** Submits, and settles an answer that is lost: fails with `SubmitUnknown` only if that stays undecided. */
export const submit = Effect.fn("Settlement.submit")(function* (
  request: SubmitRequest,
  options: Options & {
    /** Told when an answer was lost, before it is looked for. */
    readonly onLost?: ((error: SubmitUnknown) => Effect.Effect<void>) | undefined
  } = {}
): Effect.fn.Return<Batch, SubmitError, BatchClient> {
  const client = yield* BatchClient
  return yield* Effect.catchTag(client.submit(request), "SubmitUnknown", (error) =>
    Effect.gen(function* () {
      yield* options.onLost?.(error) ?? Effect.void
      const verdict = yield* settle(lostOf(request, error), options)
      if (verdict._tag === "Accepted") return verdict.batch
      const detail = `${error.detail}; ${verdict.detail}`
      return yield* new SubmitUnknown({ ...error, detail })
    })
  )
})

/** What is to be looked for of a request. */
export const lostOf = (request: SubmitRequest, { requestId, sentAt }: SubmitUnknown): Lost => ({
  kind: request.kind,
  body: request.body,
  count: inputs(request),
  sentAt,
  requestId
})

const undecided = (detail: string): Verdict => ({ _tag: "Undecided", detail })

/** What one look brought. */
interface Sight {
  /** Jobs that may be it, the nearest in time first; none if the list could not be read. */
  readonly jobs: Option.Option<ReadonlyArray<Batch>>
  /** Requests of the same kind about that time, with what was sent; none if the events could not be read. */
  readonly events: Option.Option<ReadonlyArray<UsageDetail>>
  /** Whether the events show a request of the account that was made later. */
  readonly isCaughtUp: boolean
}

const look = (
  lost: Lost,
  { isClaimed = () => Effect.succeed(false) }: Options
): Effect.Effect<Sight, never, BatchClient> =>
  Effect.gen(function* () {
    const client = yield* BatchClient
    const skew = yield* skewOf(client)
    const sentAt = DateTime.addDuration(lost.sentAt, skew)
    const earliest = DateTime.subtractDuration(sentAt, tolerance.before)
    const latest = DateTime.addDuration(sentAt, tolerance.after)
    const isNear = (at: Option.Option<DateTime.Utc>) =>
      Option.exists(at, DateTime.between({ minimum: earliest, maximum: latest }))
    const jobs = yield* jobsSince(client, earliest).pipe(
      Effect.map((found) =>
        found.filter(
          (job) => JobKind.isOf(lost.kind, job) && job.identifierCount === lost.count && isNear(job.createdAt)
        )
      ),
      Effect.flatMap(Effect.filter((job) => Effect.negate(isClaimed(job.batchId)))),
      Effect.map((found) => nearestFirst(found, Option.some(sentAt))),
      Effect.option
    )
    const events = yield* Effect.option(eventsSince(client, earliest))
    const path = `/batch/${lost.kind.path}`
    const details = yield* Effect.transposeMapOption(events, (all) =>
      Effect.forEach(
        all.filter(({ at, endpoint, id }) => id !== "" && endpoint.endsWith(path) && isNear(at)),
        (event) => detailOf(client, event)
      )
    )
    return {
      jobs,
      events: details,
      isCaughtUp: Option.exists(events, (all) =>
        all.some(({ at }) =>
          Option.exists(at, DateTime.greaterThan(DateTime.addDuration(sentAt, Duration.seconds(2))))
        )
      )
    }
  })

const distance = (at: Option.Option<DateTime.Utc>, from: DateTime.Utc): number =>
  Option.match(at, {
    onNone: () => Number.POSITIVE_INFINITY,
    onSome: (time) => Math.abs(DateTime.distance(from, time))
  })

/** By how much the server's clock is ahead of ours. */
const skewOf = (client: BatchClient["Type"]): Effect.Effect<Duration.Duration> =>
  Effect.gen(function* () {
    const page = yield* Effect.option(client.page({ limit: 1 }))
    const now = yield* DateTime.now
    const date = Option.flatMap(page, ({ date }) => date)
    const millis = Option.match(date, { onNone: () => 0, onSome: (server) => DateTime.distance(now, server) })
    // The date of an answer is in whole seconds.
    return Math.abs(millis) < 2000 ? Duration.zero : Duration.millis(millis)
  })

const jobsSince = (
  client: BatchClient["Type"],
  since: DateTime.Utc
): Effect.Effect<ReadonlyArray<Batch>, ApiError> =>
  pagesOf((cursor) =>
    Effect.map(client.page({ limit: 100, cursor }), ({ jobs, nextCursor }: Page) => ({
      items: jobs,
      nextCursor: isPast(jobs.at(-1)?.createdAt, since) ? Option.none() : nextCursor
    }))
  )

const eventsSince = (
  client: BatchClient["Type"],
  start: DateTime.Utc
): Effect.Effect<ReadonlyArray<UsageEvent>, ApiError> =>
  pagesOf((cursor) =>
    Effect.map(client.account.usage({ limit: 500, start, cursor }), ({ events, nextCursor }) => ({
      items: events,
      nextCursor: isPast(events.at(-1)?.at, start) ? Option.none() : nextCursor
    }))
  )

const isPast = (at: Option.Option<DateTime.Utc> | undefined, since: DateTime.Utc): boolean =>
  at !== undefined && Option.exists(at, DateTime.lessThan(since))

const pagesOf = <A>(
  page: (
    cursor: string | undefined
  ) => Effect.Effect<
    { readonly items: ReadonlyArray<A>; readonly nextCursor: Option.Option<string> },
    ApiError
  >
): Effect.Effect<ReadonlyArray<A>, ApiError> =>
  Stream.paginateEffect<string | undefined, ReadonlyArray<A>, ApiError, never>(undefined, (cursor) =>
    Effect.map(page(cursor), ({ items, nextCursor }) => [items, nextCursor])
  ).pipe(
    Stream.take(mostPages),
    Stream.runFold<ReadonlyArray<A>, ReadonlyArray<A>>([], (all, more) => [...all, ...more])
  )

/** An event with what was sent; without it where that cannot be asked for now. */
const detailOf = (client: BatchClient["Type"], event: UsageEvent): Effect.Effect<UsageDetail> =>
  Effect.option(client.account.usageOf(event.id)).pipe(
    Effect.map(Option.flatten),
    Effect.map((detail) => ({ ...event, body: Option.flatMap(detail, ({ body }) => body) }))
  )

/** Whether an event is of the lost request: by its id, else by what was sent; undefined where that is not known. */
const isOurs = (lost: Lost, event: UsageDetail): boolean | undefined => {
  if (Option.isSome(lost.requestId)) return event.id === lost.requestId.value
  return isSameBody(lost.body, Option.getOrUndefined(event.body))
}

/** A vendor may keep a body as text, cut it short, and leave out what it does not know: only what differs is another. */
const isSameBody = (sent: JsonObject, kept: unknown): boolean | undefined => {
  const json = Predicate.isString(kept) ? Option.getOrUndefined(parse(kept)) : kept
  if (!Predicate.isRecord(json)) return undefined
  const compared = Object.entries(sent).map(([name, value]) => isSame(value, json[name]))
  return compared.includes(false) ? false : compared.includes(undefined) ? undefined : true
}

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

const isSame = (sent: unknown, kept: unknown): boolean | undefined => {
  if (kept === undefined || kept === null) return undefined
  if (!Array.isArray(sent)) return fold(sent) === fold(kept)
  if (!Array.isArray(kept)) return undefined
  if (kept.some((value, at) => fold(value) !== fold(sent[at]))) return false
  return kept.length === sent.length ? true : undefined
}

const fold = (value: unknown): string =>
  (Predicate.isString(value) ? value : (JSON.stringify(value) ?? "")).toLowerCase()

const isAccepted = ({ status }: UsageEvent): boolean => Option.exists(status, (code) => code < 300)

const conclude = (
  lost: Lost,
  { events, isCaughtUp, jobs }: Sight,
  { elapsed, isLast }: { readonly elapsed: number; readonly isLast: boolean }
): Verdict => {
  const known = Option.getOrElse(events, (): ReadonlyArray<UsageDetail> => [])
  const ours = known.find((event) => isOurs(lost, event) === true)
  const status = Option.flatMap(Option.fromNullable(ours), (event) => event.status)
  if (Option.exists(status, (code) => code >= 400 && code < 500)) {
    const detail = `the usage events say that it was refused (HTTP ${Option.getOrNull(status)})`
    return { _tag: "NotAccepted", detail }
  }
  if (Option.isNone(jobs)) return undecided("the list of jobs could not be read")
  const others = known.filter((event) => isAccepted(event) && isOurs(lost, event) === false)
  const candidates = others.reduce<ReadonlyArray<Batch>>(withoutNearest, jobs.value)
  const [batch] = ours === undefined ? candidates : nearestFirst(candidates, ours.at)
  // The job of somebody else's request could be mistaken for it until that request shows among the events.
  const isTold = ours !== undefined || Option.isNone(events) || elapsed >= Duration.toMillis(usageDelay)
  if (batch !== undefined) {
    return isTold || isLast ? { _tag: "Accepted", batch } : undecided("the usage events are awaited")
  }
  if (!isLast) return undecided("it is not in the list of jobs yet")
  const mayBeOurs = known.some((event) => isAccepted(event) && isOurs(lost, event) !== false)
  if (isCaughtUp && !mayBeOurs) {
    const detail = "it is not in the list of jobs, and the usage events show later requests without it"
    return { _tag: "NotAccepted", detail }
  }
  const why = Option.isNone(events) ? "cannot be read" : "do not say that it was not accepted"
  return undecided(`it is not in the list of jobs, and the usage events ${why}`)
}

/** A job of another request with the same count is explained by its own event. */
const withoutNearest = (jobs: ReadonlyArray<Batch>, { at }: UsageEvent): ReadonlyArray<Batch> => {
  const [nearest] = nearestFirst(jobs, at)
  return jobs.filter((job) => job !== nearest)
}

const nearestFirst = (jobs: ReadonlyArray<Batch>, at: Option.Option<DateTime.Utc>): ReadonlyArray<Batch> =>
  Option.match(at, {
    onNone: () => jobs,
    onSome: (time) => Array.sortWith(jobs, (job) => distance(job.createdAt, time), Order.number)
  })
