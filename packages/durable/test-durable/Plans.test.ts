import { it } from "@effect/vitest"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect, Redacted, Schema } from "effect"
import { describe, expect } from "vitest"
import * as Looks from "../src/Looks.js"
import * as Postgres from "../src/Postgres.js"
import { Store } from "../src/Store.js"
import * as LocalPostgres from "../test/LocalPostgres.js"
import * as Fleet from "./Fleet.js"

const figure = (name: string, value: unknown) =>
  Effect.sync(() => console.log(`FIGURE ${name}: ${String(value)}`))

/** So many retrievals that wait, each for a batch of its own: nine tenths of one account, the rest of twenty others. */
const fill = (fleet: Fleet.Fleet, count: number) =>
  Effect.gen(function* () {
    const account = "CASE WHEN n % 10 = 0 THEN 'other-' || (n / 10) % 20 ELSE 'service' END"
    yield* fleet.query("TRUNCATE batch.retrieval, batch.look, batch.gate, batch.campaign CASCADE")
    yield* fleet.query("TRUNCATE batch.submission")
    yield* fleet.query(
      `INSERT INTO batch.retrieval (id, account, batch_id, destination, format, next_look_at)
        SELECT gen_random_uuid(), ${account}, ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
          '{"type":"folder","path":"x"}', 'jsonl.gz', now() + interval '1 hour' FROM generate_series(1, $1::int) n`,
      [count]
    )
    yield* fleet.query(
      `INSERT INTO batch.look (account, batch_id, urgent, next_at)
        SELECT account, batch_id, false, next_look_at FROM batch.retrieval`
    )
    yield* fleet.query(
      `INSERT INTO batch.gate (account, tat, interval_ms, burst_ms)
        SELECT DISTINCT account, now() - interval '1 hour', 1, 1000 FROM batch.look`
    )
    // Chunks of campaigns that wait and have been kept, and jobs of single submits, of the same accounts.
    yield* fleet.query(
      `WITH made AS (INSERT INTO batch.campaign (id, account, name, begun, bytes, max_active, state, progress)
        SELECT gen_random_uuid(), account, 'x', '{}', 0, 4, 'running', '{}' FROM batch.gate RETURNING id, account)
        INSERT INTO batch.campaign_chunk (campaign_id, chunk, account, state, batch_id)
          SELECT id, n, account, CASE WHEN n % 200 = 0 THEN 'waiting' ELSE 'kept' END, gen_random_uuid()
          FROM made, generate_series(1, 2000) n`
    )
    yield* fleet.query(
      `INSERT INTO batch.submission (account, batch_id, is_over)
        SELECT account, gen_random_uuid(), n > 5 FROM batch.gate, generate_series(1, 2000) n`
    )
    yield* fleet.query(
      `VACUUM (ANALYZE) batch.retrieval, batch.look, batch.gate, batch.campaign, batch.campaign_chunk, batch.submission`
    )
  })

/** One step of a plan, with those below it. */
const Node = Schema.Struct({
  type: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("Node Type")),
  index: Schema.optional(Schema.String).pipe(Schema.fromKey("Index Name")),
  table: Schema.optional(Schema.String).pipe(Schema.fromKey("Relation Name")),
  rows: Schema.propertySignature(Schema.Number).pipe(Schema.fromKey("Actual Rows")),
  loops: Schema.propertySignature(Schema.Number).pipe(Schema.fromKey("Actual Loops")),
  removed: Schema.optional(Schema.Number).pipe(Schema.fromKey("Rows Removed by Filter")),
  hit: Schema.propertySignature(Schema.Number).pipe(Schema.fromKey("Shared Hit Blocks")),
  read: Schema.propertySignature(Schema.Number).pipe(Schema.fromKey("Shared Read Blocks")),
  below: Schema.optional(Schema.Array(Schema.Unknown)).pipe(Schema.fromKey("Plans"))
})

const nodesOf = (plan: unknown): ReadonlyArray<typeof Node.Type> => {
  const node = Schema.decodeUnknownSync(Node)(plan)
  return [node, ...(node.below ?? []).flatMap(nodesOf)]
}

const Explanation = Schema.Array(
  Schema.Struct({
    plan: Schema.propertySignature(Schema.Unknown).pipe(Schema.fromKey("Plan")),
    milliseconds: Schema.propertySignature(Schema.Number).pipe(Schema.fromKey("Execution Time"))
  })
)

interface Explained {
  readonly statement: string
  /** Rows that were read from tables and indexes, whether they fitted or not. */
  readonly visited: number
  readonly buffers: number
  readonly milliseconds: number
  readonly scans: ReadonlyArray<string>
}

