/**
 * One campaign, as a job of the engine: claimed, carried by the core on a ledger in the store, settled. What is written for
 * it says which fence it has; a process that has lost its claim can add nothing to the ledger, and so submits nothing.
 */
import type { FileSystem, Path } from "@effect/platform"
import * as Core from "@org/batch-core/Campaign"
import * as Ledger from "@org/batch-core/Ledger"
import { maskText } from "@org/batch-core/Masking"
import { Report } from "@org/batch-core/Report"
import { DateTime, Deferred, Effect, Option, Ref, Schedule, Schema } from "effect"
import { progressOf, type Told, untold } from "./Campaign.js"
import * as CampaignFolder from "./CampaignFolder.js"
import * as CampaignLedger from "./CampaignLedger.js"
import type { Sessions } from "./Gate.js"
import * as Queue from "./Queue.js"
import type { Failure } from "./Retrieval.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { figure, text } from "./Rows.js"
import type { Service as Settings } from "./Settings.js"
import * as Shift from "./Shift.js"
import { Lost } from "./Step.js"
import { campaigns, patiently, type Row, type Service as Store } from "./Store.js"
import * as Tries from "./Tries.js"

/** What carries a campaign out. */
export interface Run {
  readonly store: Store
  readonly settings: Settings
  readonly sessions: Sessions
  readonly job: Queue.Fetched
  readonly lost: Deferred.Deferred<void>
}

/** A campaign that this process has claimed. */
interface Held extends CampaignLedger.Claim {
  readonly account: string
  readonly maxActive: number
  readonly maxCredits: number | undefined
  readonly retryFailed: boolean
  /** Starts before this one that failed in a way that may heal. */
  readonly tries: number
}

/** How it ends. */
type Outcome =
  | { readonly _tag: "Done"; readonly report: string }
  | { readonly _tag: "Failed"; readonly error: Failure }
  | Tries.Again

/** One job. Every end but that of being settled gives it back to the engine, which hands it out again. */
export const run = (run: Run): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { job, lost, sessions, settings, store } = run
    const claimed = yield* patiently(claim(store, settings, job))
    if (Option.isNone(claimed)) return
    const held = claimed.value
    const session = yield* sessions.of(held.account)
    const outcome = yield* Effect.raceFirst(
      Effect.provide(carried(store, settings, held), session),
      Effect.zipRight(Deferred.await(lost), Effect.fail(new Lost()))
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
      await sql.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 15))", [account])
      const [claimed] = isVisible
        ? await sql.query(
            `UPDATE batch.campaign c SET state = 'running', fence = fence + 1, seq = seq + 1,
              updated_at = clock_timestamp() WHERE c.id = $1 AND c.state IN ('waiting', 'running')
              AND $2 > (SELECT count(*) FROM batch.campaign o
                WHERE o.account = c.account AND o.state = 'running' AND o.id <> c.id) RETURNING c.*`,
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
    tries: figure(row["tries"])
  }
}

const encodeReport = Schema.encode(Schema.parseJson(Report))

/** Carries a campaign to its end. What fails is an outcome as well; only a lost one is none. */
const carried = (store: Store, settings: Settings, held: Held) =>
  Effect.gen(function* () {
    const ledger = yield* CampaignLedger.open(store, held)
    const told = yield* Ref.make(untold)
    if (held.retryFailed) yield* reopened(store, held, ledger)
    const step = Core.carry(ledger, {
      folder: held.folder,
      maxActive: held.maxActive,
      maxCredits: held.maxCredits,
      claimed: CampaignLedger.claimed(store, held.account, held.campaignId),
      onEvent: (event) => Ref.update(told, after(event))
    })
    const note = yield* noting(store, held, ledger, told)
    const { report } = yield* Effect.raceFirst(step, watching(note)).pipe(
      Effect.ensuring(Effect.ignore(note))
    )
    const shown = new Report({ ...report, output: `/campaigns/${held.campaignId}/results` })
    return { _tag: "Done" as const, report: yield* Effect.orDie(encodeReport(shown)) }
  }).pipe(
    Effect.catchAll((error) =>
      error._tag === "Lost" ? Effect.fail(error) : Effect.succeed(outcomeOf(error, held, settings))
    )
  )

