/**
 * A step of one campaign, as a job of the engine: its list is planned and weighed, chunks are submitted while there are
 * places, or everything is joined when all are over. Claimed, done, settled; between the steps nothing is held, and the next
 * one is due at once when a chunk has ended. What is written for it says which fence it has; a process that has lost its
 * claim can add nothing to the ledger, and so submits nothing.
 */
import type { FileSystem, Path } from "@effect/platform"
import type { StorageError } from "@org/batch-core/BatchError"
import * as Core from "@org/batch-core/Campaign"
import * as Jobs from "@org/batch-core/Jobs"
import * as Ledger from "@org/batch-core/Ledger"
import { activeJobsAtMost } from "@org/batch-core/Preflight"
import { Report } from "@org/batch-core/Report"
import { Array, DateTime, Deferred, Duration, Effect, Option, Schedule, Schema } from "effect"
import * as CampaignChunk from "./CampaignChunk.js"
import * as CampaignFailure from "./CampaignFailure.js"
import * as CampaignFolder from "./CampaignFolder.js"
import * as CampaignLedger from "./CampaignLedger.js"
import * as CampaignNews from "./CampaignNews.js"
import * as Queue from "./Queue.js"
import { Failure } from "./Retrieval.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { figure, parsed, text } from "./Rows.js"
import type { Service as Settings } from "./Settings.js"
import * as Shift from "./Shift.js"
import { Lost, type Run } from "./Step.js"
import { campaigns, patiently, type Row, type Service as Store } from "./Store.js"
import type * as Tries from "./Tries.js"

/** A campaign that this process has claimed. */
interface Held extends CampaignLedger.Claim {
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
type Outcome =
  | { readonly _tag: "Done"; readonly report: string }
  | CampaignFailure.Failed
  | Tries.Again
  /** It goes on when a chunk has ended, or in so many seconds. */
  | { readonly _tag: "Waits"; readonly seconds: number; readonly holds: number; readonly isStarved: boolean }

/** One job. Every end but that of being settled gives it back to the engine, which hands it out again. */
export const run = (run: Run): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { job, lost, sessions, settings, store } = run
    const claimed = yield* patiently(claim(store, settings, job))
    if (Option.isNone(claimed)) return
    const held = claimed.value
    const session = yield* sessions.of(held.account)
    const outcome = yield* Effect.raceFirst(
      Effect.provide(stepped(store, settings, held), session),
      Effect.raceFirst(watching(store, held), Effect.zipRight(Deferred.await(lost), Effect.fail(new Lost())))
    )
    yield* patiently(settle(store, job, held, outcome))
  }).pipe(
    Effect.scoped,
    // The engine may still count it as ours when the campaign was stopped.
    Effect.catchTag("Lost", () =>
      Effect.ignore(run.store.engine((boss) => boss.complete(campaigns, run.job)))
    ),
    Shift.orGiveBack(run.store, campaigns, run.job)
  )

/** When a campaign is looked at again that cannot begin now, in seconds. */
const later = { busy: 1, unseen: 5 }

/**
 * Claims the row behind a job; none if it has ended, if all places of its account are taken, or if its folder is not seen
 * here: then another process may have it.
 */
const claim = (
  store: Store,
  settings: Settings,
  job: Queue.Fetched
): Effect.Effect<Option.Option<Held>, StoreUnavailable> =>
  Effect.gen(function* () {
    const { id } = job.data
    const isVisible = yield* CampaignFolder.isVisible(settings, id)
    const row = yield* store.transaction(async (sql, boss) => {
      const [found] = await sql.query("SELECT account FROM batch.campaign WHERE id = $1", [id])
      const account = text(found?.["account"])
      await CampaignChunk.turn(sql, account)
      const [claimed] = isVisible
        ? await sql.query(
            `UPDATE batch.campaign c SET state = 'running', fence = c.fence + 1, seq = c.seq + 1, step = 'held',
              starved = false, updated_at = clock_timestamp(),
              stopping = CASE WHEN b.state = 'waiting' THEN NULL ELSE c.stopping END
              FROM (SELECT id, state, step FROM batch.campaign WHERE id = $1 FOR UPDATE) b
              WHERE c.id = b.id AND c.state IN ('waiting', 'running')
              AND $2 > (SELECT count(*) FROM batch.campaign o
                WHERE o.account = c.account AND o.state = 'running' AND o.id <> c.id)
              RETURNING c.*, b.state AS before, b.step AS step_before`,
            [id, settings.slotsPerAccount]
          )
        : []
      if (claimed !== undefined) return claimed
      await boss.complete(campaigns, job, null, { db: sql.db })
      const open = await sql.query(
        "SELECT 1 FROM batch.campaign WHERE id = $1 AND state IN ('waiting', 'running')",
        [id]
      )
      if (open.length > 0) {
        await Queue.sendCampaign(sql, boss, account, id, isVisible ? later.busy : later.unseen)
      }
      return undefined
    })
    if (!isVisible) {
      yield* Effect.logWarning(
        `campaign ${id} is left to another process: its folder is not to be seen in this one's BATCH_SERVER_FOLDER`
      )
    }
    return Option.map(Option.fromNullable(row), (one) => heldOf(settings, one))
  })

