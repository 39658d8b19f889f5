/**
 * Brings the jobs of a campaign to their end: submits chunks as slots are free, waits for them, and keeps their results,
 * each step in the ledger before the next. Nothing is submitted twice, whenever this ends. `carry` takes all the steps in
 * one process; `open`, `send`, `look`, `endOf` and `keep` are the steps, for whoever waits elsewhere between them.
 *
 * @example
 * import type { Jobs } from "@org/batch-core"
 * import { Effect } from "effect"
 *
 * const show = (event: Jobs.Event) =>
 *   event._tag === "Kept" ? Effect.log(`${event.records} records of ${event.batchId}`) : Effect.void
 */
import type { FileSystem, Path } from "@effect/platform"
import { DateTime, Duration, Effect, Either, Fiber, HashSet, Option, Random, Ref } from "effect"
import * as JobEvent from "../download/Event.js"
import * as Existing from "../download/Existing.js"
import * as Retrieval from "../download/Retrieval.js"
import type { Batch, BatchId } from "../model/Batch.js"
import type {
  ApiError,
  ApiUnavailable,
  RateLimited,
  RequestInvalid,
  StorageError,
  SubmitUnknown
} from "../model/BatchError.js"
import type { JobKind } from "../model/JobKind.js"
import * as SubmitRequest from "../model/SubmitRequest.js"
import { BatchClient } from "../status/BatchClient.js"
import type { BatchConfig } from "../model/BatchConfig.js"
import type { BatchHttp } from "../status/BatchHttp.js"
import * as BatchPoll from "../status/BatchPoll.js"
import * as Settlement from "../submit/Settlement.js"
import * as Ledger from "./Ledger.js"
import * as Planning from "./Planning.js"

/** Something worth showing. `chunk` counts from 0. */
export type Event =
  /** A job was accepted; `adopted` if its answer was lost and it was found. */
  | {
      readonly _tag: "Submitted"
      readonly chunk: number
      readonly batchId: BatchId
      readonly adopted: boolean
    }
  /** A chunk waits: the API has no slot or no capacity for it, or cannot be reached. */
  | {
      readonly _tag: "Held"
      readonly chunk: number
      readonly delay: Duration.Duration
      readonly error: RateLimited | ApiUnavailable
    }
  /** A job was sent and its answer was lost: it is looked for, for two minutes. */
  | { readonly _tag: "Lost"; readonly chunk: number; readonly detail: string }
  | { readonly _tag: "Undecided"; readonly chunk: number; readonly detail: string }
  /** A job has ended, well or badly: its slot is free. */
  | { readonly _tag: "Ended"; readonly chunk: number; readonly batch: Batch }
  /** The results of a job are here, and proven. */
  | { readonly _tag: "Kept"; readonly chunk: number; readonly batchId: BatchId; readonly records: number }
  /** What a job's wait and download tell. */
  | {
      readonly _tag: "Job"
      readonly chunk: number
      readonly batchId: BatchId
      readonly event: JobEvent.Event
    }
  /** No more is submitted; what runs is brought to its end. */
  | { readonly _tag: "Stopping"; readonly error: Failure }

/** What stops a campaign. */
export type Failure = Retrieval.DownloadError | Retrieval.GetError | ApiError | RequestInvalid | StorageError

/** What is needed. */
export type Needs = BatchClient | BatchConfig | BatchHttp | FileSystem.FileSystem | Path.Path

/** What the steps work with. */
export interface Options {
  readonly kind: JobKind
  readonly begun: typeof Ledger.Begun.Type
  readonly plan: typeof Ledger.Planned.Type
  readonly chunks: ReadonlyArray<Ledger.Standing>
  readonly ledger: Pick<Ledger.Ledger, "append">
  /** Where the plan is. */
  readonly folder: string
  /** Where the results of a job are kept. */
  readonly resultOf: (batchId: BatchId) => string
  /** Whether a job is claimed by another ledger. */
  readonly isClaimed: (batchId: BatchId) => Effect.Effect<boolean>
  readonly emit: (event: Event) => Effect.Effect<void>
}

/** How to bring the jobs to their end. */
export interface CarryOptions extends Options {
  /** Jobs that may be active at a time. */
  readonly maxActive: number
  /** Whether chunks whose jobs failed are submitted again. */
  readonly retryFailed: boolean
}

/** Downloads beside the jobs that run. */
const downloadsBeside = 2

/**
 * Brings all chunks as far as they come, and gives where they stand. What stops one stops the submitting of more, and is
 * the failure when the others are at their end.
 */
