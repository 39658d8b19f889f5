/**
 * The chunks of campaigns, a row each from when one is to be submitted: where it stands, by the ledger of its campaign, and
 * who works on it. What follows from where a chunk stands is put down in the same transaction: a look at its job, a job of
 * the engine, the figures of its campaign, and the campaign's own turn.
 */
import type * as Ledger from "@org/batch-core/Ledger"
import type { PgBoss } from "pg-boss"
import * as LookRow from "./LookRow.js"
import * as Queue from "./Queue.js"
import { figure, text } from "./Rows.js"
import type { Row, Sql } from "./Store.js"

/** A campaign, and whose it is. */
export interface Of {
  readonly campaignId: string
  readonly account: string
}

/**
 * Where a chunk stands. `planned`: it has no job; `reserved`: a place is kept for it; `sending`: its answer is awaited by
 * who has the campaign; `lost`: its job is looked for; `waiting`: its job runs; `completed`: its results are to be fetched.
 */
export type State =
  "planned" | "reserved" | "sending" | "lost" | "undecided" | "waiting" | "completed" | "failed" | "kept"

/** States in which the API may count a job as active. */
const active: ReadonlyArray<State> = ["reserved", "sending", "lost", "waiting"]

/** States in which something is still to come. */
const open: ReadonlyArray<State> = [...active, "completed"]

const listed = (some: ReadonlyArray<State>): string => some.map((state) => `'${state}'`).join(", ")

/** What the row of a chunk says. */
export interface Standing {
  readonly state: State
  readonly batchId: string | null
  readonly records: number
}

/** Where a chunk stands after an entry of it. */
export const after = (entry: Ledger.ChunkEntry): Standing => {
  const standing = (state: State, batchId: string | null = null, records = 0) => ({ state, batchId, records })
  switch (entry._tag) {
    case "sending":
      return standing("sending")
    case "refused":
      return standing("planned")
    case "undecided":
      return standing("undecided")
    case "sent":
      return standing("waiting", entry.batch_id.toLowerCase())
    case "ended":
      return standing(entry.status === "completed" ? "completed" : "failed", entry.batch_id.toLowerCase())
    case "kept":
      return standing("kept", entry.batch_id.toLowerCase(), entry.records)
  }
}

/** One transaction at a time changes what the campaigns of an account do. Comes before all locks on their rows. */
export const turn = (sql: Sql, account: string): Promise<unknown> =>
  sql.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 15))", [account])

/** Puts a chunk where it stands now, and puts down what follows from it. */
export const put = async (
  sql: Sql,
  boss: PgBoss,
  { account, campaignId }: Of,
  chunk: number,
  { batchId, records, state }: Standing
): Promise<void> => {
  await sql.query(
    `INSERT INTO batch.campaign_chunk AS k (campaign_id, chunk, account, state, batch_id, records)
      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (campaign_id, chunk) DO UPDATE SET state = EXCLUDED.state,
        batch_id = EXCLUDED.batch_id, records = EXCLUDED.records, held = false, stopped = false, tries = 0,
        request_id = CASE WHEN EXCLUDED.state = 'lost' THEN k.request_id END`,
    [campaignId, chunk, account, state, batchId, records]
  )
  if (state === "waiting" && batchId !== null) await LookRow.want(sql, account, batchId)
  if (state === "completed" || state === "lost")
    await Queue.sendChunk(sql, boss, account, { campaignId, chunk })
}

/** Writes how far a campaign is, by where its chunks stand. */
export const count = (sql: Sql, campaignId: string): Promise<unknown> =>
  sql.query(
    `UPDATE batch.campaign c SET seq = c.seq + 1, updated_at = clock_timestamp(),
      progress = c.progress || jsonb_build_object('records', n.records, 'jobs', jsonb_build_object(
        'total', (c.progress->'jobs'->>'total')::int, 'waiting',
        greatest(0, (c.progress->'jobs'->>'total')::int - n.known),
        'running', n.running, 'completed', n.completed, 'fetched', n.kept, 'failed', n.failed,
        'undecided', n.undecided))
      FROM (SELECT count(*) AS known, count(*) FILTER (WHERE state IN ('sending', 'lost', 'waiting')) AS running,
        count(*) FILTER (WHERE state = 'completed') AS completed, count(*) FILTER (WHERE state = 'kept') AS kept,
        count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'undecided') AS undecided,
        coalesce(sum(records), 0) AS records
        FROM batch.campaign_chunk WHERE campaign_id = $1 AND state NOT IN ('planned', 'reserved')) n
      WHERE c.id = $1`,
    [campaignId]
  )

/** Makes campaigns due at once that wait: this one, and those of its account that lack a place. */
export const wake = async (sql: Sql, boss: PgBoss, account: string, campaignId?: string): Promise<void> => {
  const woken = await sql.query(
    `UPDATE batch.campaign SET step = CASE step WHEN 'held' THEN 'woken' ELSE step END
      WHERE account = $1 AND state = 'running' AND (id = $2 OR starved) RETURNING id, step`,
    [account, campaignId ?? null]
  )
  for (const { id, step } of woken) {
    if (text(step) === "idle") await Queue.sendCampaign(sql, boss, account, text(id))
  }
}

/** The row of a chunk, for who works on it or waits for it. */
export interface Kept extends Standing {
  readonly chunk: number
  readonly isStopped: boolean
}