const explained = (statement: string, answer: unknown): Explained => {
  const [{ milliseconds, plan } = { milliseconds: Number.NaN, plan: undefined }] =
    Schema.decodeUnknownSync(Explanation)(answer)
  const nodes = nodesOf(plan)
  // What a part of the statement gave is read from no table.
  const scans = nodes.filter(
    ({ index, table, type }) => type.includes("Scan") && (table !== undefined || index !== undefined)
  )
  return {
    statement: statement.replaceAll(/\s+/gu, " ").slice(0, 40),
    visited: scans.reduce((sum, { loops, removed = 0, rows }) => sum + (rows + removed) * loops, 0),
    buffers: (nodes[0]?.hit ?? 0) + (nodes[0]?.read ?? 0),
    milliseconds,
    scans: scans.map(({ index, table, type }) => `${type} ${index ?? table ?? ""}`)
  }
}

/** Claims looks, of which so many are due, and explains each statement of it. */
const explainClaim = (due: number) =>
  Effect.gen(function* () {
    const store = yield* Store
    const plans: Array<Explained> = []
    yield* store.query(
      `UPDATE batch.look SET next_at = now() - interval '1 second' WHERE (account, batch_id) IN
        (SELECT account, batch_id FROM batch.look LIMIT $1)`,
      [due]
    )
    const recording: Store["Type"] = {
      ...store,
      transaction: (run) =>
        store.transaction((sql, boss) => {
          const query = async (text: string, values: ReadonlyArray<unknown> = []) => {
            await sql.query("SAVEPOINT before")
            const [row] = await sql.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, values)
            await sql.query("ROLLBACK TO before")
            plans.push(explained(text, row?.["QUERY PLAN"]))
            return await sql.query(text, values)
          }
          return run({ ...sql, query }, boss)
        })
    }
    const looks = yield* Looks.claim(recording, 16)
    return { looks: looks.length, plans }
  })

describe.skipIf(!LocalPostgres.isAvailable)("100,000 retrievals that wait on PostgreSQL", () => {
  it.scopedLive("cost a claim of looks as much as 1,000 do", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      const claims = (waiting: number) =>
        Effect.gen(function* () {
          yield* fill(fleet, waiting)
          const idle = yield* explainClaim(0)
          const busy = yield* explainClaim(64)
          yield* fleet.query("UPDATE batch.look SET next_at = now() - interval '1 second'")
          yield* fleet.query("UPDATE batch.gate SET tat = now() - interval '1 hour'")
          yield* fleet.query("VACUUM (ANALYZE) batch.look, batch.gate")
          const late = yield* explainClaim(0)
          for (const [name, { looks, plans }] of Object.entries({ idle, busy, late })) {
            for (const { buffers, milliseconds, scans, statement, visited } of plans) {
              yield* figure(
                `${waiting} waiting, ${name}, ${looks} claimed`,
                `${visited} rows, ${buffers} buffers, ${milliseconds} ms: ${scans.join(", ")} (${statement})`
              )
            }
          }
          return { idle, busy, late }
        }).pipe(Effect.provide(Postgres.layer(Redacted.make(fleet.server.url))), Effect.orDie)
      yield* Effect.scoped(
        Effect.asVoid(Effect.provide(Store, Postgres.layer(Redacted.make(fleet.server.url)))).pipe(
          Effect.orDie
        )
      )
      const few = yield* claims(1000)
      const many = yield* claims(100_000)
      expect([many.idle.looks, many.busy.looks, many.late.looks]).toEqual([0, 16, 16])
      for (const name of ["idle", "busy", "late"] as const) {
        for (const { scans, visited } of many[name].plans) {
          expect(visited).toBeLessThan(500)
          for (const scan of scans) expect(scan).toMatch(/Index|gate/u)
        }
        const sum = (of: typeof many.idle) => of.plans.reduce((total, { visited }) => total + visited, 0)
        expect(sum(many[name])).toBeLessThanOrEqual(2 * sum(few[name]) + 200)
      }
    }).pipe(Effect.provide(Sandboxes.layer()))
  )

  it.scopedLive("cost a worker at rest as much as 1,000 do", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      yield* fleet.worker()
      const read = Effect.map(
        fleet.query(
          `SELECT (SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables)::float8
            + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)::float8 AS tuples`
        ),
        ([row]) => Number(row?.["tuples"])
      )
      // More than a minute, so that the clearing up is in it.
      const rest = (waiting: number) =>
        Effect.gen(function* () {
          yield* fill(fleet, waiting)
          yield* Effect.sleep("5 seconds")
          const before = yield* read
          yield* Effect.sleep("65 seconds")
          const tuples = ((yield* read) - before) / 65
          yield* figure(`rows a second that a worker at rest reads, ${waiting} waiting`, tuples)
          return tuples
        })
      const few = yield* rest(1000)
      const many = yield* rest(100_000)
      expect(many).toBeLessThan(2 * few + 100)
    }).pipe(Effect.provide(Sandboxes.layer()))
  )
})
