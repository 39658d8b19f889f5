import { it } from "@effect/vitest"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect } from "effect"
import { describe, expect } from "vitest"
import * as LocalPostgres from "../test/LocalPostgres.js"
import * as Stack from "../test/Stack.js"
import * as Fleet from "./Fleet.js"

const count = Number(process.env["BATCH_TEST_RETRIEVALS"] ?? 500)

const sandbox = { rateLimit: { limit: 1_000_000, windowSeconds: 60 } }

const figure = (name: string, value: unknown) =>
  Effect.sync(() => console.log(`FIGURE ${name}: ${String(value)}`))

/** Slows the downloads down, so that some are under way whenever a worker is hit. */
const slowly = (fleet: Fleet.Fleet) =>
  Effect.orDie(
    fleet.sandbox.script({ on: { server: "storage" }, do: { delay: { ms: 1500 } }, times: 100_000 })
  )

const running = (fleet: Fleet.Fleet, atLeast: number) =>
  Stack.eventually(fleet.counts, (counts) => (counts["running"] ?? 0) >= atLeast)

const handouts = (fleet: Fleet.Fleet) =>
  Effect.map(fleet.query("SELECT sum(fence)::int AS claims FROM batch.retrieval"), ([row]) =>
    Number(row?.["claims"])
  )

describe.skipIf(!LocalPostgres.isAvailable)("three workers on PostgreSQL", () => {
  it.scopedLive("are killed, frozen and ended, and lose and double nothing", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      const [one, two, three] = yield* Effect.all([fleet.worker(), fleet.worker(), fleet.worker()], {
        concurrency: 3
      })
      yield* slowly(fleet)
      const begun = process.hrtime.bigint()
      const names = yield* fleet.handOver(one, count, "a")
      yield* figure("seconds to hand over", Fleet.since(begun))
      yield* running(fleet, 30)

      yield* two.kill("SIGKILL")
      yield* Effect.sleep("2 seconds")
      yield* three.kill("SIGSTOP")
      yield* Effect.sleep("30 seconds")
      yield* three.kill("SIGCONT")
      yield* Effect.sleep("2 seconds")
      const before = process.hrtime.bigint()
      yield* one.kill("SIGTERM")
      expect(yield* one.exit).toBe(143)
      yield* figure("SIGTERM to exit, seconds", Fleet.since(before))
      expect(Fleet.since(before)).toBeLessThan(15)
      yield* fleet.worker()
      yield* Effect.orDie(Effect.void)
      yield* fleet.sandbox.clearFaults
      yield* Fleet.allDone(fleet, names)
      yield* figure("seconds until all were done", Fleet.since(begun))
      yield* figure("claims for all downloads", `${yield* handouts(fleet)} for ${names.length}`)
      expect((yield* fleet.counts)["done"]).toBe(names.length)
    }).pipe(Effect.provide(Sandboxes.layer(sandbox)))
  )

  it.scopedLive("what a killed one held is taken over in 15 seconds where places are free", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      const [one, two] = yield* Effect.all([fleet.worker(), fleet.worker()])
      yield* Effect.orDie(
        fleet.sandbox.script({ on: { server: "storage" }, do: { delay: { ms: 60_000 } }, times: 100_000 })
      )
      const names = yield* fleet.handOver(one, 10, "b")
      yield* running(fleet, names.length)
      const fences = fleet.query("SELECT id, fence::int FROM batch.retrieval ORDER BY id")
      const held = yield* fences
      yield* two.kill("SIGKILL")
      yield* one.kill("SIGKILL")
      const begun = process.hrtime.bigint()
      yield* fleet.sandbox.clearFaults
      yield* fleet.worker()
      yield* Stack.eventually(fences, (now) =>
        now.every(({ fence }, index) => Number(fence) > Number(held[index]?.["fence"]))
      )
      yield* figure("takeover of all, seconds", Fleet.since(begun))
      expect(Fleet.since(begun)).toBeLessThan(30)
      yield* Fleet.allDone(fleet, names)
    }).pipe(Effect.provide(Sandboxes.layer(sandbox)))
  )

  it.scopedLive("PostgreSQL is stopped, and all connections are killed again and again", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      const [one] = yield* Effect.all([fleet.worker(), fleet.worker(), fleet.worker()], { concurrency: 3 })
      yield* slowly(fleet)
      const names = yield* fleet.handOver(one, Math.ceil(count / 2), "c")
      yield* running(fleet, 20)
      yield* fleet.server.stop
      yield* Effect.sleep("5 seconds")
      yield* fleet.server.start
      yield* running(fleet, 1)
      for (let round = 0; round < 33; round++) {
        yield* fleet.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        yield* Effect.sleep("300 millis")
      }
      yield* fleet.sandbox.clearFaults
      const begun = process.hrtime.bigint()
      yield* Fleet.allDone(fleet, names)
      yield* figure("seconds to the end after the connections were left alone", Fleet.since(begun))
      yield* figure("claims for all downloads", `${yield* handouts(fleet)} for ${names.length}`)
    }).pipe(Effect.provide(Sandboxes.layer(sandbox)))
  )

  it.scopedLive("keep together to the account's rate and to its places", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      const places = { BATCH_TEST_SLOTS_PER_ACCOUNT: "5", BATCH_TEST_REQUESTS_A_MINUTE: "60" }
      const [one] = yield* Effect.all([fleet.worker(places), fleet.worker(places), fleet.worker(places)], {
        concurrency: 3
      })
      yield* Effect.orDie(
        fleet.sandbox.script({ on: { server: "storage" }, do: { delay: { ms: 500 } }, times: 100_000 })
      )
      const names = yield* fleet.handOver(one, 60, "d")
      let most = 0
      yield* Stack.eventually(fleet.counts, (counts) => {
        most = Math.max(most, counts["running"] ?? 0)
        return (counts["done"] ?? 0) >= names.length
      })
      yield* figure("most downloads of one account at a time", most)
      expect(most).toBeLessThanOrEqual(5)
      const refused = (yield* fleet.sandbox.requests).filter(({ status }) => status === 429)
      expect(refused).toEqual([])
      yield* Fleet.allDone(fleet, names)
    }).pipe(Effect.provide(Sandboxes.layer({ rateLimit: { limit: 120, windowSeconds: 60 } })))
  )
})
