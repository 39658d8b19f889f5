import { it } from "@effect/vitest"
import { Report } from "@org/batch-core/Report"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect, Layer, Random, Schema } from "effect"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect } from "vitest"
import * as Account from "../src/Account.js"
import * as Campaigns from "../src/Campaigns.js"
import * as Embedded from "../src/Embedded.js"
import * as Reach from "../src/Reach.js"
import * as Settings from "../src/Settings.js"
import * as Worker from "../src/Worker.js"
import * as Lists from "../test/Lists.js"
import * as LocalPostgres from "../test/LocalPostgres.js"
import * as Process from "../test/Process.js"
import * as Stack from "../test/Stack.js"
import * as Fleet from "./Fleet.js"

const rounds = Number(process.env["BATCH_TEST_ROUNDS"] ?? 20)

const figure = (name: string, value: unknown) =>
  Effect.sync(() => console.log(`FIGURE ${name}: ${String(value)}`))

/** The lists, by name, with how long they are: 49 jobs all in all, of which an account may have five at a time. */
const lists = [
  { name: "one", count: 6300 },
  { name: "two", count: 4800 },
  { name: "three", count: 3600 }
]

const sandbox = { ...Lists.sandbox, submitted: { ...Lists.sandbox.submitted, processingMs: 2500 } }

/** Slows the downloads down, so that some are under way whenever a worker is hit. */
const slowly = (service: Sandboxes.Service, ms: number) =>
  Effect.orDie(service.script({ on: { server: "storage" }, do: { delay: { ms } }, times: 100_000 }))

/** Hands all lists in, and gives the ids of the campaigns by their names. */
const handIn = (program: Process.Running) =>
  Effect.gen(function* () {
    const ids = new Map<string, string>()
    for (const { count, name } of lists) {
      const before = program.lines.length
      yield* program.send({ list: Lists.list(name, count), name, max_active: 4 })
      yield* program.until(() => program.lines.length > before)
      ids.set(program.lines[before]?.id ?? "", name)
    }
    expect([...ids.keys()].every((id) => id !== "")).toBe(true)
    return ids
  })

const Shown = Schema.Struct({ state: Schema.String, report: Schema.NullOr(Report), error: Schema.Unknown })

/** A campaign as its row says. */
type Shown = typeof Shown.Type

/**
 * Waits for the end of all campaigns. What nobody can know of a submit in flight stays undecided, until later requests of
 * the account tell: those are made, and it is gone on with.
 */
const allDone = (
  service: Sandboxes.Service,
  ids: ReadonlyMap<string, string>,
  get: (id: string) => Effect.Effect<Shown>,
  retry: (id: string) => Effect.Effect<unknown>
) =>
  Effect.gen(function* () {
    let undecided = 0
    const others: Array<string> = []
    const ended: Array<Lists.Ended> = []
    for (const [id, name] of ids) {
      const end = Stack.eventually(get(id), ({ state }) => state !== "waiting" && state !== "running")
      let shown = yield* end
      for (let again = 0; again < 3 && shown.report?.complete === false; again++) {
        undecided += shown.report.fates.undecided
        others.push(yield* Lists.submit(service))
        yield* retry(id)
        shown = yield* end
      }
      expect([name, shown.state, shown.error]).toEqual([name, "done", null])
      ended.push({ id, count: lists.find((one) => one.name === name)?.count ?? 0, report: shown.report })
    }
    yield* figure("rows that were undecided until a retry", undecided)
    return { ended, others }
  })

describe("campaigns in an embedded store whose process is killed", () => {
  it.scopedLive("at random instants, submit no chunk twice and lose none", () =>
    Effect.gen(function* () {
      yield* Process.bundle
      const folder = yield* Stack.emptyFolder
      const service = yield* Sandboxes.Sandbox
      const [store, out] = [join(folder, "store"), join(folder, "out")]
      yield* Effect.promise(() => mkdir(out))
      yield* slowly(service, 300)
      const variables = {
        CRUSTDATA_BASE_URL: service.baseUrl,
        CRUSTDATA_API_KEY: service.apiKey,
        BATCH_TEST_STORE: store,
        BATCH_TEST_FOLDER: out,
        BATCH_TEST_SLOTS_PER_ACCOUNT: "5"
      }
      const begun = process.hrtime.bigint()
      let ids: ReadonlyMap<string, string> = new Map()
      for (let round = 0; round < rounds; round++) {
        const program = yield* Process.start(variables)
        yield* program.until(({ ready }) => ready === true)
        ids = yield* handIn(program)
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 2500))
        yield* program.kill("SIGKILL")
        yield* program.exit
      }
      yield* figure("jobs submitted when the last kill had come", (yield* Lists.jobs(service)).length)
      const { ended, others } = yield* Effect.gen(function* () {
        const campaigns = yield* Campaigns.Campaigns
        yield* Effect.forkScoped(Layer.launch(Worker.layer))
        return yield* allDone(
          service,
          ids,
          (id) => Effect.orDie(campaigns.get(Account.ofService, id)),
          (id) => Effect.orDie(campaigns.retry(Account.ofService, id))
        )
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            Layer.merge(Campaigns.layer, Account.layer),
            Layer.merge(
              Embedded.layer(store),
              Settings.layer({ folder: out, reach: Reach.anywhere, requestsAMinute: 60_000 })
            )
          )
        )
      )
      yield* figure("seconds until all was done", Fleet.since(begun))
      yield* Lists.check(service, out, ended, others)
      yield* figure("submits that the API had no place for", yield* Lists.refusals(service))
      expect(yield* Lists.refusals(service)).toBe(0)
    }).pipe(Effect.provide(Sandboxes.layer(sandbox)))
  )
})

