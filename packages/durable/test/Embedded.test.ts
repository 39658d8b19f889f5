import { it } from "@effect/vitest"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { mkdir, readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { expect } from "vitest"
import * as AccountRow from "../src/AccountRow.js"
import * as Embedded from "../src/Embedded.js"
import { syncs } from "../src/FsyncFolder.js"
import * as LookRow from "../src/LookRow.js"
import * as Looks from "../src/Looks.js"
import { type Service, Store } from "../src/Store.js"
import * as Process from "./Process.js"
import * as Stack from "./Stack.js"

/** What is due is asked for every half a second: an account takes the turns then that it has missed meanwhile, and no more. */
const missed = (store: Service) =>
  Effect.gen(function* () {
    const account = "late"
    yield* store.transaction(async (sql) => {
      await AccountRow.openGate(sql, account, 600)
      for (let at = 0; at < 20; at++) await LookRow.want(sql, account, randomUUID())
    })
    const late = (ms: number) =>
      Effect.zipRight(
        store.query("UPDATE batch.gate SET tat = clock_timestamp() - $1::int * interval '1 ms'", [ms]),
        Effect.map(Looks.claim(store, 16), (claimed) => claimed.length)
      )
    expect(yield* late(3_600_000)).toBe(6)
    expect(yield* late(-60_000)).toBe(0)
    expect(yield* late(150)).toBeGreaterThanOrEqual(2)
  })

it.scopedLive("syncs every commit to the disk, and refuses a second opening in this process too", () =>
  Effect.gen(function* () {
    const folder = yield* Stack.emptyFolder
    yield* Effect.gen(function* () {
      const store = yield* Store
      yield* store.query("CREATE TABLE canary (id int)")
      const before = syncs.count
      for (let id = 0; id < 10; id++) yield* store.query("INSERT INTO canary VALUES ($1)", [id])
      expect(syncs.count - before).toBeGreaterThanOrEqual(10)
      const [settings] = yield* store.query("SELECT current_setting('fsync') AS fsync")
      expect(settings).toEqual({ fsync: "on" })
      const second = yield* Effect.flip(Effect.scoped(Layer.build(Embedded.layer(folder))))
      expect(second).toMatchObject({ _tag: "StoreRefused", reason: "InUse", place: folder })
    }).pipe(Effect.provide(Embedded.layer(folder)))
    // a database that a crash left half made is made anew; the whole one is opened again
    yield* Effect.promise(() => mkdir(join(folder, "db.tmp/base"), { recursive: true }))
    yield* Effect.gen(function* () {
      const store = yield* Store
      const [row] = yield* store.query("SELECT count(*)::int AS rows FROM canary")
      expect(row).toEqual({ rows: 10 })
      yield* missed(store)
    }).pipe(Effect.provide(Embedded.layer(folder)))
  })
)

it.scopedLive(
  "loses nothing that it confirmed, and publishes nothing twice, when its process is killed",
  () =>
    Effect.gen(function* () {
      yield* Process.bundle
      const folder = yield* Stack.emptyFolder
      const out = join(folder, "out")
      yield* Effect.gen(function* () {
        const sandbox = yield* Sandboxes.Sandbox
        const variables = {
          CRUSTDATA_BASE_URL: sandbox.baseUrl,
          CRUSTDATA_API_KEY: sandbox.apiKey,
          BATCH_TEST_STORE: join(folder, "store"),
          BATCH_TEST_FOLDER: out
        }
        const id = yield* sandbox.createJob({ records: 40 })
        const request = (name: string) => ({
          batch_id: id,
          destination: { type: "folder", path: `${name}.jsonl.gz` }
        })
        const names: Array<string> = []
        for (let round = 0; round < 1; round++) {
          const program = yield* Process.start(variables)
          yield* program.until(({ ready }) => ready === true)
          if (round === 0) {
            const second = yield* Process.start(variables)
            const begun = process.hrtime.bigint()
            expect(yield* second.exit).toBe(9)
            expect(Number(process.hrtime.bigint() - begun) / 1e9).toBeLessThan(20)
          }
          for (let index = 0; index < 8; index++) {
            const name = `r${round}-${index}`
            yield* program.send(request(name))
            yield* program.until(() => program.lines.filter((line) => line.id !== undefined).length > index)
            names.push(name)
          }
          yield* program.kill("SIGKILL")
          yield* program.exit
        }
        const program = yield* Process.start(variables)
        yield* program.until(({ ready }) => ready === true)
        for (const name of names) {
          yield* program.send(request(name))
          yield* program.until(
            () => program.lines.filter(({ id: known }) => known !== undefined).length > names.indexOf(name)
          )
        }
        expect(program.lines.filter(({ created }) => created === true)).toEqual([])
        const files = yield* Stack.eventually(
          // The folder comes with the first delivery.
          Effect.promise(() => readdir(out).catch((): Array<string> => [])),
          (found) => names.every((name) => found.includes(`${name}.jsonl.gz`))
        )
        expect(files.filter((name) => name.endsWith(".partial"))).toEqual([])
        for (const name of names) {
          const bytes = yield* Effect.promise(() => readFile(join(out, `${name}.jsonl.gz`)))
          expect(gunzipSync(bytes).toString().trim().split("\n").length).toBe(40)
        }
        yield* program.kill("SIGTERM")
        expect(yield* program.exit).toBe(143)
      }).pipe(Effect.provide(Sandboxes.layer()))
    })
)