export const carry = Effect.fn("Jobs.carry")(function* (
  options: CarryOptions
): Effect.fn.Return<ReadonlyArray<Ledger.Standing>, Failure, Needs> {
  const { emit, maxActive } = options
  const stopped = yield* Ref.make(Option.none<Failure>())
  const slots = yield* Effect.makeSemaphore(maxActive)
  const step = yield* open(options)
  const { standings } = step
  const stop = (error: Failure) =>
    Ref.modify(stopped, (first) => [Option.isNone(first), Option.orElseSome(first, () => error)]).pipe(
      Effect.flatMap((isFirst) => (isFirst ? emit({ _tag: "Stopping", error }) : Effect.void))
    )
  const one = (chunk: number) =>
    Effect.gen(function* () {
      const standing = standings[chunk]
      if (standing?._tag === "Planned" && Option.isSome(yield* Ref.get(stopped))) return
      yield* slots.withPermits(1)(
        Effect.gen(function* () {
          if (standings[chunk]?._tag === "Planned" && Option.isSome(yield* Ref.get(stopped))) return
          yield* started(step, chunk)
          const running = standings[chunk]
          if (running?._tag === "Running") yield* ended(step, chunk, running)
        })
      )
      const completed = standings[chunk]
      if (completed?._tag === "Completed" || completed?._tag === "Kept") yield* keep(step, chunk, completed)
    }).pipe(Effect.catchAll(stop))
  yield* Effect.forEach(orderOf(standings, options.retryFailed), one, {
    concurrency: maxActive + downloadsBeside,
    discard: true
  })
  const failure = yield* Ref.get(stopped)
  return Option.isSome(failure) ? yield* Effect.fail(failure.value) : standings
})

/** Oldest links first: what is completed, what runs, what may run, and then what is to be submitted. */
const orderOf = (standings: ReadonlyArray<Ledger.Standing>, retryFailed: boolean): ReadonlyArray<number> => {
  const rank: Readonly<Record<Ledger.Standing["_tag"], number>> = {
    Completed: 0,
    Kept: 0,
    Running: 1,
    Lost: 2,
    Failed: 3,
    Planned: 3
  }
  return standings
    .map((standing, chunk) => ({ standing, chunk }))
    .filter(({ standing }) => standing._tag !== "Failed" || retryFailed)
    .toSorted((a, b) => rank[a.standing._tag] - rank[b.standing._tag] || a.chunk - b.chunk)
    .map(({ chunk }) => chunk)
}

/** The jobs of a campaign in one process. */
export interface Step extends Options {
  /** Where the chunks stand: it changes with each step. */
  readonly standings: ReadonlyArray<Ledger.Standing>
  readonly append: (entry: Ledger.ChunkEntry) => Effect.Effect<void, StorageError>
  readonly client: BatchClient["Type"]
  readonly claim: (batchId: BatchId) => Effect.Effect<void>
}

/** The jobs of a campaign, to take steps with. */
export const open = (options: Options): Effect.Effect<Step, never, BatchClient> =>
  Effect.gen(function* () {
    const standings = [...options.chunks]
    const own = yield* Ref.make(
      HashSet.fromIterable(standings.flatMap((one) => ("batchId" in one ? [one.batchId] : [])))
    )
    const append = (entry: Ledger.ChunkEntry) =>
      Effect.zipRight(
        options.ledger.append(entry),
        Effect.sync(() => {
          const requestId = entry._tag === "sent" ? entry.request_id : undefined
          const known = standings[entry.chunk]
          standings[entry.chunk] = Ledger.after(
            known ?? { _tag: "Planned" },
            entry,
            requestId ?? (known !== undefined && "requestId" in known ? known.requestId : undefined)
          )
        })
      )
    return {
      ...options,
      standings,
      append,
      client: yield* BatchClient,
      isClaimed: (batchId) =>
        Effect.flatMap(Ref.get(own), (jobs) =>
          HashSet.has(jobs, batchId) ? Effect.succeed(true) : options.isClaimed(batchId)
        ),
      claim: (batchId) => Ref.update(own, HashSet.add(batchId))
    }
  })

/** Submits a chunk that has no job yet, or finds out whether it has one. */
const started = (step: Step, chunk: number): Effect.Effect<void, Failure, Needs> =>
  Effect.gen(function* () {
    const standing = step.standings[chunk]
    if (standing?._tag === "Lost") {
      if (yield* settled(step, chunk, yield* lostOf(step, chunk, standing))) return
    } else if (standing?._tag !== "Planned" && standing?._tag !== "Failed") return
    for (let attempt = 0; ; attempt++) {
      const came = yield* send(step, chunk, attempt)
      if (came._tag === "Started" || (came._tag === "Lost" && (yield* settled(step, chunk, came.lost))))
        return
      if (came._tag === "Held") yield* Effect.sleep(came.delay)
    }
  })

