/**
 * Retrievals that survive: what is handed over here is carried out by a `Worker`, in this process or another one, and told
 * to whoever asked to be told. Each belongs to an account; to others it is not there.
 *
 * @example
 * import type { Batch } from "@org/batch-core"
 * import { Account, Retrievals } from "@org/batch-durable"
 * import { Effect } from "effect"
 *
 * const handOver = (batchId: Batch.BatchId) =>
 *   Effect.flatMap(Retrievals.Retrievals, (retrievals) =>
 *     retrievals.enqueue(Account.ofService, { batchId, destination: { type: "folder", path: "rows/" } })
 *   )
 */
import type { BatchId } from "@org/batch-core/Batch"
import { Context, Effect, Layer, Option, type Redacted, Stream } from "effect"
import * as AccountRow from "./AccountRow.js"
import * as Destination from "./Destination.js"
import * as LookRow from "./LookRow.js"
import * as Paging from "./Paging.js"
import * as Reach from "./Reach.js"
import { idOf, isEnded, type Request, resolve, type Retrieval, type State } from "./Retrieval.js"
import {
  RetrievalConflict,
  RetrievalInvalid,
  RetrievalNotFound,
  type StoreUnavailable
} from "./RetrievalError.js"
import { changes, figure, isUuid, json, noRow, text, toRetrieval, version } from "./Rows.js"
import { Settings } from "./Settings.js"
import { type Row, Store } from "./Store.js"

/** Which retrievals to list. */
export interface ListOptions {
  readonly state?: State | undefined
  readonly batchId?: BatchId | undefined
  /** Retrievals a page, 1 to 100; default 20. */
  readonly limit?: number | undefined
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined
}

/** One page, newest first. */
export interface Page {
  readonly retrievals: ReadonlyArray<Retrieval>
  /** Where to go on, if there is more. */
  readonly nextCursor: Option.Option<string>
}

/** What was handed over, and whether that was news. */
export interface Enqueued {
  readonly retrieval: Retrieval
  readonly created: boolean
}

/** Figures for metrics and health. */
export interface Figures {
  readonly states: Readonly<Record<State, number>>
  /** Seconds since the oldest look was due; 0 if none is late. */
  readonly oldestDue: number
  /** Completion calls to be made, and those given up. */
  readonly notifications: { readonly pending: number; readonly dead: number }
}

/** Retrievals of accounts. */
export interface Service {
  /**
   * Hands a retrieval over; asks the API nothing. The same account, batch, destination and format is the same retrieval,
   * also after its end. `key` is the account's own, where the settings say that accounts have one.
   */
  readonly enqueue: (
    account: string,
    request: Request,
    options?: { readonly key?: Redacted.Redacted<string> | undefined }
  ) => Effect.Effect<Enqueued, RetrievalInvalid | RetrievalConflict | StoreUnavailable>
  readonly get: (
    account: string,
    id: string
  ) => Effect.Effect<Retrieval, RetrievalNotFound | StoreUnavailable>
  readonly list: (
    account: string,
    options?: ListOptions
  ) => Effect.Effect<Page, RetrievalInvalid | StoreUnavailable>
  /** Stops a retrieval that has not ended; a download under way stops within a second, and is cleared up. */
  readonly cancel: (
    account: string,
    id: string
  ) => Effect.Effect<Retrieval, RetrievalNotFound | RetrievalConflict | StoreUnavailable>
  /** Begins a `failed` or `cancelled` retrieval anew. */
  readonly retry: (
    account: string,
    id: string
  ) => Effect.Effect<Retrieval, RetrievalNotFound | RetrievalConflict | StoreUnavailable>
  /** The retrieval now and on every change, until it has ended. A database that is away for a while ends it not. */
  readonly watch: (
    account: string,
    id: string
  ) => Stream.Stream<Retrieval, RetrievalNotFound | StoreUnavailable>
  /** Somebody says that a batch has changed: it is looked at soon, at most once in ten seconds. */
  readonly hint: (batchId: BatchId) => Effect.Effect<void, StoreUnavailable>
  readonly figures: Effect.Effect<Figures, StoreUnavailable>
  /** Whether the store answers. */
  readonly ping: Effect.Effect<void, StoreUnavailable>
}

