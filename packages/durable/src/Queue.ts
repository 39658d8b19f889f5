/**
 * The jobs on the engine's queues, put there in the transaction that makes them necessary.
 */
import type { JobWithMetadata, PgBoss } from "pg-boss"
import { figure } from "./Rows.js"
import { campaigns, downloads, type Sql } from "./Store.js"

/** The download of one retrieval, or one campaign, by its id. */
export interface Job {
  readonly id: string
}

/** A job as the engine handed it out. */
export type Fetched = JobWithMetadata<Job>

/** Beyond so many open retrievals of an account its priority falls no further. */
const mostCounted = 4096

/** Jobs of an account with much open work come after those of one with little. */
const priorityOf = async (sql: Sql, account: string): Promise<number> => {
  const [row] = await sql.query(
    `SELECT count(*)::int AS open FROM (SELECT 1 FROM batch.retrieval
      WHERE account = $1 AND state IN ('waiting', 'running') LIMIT ${mostCounted}) counted`,
    [account]
  )
  return -Math.floor(Math.log2(1 + figure(row?.["open"])))
}

/** What a worker has lost comes before all else. */
export const priorityOfTakenOver = 1000

/** Puts downloads of one account on the queue, due in so many seconds. One that waits there already will do. */
export const send = async (
  sql: Sql,
  boss: PgBoss,
  account: string,
  ids: ReadonlyArray<string>,
  seconds = 0
): Promise<void> => {
  if (ids.length === 0) return
  const priority = await priorityOf(sql, account)
  for (const id of ids) await put(sql, boss, downloads, { account, id, priority, seconds })
}

/** Puts a campaign on the queue, due in so many seconds. */
export const sendCampaign = (
  sql: Sql,
  boss: PgBoss,
  account: string,
  id: string,
  seconds = 0
): Promise<void> => put(sql, boss, campaigns, { account, id, priority: 0, seconds })

const put = async (
  sql: Sql,
  boss: PgBoss,
  queue: string,
  job: { readonly account: string; readonly id: string; readonly priority: number; readonly seconds: number }
): Promise<void> => {
  const { account, id, priority, seconds: startAfter } = job
  const key = { singletonKey: id, db: sql.db }
  const sent = await boss.send(queue, { id }, { ...key, group: { id: account }, priority, startAfter })
  if (sent === null) await boss.update(queue, undefined, { ...key, startAfter })
}