const requestOf = (
  { begun, folder, kind, plan }: Step,
  chunk: number
): Effect.Effect<SubmitRequest.SubmitRequest, RequestInvalid | StorageError, Needs> =>
  Effect.gen(function* () {
    const place = plan.chunks[chunk] ?? { offset: 0, bytes: 0 }
    const identifiers = yield* Planning.identifiersOf(folder, place)
    return yield* SubmitRequest.check(kind.name, { ...begun.body, [begun.property]: identifiers })
  })

/** What is to be looked for of a chunk that was sent and has no answer. */
export const lostOf = (
  step: Step,
  chunk: number,
  { detail, requestId, sentAt }: Extract<Ledger.Standing, { readonly _tag: "Lost" }>
): Effect.Effect<Settlement.Lost, RequestInvalid | StorageError, Needs> =>
  Effect.gen(function* () {
    const request = yield* requestOf(step, chunk)
    yield* step.emit({
      _tag: "Lost",
      chunk,
      detail: detail ?? "this campaign ended before the answer came"
    })
    const { body, kind } = request
    const count = SubmitRequest.inputs(request)
    return { kind, body, count, sentAt, requestId: Option.fromNullable(requestId) }
  })

/** Pauses of a chunk that the API does not take: the first at once after what the server asks for. */
const heldPause = { first: Duration.seconds(5), longest: Duration.seconds(60) }

/** How long an answer is still awaited when the campaign is interrupted. */
const parting = Duration.seconds(5)

/** What came of a chunk that was sent. */
export type Sent =
  /** It has a job. */
  | { readonly _tag: "Started" }
  /** Its answer was lost: it is to be looked for. */
  | { readonly _tag: "Lost"; readonly lost: Settlement.Lost }
  /** It was not accepted, and may be sent again after this. */
  | { readonly _tag: "Held"; readonly delay: Duration.Duration }

const isStarted: Sent = { _tag: "Started" }

/** Sends a chunk once. `attempt` is how often it, or whatever waits with it, was held before. */
export const send = (step: Step, chunk: number, attempt: number): Effect.Effect<Sent, Failure, Needs> =>
  Effect.gen(function* () {
    const request = yield* requestOf(step, chunk)
    const answer = yield* outliving(Effect.either(sent(step, chunk, request)))
    if (Either.isRight(answer)) return isStarted
    const error = answer.left
    switch (error._tag) {
      case "SubmitUnknown":
        yield* step.emit({ _tag: "Lost", chunk, detail: error.detail })
        return { _tag: "Lost", lost: Settlement.lostOf(request, error) }
      case "RateLimited":
        return yield* held(step, chunk, error, error.retryAfter, attempt)
      case "ApiUnavailable":
        if (error.lasting) return yield* error
        return yield* held(
          step,
          chunk,
          error,
          Option.getOrElse(error.retryAfter, () => Duration.zero),
          attempt
        )
      default:
        return yield* Effect.fail(error)
    }
  })

/** Sends, and notes what came of it. */
const sent = (
  { append, claim, client, emit }: Step,
  chunk: number,
  request: SubmitRequest.SubmitRequest
): Effect.Effect<void, ApiError | SubmitUnknown | StorageError> =>
  client
    .submit(request, { onSend: Effect.flatMap(DateTime.now, (at) => append({ _tag: "sending", chunk, at })) })
    .pipe(
      Effect.tapError((error) =>
        error._tag === "SubmitUnknown"
          ? Effect.void
          : Effect.flatMap(DateTime.now, (at) =>
              append({ _tag: "refused", chunk, at, detail: error.message })
            )
      ),
      Effect.flatMap((batch) =>
        Effect.gen(function* () {
          yield* claim(batch.batchId)
          yield* append(sentEntry(chunk, batch, yield* DateTime.now))
          yield* emit({ _tag: "Submitted", chunk, batchId: batch.batchId, adopted: false })
        })
      )
    )

const sentEntry = (chunk: number, batch: Batch, at: DateTime.Utc) => ({
  _tag: "sent" as const,
  chunk,
  at,
  batch_id: batch.batchId,
  ...Option.match(batch.requestId, { onNone: () => ({}), onSome: (request_id) => ({ request_id }) })
})

/** An effect whose end is awaited for a while when whoever runs it is interrupted. */
const outliving = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkDaemon(Effect.interruptible(effect))
      const ending = Effect.zipRight(
        Effect.timeoutOption(Fiber.await(fiber), parting),
        Fiber.interrupt(fiber)
      )
      return yield* Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.interruptible(ending))
    })
  )

/** How long to wait until a chunk may be sent again. */
const held = (
  { emit }: Step,
  chunk: number,
  error: RateLimited | ApiUnavailable,
  asked: Duration.Duration,
  attempt: number
): Effect.Effect<Sent> =>
  Effect.gen(function* () {
    const grown = Math.min(
      Duration.toMillis(heldPause.first) * 2 ** Math.min(attempt, 10),
      Duration.toMillis(heldPause.longest)
    )
    const jittered = Duration.millis(Math.round(grown * (0.5 + (yield* Random.next) / 2)))
    const delay = Duration.max(asked, jittered)
    yield* emit({ _tag: "Held", chunk, delay, error })
    return { _tag: "Held", delay }
  })

