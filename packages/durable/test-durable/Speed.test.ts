import { it } from "@effect/vitest"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect } from "effect"
import { describe } from "vitest"
import { PgBoss } from "pg-boss"
import * as LocalPostgres from "../test/LocalPostgres.js"
import * as Fleet from "./Fleet.js"

const count = Number(process.env["BATCH_TEST_RETRIEVALS"] ?? 300)

const figure = (name: string, value: unknown) =>
  Effect.sync(() => console.log(`FIGURE ${name}: ${String(value)}`))

describe.skipIf(!LocalPostgres.isAvailable)("retrievals a second on PostgreSQL", () => {
  it.scopedLive.each([1, 2, 3])("with %d workers", (workers) =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make
      const all = yield* Effect.all(
        Array.from({ length: workers }, () => fleet.worker()),
        { concurrency: workers }
      )
      const [one] = all
      if (one === undefined) return
      const begun = process.hrtime.bigint()
      const names = yield* fleet.handOver(one, count, "s")
      yield* Fleet.allDone(fleet, names)
      yield* figure(`retrievals a second, ${workers} workers`, names.length / Fleet.since(begun))
      const spent = yield* Effect.forEach(all, ({ child }) => Fleet.cpuSeconds(child.pid ?? 0))
      const each = spent.reduce((sum, seconds) => sum + seconds, 0) / names.length
      yield* figure(`milliseconds of CPU of all workers a retrieval, ${workers} workers`, each * 1000)
    }).pipe(Effect.provide(Sandboxes.layer({ rateLimit: { limit: 1_000_000, windowSeconds: 60 } })))
  )

  it.scopedLive("the engine alone, doing no work", () =>
    Effect.gen(function* () {
      const { url } = yield* LocalPostgres.make
      yield* Effect.promise(async () => {
        const boss = new PgBoss(url)
        boss.on("error", () => undefined)
        await boss.start()
        await boss.createQueue("nothing")
        const begun = process.hrtime.bigint()
        for (let index = 0; index < count; index++) await boss.send("nothing", {})
        for (let done = 0; done < count;) {
          const jobs = await boss.fetch("nothing", { batchSize: 20 })
          for (const { id } of jobs) await boss.complete("nothing", id)
          done += jobs.length
        }
        console.log(`FIGURE jobs a second, sent, fetched and completed: ${count / Fleet.since(begun)}`)
        await boss.stop({ graceful: false })
      })
    })
  )
})