/**
 * Makes the chunks of failed jobs ones that are to be submitted, once for each retry: whoever takes the campaign over from a
 * process that died meanwhile submits none of them a further time.
 */
const reopened = (store: Store, { campaignId, fence }: Held, ledger: CampaignLedger.Opened) =>
  Effect.gen(function* () {
    const at = yield* DateTime.now
    for (const [chunk, { _tag }] of Ledger.chunksOf(ledger.known()).entries()) {
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

/** What is told of how far it is, after an event. */
const after =
  (event: Core.Event) =>
  (told: Told): Told => {
    switch (event._tag) {
      case "Outlook": {
        const { balance, creditsAtMost } = event.outlook
        return { atMost: creditsAtMost, balance, notice: Option.none() }
      }
      case "Held":
      case "Stopping":
        return { ...told, notice: Option.some(event.error.message) }
      case "Lost":
        return { ...told, notice: Option.some(`an answer was lost, and is looked for: ${event.detail}`) }
      case "Submitted":
        return { ...told, notice: Option.none() }
      default:
        return told
    }
  }

/** Writes how far it is where that has changed, and so sees that it was stopped or is another worker's. */
const noting = (
  store: Store,
  { campaignId, fence }: Held,
  ledger: CampaignLedger.Opened,
  told: Ref.Ref<Told>
): Effect.Effect<Effect.Effect<void, Lost | StoreUnavailable>> =>
  Effect.map(Ref.make(""), (written) =>
    Effect.gen(function* () {
      const progress = yield* progressOf(ledger.known(), yield* Ref.get(told))
      const set = "progress = $3::jsonb, seq = seq + 1, updated_at = clock_timestamp()"
      const mine = yield* progress === (yield* Ref.get(written))
        ? store.query(`SELECT 1 FROM batch.campaign WHERE ${isMine}`, [campaignId, fence])
        : store.query(`UPDATE batch.campaign SET ${set} WHERE ${isMine} RETURNING id`, [
            campaignId,
            fence,
            progress
          ])
      if (mine.length === 0) return yield* new Lost()
      yield* Ref.set(written, progress)
    })
  )

/** Ends when the campaign is lost, and never otherwise. */
const watching = (note: Effect.Effect<void, Lost | StoreUnavailable>): Effect.Effect<never, Lost> =>
  note.pipe(
    Effect.catchTag("StoreUnavailable", () => Effect.void),
    Effect.repeat(Schedule.spaced("700 millis")),
    Effect.zipRight(Effect.never)
  )

const isMine = "id = $1 AND fence = $2 AND state = 'running'"

const outcomeOf = (error: Core.CampaignError, { tries }: Held, settings: Settings): Outcome => {
  // The lock of a process that has lost this campaign, and does not know it yet.
  if (error._tag === "StorageError" && error.reason === "Exists" && tries + 1 < Tries.most) {
    return { _tag: "Again", seconds: 3, counts: true }
  }
  return Option.getOrElse(Tries.of(error, tries), () => {
    const message = maskText(error.message).replaceAll(`${CampaignFolder.root(settings)}/`, "")
    return { _tag: "Failed", error: { type: error._tag, message } }
  })
}

/** Ends a run: the row and the engine's job, both or none; nothing where it was lost or stopped meanwhile. */
const settle = (
  store: Store,
  job: Queue.Fetched,
  { account, campaignId, fence }: Held,
  outcome: Outcome
): Effect.Effect<void, StoreUnavailable> =>
  store.transaction(async (sql, boss) => {
    const update = (set: string, value: unknown) =>
      sql.query(
        `UPDATE batch.campaign SET ${set}, seq = seq + 1, updated_at = clock_timestamp()
          WHERE ${isMine} RETURNING id`,
        [campaignId, fence, value]
      )
    await boss.complete(campaigns, job, null, { db: sql.db })
    switch (outcome._tag) {
      case "Done":
        await update("state = 'done', report = $3::jsonb", outcome.report)
        return
      case "Failed":
        await update("state = 'failed', error = $3::jsonb", JSON.stringify(outcome.error))
        return
      case "Again": {
        const waits = await update("state = 'waiting', tries = tries + $3", outcome.counts ? 1 : 0)
        if (waits.length > 0) await Queue.sendCampaign(sql, boss, account, campaignId, outcome.seconds)
      }
    }
  })
