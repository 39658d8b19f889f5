/**
 * The store on PostgreSQL 15 or newer, for many processes on many machines.
 *
 * @example
 * import { Postgres, Retrievals } from "@org/batch-durable"
 * import { Layer, Redacted } from "effect"
 *
 * const store = Postgres.layer(Redacted.make("postgres://batch:secret@db.example.com/batch"))
 * const retrievals = Layer.provide(Retrievals.layer, store)
 */
import { Effect, Layer, Redacted } from "effect"
import type { PoolClient } from "pg"
import * as Migrations from "./Migrations.js"
import { StoreRefused } from "./RetrievalError.js"
import * as Store from "./Store.js"

/** Whether an address is one of PostgreSQL. */
export const isAddress = (text: string): boolean => /^postgres(?:ql)?:\/\//iu.test(text)

/** The address without user, password and options. */
const shown = (url: string): string => {
  if (!URL.canParse(url)) return "postgres://***"
  const { host, pathname, protocol } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/** Connections of one process for our statements; the engine has as many of its own. */
const connections = 8

/**
 * After how many milliseconds without a statement PostgreSQL ends a transaction, and gives its locks to who waits for them: a
 * process that was frozen in the middle of one, or whose machine is gone without a word, would else hold up all others.
 */
const longestPause = 5_000

/** Opens the store; a server that does not answer is waited for a minute. */
export const layer = (url: Redacted.Redacted<string>): Layer.Layer<Store.Store, StoreRefused> =>
  Layer.scoped(Store.Store, make(Redacted.value(url)))

const make = (connectionString: string) =>
  Effect.gen(function* () {
    const place = shown(connectionString)
    if (!URL.canParse(connectionString)) {
      return yield* new StoreRefused({ reason: "Unusable", place, detail: "the address cannot be read" })
    }
    const [{ default: pg }, { PgBoss }] = yield* Effect.promise(() =>
      Promise.all([import("pg"), import("pg-boss")])
    )
    const options = {
      connectionString,
      connectionTimeoutMillis: 10_000,
      application_name: "batch-durable",
      idle_in_transaction_session_timeout: longestPause
    }
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const made = new pg.Pool({ ...options, max: connections, keepAlive: true })
        // A connection that dies while nobody uses it would else end the process.
        made.on("error", () => undefined)
        made.on("connect", (client) => void client.on("error", () => undefined))
        return made
      }),
      (made) => Effect.promise(() => made.end())
    )
    const transaction: Store.Service["transaction"] = (run) =>
      Store.attempt(async () => {
        const client = await pool.connect()
        try {
          await client.query("BEGIN")
          const result = await run(sqlOf(client), boss)
          await client.query("COMMIT")
          client.release()
          return result
        } catch (error) {
          // Closed and not reused, which rolls it back in any state that it may be in.
          client.release(true)
          throw error
        }
      })
    const query: Store.Service["query"] = (text, values = []) =>
      Store.attempt(async () => (await pool.query(text, [...values])).rows)
    const boss = new PgBoss({ ...options, ...Store.engineOptions, max: connections })
    yield* Store.boot(boss).pipe(Effect.zipLeft(Migrations.run({ transaction })), Store.opened(place))
    return {
      kind: "postgres" as const,
      place,
      query,
      transaction,
      engine: <A>(call: (engine: typeof boss) => Promise<A>) => Store.attempt(() => call(boss))
    }
  })

const sqlOf = (client: PoolClient): Store.Sql => ({
  query: async (text, values = []) => (await client.query(text, [...values])).rows,
  db: { executeSql: (text, values) => client.query(text, values) }
})
