/**
 * SIGKILL before calls that a download makes to write, sync, rename, link or open a file, by strace: before every one with
 * `BATCH_TEST_CRASHES=all` (`pnpm test:durable`), else before some of each kind. On every other point also a power cut:
 * whatever was written and not synced is overwritten with zeros. What is on the disk then must be enough for the same command
 * to end well, without fetching anything that the journal claims.
 */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync
} from "node:fs"
import { join } from "node:path"
import { lines, over, type World, world } from "./Batchctl.js"

const calls = ["pwrite64", "fsync", "rename", "link", "unlink", "openat"] as const

const figures = { cellBytes: 8_192, syncBytes: 16_384 }

/** One thread for files, since strace counts the calls of each; one connection, so that the order is always the same. */
const environment = {
  UV_THREADPOOL_SIZE: "1",
  BATCH_TRANSFER_INITIAL_CONNECTIONS: "1",
  BATCH_TRANSFER_CELL_BYTES: `${figures.cellBytes}`,
  BATCH_TRANSFER_SYNC_BYTES: `${figures.syncBytes}`,
  BATCH_TRANSFER_BLOCK_BYTES: "4096",
  BATCH_TRANSFER_SYNC_INTERVAL: "1m"
}

/** Points of a sweep that are enough from day to day. */
const some = (...points: ReadonlyArray<number>) =>
  process.env["BATCH_TEST_CRASHES"] === "all" ? undefined : points

it.scopedLive(
  "killed at any point before the file has its name, the same command goes on",
  (context) =>
    Effect.gen(function* () {
      if (!canTrace()) return context.skip(notice)
      const here = yield* world()
      const sweeps: ReadonlyArray<Sweep> = [
        { form: "gz", call: "pwrite64", only: some(2, 5) },
        { form: "gz", call: "fsync", only: some(3, 6) },
        { form: "gz", call: "rename", only: some(1, 2), patient: [1] },
        { form: "gz", call: "link", only: some(1) },
        { form: "gz", call: "openat", only: some(2, 6) ?? [1, 2, 3, 6] },
        {
          form: "gz",
          call: "pwrite64",
          only: some(7) ?? [3, 7],
          env: { BATCH_TRANSFER_INITIAL_CONNECTIONS: "4" }
        },
        { form: "jsonl", call: "pwrite64", only: some(5) },
        { form: "jsonl", call: "fsync", only: some() },
        { form: "jsonl", call: "link", only: some(1), patient: [1] },
        { form: "csv", call: "pwrite64", only: some() },
        { form: "csv", call: "link", only: some(1), patient: [1] },
        { form: "parts", call: "pwrite64", only: some(8) },
        { form: "parts", call: "fsync", only: some(4) },
        { form: "parts", call: "rename", only: some(2) },
        { form: "parts", call: "link", only: some(1) ?? [1] }
      ]
      const crashes = yield* all(here, sweeps)
      expect(crashes.flat().filter(({ faults }) => faults.length > 0)).toEqual([])
      const points = crashes.map((all) => all.length)
      expect(points.slice(0, 4)).toEqual(
        some() === undefined ? [atLeast(6), atLeast(6), atLeast(2), 1] : [2, 2, 2, 1]
      )
      expect(points.slice(4)).toEqual(sweeps.slice(4).map(({ only }) => only?.length ?? atLeast(1)))
    }),
  900_000
)

it.scopedLive(
  "killed after the file has its name, the same command ends well and clears up",
  (context) =>
    Effect.gen(function* () {
      if (!canTrace()) return context.skip(notice)
      const here = yield* world()
      const sweeps: ReadonlyArray<Sweep> = [
        { form: "gz", call: "unlink", only: [1, 2], named: true },
        { form: "jsonl", call: "unlink", only: some(2) ?? [1, 2], named: true },
        { form: "csv", call: "unlink", only: some(1) ?? [1, 2], named: true },
        { form: "parts", call: "link", only: some(3) ?? [2, 3], named: true },
        { form: "parts", call: "unlink", only: some(1, 4) ?? [1, 3, 4], named: true }
      ]
      const crashes = yield* all(here, sweeps)
      expect(crashes.flat().filter(({ faults }) => faults.length > 0)).toEqual([])
    }),
  600_000
)

const atLeast = (least: number): unknown => expect.toSatisfy((count: number) => count >= least)

type Form = "gz" | "jsonl" | "csv" | "parts"

/** Crashes at the first, second, … call of a kind, until a run ends by itself, or at some of them only. */
interface Sweep {
  readonly form: Form
  readonly call: (typeof calls)[number]
  readonly only?: ReadonlyArray<number> | undefined
  /** Where the dead run's lock is left for the next one to wait for. */
  readonly patient?: ReadonlyArray<number>
  readonly env?: Readonly<Record<string, string>>
  /** Whether to go on as well where a file has its name already. */
  readonly named?: boolean
}

