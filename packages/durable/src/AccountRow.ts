/**
 * What an account has in the store: its key, encrypted, and its gate.
 */
import { Duration, Effect, Option, type Redacted } from "effect"
import { RetrievalInvalid } from "./RetrievalError.js"
import * as Secrets from "./Secrets.js"
import type { Service as Settings } from "./Settings.js"
import type { Row, Sql } from "./Store.js"

/** The key of an account, encrypted; none where all use the service's own. */
export const seal = (
  { passThrough, secret }: Settings,
  account: string,
  key: Redacted.Redacted<string> | undefined
): Effect.Effect<Uint8Array | undefined, RetrievalInvalid> => {
  if (!passThrough || key === undefined) return Effect.succeed(undefined)
  const refused = new RetrievalInvalid({
    field: "authorization",
    detail:
      "this service has no key of its own, and may keep no caller's: it needs CRUSTDATA_API_KEY or BATCH_SERVER_SECRET"
  })
  return Option.match(secret, {
    onNone: () => refused,
    onSome: (known) => Effect.sync(() => Secrets.seal(known, account, key))
  })
}

/** Keeps the encrypted key of an account, in place of the one before. */
export const keep = (sql: Sql, account: string, sealed: Uint8Array): Promise<ReadonlyArray<Row>> =>
  sql.query(
    `INSERT INTO batch.account (account, sealed_key) VALUES ($1, $2)
      ON CONFLICT (account) DO UPDATE SET sealed_key = EXCLUDED.sealed_key, updated_at = clock_timestamp()`,
    [account, sealed]
  )

/**
 * How late a request may be without losing its turn: what is due is asked for at moments that are that far apart. The margin
 * below the allowed rate is as much in ten seconds.
 */
export const lateness = Duration.millis(500)

/** An account without a gate is not looked at. */
export const openGate = (sql: Sql, account: string, requestsAMinute: number): Promise<ReadonlyArray<Row>> =>
  sql.query(
    `INSERT INTO batch.gate (account, interval_ms, burst_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
    [account, 60_000 / requestsAMinute, Duration.toMillis(lateness)]
  )
