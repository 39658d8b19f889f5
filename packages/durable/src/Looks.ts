/**
 * Looks at batches. A look is a row with a due time, one for all that wait for a batch in an account, retrievals and chunks
 * of campaigns: it is claimed with a
 * place at the account's gate, asks once, and says when the next one is due. A look whose process ends is due again when
 * its lease is over.
 */
import { type Batch, BatchId, isTerminal } from "@org/batch-core/Batch"
import { BatchClient } from "@org/batch-core/BatchClient"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { batchFailed, type StatusError } from "@org/batch-core/BatchError"
import * as BatchPoll from "@org/batch-core/BatchPoll"
import { Duration, Effect, Either, Schema } from "effect"
import * as Cadence from "./Cadence.js"
import { type Sessions, withPrepaid } from "./Gate.js"
import * as JobEnds from "./JobEnds.js"
import * as Outbox from "./Outbox.js"
import * as Queue from "./Queue.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { figure, text } from "./Rows.js"
import { patiently, type Service as Store, type Sql } from "./Store.js"

/** A look that this process is to take. */
export interface Look {
  readonly account: string
  readonly batchId: BatchId
  readonly fence: number
  readonly requests: number
  readonly elapsed: Duration.Duration
  /** Whether the API has told of the batch before. */
  readonly isKnown: boolean
  /** The tag of the last failure that may be final, and how often it came in a row. */
  readonly suspicion: string
  readonly suspected: number
  /** Whether it was submitted here, by a campaign or by itself: the API may not know it yet. */
  readonly isSubmitted: boolean
}

/** How long a look is another process's, unless it is extended. */
export const lease = "12 seconds"

/** Accounts served in one claim, in no order that favours one of them. */
const accountsAtOnce = 32

// What is due is asked of `now()`, which stands still in a statement: no index answers for a clock that goes on.
/** The gates, as `g`, that let a look pass which is due, in SQL. */
export const passing = `batch.gate g WHERE g.tat <= now() AND EXISTS (SELECT 1 FROM batch.look l
  WHERE l.account = g.account AND l.open AND l.next_at <= now())`

/** Looks of the account `$1` that are due, `$2` at most, each of which takes a place at its gate, in SQL. */
const due = (urgent: string) => `WITH taken AS (
  UPDATE batch.look l SET fence = l.fence + 1, leased = true, urgent = false,
    next_at = clock_timestamp() + interval '${lease}'
  FROM (SELECT account, batch_id FROM batch.look WHERE account = $1 AND open ${urgent}
    AND next_at <= now() ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED) d
  WHERE l.account = d.account AND l.batch_id = d.batch_id
  RETURNING l.account, l.batch_id, l.fence, l.requests, l.status, l.suspicion, l.suspected,
    (EXISTS (SELECT 1 FROM batch.campaign_chunk WHERE account = l.account AND batch_id = l.batch_id
      AND state = 'waiting') OR EXISTS (SELECT 1 FROM batch.submission WHERE account = l.account
      AND batch_id = l.batch_id)) AS submitted,
    extract(epoch FROM clock_timestamp() - l.began_at)::float8 AS elapsed
), paid AS (
  UPDATE batch.gate SET tat = greatest(tat, clock_timestamp() - burst_ms * interval '1 ms')
    + (SELECT count(*) FROM taken) * interval_ms * interval '1 ms' WHERE account = $1
) SELECT * FROM taken`

