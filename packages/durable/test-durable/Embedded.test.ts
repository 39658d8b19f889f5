import { it } from "@effect/vitest"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect, Random, type Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { mkdir, readdir, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { describe, expect } from "vitest"
import * as Process from "../test/Process.js"
import * as Stack from "../test/Stack.js"

const rounds = Number(process.env["BATCH_TEST_ROUNDS"] ?? 20)

const figure = (name: string, value: unknown) =>
  Effect.sync(() => console.log(`FIGURE ${name}: ${String(value)}`))

/** Whether `strace` is there and may look at a process; `apt-get install strace` brings it. */
const isTraceable = spawnSync("strace", ["-f", "true"]).status === 0

if (!isTraceable) console.log("skipped: strace is not installed, or may trace nothing here")

/** A sync that has ended; where another thread called meanwhile, it ends in a line of its own. */
const isSynced = (line: string): boolean => /\bf(?:data)?sync(?:\(\d+| resumed>)\) += 0/u.test(line)

/** Writes the syncs of a process to a file, and what it says on its standard output. */
const trace = (pid: number, file: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<ReturnType<typeof spawn>>((resume) => {
      const args = ["-f", "-s", "16", "-e", "trace=fsync,fdatasync,write", "-o", file, "-p", String(pid)]
      const child = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] })
      child.stderr.on("data", (text: Buffer) => {
        if (text.includes("attached")) resume(Effect.succeed(child))
      })
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

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

  it.scopedLive("while it starts and in the middle of commits, loses nothing that it confirmed", () =>
    Effect.gen(function* () {
      const { sandbox, variables } = yield* prepare
      const id = yield* sandbox.createJob({ records: 1, stuck: true })
      const request = (name: string) => ({ batch_id: id, destination: { type: "folder", path: name } })
      const confirmed = new Set<string>()
      const kills = { boot: 0, commit: 0 }
      let asked = 0
      for (let round = 0; round < rounds; round++) {
        const program = yield* Process.start({ ...variables, BATCH_TEST_ROLE: "api" })
        if (round % 2 === 0) {
          yield* Effect.sleep(yield* Random.nextIntBetween(100, 2500))
        } else {
          yield* program.until(({ ready }) => ready === true)
          for (let index = 0; index < 200; index++) yield* program.send(request(`c${asked++}`))
          const confirmations = yield* Random.nextIntBetween(1, 100)
          yield* program.until(() => program.lines.length > confirmations)
        }
        const isReady = program.lines.length > 0
        yield* program.kill("SIGKILL")
        yield* program.exit
        kills[isReady ? "commit" : "boot"] += 1
        expect(program.lines.filter(({ error }) => error !== undefined)).toEqual([])
        for (const { id: known } of program.lines) if (known !== undefined) confirmed.add(known)
      }
      const program = yield* Process.start({ ...variables, BATCH_TEST_ROLE: "api" })
      yield* program.until(({ ready }) => ready === true)
      for (let index = 0; index < asked; index++) yield* program.send(request(`c${index}`))
      yield* program.until(() => program.lines.length > asked)
      const lost = program.lines.filter(
        ({ created, id: known }) => created === true && confirmed.has(known ?? "")
      )
      expect(lost).toEqual([])
      expect(confirmed.size).toBeGreaterThanOrEqual(Math.floor(rounds / 2))
      yield* figure("killed in boot, and mid-commit", `${kills.boot}, ${kills.commit}`)
      yield* figure("confirmed before a kill, and all there", confirmed.size)
    }).pipe(Effect.provide(Sandboxes.layer()))
  )

  it.scopedLive("in its first start, opens again", () =>
    Effect.gen(function* () {
      const { folder, variables } = yield* prepare
      const found = new Map<string, number>()
      for (let round = 0; round < rounds; round++) {
        const place = join(folder, `first-${round}`)
        const again = { ...variables, BATCH_TEST_STORE: place, BATCH_TEST_ROLE: "api" }
        const killed = yield* Process.start(again)
        const names = Effect.promise(() => readdir(place).catch((): Array<string> => []))
        yield* Stack.eventually(names, (some) => some.length > 0)
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 2500))
        yield* killed.kill("SIGKILL")
        yield* killed.exit
        const left = (yield* names)
          .filter((name) => name !== "lock")
          .toSorted()
          .join(" and ")
        found.set(left, (found.get(left) ?? 0) + 1)
        const program = yield* Process.start(again)
        yield* program.until(({ ready }) => ready === true)
        yield* program.kill("SIGKILL")
        yield* program.exit
        yield* Effect.promise(() => rm(place, { recursive: true }))
      }
      yield* figure("what a kill in the first start left", JSON.stringify(Object.fromEntries(found)))
    }).pipe(Effect.provide(Sandboxes.layer()))
  )
})

describe("an embedded store", () => {
  it.scopedLive("refuses a second process at once", () =>
    Effect.gen(function* () {
      const { variables } = yield* prepare
      const first = yield* Process.start(variables)
      yield* first.until(({ ready }) => ready === true)
      const seconds: Array<number> = []
      for (let round = 0; round < 5; round++) {
        const begun = process.hrtime.bigint()
        const second = yield* Process.start(variables)
        expect(yield* second.exit).toBe(9)
        seconds.push(Number(process.hrtime.bigint() - begun) / 1e9)
        expect(second.lines).toEqual([{ error: "StoreRefused" }])
      }
      yield* figure(
        "seconds from the start of a second process to its refusal, at best",
        Math.min(...seconds)
      )
      expect(Math.min(...seconds)).toBeLessThan(3)
    }).pipe(Effect.provide(Sandboxes.layer()))
  )

  it.scopedLive.skipIf(!isTraceable)("has the kernel sync each commit before it confirms it", () =>
    Effect.gen(function* () {
      const { folder, sandbox, variables } = yield* prepare
      const id = yield* sandbox.createJob({ records: 1, stuck: true })
      const program = yield* Process.start({ ...variables, BATCH_TEST_ROLE: "api" })
      yield* program.until(({ ready }) => ready === true)
      const calls = join(folder, "calls")
      yield* trace(program.child.pid ?? 0, calls)
      for (let index = 0; index < 50; index++) {
        yield* program.send({ batch_id: id, destination: { type: "folder", path: `s${index}` } })
        yield* program.until(() => program.lines.length > index + 1)
      }
      const confirmation = /write\(1, "\{\\"id\\"/u
      const lines = yield* Stack.eventually(
        Effect.promise(async () => (await readFile(calls, "utf8")).split("\n")),
        (some) => some.filter((line) => confirmation.test(line)).length >= 50
      )
      let synced = 0
      for (const line of lines) {
        if (isSynced(line)) synced += 1
        if (confirmation.test(line)) {
          expect(synced).toBeGreaterThan(0)
          synced = 0
        }
      }
      yield* figure("fsyncs of 50 commits", lines.filter((line) => isSynced(line)).length)
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
