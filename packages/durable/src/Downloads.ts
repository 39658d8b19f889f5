/**
 * Downloads, as jobs of the engine. The row of the retrieval is the truth: its fence counts claims, cancellations and
 * retries, and whatever is written for a download says which fence it has. A job that lost its fence writes nothing more.
 */
import type { Receipt } from "@org/batch-core/Receipt"
import { Effect, Option, Schema } from "effect"
import * as Outbox from "./Outbox.js"
import * as Queue from "./Queue.js"
import { type Failure, type Retrieval } from "./Retrieval.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { figure, json, parsed, text, toRetrieval } from "./Rows.js"
import { affected, downloads, type Row, type Service as Store, type Sql } from "./Store.js"
import type { Again } from "./Tries.js"

/** What was noted for whoever takes the download over. */
export const Note = Schema.Struct({
  /** The digest of what was about to get the destination's name. */
  sha256: Schema.optional(Schema.String),
  /** A multipart upload that was begun. */
  upload: Schema.optional(Schema.String)
})

/** What was noted for whoever takes the download over. */
export type Note = typeof Note.Type

/** A download that this process holds. */
export interface Held {
  readonly job: Queue.Fetched
  readonly account: string
  readonly retrieval: Retrieval
  readonly fence: number
  /** Downloads before this one that failed in a way that may heal. */
  readonly tries: number
  readonly replace: boolean
  readonly note: Note
}

/** How a download ends. */
export type Outcome =
  | { readonly _tag: "Done"; readonly receipt: Receipt; readonly output: string }
  | { readonly _tag: "Failed"; readonly error: Failure }
  | Again
  /** The batch is not completed after all: it is looked at again. */
  | { readonly _tag: "Look" }

const fetched = `${json} AS retrieval, r.account, r.fence, r.tries, r.replace, r.publishing`

/** Whether the results of a chunk `k` are being fetched: what a process has left that died counts no more with its campaign. */
export const isFetching = `k.state = 'completed' AND k.held
  AND EXISTS (SELECT 1 FROM batch.campaign c WHERE c.id = k.campaign_id AND c.state IN ('waiting', 'running'))`

/** How many downloads of an account are under way for retrievals, and how many for campaigns. */
export const ofRetrievals = (account: string): string =>
  `(SELECT count(*) FROM batch.retrieval WHERE account = ${account} AND state = 'running')`
const ofChunks = (account: string): string =>
  `(SELECT count(*) FROM batch.campaign_chunk k WHERE k.account = ${account} AND ${isFetching})`

/** One process at a time decides about the downloads of an account. */
export const turn = (sql: Sql, account: string): Promise<unknown> =>
  sql.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 14))", [account])

/** Claims the row behind a job; none if it has ended, or if all places of its account are taken: it waits a second then. */
export const claim = (
  store: Store,
  job: Queue.Fetched,
  perAccount: number
): Effect.Effect<Option.Option<Held>, StoreUnavailable> =>
  Effect.gen(function* () {
    const row = yield* store.transaction(async (sql, boss) => {
      const [found] = await sql.query("SELECT account FROM batch.retrieval WHERE id = $1", [job.data.id])
      const account = text(found?.["account"])
      await turn(sql, account)
      if (!(await Queue.isOurs(sql, downloads, job))) return undefined
      const [claimed] = await sql.query(
        `UPDATE batch.retrieval r SET state = 'running', fence = fence + 1, seq = seq + 1,
          updated_at = clock_timestamp() WHERE r.id = $1 AND r.state IN ('waiting', 'running')
          AND r.next_look_at IS NULL AND $2 > (SELECT count(*) FROM batch.retrieval o
            WHERE o.account = r.account AND o.state = 'running' AND o.id <> r.id) + ${ofChunks("r.account")}
          RETURNING ${fetched}`,
        [job.data.id, perAccount]
      )
      if (claimed === undefined) {
        await boss.complete(downloads, job, null, { db: sql.db })
        const [open] = await sql.query(
          "SELECT 1 FROM batch.retrieval WHERE id = $1 AND state = 'waiting' AND next_look_at IS NULL",
          [job.data.id]
        )
        if (open !== undefined) await Queue.send(sql, boss, account, [job.data.id], 1)
        return undefined
      }
      // Whoever takes it over from a dead worker finds it before all other work.
      await Queue.prefer(sql, downloads, job)
      return claimed
    })
    return row === undefined ? Option.none() : Option.some(yield* heldOf(job, row))
  })

