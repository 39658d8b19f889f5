/**
 * Campaigns that survive: a list that is handed in here becomes jobs, which a `Worker` submits, waits for and fetches, in
 * this process or another one, and one result. Each belongs to an account; to others it is not there.
 *
 * @example
 * import { Account, Campaigns } from "@org/batch-durable"
 * import { Effect, Stream } from "effect"
 *
 * const handIn = Effect.gen(function* () {
 *   const campaigns = yield* Campaigns.Campaigns
 *   const input = Stream.make(new TextEncoder().encode("acme.com\nexample.com\n"))
 *   const received = yield* campaigns.receive("domains.txt", input)
 *   const list = { kind: "company/enrich", as: "domains", input: { name: "domains.txt", format: "lines" } } as const
 *   return yield* campaigns.begin(Account.ofService, { ...list, maxCredits: 10 }, received)
 * }).pipe(Effect.scoped)
 */
import { FileSystem, Path } from "@effect/platform"
import type { BatchId } from "@org/batch-core/Batch"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import {
  InputInvalid,
  type RequestInvalid,
  type StorageError,
  storageErrorAt
} from "@org/batch-core/BatchError"
import * as Core from "@org/batch-core/Campaign"
import type { Format } from "@org/batch-core/Format"
import * as Identifier from "@org/batch-core/Identifier"
import * as InputRows from "@org/batch-core/InputRows"
import * as JobKind from "@org/batch-core/JobKind"
import * as Ledger from "@org/batch-core/Ledger"
import type { JsonObject } from "@org/batch-core/Masking"
import * as SubmitRequest from "@org/batch-core/SubmitRequest"
import {
  Array,
  Context,
  Effect,
  Either,
  Layer,
  Option,
  type Redacted,
  Schema,
  type Scope,
  Stream
} from "effect"
import * as AccountRow from "./AccountRow.js"
import { Campaign, idOf, isEnded, planned, type State } from "./Campaign.js"
import * as CampaignFolder from "./CampaignFolder.js"
import * as CampaignLedger from "./CampaignLedger.js"
import * as Paging from "./Paging.js"
import * as Queue from "./Queue.js"
import {
  CampaignConflict,
  CampaignNotFound,
  IdempotencyKeyReused,
  type RetrievalInvalid,
  type StoreUnavailable
} from "./RetrievalError.js"
import { changes, figure, instant, isUuid, noRow, parsed, text } from "./Rows.js"
import { Settings } from "./Settings.js"
import { type Row, type Sql, Store } from "./Store.js"

/** How far a campaign may go. */
export interface Limits {
  /** Jobs active at a time, at most; default 4. */
  readonly maxActive?: number | undefined
  /** Credits that it may cost all in all, at most: what might cost more is refused before it is sent. Default: the balance. */
  readonly maxCredits?: number | undefined
}

/** What a campaign is. */
export interface Request extends Limits {
  /** `company/enrich`, … */
  readonly kind: string
  readonly input: {
    /** As it is called in messages. */
    readonly name: string
    readonly format: InputRows.InputFormat
    /** The column, or the field, that holds the identifiers; plain lines need none. */
    readonly column?: string | undefined
  }
  /** The property that the identifiers are, where the kind takes several. */
  readonly as?: string | undefined
  /** The rest of the body of each job: `fields`, … */
  readonly body?: JsonObject | undefined
  /** The format of the result; default `jsonl.gz`. */
  readonly format?: Format | undefined
  /** One line per input row, with its record, instead of the records as they came. */
  readonly join?: boolean | undefined
  /** The same list under another name is another campaign. */
  readonly name?: string | undefined
}

/** Which campaigns to list. */
export interface ListOptions {
  readonly state?: State | undefined
  /** Campaigns a page, 1 to 100; default 20. */
  readonly limit?: number | undefined
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined
}

/** One page, newest first. */
export interface Page {
  readonly campaigns: ReadonlyArray<Campaign>
  /** Where to go on, if there is more. */
  readonly nextCursor: Option.Option<string>
}

/** A campaign that was handed in, and whether that was news. */
export interface Begun {
  readonly campaign: Campaign
  readonly created: boolean
}

/** A campaign and the files of its result. */
export interface Outcome {
  readonly campaign: Campaign
  readonly files: ReturnType<typeof CampaignFolder.filesOf>
}

/** What a list that is handed in can be refused with. */
export type BeginError =
  RetrievalInvalid | InputInvalid | RequestInvalid | StorageError | IdempotencyKeyReused | StoreUnavailable

