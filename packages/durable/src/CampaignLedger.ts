/**
 * The ledger of a campaign in the store: a row for each entry, in the order in which they came. Whoever has claimed the
 * campaign last may add entries, and whoever has claimed one of its chunks last those of that chunk; nobody else. An entry
 * moves its chunk in the same transaction.
 */
import { StorageError } from "@org/batch-core/BatchError"
import * as Ledger from "@org/batch-core/Ledger"
import { Effect } from "effect"
import type { PgBoss } from "pg-boss"
import { planned } from "./Campaign.js"
import * as CampaignChunk from "./CampaignChunk.js"
import { text } from "./Rows.js"
import { patiently, type Service as Store, type Sql } from "./Store.js"

/** A campaign that this process has claimed, or one of its chunks. */
export interface Claim extends CampaignChunk.Of {
  readonly fence: number
  /** The chunk, where that is what was claimed. */
  readonly chunk?: number | undefined
  /** Where the folder of the campaign is on this machine. */
  readonly folder: string
}

/** What a process has read of ledgers, by campaign, with the last line: they only grow, so only what is new is read again. */
export type Known = Map<string, { readonly entries: ReadonlyArray<Ledger.Entry>; readonly last: string }>

/** Ledgers that a process remembers. */
const knownAtMost = 16

const nameOf = (campaignId: string): string => `the ledger of campaign ${campaignId}`

/**
 * The ledger of what was claimed. `StorageError` of reason `Unreadable` for an entry that is none, and of reason `Exists`
 * once another process has claimed it. A store that is away is waited for.
 */
export const open = (store: Store, claim: Claim, known: Known = new Map()): Ledger.Ledger => {
  const turn = Effect.unsafeMakeSemaphore(1)
  return {
    read: read(store, claim, known),
    append: (entry) =>
      Effect.gen(function* () {
        const addition = yield* additionOf(entry)
        const isAdded = yield* patiently(
          Effect.uninterruptible(
            store.transaction(async (sql, boss) => {
              await CampaignChunk.turn(sql, claim.account)
              if (!(await isMine(sql, claim))) return false
              await add(sql, boss, claim, addition)
              return true
            })
          )
        )
        if (!isAdded) return yield* lost(claim)
      }).pipe(turn.withPermits(1)),
    // Whoever carries the campaign ends with its claim.
    holding: (effect) => effect
  }
}

const lost = ({ campaignId }: Claim): StorageError =>
  new StorageError({
    reason: "Exists",
    path: nameOf(campaignId),
    detail: "another process runs this campaign"
  })

/** Whether a claim still holds; it holds until the end of the transaction then. */
const isMine = async (sql: Sql, { campaignId, chunk, fence }: Claim): Promise<boolean> => {
  const [campaign] = await sql.query("SELECT fence FROM batch.campaign WHERE id = $1 FOR UPDATE", [
    campaignId
  ])
  if (chunk === undefined) return campaign !== undefined && Number(campaign["fence"]) === fence
  const rows = await sql.query(
    "SELECT 1 FROM batch.campaign_chunk WHERE campaign_id = $1 AND chunk = $2 AND fence = $3 FOR UPDATE",
    [campaignId, chunk, fence]
  )
  return campaign !== undefined && rows.length > 0
}

/** An entry, and the texts that the store keeps of it. */
export interface Addition {
  readonly entry: Ledger.Entry
  readonly line: string
  /** How far the campaign is, where the entry says it: the plan. */
  readonly progress: string | undefined
}

/** What the store keeps of an entry. */
export const additionOf = (entry: Ledger.Entry): Effect.Effect<Addition> =>
  Effect.gen(function* () {
    const progress = entry._tag === "plan" ? yield* planned(entry) : undefined
    return { entry, line: yield* Ledger.format(entry), progress }
  })

/** Whether a job that was found is known to come of another request since. */
const isTaken = async (sql: Sql, account: string, batchId: string): Promise<boolean> => {
  const others = await sql.query(
    "SELECT 1 FROM batch.campaign_chunk WHERE account = $1 AND batch_id = $2::uuid LIMIT 1",
    [account, batchId]
  )
  return others.length > 0
}