/** Where the chunks of a campaign stand that are not just planned. */
export const all = async (sql: Pick<Sql, "query">, campaignId: string): Promise<ReadonlyArray<Kept>> => {
  const rows = await sql.query(
    `SELECT chunk, state, batch_id, records, stopped FROM batch.campaign_chunk
      WHERE campaign_id = $1 AND state <> 'planned' ORDER BY chunk`,
    [campaignId]
  )
  return rows.map(keptOf)
}

const states: ReadonlyArray<State> = [...open, "planned", "undecided", "failed", "kept"]

/** What a row of the table says. */
export const keptOf = (row: Row): Kept => ({
  chunk: figure(row["chunk"]),
  state: states.find((state) => state === row["state"]) ?? "planned",
  batchId: row["batch_id"] === null ? null : text(row["batch_id"]),
  records: figure(row["records"]),
  isStopped: row["stopped"] === true
})

/** Whether something is still to come of a chunk. */
export const isOpen = ({ isStopped, state }: Kept): boolean => !isStopped && open.includes(state)

/** Whether nothing is still to come of the chunks of a campaign that have been submitted. */
export const areOver = async (sql: Sql, campaignId: string): Promise<boolean> => {
  const left = await sql.query(
    `SELECT 1 FROM batch.campaign_chunk WHERE campaign_id = $1 AND state IN (${listed(open)}) AND NOT stopped LIMIT 1`,
    [campaignId]
  )
  return left.length === 0
}

/** Jobs that may be active at a time. */
export interface Limits {
  readonly ofCampaign: number
  readonly ofAccount: number
}

/** What was reserved, and whether the account lacked a place for more. */
export interface Reserved {
  readonly chunks: ReadonlyArray<number>
  readonly isStarved: boolean
}

/**
 * Keeps a place for as many of these chunks as may be submitted now. The places of an account are those of all its
 * campaigns that are under way, and of the jobs that came by the service's own submits: those are looked at where they are
 * in the way.
 */
export const reserve = async (
  sql: Sql,
  { account, campaignId }: Of,
  candidates: ReadonlyArray<number>,
  limits: Limits
): Promise<Reserved> => {
  const [taken] = await sql.query(
    `SELECT count(*) FILTER (WHERE k.campaign_id = $1)::int AS own, count(*)::int AS every
      FROM batch.campaign_chunk k JOIN batch.campaign c ON c.id = k.campaign_id
      WHERE k.account = $2 AND k.state IN (${listed(active)}) AND NOT k.stopped AND c.state IN ('waiting', 'running')`,
    [campaignId, account]
  )
  const submitted = await sql.query(
    `SELECT batch_id FROM batch.submission WHERE account = $1 AND NOT is_over
      AND created_at > now() - interval '1 day'`,
    [account]
  )
  const wanted = Math.min(limits.ofCampaign - figure(taken?.["own"]), candidates.length)
  const free = limits.ofAccount - figure(taken?.["every"]) - submitted.length
  const chunks = candidates.slice(0, Math.max(0, Math.min(wanted, free)))
  for (const chunk of chunks) {
    await sql.query(
      `INSERT INTO batch.campaign_chunk (campaign_id, chunk, account, state) VALUES ($1, $2, $3, 'reserved')
        ON CONFLICT (campaign_id, chunk) DO UPDATE SET state = 'reserved', stopped = false`,
      [campaignId, chunk, account]
    )
  }
  const isStarved = free < wanted
  if (isStarved) {
    for (const { batch_id: id } of submitted) await LookRow.want(sql, account, text(id))
  }
  return { chunks, isStarved }
}

/** The answer to a chunk that was sent is lost, and its job is looked for. */
export const lose = async (
  sql: Sql,
  boss: PgBoss,
  { account, campaignId }: Of,
  chunk: number,
  requestId: string | undefined
): Promise<void> => {
  await sql.query(
    `UPDATE batch.campaign_chunk SET state = 'lost', request_id = $3
      WHERE campaign_id = $1 AND chunk = $2 AND state = 'sending'`,
    [campaignId, chunk, requestId ?? null]
  )
  await Queue.sendChunk(sql, boss, account, { campaignId, chunk })
}

/** Gives the places back that were not used. */
export const release = (sql: Pick<Sql, "query">, campaignId: string): Promise<unknown> =>
  sql.query(
    "UPDATE batch.campaign_chunk SET state = 'planned' WHERE campaign_id = $1 AND state = 'reserved'",
    [campaignId]
  )

/** Who waits for the end of a batch: chunks of campaigns that are under way. */
export const waiting = (account: string, batchId: string): string =>
  `SELECT k.campaign_id, k.chunk FROM batch.campaign_chunk k JOIN batch.campaign c ON c.id = k.campaign_id
    WHERE k.account = ${account} AND k.batch_id = ${batchId} AND k.state = 'waiting' AND NOT k.stopped
      AND c.state IN ('waiting', 'running')`

/** Ends the submitting of a campaign at a chunk that cannot go on, when what runs besides is at its end. */
export const stop = async (
  sql: Sql,
  boss: PgBoss,
  { account, campaignId }: Of,
  chunk: number,
  error: { readonly type: string; readonly message: string }
): Promise<void> => {
  await sql.query(
    "UPDATE batch.campaign_chunk SET stopped = true, held = false WHERE campaign_id = $1 AND chunk = $2",
    [campaignId, chunk]
  )
  await sql.query(
    `UPDATE batch.campaign SET stopping = coalesce(stopping, $2::jsonb), seq = seq + 1, updated_at = clock_timestamp(),
      progress = progress || jsonb_build_object('notice', $3::text) WHERE id = $1`,
    [campaignId, JSON.stringify(error), error.message]
  )
  await wake(sql, boss, account, campaignId)
}
