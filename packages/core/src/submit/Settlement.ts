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
import { Array, Clock, DateTime, Duration, Effect, Either, Option, Order, Predicate } from "effect"
import type { Batch, BatchId } from "../model/Batch.js"
import {
  type ApiError,
  ApiUnavailable,
  MalformedResponse,
  type SubmitError,
  SubmitUnknown
} from "../model/BatchError.js"
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

/** Between the looks; together they are `patience`, so that the last look is after it. */
const pauses = [3, 5, 7, 10, 15, 15, 15, 15, 15, 20].map((seconds) => Duration.seconds(seconds))

/** Pages of the list and of the events that are looked through, at most. */
const mostPages = 20

/** Looks for the job, again and again for two minutes from when it was sent. Cannot fail: what cannot be asked is not known. */
export const settle = Effect.fn("Settlement.settle")(function* (
  lost: Lost,
  options: Options = {}
): Effect.fn.Return<Verdict, never, BatchClient> {
  const sight = yield* looker(lost, options)
  for (let looks = 0; ; looks++) {
    const looked = yield* judge(lost, sight, looks)
    if (Either.isRight(looked)) return looked.right
    yield* Effect.sleep(looked.left)
  }
})

/**
 * One of the looks that `settle` takes, for whoever waits elsewhere between them: the verdict, or how long to wait for the
 * next look. `looks` are those before this one. Cannot fail: what cannot be asked is not known.
 */
export const look = Effect.fn("Settlement.look")(function* (
  lost: Lost,
  looks: number,
  options: Options = {}
): Effect.fn.Return<Either.Either<Verdict, Duration.Duration>, never, BatchClient> {
  return yield* judge(lost, yield* looker(lost, options), looks)
})

/** The verdict after a look, or the pause before the next one: there is none after the last, or after one that tells. */
const judge = (
  lost: Lost,
  look: Effect.Effect<Sight>,
  looks: number
): Effect.Effect<Either.Either<Verdict, Duration.Duration>> =>
  Effect.gen(function* () {
    const elapsed = (yield* Clock.currentTimeMillis) - DateTime.toEpochMillis(lost.sentAt)
    const pause = pauses[looks]
    const isLast = pause === undefined || elapsed >= Duration.toMillis(patience)
    const sight = yield* look
    const verdict = conclude(lost, sight, { elapsed, isLast })
    const isOver = verdict._tag !== "Undecided" || (isLast && Option.isSome(sight.jobs))
    return isOver || pause === undefined ? Either.right(verdict) : Either.left(pause)
  })

/**
 * Submits, and settles an answer that is lost: fails with `SubmitUnknown` only if that stays undecided, and with
 * `ApiUnavailable` if it was not accepted.
 */
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
      return yield* verdict._tag === "Undecided"
        ? new SubmitUnknown({ ...error, detail })
        : notAccepted(error, detail)
    })
  )
})

