/**
 * One chunk of a campaign, as a job of the engine: its results are fetched once its job is completed, or its job is looked
 * for where the answer to its submit was lost. Claimed, done, settled; nothing is held while it waits.
 */
import type { FileSystem, Path } from "@effect/platform"
import { BatchId } from "@org/batch-core/Batch"
import * as Core from "@org/batch-core/Campaign"
import * as Jobs from "@org/batch-core/Jobs"
import { Duration, Effect, Option, Schedule, Schema } from "effect"
import * as CampaignChunk from "./CampaignChunk.js"
import * as CampaignFailure from "./CampaignFailure.js"
import * as CampaignFolder from "./CampaignFolder.js"
import * as CampaignLedger from "./CampaignLedger.js"
import * as CampaignNews from "./CampaignNews.js"
import * as Claimed from "./Claimed.js"
import * as Downloads from "./Downloads.js"
import type { Session } from "./Gate.js"
import * as Queue from "./Queue.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { figure, text } from "./Rows.js"
import type { Service as Settings } from "./Settings.js"
import { Lost, type Run } from "./Step.js"
import { chunks, type Row, type Service as Store } from "./Store.js"
import type { Again } from "./Tries.js"

/** A chunk that this process has claimed. */
interface Held extends CampaignLedger.Claim, CampaignChunk.Kept {
  readonly chunk: number
  readonly requestId: string | undefined
  /** Looks for its job, or tries to fetch it, before this one. */
  readonly tries: number
}

/** How it ends: what became of it stands in the ledger when it is over. */
type Outcome = { readonly _tag: "Over" } | CampaignFailure.Failed | Again

/** One job. Every end but that of being settled gives it back to the engine, which hands it out again. */
export const run = (
  run: Run,
  known: CampaignLedger.Known
): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> => {
  const { job, settings, store } = run
  return Claimed.run(run, {
    queue: chunks,
    claim: claim(store, settings, job),
    carry: (held) => carried(store, settings, held, known),
    watch: (held) => watching(store, held),
    settle: (held, outcome) => settle(store, job, held, outcome)
  })
}

/** When a chunk is looked at again that cannot begin now, in seconds. */
const later = { busy: 1, unseen: 5 }

/** What a job is about, and whether there is something to do: its campaign is under way. */
const due = `k.campaign_id = $1 AND k.chunk = $2 AND NOT k.stopped AND k.state IN ('lost', 'completed')
  AND EXISTS (SELECT 1 FROM batch.campaign c WHERE c.id = k.campaign_id AND c.state IN ('waiting', 'running'))`

/** Claims the row behind a job; none if there is nothing to do, no place of its account is free, or its folder is not seen. */
const claim = (
  store: Store,
  settings: Settings,
  job: Queue.Fetched
): Effect.Effect<Option.Option<Held>, StoreUnavailable> =>
  Effect.gen(function* () {
    const { chunk = 0, id: campaignId } = job.data
    const isVisible = yield* CampaignFolder.isVisible(settings, campaignId)
    const row = yield* store.transaction(async (sql, boss) => {
      const [found] = await sql.query(
        "SELECT account FROM batch.campaign_chunk WHERE campaign_id = $1 AND chunk = $2",
        [campaignId, chunk]
      )
      const account = text(found?.["account"])
      await Downloads.turn(sql, account)
      if (!(await Queue.isOurs(sql, chunks, job))) return undefined
      const [claimed] = isVisible
        ? await sql.query(
            `UPDATE batch.campaign_chunk k SET fence = fence + 1, held = true WHERE ${due}
              AND (k.state = 'lost' OR $3 > ${Downloads.ofRetrievals("$4")} + (SELECT count(*)
                FROM batch.campaign_chunk k WHERE k.account = $4 AND (k.campaign_id, k.chunk) <> ($1::uuid, $2::int)
                  AND ${Downloads.isFetching})) RETURNING k.*`,
            [campaignId, chunk, settings.slotsPerAccount, account]
          )
        : []
      if (claimed === undefined) {
        await boss.complete(chunks, job, null, { db: sql.db })
        const open = await sql.query(`SELECT 1 FROM batch.campaign_chunk k WHERE ${due}`, [campaignId, chunk])
        const seconds = isVisible ? later.busy : later.unseen
        if (open.length > 0) await Queue.sendChunk(sql, boss, account, { campaignId, chunk }, seconds)
        return undefined
      }
      // Whoever takes it over from a dead worker finds it before all other work.
      await Queue.prefer(sql, chunks, job)
      return claimed
    })
    return Option.map(Option.fromNullable(row), (one) => heldOf(settings, campaignId, one))
  })

