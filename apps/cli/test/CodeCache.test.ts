import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { temporary, world } from "./Batchctl.js"

/** What needs the program, and nothing else. */
const command = ["status", "no-id"]

const caches = mkdtempSync(join(tmpdir(), "batchctl-test-"))
afterAll(() => rmSync(caches, { recursive: true, force: true }))

/** What the run tells that has filled the cache of which each test has a copy. */
const first = Effect.runSync(
  Effect.cached(
    Effect.gen(function* () {
      const { run } = yield* world()
      return yield* run(command, { env: { XDG_CACHE_HOME: caches } })
    }).pipe(Effect.scoped, Effect.orDie)
  )
)

/** The binary with a cache of its own, which holds the code of one run. */
const cached = Effect.gen(function* () {
  const { run, start } = yield* world()
  const told = yield* first
  expect(told).toMatchObject({ code: 2, stdout: "" })
  const own = yield* temporary
  cpSync(caches, own, { recursive: true })
  const folder = join(own, "batchctl", "code")
  const [name = ""] = readdirSync(folder)
  return { caches: own, env: { XDG_CACHE_HOME: own }, file: join(folder, name), folder, run, start, told }
})

it.scopedLive("the code of the first run is kept for the user alone, and used by later ones", () =>
  Effect.gen(function* () {
    const { env, file, folder, run, told } = yield* cached
    const { ino, mode, size } = statSync(file)
    expect(readdirSync(folder)).toHaveLength(1)
    expect([mode & 0o777, statSync(folder).mode & 0o777]).toEqual([0o600, 0o700])
    expect(size).toBeGreaterThan(500_000)
    expect(yield* run(command, { env })).toEqual(told)
    expect(statSync(file).ino).toBe(ino)
    yield* run(command, { env: { ...env, NODE_OPTIONS: "--max-old-space-size=300" } })
    expect(readdirSync(folder)).toHaveLength(2)
    yield* run(command, { env })
    expect(statSync(file).ino).toBe(ino)
  })
)

it.scopedLive("the code of a run that failed gives way to that of one that ends well, which stays", () =>
  Effect.gen(function* () {
    const { env, file, folder } = yield* cached
    const { run, sandbox } = yield* world()
    const id = yield* sandbox.createJob()
    const short = statSync(file).size
    expect((yield* run(["status", id], { env })).code).toBe(0)
    const whole = statSync(file)
    expect(whole.size).toBeGreaterThan(short + 50_000)
    expect((yield* run(["status", id], { env })).code).toBe(0)
    expect((yield* run(command, { env })).code).toBe(2)
    expect(statSync(file).ino).toBe(whole.ino)
    expect(readdirSync(folder)).toHaveLength(1)
  })
)

it.scopedLive(
  "the code of a campaign, for which V8 has other flags, is kept beside, and used by later ones",
  () =>
    Effect.gen(function* () {
      const { env, folder, run } = yield* cached
      const campaign = [
        "run",
        "company",
        "enrich",
        "--input",
        "none.csv",
        "--column",
        "x",
        "-o",
        "out",
        "--yes"
      ]
      const kept = () => readdirSync(folder).map((name) => [name, statSync(join(folder, name)).ino])
      const before = kept()
      const told = yield* run(campaign, { env })
      expect(told).toMatchObject({ code: 9, stdout: "" })
      const after = kept()
      expect(after).toEqual(expect.arrayContaining(before))
      expect(after.length).toBeGreaterThan(before.length)
      expect(yield* run(campaign, { env })).toEqual(told)
      yield* run(command, { env })
      expect(kept()).toEqual(after)
    })
)

it.scopedLive.each([
  ["a byte is another", (file: string) => writeFileSync(file, damaged(readFileSync(file)))],
  ["it is cut", (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 70_000))],
  ["it is empty", (file: string) => writeFileSync(file, "")],
  ["it is of another program", (file: string) => writeFileSync(file, ofAnother(readFileSync(file)))],
  ["its group may write it", (file: string) => chmodSync(file, 0o660)],
  ["it is a link", (file: string) => (renameSync(file, `${file}-x`), symlinkSync(`${file}-x`, file))]
] as const)("code is not used but made anew when %s", ([, spoil]) =>
  Effect.gen(function* () {
    const { env, file, run, told } = yield* cached
    const { ino, size } = statSync(file)
    spoil(file)
    expect(yield* run(command, { env })).toEqual(told)
    const fresh = statSync(file)
    expect(fresh.ino).not.toBe(ino)
    expect(fresh.mode & 0o777).toBe(0o600)
    expect(Math.abs(fresh.size - size)).toBeLessThan(size / 10)
  })
)