/** Campaigns of accounts. */
export interface Service {
  /** Copies a list to the disk as it comes; the copy goes with the scope, unless a campaign is begun with it. */
  readonly receive: <E>(
    name: string,
    bytes: Stream.Stream<Uint8Array, E>
  ) => Effect.Effect<Core.Received, E | StorageError, Scope.Scope>
  /**
   * Begins a campaign; asks the API nothing. The same account, list, kind, options and name is the same campaign, also after
   * its end, whatever its limits. `key` is the account's own, where the settings say that accounts have one.
   */
  readonly begin: (
    account: string,
    request: Request,
    received: Core.Received,
    options?: {
      readonly key?: Redacted.Redacted<string> | undefined
      /** The same key with another campaign is `IdempotencyKeyReused`. */
      readonly idempotencyKey?: string | undefined
    }
  ) => Effect.Effect<Begun, BeginError>
  readonly get: (account: string, id: string) => Effect.Effect<Campaign, CampaignNotFound | StoreUnavailable>
  readonly list: (
    account: string,
    options?: ListOptions
  ) => Effect.Effect<Page, RetrievalInvalid | StoreUnavailable>
  /** Stops a campaign: no more is submitted and nothing fetched. Jobs that run go on at the API. */
  readonly cancel: (
    account: string,
    id: string
  ) => Effect.Effect<Campaign, CampaignNotFound | CampaignConflict | StoreUnavailable>
  /**
   * Goes on with a campaign that has failed, was stopped, or is done and not complete: what is undecided is looked for, and
   * the inputs of failed jobs are submitted again. Limits that are named replace those before.
   */
  readonly retry: (
    account: string,
    id: string,
    limits?: Limits
  ) => Effect.Effect<Campaign, CampaignNotFound | CampaignConflict | StoreUnavailable>
  /** The campaign now and on every change, until it has ended. A database that is away for a while ends it not. */
  readonly watch: (
    account: string,
    id: string
  ) => Stream.Stream<Campaign, CampaignNotFound | StoreUnavailable>
  /** What came of a campaign that is done. */
  readonly outcome: (
    account: string,
    id: string
  ) => Effect.Effect<Outcome, CampaignNotFound | CampaignConflict | StoreUnavailable>
  /**
   * Notes a job that an account has submitted by itself: campaigns leave it its place until it has ended, and take it for
   * none of theirs.
   */
  readonly submitted: (account: string, batchId: BatchId) => Effect.Effect<void, StoreUnavailable>
  /** The jobs of an account that are known to come of its campaigns, or of submits that were noted. */
  readonly claimed: (account: string) => Effect.Effect<ReadonlySet<string>>
  /** How many campaigns are in which state. */
  readonly figures: Effect.Effect<Readonly<Record<State, number>>, StoreUnavailable>
}

/** Campaigns of accounts. */
export class Campaigns extends Context.Tag("@org/batch-durable/Campaigns")<Campaigns, Service>() {}

/** The JSON of a row `c` of `batch.campaign`, as the service shows it. */
const json = `jsonb_build_object('campaign_id', c.id, 'state', c.state, 'name', c.name, 'kind', c.begun->'kind',
  'as', c.begun->'property', 'input', jsonb_build_object('name', c.begun->'input'->'path',
    'format', c.begun->'input'->'format', 'column', c.begun->'input'->'column', 'bytes', c.bytes,
    'sha256', c.begun->'input'->'sha256'),
  'body', c.begun->'body', 'format', c.begun->'format', 'join', c.begun->'join', 'max_active', c.max_active,
  'max_credits', c.max_credits, 'attempt', c.attempt, 'progress', c.progress, 'report', c.report, 'error', c.error,
  'created_at', ${instant("c.created_at")}, 'updated_at', ${instant("c.updated_at")})`

const decode = Schema.decodeUnknown(Campaign)

/** The campaign of a row that was selected as `json AS campaign`; what cannot be read is a defect. */
const toCampaign = (row: Row): Effect.Effect<Campaign> =>
  Effect.orDie(Effect.suspend(() => decode(parsed(row["campaign"]))))

const selectOne = `SELECT ${json} AS campaign, c.state, c.seq::text AS version FROM batch.campaign c WHERE c.id = $1 AND c.account = $2`

/** Campaigns in a store. */
export const make: Effect.Effect<
  Service,
  never,
  Store | Settings | BatchConfig | FileSystem.FileSystem | Path.Path