/** Claims looks that are due, as many as the gates of their accounts let pass now. */
export const claim = (store: Store, most: number): Effect.Effect<ReadonlyArray<Look>, StoreUnavailable> =>
  Effect.flatMap(
    store.transaction(async ({ query }) => {
      const gates = await query(
        `SELECT g.account, 1 + floor(extract(epoch FROM clock_timestamp()
            - greatest(g.tat, clock_timestamp() - g.burst_ms * interval '1 ms')) * 1000 / g.interval_ms)::int AS places,
            EXISTS (SELECT 1 FROM batch.look l WHERE l.account = g.account AND l.open AND l.urgent
              AND l.next_at <= now()) AS urgent
          FROM ${passing} ORDER BY random() LIMIT ${accountsAtOnce} FOR UPDATE OF g SKIP LOCKED`
      )
      const claimed = []
      for (const { account, places, urgent: isUrgent } of gates) {
        const room = Math.min(most - claimed.length, figure(places))
        if (room <= 0) continue
        const urgent = isUrgent === true ? await query(due("AND urgent"), [account, room]) : []
        const rest = urgent.length < room ? await query(due(""), [account, room - urgent.length]) : []
        claimed.push(...urgent, ...rest)
      }
      return claimed
    }),
    Effect.forEach((row) =>
      Effect.map(Effect.orDie(Schema.decodeUnknown(BatchId)(row["batch_id"])), (batchId): Look => ({
        account: text(row["account"]),
        batchId,
        fence: figure(row["fence"]),
        requests: figure(row["requests"]),
        elapsed: Duration.seconds(Math.max(0, figure(row["elapsed"]))),
        isKnown: row["status"] !== null,
        suspicion: text(row["suspicion"]),
        suspected: figure(row["suspected"]),
        isSubmitted: row["submitted"] === true
      }))
    )
  )

/** Extends the leases of looks that go on. */
export const extend = (store: Store, looks: ReadonlyArray<Look>): Effect.Effect<void, StoreUnavailable> =>
  Effect.asVoid(
    store.query(
      // One that is locked is being settled; to wait for it with others locked could be for ever.
      `UPDATE batch.look l SET next_at = clock_timestamp() + interval '${lease}'
        FROM (SELECT account, batch_id FROM batch.look JOIN unnest($1::text[], $2::uuid[], $3::bigint[])
          AS held(account, batch_id, fence) USING (account, batch_id, fence) WHERE leased FOR UPDATE OF look SKIP LOCKED) h
        WHERE l.account = h.account AND l.batch_id = h.batch_id`,
      [looks.map((one) => one.account), looks.map((one) => one.batchId), looks.map((one) => one.fence)]
    )
  )

/** Whether a failure ends the wait for the batch, by the same rules as in `BatchPoll`. */
export const isFinal = (
  error: StatusError,
  look: Pick<Look, "isKnown" | "suspected" | "suspicion">
): boolean => {
  if (error._tag === "RequestRejected") return true
  if (error._tag !== "NotAuthorized" && error._tag !== "BatchNotFound") return false
  if (!look.isKnown) return true
  if (BatchPoll.isFinal(error)) return true
  return look.suspicion === error._tag && look.suspected + 1 >= BatchPoll.believedAt
}

/** Whether the API may just not know the job yet. */
const isLag = ({ _tag }: StatusError, { elapsed, isKnown, isSubmitted }: Look): boolean =>
  _tag === "BatchNotFound" && !isKnown && isSubmitted && Duration.lessThan(elapsed, BatchPoll.longestLag)

/** Takes one look: asks once, and notes what follows from the answer. */
export const take = (store: Store, sessions: Sessions, look: Look): Effect.Effect<void> =>
  Effect.gen(function* () {
    const session = yield* sessions.of(look.account)
    const answer = yield* Effect.gen(function* () {
      const client = yield* BatchClient
      return yield* Effect.either(withPrepaid(client.status(look.batchId, { once: true })))
    }).pipe(Effect.provide(session))
    const { poll } = yield* Effect.provide(BatchConfig, session)
    const asked = Either.isLeft(answer) ? BatchPoll.askedBy(answer.left) : Duration.zero
    const pause = yield* Cadence.next(poll, { ...look, requests: look.requests + 1 }, asked)
    yield* patiently(
      Either.isRight(answer)
        ? told(store, look, answer.right, pause)
        : isFinal(answer.left, look) && !isLag(answer.left, look)
          ? end(store, look, answer.left)
          : goOn(store, look, answer.left._tag, pause)
    )
  }).pipe(Effect.scoped)

/** Locks the row, so that who hands over a retrieval of this batch meanwhile comes before or after; false if it was lost. */
const isMine = async (sql: Sql, { account, batchId, fence }: Look): Promise<boolean> =>
  (
    await sql.query(
      "SELECT 1 FROM batch.look WHERE account = $1 AND batch_id = $2 AND fence = $3 FOR UPDATE",
      [account, batchId, fence]
    )
  ).length > 0