const heldOf = (settings: Settings, row: Row): Held => {
  const id = text(row["id"])
  return {
    campaignId: id,
    account: text(row["account"]),
    fence: figure(row["fence"]),
    folder: CampaignFolder.of(settings, id),
    maxActive: figure(row["max_active"]),
    maxCredits: row["max_credits"] === null ? undefined : figure(row["max_credits"]),
    retryFailed: row["retry_failed"] === true,
    tries: figure(row["tries"]),
    holds: figure(row["holds"]),
    isStart: row["before"] === "waiting",
    isTakenOver: row["step_before"] !== "idle",
    stopping: Option.getOrUndefined(decodeFailure(parsed(row["stopping"])))
  }
}

const decodeFailure = Schema.decodeUnknownOption(Failure)

const encodeReport = Schema.encode(Schema.parseJson(Report))

/** Takes a step. What fails is an outcome as well. */
const stepped = (store: Store, settings: Settings, held: Held) =>
  Effect.gen(function* () {
    const { account, campaignId, folder, maxActive, maxCredits } = held
    const ledger = CampaignLedger.open(store, held)
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

const isMine = "id = $1 AND fence = $2 AND state = 'running'"

/** Ends when the campaign is lost or was stopped, and never otherwise. */
const watching = (store: Store, { campaignId, fence }: Held): Effect.Effect<never, Lost> =>
  store.query(`SELECT 1 FROM batch.campaign WHERE ${isMine}`, [campaignId, fence]).pipe(
    Effect.filterOrFail(
      (mine) => mine.length > 0,
      () => new Lost()
    ),
    Effect.catchTag("StoreUnavailable", () => Effect.void),
    Effect.repeat(Schedule.spaced("700 millis")),
    Effect.zipRight(Effect.never)
  )

/** Ends a step: the row, the engine's job and what follows, all or none; nothing where it was lost or stopped meanwhile. */
const settle = (
  store: Store,
  job: Queue.Fetched,
  { account, campaignId, fence }: Held,
  outcome: Outcome
): Effect.Effect<void, StoreUnavailable> =>
  store.transaction(async (sql, boss) => {
    const [before] = await sql.query("SELECT step FROM batch.campaign WHERE id = $1 FOR UPDATE", [campaignId])
    const update = async (set: string, ...values: ReadonlyArray<unknown>) => {
      const updated = await sql.query(
        `UPDATE batch.campaign SET ${set}, step = 'idle', updated_at = clock_timestamp()
          WHERE ${isMine} RETURNING id`,
        [campaignId, fence, ...values]
      )
      return updated.length > 0
    }
    await boss.complete(campaigns, job, null, { db: sql.db })
    switch (outcome._tag) {
      case "Done":
        await update("state = 'done', report = $3::jsonb, seq = seq + 1", outcome.report)
        return
      case "Failed":
        await update("state = 'failed', error = $3::jsonb, seq = seq + 1", JSON.stringify(outcome.error))
        return
      case "Again": {
        const isOurs = await update(
          "state = 'waiting', tries = tries + $3, seq = seq + 1",
          outcome.counts ? 1 : 0
        )
        if (isOurs) await Queue.sendCampaign(sql, boss, account, campaignId, outcome.seconds)
        return
      }
      case "Waits": {
        const isOurs = await update("holds = $3, starved = $4", outcome.holds, outcome.isStarved)
        const seconds = before?.["step"] === "woken" ? 0 : outcome.seconds
        if (isOurs) await Queue.sendCampaign(sql, boss, account, campaignId, seconds)
      }
    }
  })