> = Effect.gen(function* () {
  const store = yield* Store
  const settings = yield* Settings
  const all = yield* Effect.context<BatchConfig | FileSystem.FileSystem | Path.Path>()
  // Nothing else of where this is made: a list goes with the scope of whoever hands it in.
  const disk = Context.pick(BatchConfig, FileSystem.FileSystem, Path.Path)(all)

  const row = (account: string, id: string): Effect.Effect<Row, CampaignNotFound | StoreUnavailable> =>
    Effect.gen(function* () {
      const rows = isUuid(id) ? yield* store.query(selectOne, [id, account]) : []
      return rows[0] ?? (yield* new CampaignNotFound({ campaignId: id }))
    })

  /** One statement on the row, and whether it is queued then; a conflict where it did not apply. */
  const change = (
    account: string,
    id: string,
    { detail, isQueued, set, states, values = [] }: Change
  ): Effect.Effect<Campaign, CampaignNotFound | CampaignConflict | StoreUnavailable> =>
    Effect.gen(function* () {
      yield* row(account, id)
      const isChanged = yield* store.transaction(async (sql, boss) => {
        const found = await sql.query(
          `UPDATE batch.campaign SET ${set}, seq = seq + 1, updated_at = clock_timestamp()
            WHERE id = $1 AND account = $2 AND (${states}) RETURNING id`,
          [id, account, ...values]
        )
        if (found.length > 0 && isQueued) await Queue.sendCampaign(sql, boss, account, id)
        return found.length > 0
      })
      const now = yield* row(account, id)
      if (!isChanged) return yield* inState(id, now, detail)
      return yield* toCampaign(now)
    })

  return {
    receive: (name, bytes) =>
      Effect.provide(Core.receive(CampaignFolder.root(settings), { path: name, bytes }), disk),
    begin: Effect.fn("Campaigns.begin")(function* (account, request, received, options = {}) {
      const { format = "jsonl.gz", input, maxActive = 4, maxCredits, name = "" } = request
      const definition = {
        ...request,
        format,
        input: { path: input.name, format: input.format, column: input.column },
        output: CampaignFolder.outputOf(format)
      }
      const described = yield* Core.begin(definition, received.sha256)
      yield* Effect.provide(check(described, received), disk)
      const sealed = yield* AccountRow.seal(settings, account, options.key)
      const id = idOf(account, described, name)
      const known = yield* store.query("SELECT 1 FROM batch.campaign WHERE id = $1", [id])
      if (known.length === 0) yield* Effect.provide(placed(CampaignFolder.of(settings, id), received), disk)
      const begun = yield* Ledger.format({ ...described, campaign: id })
      const progress = yield* planned()
      const { created, holder } = yield* store.transaction(async (sql, boss) => {
        const before = await holderOf(sql, account, options.idempotencyKey)
        if (before !== undefined && before !== id) return { created: false, holder: before }
        const inserted = await sql.query(
          `INSERT INTO batch.campaign (id, account, name, begun, bytes, max_active, max_credits, progress)
            VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7, $8::jsonb) ON CONFLICT DO NOTHING RETURNING id`,
          [id, account, name, begun, received.bytes, maxActive, maxCredits ?? null, progress]
        )
        const isNew = inserted.length > 0
        const after = await hold(sql, account, options.idempotencyKey, id)
        if (after !== id) {
          if (isNew) await sql.query("DELETE FROM batch.campaign WHERE id = $1", [id])
          return { created: false, holder: after }
        }
        if (sealed !== undefined) await AccountRow.keep(sql, account, sealed)
        await AccountRow.openGate(sql, account, settings.requestsAMinute)
        if (isNew) await Queue.sendCampaign(sql, boss, account, id)
        return { created: isNew, holder: id }
      })
      if (holder !== id) return yield* new IdempotencyKeyReused({ campaignId: holder })
      const found = yield* Effect.catchTag(row(account, id), "CampaignNotFound", () => noRow)
      return { campaign: yield* toCampaign(found), created }
    }),
    get: (account, id) => Effect.flatMap(row(account, id), toCampaign),
    list: Effect.fn("Campaigns.list")(function* (account, { cursor, limit = 20, state } = {}) {
      const before = yield* Paging.before(cursor, limit)
      const rows = yield* store.query(
        `SELECT ${json} AS campaign, c.place FROM batch.campaign c WHERE c.account = $1
          AND ($2::text IS NULL OR c.state = $2) AND ($3::bigint IS NULL OR c.place < $3)
          ORDER BY c.place DESC LIMIT $4`,
        [account, state ?? null, before, limit + 1]
      )
      const { nextCursor, shown } = Paging.pageOf(rows, limit)
      return { campaigns: yield* Effect.forEach(shown, toCampaign), nextCursor }
    }),
    cancel: Effect.fn("Campaigns.cancel")((account, id) =>
      change(account, id, {
        // The fence stays: the answer to a submit under way is still noted.
        set: "state = 'cancelled'",
        states: "state IN ('waiting', 'running')",
        detail: "it has ended already",
        isQueued: false
      })
    ),
    retry: Effect.fn("Campaigns.retry")((account, id, limits = {}) =>
      change(account, id, {
        set: `state = 'waiting', attempt = attempt + 1, tries = 0, retry_failed = true, error = NULL, report = NULL,
          max_active = coalesce($3::int, max_active), max_credits = coalesce($4::float8, max_credits)`,
        states:
          "state IN ('failed', 'cancelled') OR (state = 'done' AND report->'complete' = 'false'::jsonb)",
        values: [limits.maxActive ?? null, limits.maxCredits ?? null],
        detail: "only what has failed, was cancelled, or is done and not complete can be tried again",
        isQueued: true
      })
    ),
    watch: (account, id) =>
      changes(row(account, id)).pipe(
        Stream.mapEffect(toCampaign),
        Stream.takeUntil(({ state }) => isEnded(state))
      ),
    outcome: Effect.fn("Campaigns.outcome")(function* (account, id) {
      const found = yield* row(account, id)
      if (text(found["state"]) !== "done") return yield* inState(id, found, "it has no result yet")
      const campaign = yield* toCampaign(found)
      return { campaign, files: CampaignFolder.filesOf(settings, campaign.campaignId, campaign.format) }
    }),
    submitted: (account, batchId) =>
      Effect.asVoid(
        store.query(
          "INSERT INTO batch.submission (account, batch_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
          [account, batchId]
        )
      ),
    claimed: (account) => CampaignLedger.claimed(store, account),
    figures: Effect.gen(function* () {
      const counted = yield* store.query(
        "SELECT state, count(*)::int AS count FROM batch.campaign GROUP BY state"
      )
      const count = (state: State) => figure(counted.find((one) => one["state"] === state)?.["count"])
      return {
        waiting: count("waiting"),
        running: count("running"),
        done: count("done"),
        failed: count("failed"),
        cancelled: count("cancelled")
      }
    })
  }
})

