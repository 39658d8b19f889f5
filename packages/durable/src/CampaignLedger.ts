/**
 * The ledger of a campaign in the store: a row for each entry, in the order in which they came. Whoever has claimed the
 * campaign last may add entries, and nobody else.
 */
import { StorageError } from "@org/batch-core/BatchError"
import * as Ledger from "@org/batch-core/Ledger"
import { Effect, Option } from "effect"
import { figure, parsed, text } from "./Rows.js"
import { first, patiently, type Service as Store } from "./Store.js"

/** A campaign that this process has claimed. */
export interface Claim {
  readonly campaignId: string
  readonly fence: number
  /** Where its folder is on this machine. */
  readonly folder: string
}

/** A ledger, and what is in it without a look at the store. */
export interface Opened extends Ledger.Ledger {
  readonly known: () => ReadonlyArray<Ledger.Entry>
}

const nameOf = ({ campaignId }: Pick<Claim, "campaignId">): string => `the ledger of campaign ${campaignId}`

const add = `WITH mine AS (SELECT id FROM batch.campaign WHERE id = $1 AND fence = $2 FOR SHARE),
  added AS (INSERT INTO batch.campaign_entry (campaign_id, place, fence, batch_id, entry)
    SELECT id, $3, $2, $4, $5 FROM mine ON CONFLICT DO NOTHING RETURNING place)
  SELECT (SELECT count(*) FROM mine)::int AS mine, (SELECT count(*) FROM added)::int AS added`

/**
 * The ledger of a claimed campaign. `StorageError` of reason `Unreadable` for an entry that is none, and of reason `Exists`
 * once another process has claimed the campaign. A store that is away is waited for.
 */
export const open = (store: Store, claim: Claim): Effect.Effect<Opened, StorageError> =>
  Effect.gen(function* () {
    const entries = [...(yield* read(store, claim))]
    const turn = yield* Effect.makeSemaphore(1)

    /** Whether it was added; if not, the place was taken by an entry whose writing was interrupted. */
    const written = (entry: Ledger.Entry, line: string): Effect.Effect<boolean, StorageError> =>
      Effect.gen(function* () {
        const place = entries.length
        const batchId = entry._tag === "sent" ? entry.batch_id.toLowerCase() : null
        const { campaignId, fence } = claim
        const values = [campaignId, fence, place, batchId, line]
        const [row] = yield* patiently(Effect.uninterruptible(store.query(add, values)))
        if (figure(row?.["mine"]) === 0) return yield* lost(claim)
        if (figure(row?.["added"]) === 1) {
          entries.push(entry)
          return true
        }
        const there = yield* patiently(
          store.query("SELECT entry FROM batch.campaign_entry WHERE campaign_id = $1 AND place = $2", [
            campaignId,
            place
          ])
        )
        const found = Option.match(first(there), { onNone: () => "", onSome: (one) => text(one["entry"]) })
        entries.push(...(yield* Ledger.parse(nameOf(claim), [found])))
        return found === line
      })

    return {
      read: Effect.sync(() => [...entries]),
      append: (entry) =>
        Effect.flatMap(Ledger.format(entry), (line) =>
          Effect.asVoid(Effect.repeat(written(entry, line), { until: (isWritten) => isWritten }))
        ).pipe(turn.withPermits(1)),
      // Whoever carries the campaign ends with its claim.
      holding: (effect) => effect,
      known: () => entries
    }
  })

const lost = (claim: Claim): StorageError =>
  new StorageError({ reason: "Exists", path: nameOf(claim), detail: "another process runs this campaign" })

/** What is in the ledger; its first entry is what the campaign was begun with. */
const read = (store: Store, claim: Claim): Effect.Effect<ReadonlyArray<Ledger.Entry>, StorageError> =>
  Effect.gen(function* () {
    const [row] = yield* patiently(
      store.query("SELECT begun FROM batch.campaign WHERE id = $1", [claim.campaignId])
    )
    const rows = yield* patiently(
      store.query("SELECT entry FROM batch.campaign_entry WHERE campaign_id = $1 ORDER BY place", [
        claim.campaignId
      ])
    )
    const lines = [JSON.stringify(parsed(row?.["begun"]) ?? null), ...rows.map(({ entry }) => text(entry))]
    const entries = yield* Ledger.parse(nameOf(claim), lines)
    return entries.map((entry) =>
      entry._tag === "campaign" ? { ...entry, output: `${claim.folder}/${entry.output}` } : entry
    )
  })

/** The jobs that other campaigns of an account claim. */
export const claimed = (store: Store, account: string, except: string): Effect.Effect<ReadonlySet<string>> =>
  Effect.map(
    patiently(
      store.query(
        `SELECT e.batch_id FROM batch.campaign_entry e JOIN batch.campaign c ON c.id = e.campaign_id
          WHERE c.account = $1 AND c.id <> $2 AND e.batch_id IS NOT NULL`,
        [account, except]
      )
    ),
    (rows) => new Set(rows.map((row) => text(row["batch_id"])))
  )