const heldOf = (settings: Settings, campaignId: string, row: Row): Held => ({
  ...CampaignChunk.keptOf(row),
  campaignId,
  account: text(row["account"]),
  fence: figure(row["fence"]),
  folder: CampaignFolder.of(settings, campaignId),
  requestId: row["request_id"] === null ? undefined : text(row["request_id"]),
  tries: figure(row["tries"])
})

const decodeId = Schema.decodeUnknown(BatchId)

type Needs = Session | FileSystem.FileSystem | Path.Path

/** Does what there is to do. What fails is an outcome as well. */
const carried = (
  store: Store,
  settings: Settings,
  held: Held,
  known: CampaignLedger.Known
): Effect.Effect<Outcome, never, Needs> =>
  (held.state === "lost" ? looked(store, held, known) : fetched(store, held)).pipe(
    Effect.catchAll((error) => Effect.succeed(CampaignFailure.outcomeOf(error, held.tries, settings)))
  )

const over: Outcome = { _tag: "Over" }

/** Fetches the results of a completed job. */
const fetched = (store: Store, held: Held): Effect.Effect<Outcome, Jobs.Failure, Needs> =>
  Effect.gen(function* () {
    const { append } = CampaignLedger.open(store, held)
    const steps = { append, emit: () => Effect.void, resultOf: Core.resultOf(held.folder) }
    yield* Jobs.keep(steps, held.chunk, { batchId: yield* Effect.orDie(decodeId(held.batchId)) })
    return over
  })

/** Looks once for the job of a chunk whose answer was lost. */
const looked = (
  store: Store,
  held: Held,
  known: CampaignLedger.Known
): Effect.Effect<Outcome, Core.CampaignError, Needs> =>
  Effect.gen(function* () {
    const { account, campaignId, chunk, folder, requestId, tries } = held
    const ledger = CampaignLedger.open(store, held, known)
    const options = {
      folder,
      claimed: CampaignLedger.claimed(store, account),
      // It was told when the answer was lost.
      onEvent: (event: Core.Event) =>
        event._tag === "Lost" ? Effect.void : CampaignNews.tell(store, campaignId, event)
    }
    const before = yield* Core.planned(ledger, options)
    const step = yield* Effect.flatMap(Core.jobsOf(ledger, options, before), Jobs.open)
    const standing = step.standings[chunk]
    if (standing?._tag !== "Lost") return over
    const lost = yield* Jobs.lostOf(step, chunk, { ...standing, requestId: standing.requestId ?? requestId })
    return Option.match(yield* Jobs.look(step, chunk, lost, tries), {
      onNone: () => over,
      onSome: (pause): Outcome => ({ _tag: "Again", seconds: Duration.toSeconds(pause), counts: true })
    })
  })

/** How often a chunk looks whether it is still this process's: one whose campaign is stopped ends within a second. */
const watchEvery = "500 millis"

/** Ends when the chunk is another worker's, or its campaign was stopped; never otherwise. */
const watching = (store: Store, { campaignId, chunk, fence }: Held): Effect.Effect<never, Lost> =>
  store
    .query(
      `SELECT 1 FROM batch.campaign_chunk k JOIN batch.campaign c ON c.id = k.campaign_id
        WHERE k.campaign_id = $1 AND k.chunk = $2 AND k.fence = $3 AND c.state IN ('waiting', 'running')`,
      [campaignId, chunk, fence]
    )
    .pipe(
      Effect.filterOrFail(
        (mine) => mine.length > 0,
        () => new Lost()
      ),
      Effect.catchTag("StoreUnavailable", () => Effect.void),
      Effect.repeat(Schedule.spaced(watchEvery)),
      Effect.zipRight(Effect.never)
    )

/** Ends a job: the row, the engine's job and what follows, all or nothing; nothing where it was lost. */
const settle = (
  store: Store,
  job: Queue.Fetched,
  held: Held,
  outcome: Outcome
): Effect.Effect<void, StoreUnavailable> =>
  store.transaction(async (sql, boss) => {
    const { account, campaignId, chunk, fence } = held
    await CampaignChunk.turn(sql, account)
    await boss.complete(chunks, job, null, { db: sql.db })
    const mine = await sql.query(
      `UPDATE batch.campaign_chunk SET held = false, tries = tries + $4
        WHERE campaign_id = $1 AND chunk = $2 AND fence = $3 RETURNING state`,
      [campaignId, chunk, fence, outcome._tag === "Again" && outcome.counts ? 1 : 0]
    )
    if (mine.length === 0) return
    switch (outcome._tag) {
      case "Over":
        // What was found for it turned out to be another chunk's.
        if (mine[0]?.["state"] === "lost") await Queue.sendChunk(sql, boss, account, held, later.unseen)
        return
      case "Again":
        await Queue.sendChunk(sql, boss, account, held, outcome.seconds)
        return
      case "Failed":
        await CampaignChunk.stop(sql, boss, held, chunk, outcome.error)
    }
  })