/** Campaigns in a store. */
export const layer: Layer.Layer<
  Campaigns,
  never,
  Store | Settings | BatchConfig | FileSystem.FileSystem | Path.Path
> = Layer.effect(Campaigns, make)

/** A change of a row. */
interface Change {
  readonly set: string
  /** In which states it applies. */
  readonly states: string
  readonly values?: ReadonlyArray<unknown> | undefined
  /** Why it does not apply. */
  readonly detail: string
  readonly isQueued: boolean
}

const inState = (id: string, row: Row, detail: string): CampaignConflict =>
  new CampaignConflict({ campaignId: id, state: text(row["state"]), detail })

/** Rows that are looked at before a list is taken. */
const sample = 100

/** Refuses what no job would take: a list without rows or without the column, and a body that is refused with its first inputs. */
const check = (
  { body, input, kind, property: name }: typeof Ledger.Begun.Type,
  received: Core.Received
): Effect.Effect<void, InputInvalid | RequestInvalid | StorageError, BatchConfig | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const rows = yield* InputRows.read(received.path, { ...input, name: input.path }).pipe(
      Stream.take(sample),
      Stream.runCollect
    )
    if (rows.length === 0) {
      return yield* new InputInvalid({ path: input.path, detail: "there is no row in it" })
    }
    const property = JobKind.named(kind)?.identifiers.find((one) => one.name === name)
    if (property === undefined) return
    const identifiers = Array.filterMap(rows, ({ value }) =>
      Either.getRight(Either.flatMap(value, (one) => Identifier.read(property.type, one)))
    )
    const [first] = identifiers
    if (first !== undefined) yield* SubmitRequest.check(kind, { ...body, [name]: [first.sent] })
  })

/** Puts a list where its campaign looks for it. */
const placed = (
  folder: string,
  { path }: Core.Received
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapError(
      Effect.zipRight(
        fs.makeDirectory(folder, { recursive: true, mode: 0o700 }),
        fs.rename(path, `${folder}/${Core.inputName}`)
      ),
      storageErrorAt(folder)
    )
  )

const holderOf = async (sql: Sql, account: string, key: string | undefined): Promise<string | undefined> => {
  if (key === undefined) return undefined
  const [row] = await sql.query(
    "SELECT campaign_id FROM batch.campaign_key WHERE account = $1 AND key = $2",
    [account, key]
  )
  return row === undefined ? undefined : text(row["campaign_id"])
}

/** Keeps a key for a campaign, unless it is another's; gives whose it is. */
const hold = async (sql: Sql, account: string, key: string | undefined, id: string): Promise<string> => {
  if (key === undefined) return id
  await sql.query(
    "INSERT INTO batch.campaign_key (account, key, campaign_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    [account, key, id]
  )
  return (await holderOf(sql, account, key)) ?? id
}
