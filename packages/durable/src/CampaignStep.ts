/**
 * What one step of a campaign does: its list is planned and weighed, chunks are submitted while there are places, or
 * everything is joined when all are over.
 */
import type { StorageError } from "@org/batch-core/BatchError"
import * as Core from "@org/batch-core/Campaign"
import * as Jobs from "@org/batch-core/Jobs"
import * as Ledger from "@org/batch-core/Ledger"
import { activeJobsAtMost } from "@org/batch-core/Preflight"
import { Report } from "@org/batch-core/Report"
import { Array, DateTime, Duration, Effect, Option, Schema } from "effect"
import * as CampaignChunk from "./CampaignChunk.js"
import * as CampaignFailure from "./CampaignFailure.js"
import * as CampaignLedger from "./CampaignLedger.js"
import * as CampaignNews from "./CampaignNews.js"
import type { Failure } from "./Retrieval.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { figure } from "./Rows.js"
import type { Service as Settings } from "./Settings.js"
import { patiently, type Service as Store } from "./Store.js"
import type * as Tries from "./Tries.js"

/** A campaign that this process has claimed. */
export interface Held extends CampaignLedger.Claim {
  readonly account: string
  readonly maxActive: number
  readonly maxCredits: number | undefined
  readonly retryFailed: boolean
  /** Starts before this one that failed in a way that may heal. */
  readonly tries: number
  /** How often in a row the API took no more, up to now. */
  readonly holds: number
  /** Whether it was waiting: begun, tried again, or to be begun anew. */
  readonly isStart: boolean
  /** Whether the step before did not come to its end. */
  readonly isTakenOver: boolean
  /** Why nothing more is submitted. */
  readonly stopping: Failure | undefined
}

/** How a step ends. */
export type Outcome =
  | { readonly _tag: "Done"; readonly report: string }
  | CampaignFailure.Failed
  | Tries.Again
  /** It goes on when a chunk has ended, or in so many seconds. */
  | { readonly _tag: "Waits"; readonly seconds: number; readonly holds: number; readonly isStarved: boolean }

const encodeReport = Schema.encode(Schema.parseJson(Report))

/** Takes a step. What fails is an outcome as well. */
export const take = (
  store: Store,
  settings: Settings,
  held: Held,
  known: CampaignLedger.Known
): Effect.Effect<Outcome, never, Jobs.Needs> =>
  Effect.gen(function* () {
    const { account, campaignId, folder, maxActive, maxCredits } = held
    const ledger = CampaignLedger.open(store, held, known)
    const options = {
      folder,
      maxActive,
      maxCredits,
      claimed: CampaignLedger.claimed(store, account, campaignId),
      onEvent: (event: Core.Event) => CampaignNews.tell(store, campaignId, event)
    }
    if (held.retryFailed) yield* reopened(store, held, ledger)
    const before = yield* Core.planned(ledger, options)
    if (held.isStart) yield* Core.prepared(ledger, options, before)
    if (held.isStart || held.isTakenOver) yield* recovered(store, held, ledger)
    const step = yield* Effect.flatMap(Core.jobsOf(ledger, options, before), Jobs.open)
    const next = yield* advanced(store, settings, held, step)
    if (next !== undefined) return next
    const report = Option.getOrUndefined(yield* Core.reported(before))
    const shown = new Report({
      ...(report ?? (yield* Core.joined(ledger, options, before))),
      output: `/campaigns/${campaignId}/results`
    })
    return { _tag: "Done" as const, report: yield* Effect.orDie(encodeReport(shown)) }
  }).pipe(Effect.catchAll((error) => Effect.succeed(CampaignFailure.outcomeOf(error, held.tries, settings))))

/**
 * Makes the chunks of failed jobs ones that are to be submitted, once for each retry: whoever takes the campaign over from a
 * process that died meanwhile submits none of them a further time.
 */