const heldOf = (job: Queue.Fetched, row: Row): Effect.Effect<Held> =>
  Effect.gen(function* () {
    return {
      job,
      account: text(row["account"]),
      retrieval: yield* toRetrieval(row),
      fence: figure(row["fence"]),
      tries: figure(row["tries"]),
      replace: row["replace"] === true,
      note: yield* Effect.orDie(Schema.decodeUnknown(Note)(parsed(row["publishing"]) ?? {}))
    }
  })

/** Writes to the row of a download; false if it was lost. */
export const write = (
  store: Store,
  { fence, retrieval }: Held,
  set: string,
  values: ReadonlyArray<unknown>
): Effect.Effect<boolean, StoreUnavailable> =>
  Effect.map(
    store.query(`UPDATE batch.retrieval SET ${set} WHERE id = $1 AND fence = $2 RETURNING id`, [
      retrieval.retrievalId,
      fence,
      ...values
    ]),
    (rows) => rows.length > 0
  )

/** Whether the download is still this process's. */
export const isMine = (store: Store, { fence, retrieval }: Held): Effect.Effect<boolean, StoreUnavailable> =>
  Effect.map(
    store.query("SELECT 1 FROM batch.retrieval WHERE id = $1 AND fence = $2", [retrieval.retrievalId, fence]),
    (rows) => rows.length > 0
  )

const bump = "seq = seq + 1, updated_at = clock_timestamp()"

/** Ends a download: the row, the call of whoever is told, the engine's job and what follows, all or nothing. */
export const settle = (
  store: Store,
  held: Held,
  outcome: Outcome
): Effect.Effect<boolean, StoreUnavailable> =>
  store.transaction(async (sql, boss) => {
    const mine = await settleRow(sql, held, outcome)
    const completed = affected(await boss.complete(downloads, held.job, null, { db: sql.db })) > 0
    if (!mine) return false
    const { batchId, retrievalId } = held.retrieval
    if (outcome._tag === "Again" && completed) {
      await Queue.send(sql, boss, held.account, [retrievalId], outcome.seconds)
    }
    if (outcome._tag === "Look") {
      await sql.query(
        `UPDATE batch.look SET open = true, leased = false, next_at = clock_timestamp() + interval '5 seconds'
          WHERE account = $1 AND batch_id = $2`,
        [held.account, batchId]
      )
    }
    if (outcome._tag === "Done" || outcome._tag === "Failed") await Outbox.put(sql, [retrievalId])
    return true
  })

const settleRow = async (sql: Sql, { fence, retrieval }: Held, outcome: Outcome): Promise<boolean> => {
  const update = (set: string, values: ReadonlyArray<unknown> = []) =>
    sql.query(`UPDATE batch.retrieval SET ${set}, ${bump} WHERE id = $1 AND fence = $2 RETURNING id`, [
      retrieval.retrievalId,
      fence,
      ...values
    ])
  const rows = await (() => {
    switch (outcome._tag) {
      case "Done": {
        const { bytes, records, resultCount } = outcome.receipt
        return update(
          `state = 'done', receipt = $3::jsonb, bytes = $4, total_bytes = $4, records = $5, result_count = $6,
            publishing = NULL`,
          [outcome.output, bytes, records, resultCount]
        )
      }
      case "Failed":
        return update("state = 'failed', error = $3::jsonb, publishing = NULL", [
          JSON.stringify(outcome.error)
        ])
      case "Again":
        return update("state = 'waiting', tries = tries + $3", [outcome.counts ? 1 : 0])
      case "Look":
        return update("state = 'waiting', next_look_at = clock_timestamp() + interval '5 seconds'")
    }
  })()
  return rows.length > 0
}