/** What was wrong after a crash; nothing, if all is well. */
interface Crash {
  readonly point: string
  readonly faults: ReadonlyArray<string>
}

/** The crashes of each sweep. Those of a form share one undisturbed run, and go one after the other. */
const all = (here: World, sweeps: ReadonlyArray<Sweep>) =>
  Effect.gen(function* () {
    const found = yield* Effect.forEach(
      new Set(sweeps.map(({ form }) => form)),
      (form) =>
        Effect.gen(function* () {
          const clean = yield* undisturbed(here, form)
          const ours = sweeps.filter((each) => each.form === form)
          return yield* Effect.forEach(ours, (each) =>
            Effect.map(sweep(here, clean, each), (crashes) => [each, crashes] as const)
          )
        }),
      { concurrency: 2 }
    )
    const crashesOf = new Map(found.flat())
    return sweeps.map((each) => crashesOf.get(each) ?? [])
  })

const undisturbed = (here: World, form: Form) =>
  Effect.gen(function* () {
    const id = yield* Effect.orDie(here.sandbox.createJob({ ...over, records: 40, parts: 3 }))
    const clean = place(here, form, id, `${id}-clean`)
    const first = yield* here.run(clean.args, { env: environment })
    expect(first).toMatchObject({ code: 0, stderr: "" })
    const bytes = yield* served(here, id)
    return { id, names: readdirSync(clean.folder), results: resultsIn(clean), bytes } satisfies Whole
  })

const sweep = (here: World, whole: Whole, options: Sweep) =>
  Effect.gen(function* () {
    const { call, env, form, named, only, patient } = options
    const { id } = whole
    const crashes: Array<Crash> = []
    for (let when = 1; ; when++) {
      if (only !== undefined && when > Math.max(...only)) return crashes
      if (only !== undefined && !only.includes(when)) continue
      const point = [form, call, when, ...Object.values(env ?? {})].join(" ")
      const there = place(here, form, id, `${id}-${point.replaceAll(" ", "-")}`)
      const dead = yield* killed(here, there, { call, when, env: { ...environment, ...env } })
      if (dead === undefined) return crashes
      if (when % 2 === 0 || call === "link") cutPower(dead)
      if (patient?.includes(when) !== true) removeLocks(there)
      const faults = judgeCrash(whole, there, dead)
      const goesOn = named === true || Object.keys(resultsIn(there)).length === 0
      crashes.push({ point, faults: goesOn ? [...faults, ...(yield* goOn(here, whole, there))] : faults })
    }
  })

/** Where a run leaves its result. */
interface Place {
  readonly id: string
  readonly form: Form
  readonly folder: string
  readonly trace: string
  readonly args: ReadonlyArray<string>
}

const place = (here: World, form: Form, id: string, name: string): Place => {
  const folder = join(here.folder, `${name}.out`)
  const trace = join(here.folder, `${name}.trace`)
  mkdirSync(folder)
  mkdirSync(trace)
  const output =
    form === "parts"
      ? ["--parts", "-o", folder]
      : ["-o", join(folder, form === "gz" ? "rows.jsonl.gz" : `rows.${form}`)]
  return { id, form, folder, trace, args: ["download", id, "--quiet", ...output] }
}

/** What a run that was killed had written, in the order of its calls; none if it ended by itself. */
const killed = (
  here: World,
  { args, folder, trace }: Place,
  {
    call,
    env,
    when
  }: { readonly call: string; readonly when: number; readonly env: Readonly<Record<string, string>> }
) =>
  Effect.gen(function* () {
    // The main thread opens files of its own, and has a count of its own, so only those of the download count.
    const paths =
      call === "openat" ? ["rows.jsonl.gz.lock", "rows.jsonl.gz.partial", "rows.jsonl.gz.journal.next"] : []
    const filter = paths.map((name) => `-P ${join(folder, name)}`).join(" ")
    const inject = `-e trace=${calls.join()} ${filter} -e inject=${call}:signal=KILL:when=${when}`
    const outcome = yield* here.shell(
      `exec strace -ff -qq -y -s 0 -o ${join(trace, "t")} ${inject} $B ${args.join(" ")}`,
      { env }
    )
    if (outcome.code === 0) return undefined
    expect(outcome, `${call} ${when}`).toMatchObject({ code: null, stderr: "" })
    return readdirSync(trace).flatMap((file) => lines(readFileSync(join(trace, file), "utf8")))
  })