/**
 * Adds an entry at the end, and what follows from it. Needs the turn of the account. One that is there already, since the
 * answer to the transaction before was lost, is not added again, nor is one that adopts the job of another chunk.
 */
export const add = async (
  sql: Sql,
  boss: PgBoss,
  { account, campaignId, chunk, fence = 0 }: CampaignChunk.Of & Partial<Pick<Claim, "chunk" | "fence">>,
  { entry, line, progress }: Addition
): Promise<void> => {
  const batchId = entry._tag === "sent" ? entry.batch_id.toLowerCase() : null
  if (entry._tag === "sent" && entry.adopted === true && (await isTaken(sql, account, batchId ?? ""))) return
  const added = await sql.query(
    `INSERT INTO batch.campaign_entry (campaign_id, place, fence, batch_id, entry)
      SELECT $1::uuid, 1 + coalesce((SELECT max(place) FROM batch.campaign_entry WHERE campaign_id = $1), 0), $2, $3, $4
      WHERE NOT EXISTS (SELECT 1 FROM batch.campaign_entry
        WHERE campaign_id = $1 AND md5(entry) = md5($4) AND entry = $4) RETURNING place`,
    [campaignId, fence, batchId, line]
  )
  if (added.length === 0) return
  if (progress !== undefined) {
    await sql.query(
      "UPDATE batch.campaign SET progress = $2::jsonb, seq = seq + 1, updated_at = clock_timestamp() WHERE id = $1",
      [campaignId, progress]
    )
  }
  if (!("chunk" in entry)) return
  await CampaignChunk.put(sql, boss, { account, campaignId }, entry.chunk, CampaignChunk.after(entry))
  await CampaignChunk.count(sql, campaignId)
  const isOwn = chunk === undefined && entry._tag !== "ended"
  // A place is free, or may be; the last one that is kept lets the campaign join all.
  if (!isOwn && (entry._tag !== "kept" || (await CampaignChunk.areOver(sql, campaignId)))) {
    await CampaignChunk.wake(sql, boss, account, campaignId)
  }
}

/** What is in the ledger; its first entry is what the campaign was begun with. */
const read = (
  store: Store,
  claim: Pick<Claim, "campaignId" | "folder">,
  known: Known
): Effect.Effect<ReadonlyArray<Ledger.Entry>, StorageError> =>
  Effect.gen(function* () {
    const { campaignId, folder } = claim
    const before = known.get(campaignId)
    const rows = yield* patiently(
      store.query(
        `SELECT 0 AS place, coalesce((SELECT begun::text FROM batch.campaign WHERE id = $1), 'null') AS line WHERE $2::int = 0
          UNION ALL SELECT place, entry FROM batch.campaign_entry WHERE campaign_id = $1 AND place >= $2 ORDER BY place`,
        [campaignId, before === undefined ? 0 : before.entries.length - 1]
      )
    )
    const lines = rows.map(({ line }) => text(line))
    const last = lines.at(-1) ?? ""
    // The last line that is known is read again: an older state of the store, or a campaign begun anew, has another one.
    if (before !== undefined && lines.shift() !== before.last) {
      known.delete(campaignId)
      return yield* read(store, claim, known)
    }
    const old = before?.entries ?? []
    const entries = [...old, ...(yield* Ledger.parse(nameOf(campaignId), lines, old.length))]
    known.delete(campaignId)
    known.set(campaignId, { entries, last })
    for (const oldest of known.keys()) if (known.size > knownAtMost) known.delete(oldest)
    return entries.map((entry) =>
      entry._tag === "campaign" ? { ...entry, output: `${folder}/${entry.output}` } : entry
    )
  })

/** The jobs of an account that are known to come of another request: of campaigns, but for one, and of single submits. */
export const claimed = (store: Store, account: string, except?: string): Effect.Effect<ReadonlySet<string>> =>
  Effect.map(
    patiently(
      store.query(
        `SELECT e.batch_id FROM batch.campaign_entry e JOIN batch.campaign c ON c.id = e.campaign_id
          WHERE c.account = $1 AND c.id IS DISTINCT FROM $2 AND e.batch_id IS NOT NULL
        UNION SELECT batch_id::text FROM batch.submission WHERE account = $1`,
        [account, except ?? null]
      )
    ),
    (rows) => new Set(rows.map((row) => text(row["batch_id"])))
  )
