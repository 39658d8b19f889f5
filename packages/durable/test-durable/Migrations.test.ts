import { it } from "@effect/vitest"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect } from "effect"
import { describe, expect } from "vitest"
import { versions } from "../src/Tables.js"
import * as LocalPostgres from "../test/LocalPostgres.js"
import * as Process from "../test/Process.js"
import * as Stack from "../test/Stack.js"
import * as Fleet from "./Fleet.js"
import * as NextTables from "./NextTables.js"

const rounds = Number(process.env["BATCH_TEST_ROUNDS"] ?? 5)

/** The versions that were applied, and how much of the next release's is there. */
const state = (fleet: Fleet.Fleet) =>
  Effect.map(
    fleet.query(
      `SELECT (SELECT array_agg(version ORDER BY version) FROM batch.migration) AS applied,
        (SELECT count(*)::int FROM information_schema.columns WHERE table_schema = 'batch' AND column_name = 'colour') AS columns,
        (SELECT count(*)::int FROM pg_indexes WHERE schemaname = 'batch' AND indexname = 'retrieval_colour') AS indexes`
    ),
    ([row]) => row
  )

const numbers = (list: ReadonlyArray<unknown>) => list.map((_, index) => index + 1)

const before = { applied: numbers(versions), columns: 0, indexes: 0 }
const after = { applied: numbers(NextTables.versions), columns: 1, indexes: 1 }

describe.skipIf(!LocalPostgres.isAvailable)("two releases over one PostgreSQL", () => {
  it.scopedLive("start at once on an empty database, and each runs", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      const next = yield* Process.bundleAs("Next", { Tables: new URL("NextTables.ts", import.meta.url) })
      for (let round = 0; round < rounds; round++) {
        yield* fleet.query("DROP SCHEMA IF EXISTS batch, batch_queue CASCADE")
        const programs = yield* Effect.all(
          [fleet.worker(), fleet.worker({}, next), fleet.worker(), fleet.worker({}, next)],
          { concurrency: 4 }
        )
        expect(yield* state(fleet)).toEqual(after)
        if (round === rounds - 1) yield* Fleet.allDone(fleet, yield* fleet.handOver(programs[0], 30, "m"))
        yield* Effect.forEach(programs, ({ exit, kill }) => Effect.zipRight(kill("SIGKILL"), exit))
      }
    }).pipe(Effect.provide(Sandboxes.layer()))
  )

  it.scopedLive("the newer one is killed in its migration, which is half done for nobody", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      const next = yield* Process.bundleAs("Next", { Tables: new URL("NextTables.ts", import.meta.url) })
      const old = yield* fleet.worker()
      expect(yield* state(fleet)).toEqual(before)
      const killed = yield* fleet.start({}, next)
      yield* Stack.eventually(
        fleet.query(
          "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
        ),
        ({ length }) => length > 0
      )
      yield* killed.kill("SIGKILL")
      yield* killed.exit
      // An older one that starts meanwhile waits for the lock that goes with the dead one's connection.
      yield* Effect.all([fleet.worker(), fleet.worker()], { concurrency: 2 })
      expect(yield* state(fleet)).toEqual(before)
      yield* Effect.all([fleet.worker({}, next), fleet.worker(), fleet.worker({}, next)], { concurrency: 3 })
      expect(yield* state(fleet)).toEqual(after)
      yield* Fleet.allDone(fleet, yield* fleet.handOver(old, 30, "k"))
    }).pipe(Effect.provide(Sandboxes.layer()))
  )
})
