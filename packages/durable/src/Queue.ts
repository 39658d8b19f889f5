/**
 * The jobs on the engine's queues, put there in the transaction that makes them necessary.
 */
import type { JobWithMetadata, PgBoss } from "pg-boss"
import { figure } from "./Rows.js"
import { campaigns, chunks, downloads, type Sql } from "./Store.js"

/** The download of one retrieval, or one campaign, by its id, or one of its chunks. */
export interface Job {
  readonly id: string
  /** From 0; jobs of the queue of chunks have one. */
  readonly chunk?: number
}

/** A job as the engine handed it out. */
export type Fetched = JobWithMetadata<Job>

/** Beyond so many open retrievals of an account its priority falls no further. */
const mostCounted = 4096

/** What is open of an account. */
const open = {
  retrievals: "batch.retrieval WHERE account = $1 AND state IN ('waiting', 'running')",
  chunks: "batch.campaign_chunk WHERE account = $1 AND state = 'completed'"
}

/** Jobs of an account with much open work come after those of one with little. */
const priorityOf = async (sql: Sql, account: string, of: keyof typeof open): Promise<number> => {
  const [row] = await sql.query(
    `SELECT count(*)::int AS open FROM (SELECT 1 FROM ${open[of]} LIMIT ${mostCounted}) counted`,
    [account]
  )
  return -Math.floor(Math.log2(1 + figure(row?.["open"])))
}

/**
 * Whether a job is still the caller's, for a claim that has the turn of its account: a worker may try for so long to reach
 * the database that the engine has handed the job out again. What it claimed then would be nobody's.
 */
export const isOurs = async (sql: Sql, queue: string, { id, retryCount }: Fetched): Promise<boolean> => {
  const mine = await sql.query(
    "SELECT 1 FROM batch_queue.job WHERE name = $1 AND id = $2 AND state = 'active' AND retry_count = $3",
    [queue, id, retryCount]
  )
  return mine.length > 0
}

/** What a worker has lost comes before all else. */
const priorityOfTakenOver = 1000

/** Puts a job that was claimed before all others, for whoever takes it over from a dead worker. */
export const prefer = (sql: Sql, queue: string, { id }: Fetched): Promise<unknown> =>
  sql.query("UPDATE batch_queue.job SET priority = $2 WHERE id = $1 AND name = $3", [
    id,
    priorityOfTakenOver,
    queue
  ])

/** Puts downloads of one account on the queue, due in so many seconds. One that waits there already will do. */
export const send = async (
  sql: Sql,
  boss: PgBoss,
  account: string,
  ids: ReadonlyArray<string>,
  seconds = 0
): Promise<void> => {
  if (ids.length === 0) return
  const priority = await priorityOf(sql, account, "retrievals")
  for (const id of ids) await put(sql, boss, downloads, { account, key: id, data: { id }, priority, seconds })
}

/** Puts a campaign on the queue, due in so many seconds. */
export const sendCampaign = (
  sql: Sql,
  boss: PgBoss,
  account: string,
  id: string,
  seconds = 0
): Promise<void> => put(sql, boss, campaigns, { account, key: id, data: { id }, priority: 0, seconds })

/** Puts a chunk of a campaign on the queue, due in so many seconds. */
export const sendChunk = async (
  sql: Sql,
  boss: PgBoss,
  account: string,
  { campaignId: id, chunk }: { readonly campaignId: string; readonly chunk: number },
  seconds = 0
): Promise<void> => {
  const priority = await priorityOf(sql, account, "chunks")
  await put(sql, boss, chunks, { account, key: `${id}/${chunk}`, data: { id, chunk }, priority, seconds })
}

const put = async (
  sql: Sql,
  boss: PgBoss,
  queue: string,
  job: {
    readonly account: string
    readonly key: string
    readonly data: Job
    readonly priority: number
    readonly seconds: number
  }
): Promise<void> => {
  const { account, data, priority, seconds: startAfter } = job
  const key = { singletonKey: job.key, db: sql.db }
  const sent = await boss.send(queue, data, { ...key, group: { id: account }, priority, startAfter })
  if (sent === null) await boss.update(queue, undefined, { ...key, startAfter })
}