/** What is known not to have been accepted may be sent again: it is a request that did not get through. */
export const notAccepted = ({ requestId }: SubmitUnknown, detail: string): ApiUnavailable =>
  new ApiUnavailable({
    reason: "Server",
    status: Option.none(),
    attempts: 1,
    detail: `the job was not accepted: ${detail}`,
    requestId
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
  /** Jobs of the kind of about that time, and whether each is known to come of another request; none if the list could not be read. */
  readonly jobs: Option.Option<ReadonlyArray<Seen>>
  /** Requests of the same kind of about that time, with what was sent; none if the events could not be read. */
  readonly events: Option.Option<ReadonlyArray<UsageDetail>>
  /** Whether the events show a request of the account that was made later. */
  readonly isCaughtUp: boolean
  /** When it was sent, by the server's clock. */
  readonly sentAt: DateTime.Utc
}

interface Seen {
  readonly batch: Batch
  readonly isClaimed: boolean
}

/** A look that asks for the body of an event once. */
const looker = (
  lost: Lost,
  { isClaimed = () => Effect.succeed(false) }: Options
): Effect.Effect<Effect.Effect<Sight>, never, BatchClient> =>
  Effect.map(BatchClient, (client) => {
    const bodies = new Map<string, UsageDetail>()
    const path = `/batch/${lost.kind.path}`
    return Effect.gen(function* () {
      const sentAt = DateTime.add(lost.sentAt, { millis: yield* skewOf(client) })
      const earliest = DateTime.subtractDuration(sentAt, tolerance.before)
      const latest = DateTime.addDuration(sentAt, tolerance.after)
      const isNear = (at: Option.Option<DateTime.Utc>) =>
        Option.exists(at, DateTime.between({ minimum: earliest, maximum: latest }))
      const jobs = yield* jobsSince(client, earliest).pipe(
        Effect.map((found) => found.filter((job) => JobKind.isOf(lost.kind, job) && isNear(job.createdAt))),
        Effect.flatMap(
          Effect.forEach((batch) =>
            Effect.map(isClaimed(batch.batchId), (claimed) => ({ batch, isClaimed: claimed }))
          )
        ),
        Effect.option
      )
      const all = yield* Effect.option(eventsSince(client, earliest))
      const events = yield* Effect.transposeMapOption(all, (known) =>
        Effect.forEach(
          known.filter(({ at, endpoint, id }) => id !== "" && endpoint.endsWith(path) && isNear(at)),
          (event) => detailOf(client, event, bodies)
        )
      )
      const after = DateTime.addDuration(sentAt, Duration.seconds(2))
      const isCaughtUp = Option.exists(all, (known) =>
        known.some(({ at }) => Option.exists(at, DateTime.greaterThan(after)))
      )
      return { jobs, events, isCaughtUp, sentAt }
    })
  })

const distance = (at: Option.Option<DateTime.Utc>, from: DateTime.Utc): number =>
  Option.match(at, {
    onNone: () => Number.POSITIVE_INFINITY,
    onSome: (time) => Math.abs(DateTime.distance(from, time))
  })

/** Milliseconds by which the server's clock is ahead of ours; less than 0 where it is behind. */
const skewOf = (client: BatchClient["Type"]): Effect.Effect<number> =>
  Effect.gen(function* () {
    const page = yield* Effect.option(client.page({ limit: 1 }))
    const now = yield* DateTime.now
    const date = Option.flatMap(page, ({ date }) => date)
    const millis = Option.match(date, { onNone: () => 0, onSome: (server) => DateTime.distance(now, server) })
    // The date of an answer is in whole seconds.
    return Math.abs(millis) < 2000 ? 0 : millis
  })

const jobsSince = (
  client: BatchClient["Type"],
  since: DateTime.Utc
): Effect.Effect<ReadonlyArray<Batch>, ApiError> =>
  pagesOf((cursor) =>
    Effect.flatMap(client.page({ limit: 100, cursor }), ({ isCut, jobs, nextCursor }: Page) => {
      const isEnough = isPast(jobs.at(-1)?.createdAt, since)
      return isCut && !isEnough
        ? endless
        : Effect.succeed({ items: jobs, nextCursor: isEnough ? Option.none() : nextCursor })
    })
  )

/** The requests of the account since a time. Fails where they are too many to be read to their end. */
export const eventsSince = (
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

interface Items<A> {
  readonly items: ReadonlyArray<A>
  readonly nextCursor: Option.Option<string>
}

/** What is not read to its end says nothing of what is not in it. */
const endless = Effect.fail(
  new MalformedResponse({
    status: Option.none(),
    detail: "the list is not whole, or too long to be looked through"
  })
)

const pagesOf = <A>(
  page: (cursor: string | undefined) => Effect.Effect<Items<A>, ApiError>
): Effect.Effect<ReadonlyArray<A>, ApiError> =>
  Effect.gen(function* () {
    const all: Array<A> = []
    let cursor: string | undefined
    for (let pages = 0; pages < mostPages; pages++) {
      const { items, nextCursor } = yield* page(cursor)
      all.push(...items)
      if (Option.isNone(nextCursor)) return all
      cursor = nextCursor.value
    }
    return yield* endless
  })

/** An event with what was sent; without it where that cannot be asked for now. */
const detailOf = (
  client: BatchClient["Type"],
  event: UsageEvent,
  known: Map<string, UsageDetail>
): Effect.Effect<UsageDetail> =>
  Effect.gen(function* () {
    const before = known.get(event.id)
    if (before !== undefined) return before
    const asked = Option.flatten(yield* Effect.option(client.account.usageOf(event.id)))
    const detail = { ...event, body: Option.flatMap(asked, ({ body }) => body) }
    if (Option.isSome(asked)) known.set(event.id, detail)
    return detail
  })

/** An event beside what is known of it: whether it is of the lost request, and the inputs it has. */
interface Judged {
  readonly event: UsageDetail
  /** Undefined where it is not known. */
  readonly isOurs: boolean | undefined
  readonly count: number | undefined
}

/**
 * Tells the events apart: by the id where one has it, else by what was sent. An answer may come from a gateway that gives
 * ids of its own, so that an id that none has excludes none.
 */
const judged = (lost: Lost, events: ReadonlyArray<UsageDetail>): ReadonlyArray<Judged> => {
  const isNamed = events.some(({ id }) => Option.contains(lost.requestId, id))
  return events
    .filter((event) => !isBill(event))
    .map((event) => {
      const body = bodyOf(event)
      const isOurs = isNamed ? Option.contains(lost.requestId, event.id) : isSameBody(lost, body)
      return { event, isOurs, count: isOurs === true ? lost.count : countOf(lost.kind, body) }
    })
}

/** What a job has cost is among the events as well, when it ends: no request. */
const isBill = ({ body, creditsUsed, surface }: UsageDetail): boolean =>
  Option.isNone(body) &&
  Option.contains(surface, "batch") &&
  Option.exists(creditsUsed, (credits) => credits > 0)

/** A vendor may keep a body as text, and cut it short. */
const bodyOf = ({ body }: UsageDetail): JsonObject | undefined => {
  const kept = Option.getOrUndefined(body)
  const json = Predicate.isString(kept) ? Option.getOrUndefined(parse(kept)) : kept
  return Predicate.isRecord(json) ? json : undefined
}

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** The inputs that a request had, as far as its body was kept; 1 for a search by a query. */
const countOf = (kind: JobKind.JobKind, body: JsonObject | undefined): number | undefined => {
  if (JobKind.isSearch(kind)) return 1
  const values = kind.identifiers
    .map(({ name }) => body?.[name])
    .find((value) => value !== undefined && value !== null)
  return Array.isArray(values) ? values.length : undefined
}

/** What a vendor has left out, or cut short, may be the same: only what differs is another. */
const isSameBody = (lost: Lost, kept: JsonObject | undefined): boolean | undefined => {
  if (kept === undefined) return undefined
  const isOfOther = lost.kind.identifiers.some(
    ({ name }) => kept[name] != null && lost.body[name] === undefined
  )
  return isOfOther ? false : isSame(lost.body, kept)
}

const isSame = (sent: unknown, kept: unknown): boolean | undefined => {
  if (kept === undefined || kept === null) return sent === kept ? true : undefined
  if (Array.isArray(sent) && Array.isArray(kept)) {
    if (kept.length > sent.length) return false
    const alike = all(kept.map((value, at) => isSame(sent[at], value)))
    return alike === true && kept.length < sent.length ? undefined : alike
  }
  if (Predicate.isRecord(sent) && Predicate.isRecord(kept)) {
    return all(Object.entries(sent).map(([name, value]) => isSame(value, kept[name])))
  }
  return text(sent) === text(kept)
}

const all = (parts: ReadonlyArray<boolean | undefined>): boolean | undefined =>
  parts.includes(false) ? false : parts.includes(undefined) ? undefined : true

const text = (value: unknown): string =>
  (Predicate.isString(value) ? value : (JSON.stringify(value) ?? "")).toLowerCase()

const isRefused = ({ status }: UsageEvent): boolean =>
  Option.exists(status, (code) => code >= 400 && code < 500)

/** Whether a job may have come of a request. A status that is not told excludes nothing. */
const mayHaveStarted = ({ status }: UsageEvent): boolean => !Option.exists(status, (code) => code >= 300)

const conclude = (
  lost: Lost,
  { events, isCaughtUp, jobs, sentAt }: Sight,
  { elapsed, isLast }: { readonly elapsed: number; readonly isLast: boolean }
): Verdict => {
  const known = judged(
    lost,
    Option.getOrElse(events, () => [])
  )
  const named = known.find(({ event }) => Option.contains(lost.requestId, event.id))
  if (named !== undefined && isRefused(named.event)) {
    return refused(`the usage events say that it was refused (HTTP ${statusOf(named.event)})`)
  }
  if (Option.isNone(jobs)) return undecided("the list of jobs could not be read")
  // The same may have been sent before, and refused: that is no sign of the request whose answer was lost.
  const ours = named ?? known.find(({ event, isOurs }) => isOurs === true && !isRefused(event))
  const others = known.filter(({ event, isOurs }) => isOurs === false && mayHaveStarted(event))
  const candidates = withoutOthers(jobs.value, others).filter(
    ({ batch, isClaimed }) => !isClaimed && batch.identifierCount === lost.count
  )
  const [batch] = nearestFirst(
    candidates,
    Option.orElseSome(Option.fromNullable(ours?.event.at).pipe(Option.flatten), () => sentAt)
  )
  if (batch !== undefined) {
    // The job of somebody else's request could be mistaken for it until that request shows among the events.
    if (ours === undefined && elapsed < Duration.toMillis(usageDelay) && !isLast) {
      return undecided("the usage events are awaited")
    }
    if (ours === undefined && others.some(({ count }) => count === undefined)) {
      return undecided("the usage events do not tell which of the jobs in the list comes of it")
    }
    return { _tag: "Accepted", batch: batch.batch }
  }
  if (!isLast) return undecided("it is not in the list of jobs yet")
  const mayBeOurs = known.some(({ event, isOurs }) => isOurs !== false && mayHaveStarted(event))
  if (isCaughtUp && !mayBeOurs) {
    return refused(
      ours === undefined
        ? "it is not in the list of jobs, and the usage events show later requests without it"
        : `it is not in the list of jobs, and the usage events say that it failed (HTTP ${statusOf(ours.event)})`
    )
  }
  const why = Option.isNone(events) ? "cannot be read" : "do not say that it was not accepted"
  return undecided(`it is not in the list of jobs, and the usage events ${why}`)
}

const refused = (detail: string): Verdict => ({ _tag: "NotAccepted", detail })

const statusOf = ({ status }: UsageEvent): string => String(Option.getOrElse(status, () => "unknown"))

/**
 * The jobs that are not explained by the events of other requests: each explains the job with its number of inputs that is
 * nearest in time, claimed or not.
 */
const withoutOthers = (jobs: ReadonlyArray<Seen>, others: ReadonlyArray<Judged>): ReadonlyArray<Seen> =>
  others.reduce((left, { count, event }) => {
    const [explained] = nearestFirst(
      left.filter(({ batch }) => batch.identifierCount === count),
      event.at
    )
    return left.filter((job) => job !== explained)
  }, jobs)

const nearestFirst = (jobs: ReadonlyArray<Seen>, at: Option.Option<DateTime.Utc>): ReadonlyArray<Seen> =>
  Option.match(at, {
    onNone: () => jobs,
    onSome: (time) => Array.sortWith(jobs, ({ batch }) => distance(batch.createdAt, time), Order.number)
  })