describe.skipIf(!LocalPostgres.isAvailable)("campaigns of three workers on PostgreSQL", () => {
  const places = { BATCH_TEST_SLOTS_PER_ACCOUNT: "5" }

  const shown = (fleet: Fleet.Fleet) => (id: string) =>
    fleet.query("SELECT state, report, error FROM batch.campaign WHERE id = $1", [id]).pipe(
      Effect.flatMap(([row]) => Schema.decodeUnknown(Shown)(row)),
      Effect.orDie
    )

  it.scopedLive("that are killed, ended and frozen at random, submit no chunk twice and lose none", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      yield* slowly(fleet.sandbox, 300)
      const api = yield* fleet.worker({ ...places, BATCH_TEST_ROLE: "api" })
      const workers = yield* Effect.all([fleet.worker(places), fleet.worker(places), fleet.worker(places)], {
        concurrency: 3
      })
      const begun = process.hrtime.bigint()
      const ids = yield* handIn(api)
      const counts = { killed: 0, ended: 0, frozen: 0 }
      for (let round = 0; round < rounds; round++) {
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 1500))
        const at = round % workers.length
        const victim = workers[at]
        const chance = yield* Random.nextIntBetween(0, 5)
        if (victim === undefined) continue
        if (chance === 0) {
          counts.frozen += 1
          yield* victim.kill("SIGSTOP")
          // It goes on when others have taken its work.
          yield* Effect.forkScoped(Effect.delay(victim.kill("SIGCONT"), "15 seconds"))
          continue
        }
        counts[chance === 1 ? "ended" : "killed"] += 1
        yield* victim.kill(chance === 1 ? "SIGTERM" : "SIGKILL")
        workers[at] = yield* fleet.worker(places)
      }
      yield* figure("workers killed, ended and frozen", JSON.stringify(counts))
      yield* figure("jobs submitted then", (yield* Lists.jobs(fleet.sandbox)).length)
      const { ended, others } = yield* allDone(fleet.sandbox, ids, shown(fleet), (id) =>
        api.send({ retry: id })
      )
      yield* figure("seconds until all was done", Fleet.since(begun))
      yield* Lists.check(fleet.sandbox, fleet.out, ended, others)
      yield* figure("submits that the API had no place for", yield* Lists.refusals(fleet.sandbox))
      expect(yield* Lists.refusals(fleet.sandbox)).toBe(0)
    }).pipe(Effect.provide(Sandboxes.layer(sandbox)))
  )

  it.scopedLive("take over in 15 seconds what a killed one fetched", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      yield* slowly(fleet.sandbox, 60_000)
      const one = yield* fleet.worker(places)
      const ids = yield* handIn(one)
      const held = fleet.query(
        "SELECT campaign_id, chunk, fence::int AS fence FROM batch.campaign_chunk WHERE held AND state = 'completed' ORDER BY 1, 2"
      )
      const before = yield* Stack.eventually(held, (rows) => rows.length >= 4)
      yield* fleet.worker(places)
      const begun = process.hrtime.bigint()
      yield* one.kill("SIGKILL")
      yield* fleet.sandbox.clearFaults
      const fences = fleet.query("SELECT campaign_id, chunk, fence::int AS fence FROM batch.campaign_chunk")
      yield* Stack.eventually(fences, (now) =>
        before.every((row) =>
          now.some(
            ({ campaign_id: id, chunk, fence }) =>
              id === row["campaign_id"] && chunk === row["chunk"] && Number(fence) > Number(row["fence"])
          )
        )
      )
      yield* figure("seconds until all that it fetched was taken over", Fleet.since(begun))
      expect(Fleet.since(begun)).toBeLessThan(30)
      const api = yield* fleet.worker({ ...places, BATCH_TEST_ROLE: "api" })
      const { ended, others } = yield* allDone(fleet.sandbox, ids, shown(fleet), (id) =>
        api.send({ retry: id })
      )
      yield* Lists.check(fleet.sandbox, fleet.out, ended, others)
    }).pipe(Effect.provide(Sandboxes.layer(sandbox)))
  )
})