/** Retrievals that wait for the look, and not for a download. */
const waiting = "account = $1 AND batch_id = $2 AND state = 'waiting' AND next_look_at IS NOT NULL"

/** Whether anybody waits for a further look, in SQL. */
const areAwaited = `(EXISTS (SELECT 1 FROM batch.retrieval WHERE ${waiting}) OR ${JobEnds.areAwaited})`

const told = (store: Store, look: Look, batch: Batch, pause: Duration.Duration) =>
  batch.status === "failed"
    ? end(store, look, batchFailed(batch), batch)
    : Effect.flatMap(JobEnds.ended(store, look, batch), (ends) =>
        store.transaction(async (sql, boss) => {
          await ends.begin(sql)
          if (!(await isMine(sql, look))) return
          const isOver = isTerminal(batch.status)
          await ends.note(sql, boss)
          // What nothing new is known of stays as it is: most looks tell nothing, and a batch may have many that wait.
          const moved = await sql.query(
            `UPDATE batch.retrieval SET status = $3, result_count = $4, seq = seq + 1, updated_at = clock_timestamp(),
            next_look_at = CASE WHEN NOT $5 THEN next_look_at END
            WHERE ${waiting} AND ($5 OR (status, result_count) IS DISTINCT FROM ($3, $4::bigint)) RETURNING id`,
            [look.account, look.batchId, batch.status, batch.resultCount, isOver]
          )
          if (isOver)
            await Queue.send(
              sql,
              boss,
              look.account,
              moved.map(({ id }) => text(id))
            )
          await sql.query(
            `UPDATE batch.look SET leased = false, requests = requests + 1, suspicion = '', suspected = 0,
            status = $3, result_count = $4, open = ${areAwaited}, next_at = clock_timestamp() + $5::float8 * interval '1 ms'
            WHERE account = $1 AND batch_id = $2`,
            [look.account, look.batchId, batch.status, batch.resultCount, Duration.toMillis(pause)]
          )
        })
      )

/** The batch will never be there: so end all that wait for it. */
const end = (
  store: Store,
  look: Look,
  error: { readonly _tag: string; readonly message: string },
  batch?: Batch
): Effect.Effect<void, StoreUnavailable> =>
  Effect.gen(function* () {
    const told = { type: error._tag, message: error.message }
    const ends = yield* batch === undefined
      ? JobEnds.gone(store, look, told)
      : JobEnds.ended(store, look, batch)
    yield* store.transaction(async (sql, boss) => {
      await ends.begin(sql)
      if (!(await isMine(sql, look))) return
      await ends.note(sql, boss)
      const ended = await sql.query(
        `UPDATE batch.retrieval SET state = 'failed', error = $3::jsonb, status = coalesce($4, status),
        result_count = coalesce($5, result_count), next_look_at = NULL, seq = seq + 1,
        updated_at = clock_timestamp() WHERE ${waiting} RETURNING id`,
        [look.account, look.batchId, JSON.stringify(told), batch?.status ?? null, batch?.resultCount ?? null]
      )
      await Outbox.put(
        sql,
        ended.map(({ id }) => text(id))
      )
      await sql.query(
        `UPDATE batch.look SET leased = false, open = ${JobEnds.areAwaited} WHERE account = $1 AND batch_id = $2`,
        [look.account, look.batchId]
      )
    })
  })

/** A failure that may heal: the next look is due later. */
const goOn = (store: Store, look: Look, tag: string, pause: Duration.Duration) =>
  store.transaction(async (sql) => {
    if (!(await isMine(sql, look))) return
    await sql.query(
      `UPDATE batch.look SET leased = false, requests = requests + 1, failures = failures + 1,
        suspected = CASE WHEN suspicion = $3 THEN suspected + 1 ELSE 1 END, suspicion = $3, open = ${areAwaited},
        next_at = clock_timestamp() + $4::float8 * interval '1 ms' WHERE account = $1 AND batch_id = $2`,
      [look.account, look.batchId, tag, Duration.toMillis(pause)]
    )
  })