/** Finds out what has become of a lost job: whether the chunk is settled, or may be sent again. */
const settled = (
  step: Step,
  chunk: number,
  lost: Settlement.Lost
): Effect.Effect<boolean, StorageError, BatchClient> =>
  Effect.flatMap(Settlement.settle(lost, step), (verdict) => noted(step, chunk, lost, verdict))

/**
 * Looks once for a lost job: none if it is known now what became of it, or how long to wait for the next look. `looks` are
 * those before this one.
 */
export const look = (
  step: Step,
  chunk: number,
  lost: Settlement.Lost,
  looks: number
): Effect.Effect<Option.Option<Duration.Duration>, StorageError, BatchClient> =>
  Effect.flatMap(
    Settlement.look(lost, looks, step),
    Either.match({
      onLeft: Effect.succeedSome,
      onRight: (verdict) => Effect.as(noted(step, chunk, lost, verdict), Option.none())
    })
  )

/** Notes what has become of a lost job: whether the chunk is settled, or may be sent again. */
const noted = (
  { append, claim, emit }: Step,
  chunk: number,
  lost: Settlement.Lost,
  verdict: Settlement.Verdict
): Effect.Effect<boolean, StorageError> =>
  Effect.gen(function* () {
    const at = yield* DateTime.now
    switch (verdict._tag) {
      case "Accepted": {
        const { batch } = verdict
        yield* claim(batch.batchId)
        yield* append({ ...sentEntry(chunk, batch, at), adopted: true })
        yield* emit({ _tag: "Submitted", chunk, batchId: batch.batchId, adopted: true })
        return true
      }
      case "NotAccepted":
        yield* append({ _tag: "refused", chunk, at, detail: verdict.detail })
        return false
      case "Undecided": {
        const id = Option.match(lost.requestId, {
          onNone: () => ({}),
          onSome: (request_id) => ({ request_id })
        })
        yield* append({ _tag: "undecided", chunk, at, detail: verdict.detail, ...id })
        yield* emit({ _tag: "Undecided", chunk, detail: verdict.detail })
        return true
      }
    }
  })

/** Waits for the end of a job: only then is its slot free. */
const ended = (
  { append, emit }: Step,
  chunk: number,
  { batchId }: Extract<Ledger.Standing, { readonly _tag: "Running" }>
): Effect.Effect<void, Failure, Needs> =>
  Effect.gen(function* () {
    const tell = (event: JobEvent.Event) => emit({ _tag: "Job", chunk, batchId, event })
    const batch = yield* BatchPoll.await(batchId, {
      deadline: Infinity,
      submitted: true,
      ...JobEvent.ofWait(tell)
    }).pipe(Effect.catchTag("BatchFailed", (failed) => Effect.succeed(failed.batch)))
    yield* append(endOf(chunk, batchId, batch, yield* DateTime.now))
    yield* emit({ _tag: "Ended", chunk, batch })
  })

/** What the ledger says of a job that has ended. */
export const endOf = (
  chunk: number,
  batchId: BatchId,
  { completedAt, entitiesFulfilled, entitiesRequested, errorMessage, status }: Batch,
  at: DateTime.Utc
): Ledger.ChunkEntry => ({
  _tag: "ended",
  chunk,
  at,
  batch_id: batchId,
  status,
  requested: entitiesRequested,
  fulfilled: entitiesFulfilled,
  ...Option.match(completedAt, { onNone: () => ({}), onSome: (completed_at) => ({ completed_at }) }),
  ...Option.match(errorMessage, { onNone: () => ({}), onSome: (error_message) => ({ error_message }) })
})

/** Fetches the results of a job, unless they are here. */
export const keep = (
  { append, emit, resultOf }: Pick<Step, "append" | "emit" | "resultOf">,
  chunk: number,
  { batchId }: Pick<Ledger.Ended, "batchId">
): Effect.Effect<void, Failure, Needs> =>
  Effect.gen(function* () {
    const output = resultOf(batchId)
    const options = {
      output,
      receipt: true,
      // The folder is the campaign's own: what has no receipt there was left by a process that ended before it wrote one.
      force: true,
      onEvent: (event: JobEvent.Event) => emit({ _tag: "Job", chunk, batchId, event })
    } as const
    const here = yield* Existing.find(batchId, options)
    const receipt = Option.isSome(here) ? here.value : yield* Retrieval.download(batchId, options)
    yield* append({
      _tag: "kept",
      chunk,
      at: yield* DateTime.now,
      batch_id: batchId,
      records: receipt.records
    })
    yield* emit({ _tag: "Kept", chunk, batchId, records: receipt.records })
  })
