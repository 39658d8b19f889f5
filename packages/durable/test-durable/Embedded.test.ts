import { it } from "@effect/vitest"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect, Random } from "effect"
import { mkdir, readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { describe, expect } from "vitest"
import * as Process from "../test/Process.js"
import * as Stack from "../test/Stack.js"

const rounds = Number(process.env["BATCH_TEST_ROUNDS"] ?? 20)

const figure = (name: string, value: unknown) =>
  Effect.sync(() => console.log(`FIGURE ${name}: ${String(value)}`))

const prepare = Effect.gen(function* () {
  yield* Process.bundle
  const folder = yield* Stack.emptyFolder
  const sandbox = yield* Sandboxes.Sandbox
  yield* Effect.promise(() => mkdir(join(folder, "out")))
  return {
    folder,
    sandbox,
    variables: {
      CRUSTDATA_BASE_URL: sandbox.baseUrl,
      CRUSTDATA_API_KEY: sandbox.apiKey,
      BATCH_TEST_STORE: join(folder, "store"),
      BATCH_TEST_FOLDER: join(folder, "out")
    }
  }
})

describe("an embedded store whose process is killed", () => {
  it.scopedLive("at random instants of its work, loses nothing that it confirmed", () =>
    Effect.gen(function* () {
      const { sandbox, variables } = yield* prepare
      const id = yield* sandbox.createJob({ records: 20 })
      const confirmed = new Set<string>()
      const asked: Array<string> = []
      const ask = (program: Process.Running, name: string) =>
        program.send({ batch_id: id, destination: { type: "folder", path: name } })
      for (let round = 0; round < rounds; round++) {
        const program = yield* Process.start(variables)
        yield* program.until(({ ready }) => ready === true)
        for (let index = 0; index < 20; index++) {
          const name = `r${round}-${index}.jsonl.gz`
          asked.push(name)
          yield* ask(program, name)
        }
        const confirmations = yield* Random.nextIntBetween(1, 20)
        yield* program.until(() => program.lines.length > confirmations)
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 1500))
        yield* program.kill("SIGKILL")
        yield* program.exit
        for (const { id: known } of program.lines) if (known !== undefined) confirmed.add(known)
      }
      const program = yield* Process.start(variables)
      yield* program.until(({ ready }) => ready === true)
      for (const name of asked) yield* ask(program, name)
      yield* program.until(() => program.lines.length > asked.length)
      const lost = program.lines.filter(
        ({ created, id: known }) => created === true && confirmed.has(known ?? "")
      )
      expect(lost).toEqual([])
      const files = yield* Stack.eventually(
        Effect.promise(() => readdir(variables.BATCH_TEST_FOLDER)),
        (found) => asked.every((name) => found.includes(name))
      )
      expect(files.toSorted()).toEqual([...asked, ".retrievals"].toSorted())
      for (const name of asked) {
        const bytes = yield* Effect.promise(() => readFile(join(variables.BATCH_TEST_FOLDER, name)))
        expect(gunzipSync(bytes).toString().trim().split("\n").length).toBe(20)
      }
      expect(confirmed.size).toBeGreaterThanOrEqual(rounds)
      yield* figure("confirmed before a kill, and all there", confirmed.size)
    }).pipe(Effect.provide(Sandboxes.layer()))
  )

  it.scopedLive("while it starts, opens again", () =>
    Effect.gen(function* () {
      const { variables } = yield* prepare
      for (let round = 0; round < rounds; round++) {
        const program = yield* Process.start(variables)
        yield* Effect.sleep(yield* Random.nextIntBetween(200, 3700))
        yield* program.kill("SIGKILL")
        yield* program.exit
        expect(program.lines.filter(({ error }) => error !== undefined)).toEqual([])
      }
      const program = yield* Process.start(variables)
      yield* program.until(({ ready }) => ready === true)
    }).pipe(Effect.provide(Sandboxes.layer()))
  )
})

describe("10,000 retrievals that wait", () => {
  it.scopedLive("cost little while nothing is due, and keep to the account's rate", () =>
    Effect.gen(function* () {
      const { sandbox, variables } = yield* prepare
      const first = yield* Process.start({ ...variables, BATCH_TEST_REQUESTS_A_MINUTE: "60" })
      yield* first.until(({ ready }) => ready === true)
      const batches = yield* Effect.forEach(Array.from({ length: 1000 }), () =>
        sandbox.createJob({ records: 1, stuck: true })
      )
      const begun = process.hrtime.bigint()
      for (const batch of batches) {
        for (let index = 0; index < 10; index++) {
          yield* first.send({ batch_id: batch, destination: { type: "folder", path: `${batch}-${index}` } })
        }
      }
      yield* first.until(() => first.lines.length > 10_000)
      yield* figure("seconds to hand 10,000 over", Number(process.hrtime.bigint() - begun) / 1e9)
      yield* first.kill("SIGTERM")
      expect(yield* first.exit).toBe(143)
      const program = yield* Process.start({ ...variables, BATCH_TEST_REQUESTS_A_MINUTE: "60" })
      yield* program.until(({ ready }) => ready === true)
      yield* Effect.sleep("10 seconds")
      const usage = Effect.promise(async () => {
        const stat = await readFile(`/proc/${program.child.pid}/stat`, "utf8")
        const status = await readFile(`/proc/${program.child.pid}/status`, "utf8")
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
        const rss = Number(/VmRSS:\s+(\d+)/u.exec(status)?.[1]) / 1024
        return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, rss }
      })
      const before = { ...(yield* usage), asked: (yield* sandbox.requests).length }
      yield* Effect.sleep("60 seconds")
      const after = { ...(yield* usage), asked: (yield* sandbox.requests).length }
      yield* figure("MB with 10,000 waiting", after.rss)
      yield* figure("% of a core", ((after.cpu - before.cpu) / 60) * 100)
      yield* figure("looks in a minute", after.asked - before.asked)
      expect(after.asked - before.asked).toBeLessThanOrEqual(66)
    }).pipe(Effect.provide(Sandboxes.layer({ rateLimit: { limit: 60, windowSeconds: 60 } })))
  )
})