const reopened = (store: Store, { campaignId, fence }: Held, ledger: Ledger.Ledger) =>
  Effect.gen(function* () {
    const at = yield* DateTime.now
    for (const [chunk, { _tag }] of Ledger.chunksOf(yield* ledger.read).entries()) {
      if (_tag !== "Failed") continue
      const detail = "its job failed, and it is to be submitted again"
      yield* ledger.append({ _tag: "refused", chunk, at, detail })
    }
    yield* patiently(
      store.query("UPDATE batch.campaign SET retry_failed = false WHERE id = $1 AND fence = $2", [
        campaignId,
        fence
      ])
    )
  })

/**
 * Brings the chunks in line with the ledger, where a process has died in the middle or the campaign begins anew: what was
 * sent by somebody who is gone is looked for, and what is to be waited for or fetched is waited for and fetched.
 */
const recovered = (store: Store, held: Held, ledger: Ledger.Ledger): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { account, campaignId, fence, isStart } = held
    const entries = yield* ledger.read
    const told = new Map<number, CampaignChunk.Standing>()
    for (const entry of entries) if ("chunk" in entry) told.set(entry.chunk, CampaignChunk.after(entry))
    const isCurrent = yield* patiently(
      store.transaction(async (sql, boss) => {
        await CampaignChunk.turn(sql, account)
        const [row] = await sql.query(
          `SELECT (SELECT count(*) FROM batch.campaign_entry WHERE campaign_id = c.id)::int AS entries
            FROM batch.campaign c WHERE c.id = $1 AND c.fence = $2`,
          [campaignId, fence]
        )
        if (row !== undefined && figure(row["entries"]) !== entries.length - 1) return false
        if (row === undefined) return true
        await CampaignChunk.release(sql, campaignId)
        const rows = await CampaignChunk.all(sql, campaignId)
        const known = new Map(rows.map((one) => [one.chunk, one]))
        for (const [chunk, { state, ...rest }] of told) {
          const isLost = state === "sending" || (isStart && state === "undecided")
          const standing: CampaignChunk.Standing = { ...rest, state: isLost ? "lost" : state }
          const isThere = (known.get(chunk)?.state ?? "planned") === standing.state
          if (isThere && !isStart) continue
          await CampaignChunk.put(sql, boss, held, chunk, standing)
        }
        await CampaignChunk.count(sql, campaignId)
        return true
      })
    )
    if (!isCurrent) yield* recovered(store, held, ledger)
  })

type Waits = Extract<Outcome, { readonly _tag: "Waits" }>

/** How long a campaign waits if nobody wakes it, in seconds; less where it lacks a place of its account. */
const longest = { idle: 60, starved: 10 }

/** A pause of the account's gate for which a place of the worker is held, in seconds. */
const shortPause = 2

const waits: Waits = { _tag: "Waits", seconds: longest.idle, holds: 0, isStarved: false }

/** Submits what there are places for; gives what follows unless all chunks are over. */
const advanced = (
  store: Store,
  settings: Settings,
  held: Held,
  step: Jobs.Step
): Effect.Effect<Outcome | undefined, never, Jobs.Needs> =>
  Effect.gen(function* () {
    const rows = patiently(store.transaction((sql) => CampaignChunk.all(sql, held.campaignId)))
    const stopping: Outcome | undefined =
      held.stopping === undefined ? undefined : { _tag: "Failed", error: held.stopping }
    const candidates = candidatesOf(step, yield* rows)
    const next =
      stopping ??
      (candidates.length === 0 ? waits : yield* submitted(store, settings, held, { ...step, candidates }))
    if (next._tag === "Again") return next
    const now = yield* rows
    if (now.some(CampaignChunk.isOpen)) return next._tag === "Failed" ? waits : next
    return next._tag === "Failed" || candidatesOf(step, now).length > 0 ? next : undefined
  })

/** Chunks that are to be submitted: neither the ledger nor a row says anything else of them. */
const candidatesOf = (
  { standings }: Jobs.Step,
  rows: ReadonlyArray<CampaignChunk.Kept>
): ReadonlyArray<number> => {
  const known = new Set(rows.map(({ chunk }) => chunk))
  return [...standings.keys()].filter((chunk) => standings[chunk]?._tag === "Planned" && !known.has(chunk))
}

