/**
 * What the main commands look like on terminals of 40, 80 and 120 columns, and in a log: golden files in `screens/`.
 * Renew them with `npx vitest run test/Screens.test.ts -u`, and look at the difference.
 */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { over, world } from "./Batchctl.js"
import { available, bare, onTerminal, screen } from "./Terminal.js"

const widths = [40, 80, 120] as const

it("there is a terminal to look at", (context) => {
  context.skip(
    !available,
    "script of util-linux is not installed: what stands on a terminal is not looked at"
  )
  expect(available).toBe(true)
})

/** So many hours and a half ago: told as whole hours, however long the test takes. */
const hours = (number: number): string => new Date(Date.now() - (number + 0.5) * 3_600_000).toISOString()

const ids = ["11111111", "22222222", "33333333", "44444444"].map(
  (head) => `${head}-89ab-4cde-8f01-23456789abcd`
)

/** The account's jobs, as old as the screen says. */
const jobs = () =>
  [
    { status: "pending", result_count: 0, entities_fulfilled: 0, created_at: hours(26) },
    { status: "processing", result_count: 1_240, entities_fulfilled: 1_240, created_at: hours(51) },
    {
      status: "completed",
      result_count: 12_345,
      entities_fulfilled: 12_001,
      created_at: hours(120),
      completed_at: hours(75)
    },
    { status: "failed", result_count: 0, entities_fulfilled: 0, created_at: hours(1_000) }
  ].map((job, index) => ({
    batch_id: ids[index],
    entity: "company",
    action: "enrich",
    identifier_count: 12_345,
    entities_requested: 12_345,
    ...job
  }))

const [, running = "", completed = "", failed = ""] = ids

const json = (body: unknown) => ({ status: 200, body: JSON.stringify(body) })

/** A sandbox whose answers never change, so that screens do not. */
const still = Effect.gen(function* () {
  const made = yield* world({ rateLimit: { limit: 100_000, windowSeconds: 1 } })
  const answer = (path: string, body: unknown) =>
    made.sandbox.script({ on: { server: "api", path }, times: -1, do: { respond: json(body) } })
  for (const job of jobs())
    yield* answer(`/batch/${job.batch_id}`, { ...job, error_message: "the provider did not answer" })
  yield* answer("^/batch$", { jobs: jobs(), has_more: false, next_cursor: null })
  return made
})

/** What differs from run to run and machine to machine, told in as many characters. */
const steady = (text: string, folder: string): string =>
  text
    .replaceAll(folder, "/home/me")
    .replace(/127\.0\.0\.1:\d{4,5}/gu, "127.0.0.1:8788")
    .replace(/after \d+(?:\.\d)? m?s/gu, "after 1 s")
    .replace(/\d+ polls?\b/gu, "1 poll")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/gu, "2025-11-20 10:00:00Z")

/** One poll, so that no figure has more digits on a slower machine. */
const frugal = { BATCH_POLL_MIN_DELAY: "1s", BATCH_POLL_MAX_DELAY: "1s" }

const scenes = {
  list: "$B list",
  status: `$B status ${completed}`,
  "wait-timeout": `$B wait ${running} --timeout 1s`,
  failure: `$B get ${failed}`,
  "did-you-mean": `$B lst; $B list --limt 3; $B get ${running} --format cvs`,
  help: "$B --help",
  "help-get": "$B help get",
  "help-submit": "$B submit --help",
  "help-collect": "$B collect --help",
  "dry-run": "$B submit company enrich --domains acme.com,example.org --dry-run"
} as const

it.scopedLive.skipIf(!available)("stand on a terminal as in the golden files, at any width", () =>
  Effect.gen(function* () {
    const made = yield* still
    for (const [name, line] of Object.entries(scenes)) {
      for (const columns of widths) {
        const { stdout } = yield* onTerminal(made, line, { columns, rows: 200, env: frugal })
        const seen = steady(screen(stdout, columns).join("\n"), made.folder)
        yield* Effect.promise(() => expect(seen).toMatchFileSnapshot(`screens/${name}.${columns}.txt`))
      }
    }
  })
)

it.scopedLive.skipIf(!available)(
  "a status that there is not names those that there are, and a command to paste",
  () =>
    Effect.gen(function* () {
      const made = yield* world()
      for (const columns of widths) {
        const { stdout } = yield* onTerminal(made, "$B list --status weird", { columns })
        const seen = screen(stdout, columns).join("\n")
        yield* Effect.promise(() => expect(seen).toMatchFileSnapshot(`screens/no-such-status.${columns}.txt`))
      }
    })
)

it.scopedLive.skipIf(!available)("have no colour with NO_COLOR, and none in CI", () =>
  Effect.gen(function* () {
    const made = yield* still
    const coloured = yield* onTerminal(made, "$B list", { columns: 80 })
    expect(coloured.stdout).toContain("\u001b[32mcompleted\u001b[0m")
    for (const env of [{ NO_COLOR: "1" }, { CI: "true" }, { TERM: "dumb" }]) {
      const { stdout } = yield* onTerminal(made, "$B list; $B --help", { columns: 80, env })
      expect(stdout, JSON.stringify(env)).not.toContain("\u001b")
      expect(stdout, JSON.stringify(env)).toContain("completed")
    }
  })
)

it.scopedLive("keep the whole table and every id in a pipe", () =>
  Effect.gen(function* () {
    const { run } = yield* still
    const { stdout } = yield* run(["list"])
    yield* Effect.promise(() => expect(stdout).toMatchFileSnapshot("screens/list.piped.txt"))
  })
)

it.scopedLive.skipIf(!available)(
  "several batches have a live line each, up to the height of the terminal",
  () =>
    Effect.gen(function* () {
      const made = yield* world()
      const slow = yield* made.sandbox.createJob({ stuck: true, records: 10 })
      const other = yield* made.sandbox.createJob({ stuck: true, records: 10 })
      const line = `$B wait ${slow} ${other} --timeout 3s`
      const tall = yield* onTerminal(made, line, { columns: 80 })
      const [first, second] = [slow, other].map((id) => id.slice(0, 8))
      expect(bare(tall.stdout)).toMatch(
        new RegExp(`${first} processing[^\\n]*\\r?\\n[^\\n]*${second} processing`, "u")
      )
      expect(bare(tall.stdout)).toContain("2 batches: 2 waiting")
      const short = yield* onTerminal(made, line, { columns: 80, rows: 3 })
      // When one has ended, there is room for the other's line.
      const [whileBothWait = ""] = bare(short.stdout).split("error:")
      expect(whileBothWait).not.toContain(`${first} processing`)
      expect(whileBothWait).toContain("2 batches: 2 waiting")
      // Nothing live is left behind.
      expect(screen(tall.stdout, 80).join("\n")).not.toContain("2 batches")
    })
)

it.scopedLive.skipIf(!available)("a download ends with one line that stays, and verify reads it again", () =>
  Effect.gen(function* () {
    const made = yield* world()
    const id = yield* made.sandbox.createJob({ ...over, records: 20 })
    const { stdout } = yield* onTerminal(made, `$B download ${id} -o rows.jsonl --receipt`, { columns: 80 })
    expect(screen(stdout, 80).filter((line) => line !== "")).toEqual([
      expect.stringMatching(/^[0-9a-f-]{36} complete and verified: 20 rows, [\d.]+ kB, in$/u),
      "  rows.jsonl"
    ])
    const verified = yield* onTerminal(made, "$B verify rows.jsonl", { columns: 80 })
    expect(screen(verified.stdout, 80).join("\n")).toContain("rows       20")
  })
)
