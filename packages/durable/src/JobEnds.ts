/**
 * What a look at a batch means to the campaigns of its account: the chunks whose job it is, and the places that jobs had
 * which came by single submits. Put down in the transaction that settles the look.
 */
import { type Batch, type BatchId, isTerminal } from "@org/batch-core/Batch"
import * as Jobs from "@org/batch-core/Jobs"
import { DateTime, Effect } from "effect"
import type { PgBoss } from "pg-boss"
import * as CampaignChunk from "./CampaignChunk.js"
import * as CampaignLedger from "./CampaignLedger.js"
import type { Failure } from "./Retrieval.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { figure, text } from "./Rows.js"
import type { Service as Store, Sql } from "./Store.js"

/** A batch of an account. */
interface Look {
  readonly account: string
  readonly batchId: BatchId
}

/** What is put down of a look. */
export interface Ends {
  /** Comes before all locks of the transaction. */
  readonly begin: (sql: Sql) => Promise<unknown>
  readonly note: (sql: Sql, boss: PgBoss) => Promise<void>
}

/** Whether anybody waits for the batch `$2` of the account `$1` besides retrievals, in SQL. */
export const areAwaited = `(EXISTS (${CampaignChunk.waiting("$1", "$2")}) OR EXISTS (SELECT 1 FROM batch.submission
  WHERE account = $1 AND batch_id = $2 AND NOT is_over))`

interface Waiting extends CampaignChunk.Of {
  readonly chunk: number
}

const waitingFor = (
  store: Store,
  { account, batchId }: Look
): Effect.Effect<ReadonlyArray<Waiting>, StoreUnavailable> =>
  Effect.map(store.query(CampaignChunk.waiting("$1", "$2"), [account, batchId]), (rows) =>
    rows.map((row) => ({ account, campaignId: text(row["campaign_id"]), chunk: figure(row["chunk"]) }))
  )

/** What is put down of chunks, of those that still wait by then, and of the places of single submits. */
const ends = <A extends Waiting>(
  { account, batchId }: Look,
  some: ReadonlyArray<A>,
  use: (sql: Sql, boss: PgBoss, one: A) => Promise<void>
): Ends => ({
  begin: (sql) => CampaignChunk.turn(sql, account),
  note: async (sql, boss) => {
    const rows =
      some.length === 0 ? [] : await sql.query(CampaignChunk.waiting("$1", "$2"), [account, batchId])
    for (const one of some) {
      const waits = rows.some(
        (row) => row["campaign_id"] === one.campaignId && figure(row["chunk"]) === one.chunk
      )
      if (waits) await use(sql, boss, one)
    }
    const over = await sql.query(
      `UPDATE batch.submission SET is_over = true WHERE account = $1 AND batch_id = $2 AND NOT is_over
        RETURNING batch_id`,
      [account, batchId]
    )
    if (over.length > 0) await CampaignChunk.wake(sql, boss, account)
  }
})

const none: Ends = { begin: () => Promise.resolve(), note: () => Promise.resolve() }

/** The job was seen: if it has ended, the ledgers say so. */
export const ended = (store: Store, look: Look, batch: Batch): Effect.Effect<Ends, StoreUnavailable> =>
  Effect.gen(function* () {
    if (!isTerminal(batch.status)) return none
    const at = yield* DateTime.now
    const chunks = yield* Effect.forEach(yield* waitingFor(store, look), (one) =>
      Effect.map(CampaignLedger.additionOf(Jobs.endOf(one.chunk, look.batchId, batch, at)), (addition) => ({
        ...one,
        addition
      }))
    )
    return ends(look, chunks, (sql, boss, one) => CampaignLedger.add(sql, boss, one, one.addition))
  })

/** The job will never be seen: its campaigns submit no more, and end with that. */
export const gone = (store: Store, look: Look, error: Failure): Effect.Effect<Ends, StoreUnavailable> =>
  Effect.map(waitingFor(store, look), (chunks) =>
    ends(look, chunks, (sql, boss, one) => CampaignChunk.stop(sql, boss, one, one.chunk, error))
  )