/** Submits what there are places for: it waits then, or is tried again, or submits no more. */
const submitted = (
  store: Store,
  settings: Settings,
  held: Held,
  { candidates, ...step }: Jobs.Step & { readonly candidates: ReadonlyArray<number> }
): Effect.Effect<Waits | Tries.Again | CampaignFailure.Failed, never, Jobs.Needs> =>
  Effect.gen(function* () {
    const { account, campaignId, holds } = held
    const pause = yield* patiently(gatePause(store, account))
    if (pause > shortPause) return { ...waits, seconds: pause, holds }
    const { chunks, isStarved } = yield* patiently(reserved(store, held, candidates))
    const sent = yield* Effect.forEach(chunks, (chunk) => Effect.either(sentOne(store, held, step, chunk)), {
      concurrency: "unbounded"
    })
    yield* patiently(store.transaction((sql) => CampaignChunk.release(sql, campaignId)))
    const [error] = Array.getLefts(sent)
    if (error !== undefined) {
      const outcome = CampaignFailure.outcomeOf(error, held.tries, settings)
      if (outcome._tag === "Failed") {
        yield* CampaignNews.tell(store, campaignId, { _tag: "Stopping", error })
        yield* patiently(stopped(store, held, outcome.error))
      }
      return outcome
    }
    const delays = Array.getSomes(Array.getRights(sent)).map(Duration.toSeconds)
    return {
      ...waits,
      seconds: Math.min(isStarved ? longest.starved : longest.idle, ...delays),
      holds: delays.length > 0 ? holds + 1 : 0,
      isStarved
    }
  })

/** Sends a chunk once; gives how long to wait where the API does not take it. One whose answer is lost is handed on. */
const sentOne = (
  store: Store,
  held: Held,
  step: Jobs.Step,
  chunk: number
): Effect.Effect<Option.Option<Duration.Duration>, Jobs.Failure, Jobs.Needs> =>
  Effect.gen(function* () {
    const came = yield* Jobs.send(step, chunk, held.holds)
    if (came._tag === "Lost") {
      const requestId = Option.getOrUndefined(came.lost.requestId)
      yield* patiently(
        store.transaction((sql, boss) => CampaignChunk.lose(sql, boss, held, chunk, requestId))
      )
    }
    return came._tag === "Held" ? Option.some(came.delay) : Option.none()
  })

/** How long the account's gate is closed, in seconds. */
const gatePause = (store: Store, account: string): Effect.Effect<number, StoreUnavailable> =>
  Effect.map(
    store.query(
      "SELECT ceil(extract(epoch FROM tat - clock_timestamp()))::float8 AS pause FROM batch.gate WHERE account = $1",
      [account]
    ),
    ([row]) => figure(row?.["pause"])
  )

/** Keeps places for chunks, as long as the campaign is this process's. */
const reserved = (
  store: Store,
  held: Held,
  candidates: ReadonlyArray<number>
): Effect.Effect<CampaignChunk.Reserved, StoreUnavailable> =>
  store.transaction(async (sql) => {
    await CampaignChunk.turn(sql, held.account)
    const mine = await sql.query(`SELECT 1 FROM batch.campaign WHERE ${isMine}`, [
      held.campaignId,
      held.fence
    ])
    if (mine.length === 0) return { chunks: [], isStarved: false }
    return await CampaignChunk.reserve(sql, held, candidates, {
      ofCampaign: held.maxActive,
      ofAccount: activeJobsAtMost
    })
  })

/** Notes why nothing more is submitted. */
const stopped = (
  store: Store,
  { campaignId, fence }: Held,
  error: Failure
): Effect.Effect<unknown, StoreUnavailable> =>
  store.query(`UPDATE batch.campaign SET stopping = coalesce(stopping, $3::jsonb) WHERE ${isMine}`, [
    campaignId,
    fence,
    JSON.stringify(error)
  ])

/** Whether the campaign `$1` is still of who has the fence `$2`, in SQL. */
export const isMine = "id = $1 AND fence = $2 AND state = 'running'"
