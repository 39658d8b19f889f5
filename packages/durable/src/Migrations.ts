/**
 * The migrations of our own tables: a release brings them to its version when it opens a store, in one transaction, and
 * one process at a time.
 */
import { Effect } from "effect"
import type { StoreUnavailable } from "./RetrievalError.js"
import type { Service } from "./Store.js"
import { versions } from "./Tables.js"

/** Any number that no other program is likely to lock. */
const lock = 7_420_180_311

/** Brings our tables to this release's version. Processes that come together wait for each other. */
export const run = (store: Pick<Service, "transaction">): Effect.Effect<void, StoreUnavailable> =>
  store.transaction(async ({ query }) => {
    await query("SELECT pg_advisory_xact_lock($1)", [lock])
    await query("CREATE SCHEMA IF NOT EXISTS batch")
    await query("CREATE TABLE IF NOT EXISTS batch.migration (version int PRIMARY KEY)")
    const [row] = await query("SELECT coalesce(max(version), 0)::int AS version FROM batch.migration")
    const applied = Number(row?.["version"] ?? 0)
    for (const [index, statements] of versions.entries()) {
      if (index < applied) continue
      for (const statement of statements) await query(statement)
      await query("INSERT INTO batch.migration (version) VALUES ($1)", [index + 1])
    }
  })
