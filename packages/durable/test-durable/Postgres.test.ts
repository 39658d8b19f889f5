import { it } from "@effect/vitest"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Duration, Effect } from "effect"
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect } from "vitest"
import * as LocalPostgres from "../test/LocalPostgres.js"
import * as Process from "../test/Process.js"
import * as Stack from "../test/Stack.js"
import * as Fleet from "./Fleet.js"

const count = Number(process.env["BATCH_TEST_RETRIEVALS"] ?? 500)

/** Requests a minute that the account of the last test may make. */
const limit = 120

/** For how long a worker is frozen. */
const frozen = Duration.seconds(Number(process.env["BATCH_TEST_FREEZE_SECONDS"] ?? 60))

/** For how long PostgreSQL is away; the promise holds for 600. */
const outage = Duration.seconds(Number(process.env["BATCH_TEST_OUTAGE_SECONDS"] ?? 30))

const sandbox = { rateLimit: { limit: 1_000_000, windowSeconds: 60 } }

const figure = (name: string, value: unknown) =>
  Effect.sync(() => console.log(`FIGURE ${name}: ${String(value)}`))

/** Slows the downloads down, so that some are under way whenever a worker is hit. */
const slowly = (fleet: Fleet.Fleet, ms = 1500) =>
  Effect.orDie(fleet.sandbox.script({ on: { server: "storage" }, do: { delay: { ms } }, times: 100_000 }))

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
      yield* Effect.sleep(frozen)
      yield* three.kill("SIGCONT")
      yield* Effect.sleep("2 seconds")
      const before = process.hrtime.bigint()
      yield* one.kill("SIGTERM")
      expect(yield* one.exit).toBe(143)
      yield* figure("SIGTERM to exit, seconds", Fleet.since(before))
      expect(Fleet.since(before)).toBeLessThan(10)
      yield* fleet.worker()
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

  it.scopedLive(
    "one is frozen whose steps cannot be aborted, and writes and publishes nothing when it goes on",
    () =>
      Effect.gen(function* () {
        const fleet = yield* Fleet.make
        const stubborn = yield* Process.bundleAs("Stubborn", {
          Step: new URL("StubbornStep.ts", import.meta.url)
        })
        const [one, two] = yield* Effect.all([fleet.worker(), fleet.worker({}, stubborn)], { concurrency: 2 })
        yield* slowly(fleet, 8000)
        const names = yield* fleet.handOver(one, 80, "z")
        yield* running(fleet, 30)
        yield* Effect.sleep("2 seconds")
        yield* two.kill("SIGSTOP")
        yield* fleet.sandbox.clearFaults
        const begun = process.hrtime.bigint()
        yield* Fleet.allDone(fleet, names)
        yield* figure("seconds until the others had done what the frozen one held", Fleet.since(begun))
        const identities = Effect.promise(async () => {
          const files = (await readdir(fleet.out)).filter((name) => names.includes(name)).toSorted()
          return await Promise.all(
            files.map((name) =>
              stat(join(fleet.out, name)).then(({ ino, mtimeMs }) => `${name} ${ino} ${mtimeMs}`)
            )
          )
        })
        const rows = fleet.query(
          "SELECT id, state, fence, seq, bytes, receipt FROM batch.retrieval ORDER BY id"
        )
        const before = [yield* identities, yield* rows]
        yield* Effect.sleep(Duration.seconds(Math.max(0, Duration.toSeconds(frozen) - Fleet.since(begun))))
        yield* two.kill("SIGCONT")
        yield* two.until(({ late }) => late?.startsWith("settle") === true)
        yield* Effect.sleep("10 seconds")
        const tally = new Map<string, number>()
        for (const { late: what = "", rows: changed } of two.lines.filter(
          (line) => line.late !== undefined
        )) {
          const name = `${what}, ${changed} rows`
          tally.set(name, (tally.get(name) ?? 0) + 1)
          expect([what, changed]).toEqual([what, 0])
        }
        yield* figure("what the frozen one's downloads did late", JSON.stringify(Object.fromEntries(tally)))
        expect([yield* identities, yield* rows]).toEqual(before)
        yield* Fleet.allDone(fleet, names)
      }).pipe(Effect.provide(Sandboxes.layer(sandbox)))
  )

  it.scopedLive("PostgreSQL is away for long, and nothing is lost or stuck", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      const workers = yield* Effect.all([fleet.worker(), fleet.worker(), fleet.worker()], { concurrency: 3 })
      yield* slowly(fleet)
      const names = yield* fleet.handOver(workers[0], Math.ceil(count / 2), "o")
      yield* running(fleet, 30)
      yield* fleet.server.stop
      yield* Effect.sleep(outage)
      for (const { child } of workers) expect([child.exitCode, child.signalCode]).toEqual([null, null])
      yield* fleet.server.start
      const begun = process.hrtime.bigint()
      const done = (yield* fleet.counts)["done"] ?? 0
      yield* Stack.eventually(fleet.counts, (counts) => (counts["done"] ?? 0) > done)
      yield* figure(
        `seconds after an outage of ${Duration.toSeconds(outage)} until work goes on`,
        Fleet.since(begun)
      )
      yield* fleet.sandbox.clearFaults
      yield* Fleet.allDone(fleet, names)
      yield* figure("seconds until all were done", Fleet.since(begun))
      expect(yield* fleet.counts).toEqual({ done: names.length })
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
      yield* slowly(fleet)
      const names = yield* fleet.handOver(one, 60, "d", 1)
      let most = 0
      let asked = 0
      const look = Effect.gen(function* () {
        const { running: now = 0, done = 0 } = yield* fleet.counts
        most = Math.max(most, now)
        const underWay = (yield* fleet.sandbox.requests).filter(
          ({ server, status }) => server === "storage" && status === undefined
        )
        asked = Math.max(asked, new Set(underWay.map(({ path }) => path)).size)
        return done
      })
      yield* Stack.eventually(look, (done) => done >= names.length)
      yield* figure(
        "most downloads of one account at a time, as the rows and the file host say",
        `${most}, ${asked}`
      )
      expect(most).toBeLessThanOrEqual(5)
      expect(asked).toBeLessThanOrEqual(5)
      expect(asked).toBeGreaterThan(1)
      const requests = (yield* fleet.sandbox.requests).filter(({ server }) => server === "api")
      expect(requests.filter(({ status }) => status === 429)).toEqual([])
      // Beside the jobs that this test makes, which ask no API: no minute has more than the limit, no ten seconds more than a sixth.
      const within = (ms: number) =>
        Math.max(
          ...requests.map(({ at }) => requests.filter((other) => other.at >= at && other.at < at + ms).length)
        )
      yield* figure(
        "most requests of three workers in 60 s and in 10 s",
        `${within(60_000)}, ${within(10_000)}`
      )
      expect(within(60_000)).toBeLessThanOrEqual(limit)
      expect(within(10_000)).toBeLessThanOrEqual(limit / 6 + 2)
      yield* Fleet.allDone(fleet, names)
    }).pipe(Effect.provide(Sandboxes.layer({ rateLimit: { limit, windowSeconds: 60 } })))
  )
})