it.scopedLive.each([
  ["others may write", (folder: string) => chmodSync(folder, 0o777)],
  [
    "is a link",
    (folder: string) => (
      renameSync(folder, `${folder}-x`),
      chmodSync(`${folder}-x`, 0o700),
      symlinkSync(`${folder}-x`, folder)
    )
  ]
] as const)("nothing is read from a folder and nothing written to it that %s", ([, spoil]) =>
  Effect.gen(function* () {
    const { env, file, folder, run, told } = yield* cached
    writeFileSync(file, damaged(readFileSync(file)))
    const { ino, mtimeMs } = statSync(file)
    spoil(folder)
    expect(yield* run(command, { env })).toEqual(told)
    expect(statSync(file)).toMatchObject({ ino, mtimeMs })
    expect(readdirSync(folder)).toHaveLength(1)
  })
)

it.scopedLive("code of another user is not used", (context) =>
  Effect.gen(function* () {
    const { env, file, folder, run, told } = yield* cached
    if (process.getuid?.() !== 0) return context.skip("only root can give files away")
    const { ino } = statSync(file)
    chownSync(file, 1, 1)
    expect(yield* run(command, { env })).toEqual(told)
    expect(statSync(file)).toMatchObject({ uid: 0 })
    expect(statSync(file).ino).not.toBe(ino)
    chownSync(folder, 1, 1)
    const before = statSync(file)
    writeFileSync(file, damaged(readFileSync(file)))
    expect(yield* run(command, { env })).toEqual(told)
    expect(statSync(file).ino).toBe(before.ino)
  })
)

it.scopedLive("runs that start together leave one file", () =>
  Effect.gen(function* () {
    const { caches, env, folder, run, told } = yield* cached
    renameSync(folder, join(caches, "gone"))
    const all = yield* Effect.forEach(Array.from({ length: 4 }), () => run(command, { env }), {
      concurrency: "unbounded"
    })
    expect(all).toEqual(all.map(() => told))
    expect(readdirSync(folder)).toHaveLength(1)
  })
)

it.scopedLive("what is old goes when something is written, and nothing else", () =>
  Effect.gen(function* () {
    const { env, file, folder, run } = yield* cached
    const old = join(folder, "program-OLD.js.status.00000000")
    writeFileSync(old, "")
    utimesSync(old, 1_700_000_000, 1_700_000_000)
    writeFileSync(join(folder, "program-NEW.js.status.00000000"), "")
    yield* run(command, { env })
    expect(existsSync(old)).toBe(true)
    writeFileSync(file, "")
    yield* run(command, { env })
    expect(readdirSync(folder)).toHaveLength(2)
    expect(existsSync(old)).toBe(false)
  })
)

it.scopedLive("a run that lasts keeps its code meanwhile", () =>
  Effect.gen(function* () {
    const { env, folder, start } = yield* cached
    rmSync(folder, { recursive: true })
    const { until, kill, outcome } = yield* start(["sandbox", "--port", "0"], { env })
    yield* until(/Ctrl-C/u)
    const kept = () =>
      existsSync(folder) ? readdirSync(folder).filter((name) => /\.[\da-f]{8}$/u.test(name)) : []
    while (kept().length === 0) yield* Effect.sleep("50 millis")
    yield* kill("SIGKILL")
    yield* outcome
    const [file = ""] = kept()
    expect(statSync(join(folder, file)).size).toBeGreaterThan(500_000)
  })
)

it.scopedLive.each([
  ["no home is known", { HOME: undefined, XDG_CACHE_HOME: undefined }],
  ["the home cannot be written to", { HOME: "/dev/null", XDG_CACHE_HOME: undefined }],
  ["the folder for caches is no absolute path", { HOME: undefined, XDG_CACHE_HOME: "caches" }],
  ["Node's variable says so", { NODE_DISABLE_COMPILE_CACHE: "1" }]
] as const)("nothing is kept, and all goes well, when %s", ([, env]) =>
  Effect.gen(function* () {
    const { caches, folder: code, run, told } = yield* cached
    const cwd = yield* temporary
    mkdirSync(join(caches, "empty"))
    const empty = { HOME: cwd, XDG_CACHE_HOME: join(caches, "empty") }
    expect(yield* run(command, { cwd, env: { ...empty, ...env } })).toEqual(told)
    expect([...readdirSync(cwd), ...readdirSync(join(caches, "empty"))]).toEqual([])
    expect(readdirSync(code)).toHaveLength(1)
  })
)

it.scopedLive("the home has it in .cache; what needs no program leaves nothing", () =>
  Effect.gen(function* () {
    const { run } = yield* cached
    const home = yield* temporary
    const env = { HOME: home, XDG_CACHE_HOME: undefined }
    for (const words of [["--version"], ["--help"], ["frobnicate"]]) yield* run(words, { env })
    expect(readdirSync(home)).toEqual([])
    yield* run(command, { env })
    expect(readdirSync(join(home, ".cache/batchctl/code"))).toHaveLength(1)
  })
)

const damaged = (bytes: Buffer): Buffer => {
  const middle = bytes.length >> 1
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 0xff, middle)
  return bytes
}

/** The checksum of the text that it was compiled from stands before the last four bytes. */
const ofAnother = (bytes: Buffer): Buffer => {
  bytes.writeUInt32LE(0, bytes.length - 8)
  return bytes
}
