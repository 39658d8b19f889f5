/** A campaign that is killed by strace before one of its calls, and what must be so when the same command has ended well. */
import { begin } from "@org/batch-core/Campaign"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { expect } from "vitest"
import { lines, world } from "./Batchctl.js"

/** Inputs of the jobs: 300 is what one of this kind may have. */
export const sizes: ReadonlyArray<number> = [300, 300, 20]

/** A world with a list of inputs, and jobs that take a moment. */
export const there = (inputs: ReadonlyArray<number> = sizes) =>
  Effect.gen(function* () {
    const submitted = { recordBytes: 200, pendingMs: 0, processingMs: 50, parts: 1 }
    const made = yield* world({ submitted, usageDelayMs: 0 })
    const count = inputs.reduce((sum, size) => sum + size)
    const people = Array.from({ length: count }, (_, at) =>
      at % 50 === 9 ? `unresolved${at}@acme.example` : `person${at}@acme.example`
    )
    const list = `email\n${people.join("\n")}\n${people[0]}\nnobody\n`
    writeFileSync(join(made.folder, "people.csv"), list)
    const { campaign } = yield* Effect.orDie(
      begin(
        {
          kind: "person/identify",
          input: { path: "people.csv", format: "csv", column: "email" },
          as: "emails",
          output: join(made.folder, "out.jsonl"),
          format: "jsonl"
        },
        createHash("sha256").update(list).digest("hex")
      )
    )
    const ledger = join(made.folder, ".local/state/batchctl/campaigns", campaign, "ledger.jsonl")
    return { ...made, inputs, people, ledger }
  })

/** Such a world. */
export type There = Effect.Effect.Success<ReturnType<typeof there>>

const command =
  "run person identify --input people.csv --column email --as emails -o out.jsonl --yes --quiet --max-active 1"

/** Before which call it is killed: the `when`th one of its name, of one thread for files, or of the main thread. */
export interface Point {
  readonly call: string
  readonly when: number
  /** Whose calls count: those for files, those to the ledger, those of the main thread, such as all to the network. */
  readonly of: "files" | "ledger" | "main"
}

/** Runs it until it is killed. Gives what it had called, or nothing if it has ended by itself, and that well. */
export const killed = (here: There, { call, of, when }: Point) =>
  Effect.gen(function* () {
    const trace = join(here.folder, "trace")
    rmSync(trace, { recursive: true, force: true })
    mkdirSync(trace)
    const whose = { files: "-ff", ledger: `-ff -P ${here.ledger}`, main: "" }[of]
    const inject = `-e trace=${call},fsync -e inject=${call}:signal=KILL:when=${when}`
    const outcome = yield* here.shell(
      `exec strace ${whose} -qq -y -s 0 -o ${join(trace, "t")} ${inject} $B ${command}`,
      { env: { UV_THREADPOOL_SIZE: "1" } }
    )
    if (outcome.code === 0) return undefined
    expect(outcome, `${of} ${call} ${when}`).toMatchObject({ code: null, stderr: "" })
    return readdirSync(trace).flatMap((file) => lines(readFileSync(join(trace, file), "utf8")))
  })

/** What was never synced is not there after a power cut: the end of the ledger. */
export const cutPower = ({ ledger }: There, trace: ReadonlyArray<string>): void => {
  if (!existsSync(ledger)) return
  let [written, synced] = [0, 0]
  for (const line of trace) {
    if (!line.includes(ledger)) continue
    const bytes = /^write\(.*\) += (\d+)$/u.exec(line)?.[1]
    if (bytes !== undefined) written += Number(bytes)
    if (/^fsync\(.*\) += 0$/u.test(line)) synced = written
  }
  const { length } = readFileSync(ledger)
  truncateSync(ledger, length - (written - synced))
}

/** The same command again; what is wrong then. Nothing, if all is well. */
export const faultsAfter = (here: There) =>
  Effect.gen(function* () {
    const last = yield* here.shell(`exec $B ${command}`)
    if (last.code !== 0) return [`the same command ends with ${last.code}: ${last.stderr}`]
    const { apiKey, baseUrl } = here.sandbox
    const answer = yield* Effect.promise(() =>
      fetch(`${baseUrl}/batch?limit=100`, { headers: { authorization: `Bearer ${apiKey}` } })
    )
    const listed: { jobs: ReadonlyArray<{ batch_id: string; identifier_count: number }> } = JSON.parse(
      yield* Effect.promise(() => answer.text())
    )
    const posts = (yield* here.sandbox.requests).filter(({ method }) => method === "POST")
    const report: {
      readonly jobs: ReadonlyArray<{ readonly batch_id: string }>
      readonly fates: Readonly<Record<string, number>>
    } = JSON.parse(readFileSync(join(here.folder, "out.report.json"), "utf8"))
    const records = lines(readFileSync(join(here.folder, "out.jsonl"), "utf8")).map(
      (line): { readonly matched_on: string } => JSON.parse(line)
    )
    const fates = lines(readFileSync(join(here.folder, "out.fates.csv"), "utf8"))
    const misses = here.people.filter((email) => email.startsWith("unresolved")).length
    return differences({
      "inputs of the jobs": [
        listed.jobs.map((job) => job.identifier_count).toSorted(),
        here.inputs.toSorted()
      ],
      submits: [posts.length, here.inputs.length],
      "jobs of the report": [ids(report.jobs), ids(listed.jobs)],
      fates: [
        report.fates,
        {
          matched: here.people.length - misses,
          not_found: misses,
          redacted: 0,
          rejected: 1,
          duplicate: 1,
          failed: 0,
          undecided: 0
        }
      ],
      "lines of fates": [fates.length, here.people.length + 3],
      records: [records.map((record) => record.matched_on).toSorted(), here.people.toSorted()],
      "left over": [readdirSync(here.folder).filter((name) => name.includes(".partial")), []]
    })
  })

const ids = (jobs: ReadonlyArray<{ readonly batch_id: string }>) => jobs.map((job) => job.batch_id).toSorted()

const differences = (
  found: Readonly<Record<string, readonly [actual: unknown, expected: unknown]>>
): ReadonlyArray<string> =>
  Object.entries(found).flatMap(([name, [actual, expected]]) => {
    const [is, was] = [JSON.stringify(actual), JSON.stringify(expected)]
    return is === was ? [] : [`${name}: ${is.slice(0, 500)} in place of ${was.slice(0, 500)}`]
  })

/** Whether strace is here, and may trace. */
export const canTrace = (): boolean =>
  spawnSync("strace", ["-f", "-qq", "-o", "/dev/null", "-e", "trace=none", "true"]).status === 0

/** Why nothing can be killed here. */
export const notice = "strace is not installed, or may not trace"