interface Write {
  readonly path: string
  readonly position: number
  readonly bytes: number
}

/** The writes of a run, and those of them that no sync followed. */
const writesOf = (trace: ReadonlyArray<string>) => {
  const all: Array<Write> = []
  let unsynced: Array<Write> = []
  for (const line of trace) {
    const [, path, position, bytes] = /^pwrite64\(\d+<(.+)>, .*, (\d+)\) += (\d+)$/u.exec(line) ?? []
    if (path !== undefined) {
      const write = { path, position: Number(position), bytes: Number(bytes) }
      all.push(write)
      unsynced.push(write)
    }
    const synced = /^fsync\(\d+<(.+)>\) += 0$/u.exec(line)?.[1]
    unsynced = unsynced.filter((write) => write.path !== synced)
  }
  return { all, unsynced }
}

/** What was never synced is not there after a power cut. */
const cutPower = (trace: ReadonlyArray<string>): void => {
  for (const { bytes, path, position } of writesOf(trace).unsynced) {
    if (!existsSync(path)) continue
    const file = openSync(path, "r+")
    writeSync(file, new Uint8Array(bytes), 0, bytes, position)
    closeSync(file)
  }
}

/** What an undisturbed run comes to. */
interface Whole {
  readonly id: string
  readonly names: ReadonlyArray<string>
  readonly results: Readonly<Record<string, string>>
  /** That the file host sends. */
  readonly bytes: number
}

/** A name that was asked for is there with the whole result or not at all, and little is lost. */
const judgeCrash = (whole: Whole, there: Place, trace: ReadonlyArray<string>): ReadonlyArray<string> => {
  const results = Object.entries(resultsIn(there))
  const brought = writesOf(trace).all.filter(({ path }) => path.endsWith(".gz.partial"))
  const lost = sum(brought.map(({ bytes }) => bytes)) - claimedIn(there)
  const most = 2 * figures.syncBytes + 4 * figures.cellBytes
  return [
    ...results.flatMap(([name, digest]) => (digest === whole.results[name] ? [] : [`${name} is not whole`])),
    ...(results.length > 0 || lost <= most ? [] : [`${lost} bytes are lost`])
  ]
}

/** The same command again. */
const goOn = (here: World, whole: Whole, there: Place) =>
  Effect.gen(function* () {
    const isPublished = there.form !== "parts" && Object.keys(resultsIn(there)).length > 0
    const missing = isPublished ? 0 : whole.bytes - claimedIn(there)
    const before = yield* served(here, there.id)
    const { code, stderr } = yield* here.run(there.args, { env: environment })
    const fetched = (yield* served(here, there.id)) - before
    const left = readdirSync(there.folder)
    return [
      ...(code === 0 ? [] : [`the same command ends with ${code}: ${stderr}`]),
      ...(fetched <= missing ? [] : [`it fetched ${fetched} bytes when ${missing} were missing`]),
      ...(left.join() === whole.names.join() ? [] : [`it left ${left.join(", ")}`]),
      ...(isSame(resultsIn(there), whole.results) ? [] : ["the result is another one"])
    ]
  })

const removeLocks = ({ folder }: Place): void => {
  for (const name of readdirSync(folder)) if (name.endsWith(".lock")) rmSync(join(folder, name))
}

const isResult = (name: string): boolean => /\.(?:jsonl(?:\.gz)?|csv)$/u.test(name)

/** The digests of the files with a final name. */
const resultsIn = ({ folder }: Place): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter(isResult)
      .map((name) => [
        name,
        createHash("sha256")
          .update(readFileSync(join(folder, name)))
          .digest("hex")
      ])
  )

const isSame = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
  JSON.stringify(a) === JSON.stringify(b)

/** How many bytes the journal says are here. */
const claimedIn = ({ folder }: Place): number => {
  const name = readdirSync(folder).find((name) => name.endsWith(".journal"))
  if (name === undefined) return 0
  const journal: { readonly entries: ReadonlyArray<{ readonly filled: ReadonlyArray<number> }> } = JSON.parse(
    readFileSync(join(folder, name), "utf8")
  )
  return sum(journal.entries.flatMap(({ filled }) => filled))
}

/** How many bytes of a job's results the file host has sent. */
const served = ({ sandbox }: World, id: string) =>
  Effect.map(sandbox.requests, (requests) =>
    sum(
      requests.flatMap(({ bytesSent, path, server }) =>
        server === "storage" && path.includes(id) ? [bytesSent] : []
      )
    )
  )

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)

const notice = "strace is not installed, or may not trace"

const canTrace = (): boolean =>
  spawnSync("strace", ["-f", "-qq", "-o", "/dev/null", "-e", "trace=none", "true"]).status === 0