/** Retrievals of accounts. */
export class Retrievals extends Context.Tag("@org/batch-durable/Retrievals")<Retrievals, Service>() {}

const inState = (id: string, row: Row, detail: string): RetrievalConflict =>
  new RetrievalConflict({ retrievalId: id, state: text(row["state"]), detail })

const selectOne = `SELECT ${json} AS retrieval, r.state, ${version} AS version, r.notify_url FROM batch.retrieval r
  WHERE r.id = $1 AND r.account = $2`

/** Retrievals in a store. */
export const make: Effect.Effect<Service, never, Store | Settings> = Effect.gen(function* () {
  const store = yield* Store
  const settings = yield* Settings

  const row = (account: string, id: string): Effect.Effect<Row, RetrievalNotFound | StoreUnavailable> =>
    Effect.gen(function* () {
      const rows = isUuid(id) ? yield* store.query(selectOne, [id, account]) : []
      return rows[0] ?? (yield* new RetrievalNotFound({ retrievalId: id }))
    })
  const get: Service["get"] = (account, id) => Effect.flatMap(row(account, id), toRetrieval)

  /** One statement on the row, and what follows from it; the row as it is when it did not apply. */
  const change = (account: string, id: string, set: string, states: string, detail: string, wants: boolean) =>
    Effect.gen(function* () {
      yield* row(account, id)
      const changed = yield* store.transaction(async (sql) => {
        const [found] = await sql.query(
          `UPDATE batch.retrieval SET ${set}, fence = fence + 1, seq = seq + 1, updated_at = clock_timestamp()
            WHERE id = $1 AND account = $2 AND state IN (${states}) RETURNING batch_id`,
          [id, account]
        )
        if (found !== undefined && wants) await LookRow.want(sql, account, text(found["batch_id"]))
        return found !== undefined
      })
      const now = yield* row(account, id)
      if (!changed) return yield* inState(id, now, detail)
      return yield* toRetrieval(now)
    })

  return {
    get,
    enqueue: Effect.fn("Retrievals.enqueue")(function* (account, request, options = {}) {
      const { destination, format } = resolve(request)
      const notify = request.notify?.url
      yield* Destination.check(destination, settings)
      yield* checkNotify(settings, notify)
      const sealed = yield* AccountRow.seal(settings, account, options.key)
      const batchId = request.batchId.toLowerCase()
      const id = idOf(account, request.batchId, { destination, format })
      const created = yield* store.transaction(async (sql) => {
        const inserted = await sql.query(
          `INSERT INTO batch.retrieval (id, account, batch_id, destination, format, replace, notify_url, next_look_at)
            VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7, clock_timestamp()) ON CONFLICT DO NOTHING RETURNING id`,
          [
            id,
            account,
            batchId,
            JSON.stringify(destination),
            format,
            request.replace ?? false,
            notify ?? null
          ]
        )
        if (sealed !== undefined) await AccountRow.keep(sql, account, sealed)
        await AccountRow.openGate(sql, account, settings.requestsAMinute)
        if (inserted.length > 0) await LookRow.want(sql, account, batchId)
        return inserted.length > 0
      })
      const found = yield* row(account, id).pipe(Effect.catchTag("RetrievalNotFound", () => noRow))
      if (!created && (found["notify_url"] ?? undefined) !== notify) {
        return yield* inState(id, found, "it was handed over with another notify, which cannot be changed")
      }
      return { retrieval: yield* toRetrieval(found), created }
    }),
    list: Effect.fn("Retrievals.list")(function* (account, { batchId, cursor, limit = 20, state } = {}) {
      const before = yield* Paging.before(cursor, limit)
      const rows = yield* store.query(
        `SELECT ${json} AS retrieval, r.place FROM batch.retrieval r WHERE r.account = $1
          AND ($2::text IS NULL OR r.state = $2) AND ($3::uuid IS NULL OR r.batch_id = $3)
          AND ($4::bigint IS NULL OR r.place < $4) ORDER BY r.place DESC LIMIT $5`,
        [account, state ?? null, batchId ?? null, before, limit + 1]
      )
      const { nextCursor, shown } = Paging.pageOf(rows, limit)
      return { retrievals: yield* Effect.forEach(shown, toRetrieval), nextCursor }
    }),
    cancel: Effect.fn("Retrievals.cancel")((account, id) =>
      change(
        account,
        id,
        "state = 'cancelled', next_look_at = NULL",
        "'waiting', 'running'",
        "it has ended already",
        false
      )
    ),
    retry: Effect.fn("Retrievals.retry")((account, id) =>
      change(
        account,
        id,
        `state = 'waiting', attempt = attempt + 1, tries = 0, error = NULL, receipt = NULL, bytes = 0,
          total_bytes = NULL, records = 0, next_look_at = clock_timestamp()`,
        "'failed', 'cancelled'",
        "only what has failed or was cancelled can be tried again",
        true
      )
    ),
    watch: (account, id) =>
      changes(row(account, id)).pipe(
        Stream.mapEffect(toRetrieval),
        Stream.takeUntil(({ state }) => isEnded(state))
      ),
    hint: Effect.fn("Retrievals.hint")((batchId) =>
      Effect.asVoid(
        store.query(
          `UPDATE batch.look SET next_at = clock_timestamp(), urgent = true, hinted_at = clock_timestamp()
            WHERE batch_id = $1 AND open AND NOT leased AND next_at > clock_timestamp()
            AND (hinted_at IS NULL OR hinted_at < clock_timestamp() - interval '10 seconds')`,
          [batchId]
        )
      )
    ),
    figures: Effect.gen(function* () {
      const counted = yield* store.query(
        "SELECT state, count(*)::int AS count FROM batch.retrieval GROUP BY state"
      )
      const count = (state: string) => figure(counted.find((one) => one["state"] === state)?.["count"])
      const [late] = yield* store.query(
        `SELECT greatest(0, extract(epoch FROM now() - min(l.next_at)))::float8 AS seconds
          FROM batch.gate g CROSS JOIN LATERAL (SELECT next_at FROM batch.look
            WHERE account = g.account AND open ORDER BY next_at LIMIT 1) l`
      )
      const [calls] = yield* store.query(
        `SELECT count(*) FILTER (WHERE state = 'pending')::int AS pending,
          count(*) FILTER (WHERE state = 'dead')::int AS dead FROM batch.notification`
      )
      return {
        states: {
          waiting: count("waiting"),
          running: count("running"),
          done: count("done"),
          failed: count("failed"),
          cancelled: count("cancelled")
        },
        oldestDue: figure(late?.["seconds"]),
        notifications: { pending: figure(calls?.["pending"]), dead: figure(calls?.["dead"]) }
      }
    }),
    ping: Effect.asVoid(store.query("SELECT 1"))
  }
})

/** Retrievals in a store. */
export const layer: Layer.Layer<Retrievals, never, Store | Settings> = Layer.effect(Retrievals, make)

const checkNotify = (
  settings: Settings["Type"],
  url: string | undefined
): Effect.Effect<void, RetrievalInvalid> =>
  Effect.gen(function* () {
    if (url === undefined) return
    if (Option.isNone(settings.webhookSecret)) {
      const detail = "this service signs no completion calls: BATCH_SERVER_WEBHOOK_SECRET is not set"
      return yield* new RetrievalInvalid({ field: "notify", detail })
    }
    const refusal = yield* Reach.refusal(settings.reach, url)
    if (Option.isSome(refusal)) {
      return yield* new RetrievalInvalid({ field: "notify.url", detail: refusal.value })
    }
  })
