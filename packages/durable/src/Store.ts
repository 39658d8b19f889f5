/**
 * The database behind the retrievals: SQL, transactions and the engine's jobs, alike on the embedded store and on
 * PostgreSQL. `Embedded.layer` and `Postgres.layer` open one.
 *
 * @example
 * import { Store } from "@org/batch-durable"
 * import { Effect } from "effect"
 *
 * const isThere = Effect.flatMap(Store.Store, (store) => store.query("SELECT 1")).pipe(
 *   Effect.match({ onFailure: () => false, onSuccess: () => true })
 * )
 */
import { Context, Duration, Effect, Option, Predicate, Schedule, type Scope } from "effect"
// For those who require this package: the engine is an ES module alone.
import type { Db, PgBoss } from "pg-boss" with { "resolution-mode": "import" }
import { StoreRefused, StoreUnavailable } from "./RetrievalError.js"

/** A row as the driver gives it. */
export type Row = Readonly<Record<string, unknown>>

/** Statements of one transaction. `db` puts calls of the engine into it. */
export interface Sql {
  readonly query: (text: string, values?: ReadonlyArray<unknown>) => Promise<ReadonlyArray<Row>>
  readonly db: Db
}

/** The database and the engine over it. */
export interface Service {
  readonly kind: "embedded" | "postgres"
  /** The folder, or the address without user and password. */
  readonly place: string
  /** One statement, which is tried once. */
  readonly query: (
    text: string,
    values?: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<Row>, StoreUnavailable>
  /** Statements that are all done or none. Keep it short: nothing else goes on in an embedded store meanwhile. */
  readonly transaction: <A>(run: (sql: Sql, boss: PgBoss) => Promise<A>) => Effect.Effect<A, StoreUnavailable>
  /** A call of the engine outside of a transaction. */
  readonly engine: <A>(call: (boss: PgBoss) => Promise<A>) => Effect.Effect<A, StoreUnavailable>
}

/** The database and the engine over it. */
export class Store extends Context.Tag("@org/batch-durable/Store")<Store, Service>() {}

/** The engine's queue of downloads. Looks are none of its jobs: it reads past all that wait to find one that is due. */
export const downloads = "download"

/** The engine's queue of campaigns. */
export const campaigns = "campaign"

/** The engine's queue of chunks of campaigns: of those whose results are to be fetched, or whose jobs are looked for. */
export const chunks = "chunk"

/** The queues of the engine. */
export const queues = [downloads, campaigns, chunks] as const

/** How a queue behaves. A job whose worker is silent for `heartbeatSeconds`, the shortest there is, goes to another. */
const queueOptions = {
  policy: "short",
  retryLimit: 1_000_000,
  retryDelay: 1,
  retryBackoff: true,
  retryDelayMax: 2,
  heartbeatSeconds: 10,
  expireInSeconds: 86_400 - 1,
  deleteAfterSeconds: 3600,
  retentionSeconds: 366 * 86_400,
  warningQueueSize: 10_000_000
}

/** What the engine is told alike on every store. */
export const engineOptions = {
  schema: "batch_queue",
  schedule: false,
  superviseIntervalSeconds: 2,
  monitorIntervalSeconds: 2,
  // No job waits for another one.
  flowIntervalSeconds: 86_400,
  registerInstance: false,
  openTelemetry: { enabled: false }
} as const

/** Starts an engine until the scope is closed; its own migrations run under its own lock. */
export const boot = (boss: PgBoss): Effect.Effect<PgBoss, StoreUnavailable, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(async () => {
      // The engine tells of a database that is away by an event, and without a listener the process ends.
      boss.on("error", () => undefined)
      await boss.start()
      for (const queue of queues) {
        await boss.createQueue(queue, queueOptions)
        // Inside of a transaction the engine must find the queue in its memory: an embedded store has one connection only.
        await boss.findJobs(queue, { limit: 1 })
      }
      return boss
    }),
    () => Effect.promise(() => boss.stop({ graceful: false, close: true }).catch(() => undefined))
  )

/** When a caller may try again. */
export const pause = Duration.seconds(5)

/** SQLSTATE classes of a server that is away, full, or ending a session or transaction: what is tried again may succeed. */
const transient = /^(?:08|25P03|40|53|57P|55P03)/u

/** Runs a promise of the driver: what a repetition may heal is `StoreUnavailable`, anything else is a defect. */
export const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, StoreUnavailable> =>
  Effect.tryPromise({ try: run, catch: (cause) => cause }).pipe(
    Effect.catchAll((cause) => {
      const code = Predicate.hasProperty(cause, "code") ? String(cause.code) : ""
      const isSqlState = /^[0-9A-Z]{5}$/u.test(code) && !/^E[A-Z]/u.test(code)
      if (isSqlState && !transient.test(code)) return Effect.die(cause)
      return new StoreUnavailable({ detail: wordsOf(cause, code), retryAfter: pause })
    })
  )

const wordsOf = (cause: unknown, code: string): string => {
  const message = cause instanceof Error ? cause.message : ""
  return message === "" ? code || "the connection failed" : message
}

/** Tries again until the database is back, for what must be written in the end. */
export const patiently = <A, R>(effect: Effect.Effect<A, StoreUnavailable, R>): Effect.Effect<A, never, R> =>
  Effect.retry(
    effect,
    Schedule.exponential("200 millis").pipe(Schedule.union(Schedule.spaced("3 seconds")), Schedule.jittered)
  ).pipe(Effect.orDie)

/** Tries for a minute to open what may not be up yet. */
export const opened =
  (place: string) =>
  <A, R>(effect: Effect.Effect<A, StoreUnavailable, R>): Effect.Effect<A, StoreRefused, R> =>
    effect.pipe(
      Effect.retry(Schedule.spaced("1 second").pipe(Schedule.upTo("1 minute"))),
      Effect.mapError(({ detail }) => new StoreRefused({ reason: "Unreachable", place, detail }))
    )

/** How many jobs a command of the engine has changed; its type does not say it has that figure. */
export const affected = (response: unknown): number =>
  Predicate.hasProperty(response, "affected") && Predicate.isNumber(response.affected) ? response.affected : 0

/** The first row, if there is one. */
export const first = (rows: ReadonlyArray<Row>): Option.Option<Row> => Option.fromNullable(rows[0])
