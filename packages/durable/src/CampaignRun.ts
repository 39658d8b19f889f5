/**
 * A step of one campaign, as a job of the engine: claimed, taken, settled. Between the steps nothing is held, and the next
 * one is due at once when a chunk has ended. What is written for it says which fence it has; a process that has lost its
 * claim can add nothing to the ledger, and so submits nothing.
 */
import type { FileSystem, Path } from "@effect/platform"
import { Effect, Option, Schedule, Schema } from "effect"
import * as CampaignChunk from "./CampaignChunk.js"
import * as CampaignFolder from "./CampaignFolder.js"
import type * as CampaignLedger from "./CampaignLedger.js"
import * as CampaignStep from "./CampaignStep.js"
import * as Claimed from "./Claimed.js"
import * as Queue from "./Queue.js"
import { Failure } from "./Retrieval.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { figure, parsed, text } from "./Rows.js"
import type { Service as Settings } from "./Settings.js"
import { Lost, type Run } from "./Step.js"
import { campaigns, type Row, type Service as Store } from "./Store.js"

/** One job. Every end but that of being settled gives it back to the engine, which hands it out again. */
export const run = (
  run: Run,
  known: CampaignLedger.Known
): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> => {
  const { job, settings, store } = run
  return Claimed.run(run, {
    queue: campaigns,
    claim: claim(store, settings, job),
    carry: (held) => CampaignStep.take(store, settings, held, known),
    watch: (held) => watching(store, held),
    settle: (held, outcome) => settle(store, job, held, outcome)
  })
}

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
): Effect.Effect<Option.Option<CampaignStep.Held>, StoreUnavailable> =>
  Effect.gen(function* () {
    const { id } = job.data
    const isVisible = yield* CampaignFolder.isVisible(settings, id)
    const row = yield* store.transaction(async (sql, boss) => {
      const [found] = await sql.query("SELECT account FROM batch.campaign WHERE id = $1", [id])
      const account = text(found?.["account"])
      await CampaignChunk.turn(sql, account)
      if (!(await Queue.isOurs(sql, campaigns, job))) return undefined
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

const heldOf = (settings: Settings, row: Row): CampaignStep.Held => {
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

/** Ends when the campaign is lost or was stopped, and never otherwise. */
const watching = (store: Store, { campaignId, fence }: CampaignStep.Held): Effect.Effect<never, Lost> =>
  store.query(`SELECT 1 FROM batch.campaign WHERE ${CampaignStep.isMine}`, [campaignId, fence]).pipe(
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
  { account, campaignId, fence }: CampaignStep.Held,
  outcome: CampaignStep.Outcome
): Effect.Effect<void, StoreUnavailable> =>
  store.transaction(async (sql, boss) => {
    const [before] = await sql.query("SELECT step FROM batch.campaign WHERE id = $1 FOR UPDATE", [campaignId])
    const update = async (set: string, ...values: ReadonlyArray<unknown>) => {
      const updated = await sql.query(
        `UPDATE batch.campaign SET ${set}, step = 'idle', updated_at = clock_timestamp()
          WHERE ${CampaignStep.isMine} RETURNING id`,
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
