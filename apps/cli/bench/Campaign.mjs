/**
 * A campaign of many inputs through the built `batchctl`, against the sandbox: every row accounted for, no job twice, and
 * the memory that it takes over an empty Node. With `BENCH_KILLS` it is killed so often at random instants first.
 *
 * BENCH_ROWS (200000) · BENCH_KILLS (0) · BENCH_FAULTS (none | lost | storm | failing)
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { createGunzip } from "node:zlib"

// The sandbox as it is built: its sources are TypeScript.
const { Sandbox } = await import(new URL("../../../packages/sandbox/dist/index.js", import.meta.url).href)

const rows = Number(process.env.BENCH_ROWS ?? 200_000)
const kills = Number(process.env.BENCH_KILLS ?? 0)
const faults = process.env.BENCH_FAULTS ?? "none"
const binary = fileURLToPath(new URL("../dist/batchctl.js", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "batchctl-campaign-"))
const input = join(folder, "leads.csv")
const output = join(folder, "out.jsonl.gz")

/** 3 % are not found, 1 % are there already, 1 % are no domains, 0.5 % have opted out. */
const kindOf = (row) =>
  row % 200 === 7
    ? "redacted"
    : row % 100 === 3
      ? "duplicate"
      : row % 100 === 5
        ? "invalid"
        : row % 100 < 13 && row % 100 >= 10
          ? "unresolved"
          : "found"

const write = async () => {
  const out = createWriteStream(input)
  out.write("id,website\n")
  for (let row = 1; row <= rows; row++) {
    const kind = kindOf(row)
    const site = {
      redacted: `redacted-${row}.com`,
      duplicate: ` FOUND-${row + 1 - 4}.com`,
      invalid: "no domain",
      unresolved: `unresolved-${row}.com`,
      found: `found-${row}.com`
    }[kind]
    if (!out.write(`${row},${site}\n`)) await new Promise((resume) => out.once("drain", resume))
  }
  await new Promise((resume) => out.end(resume))
}

const rss = (args, env) =>
  new Promise((resume) => {
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "inherit"]
    })
    let [peak, cpu] = [0, 0]
    const look = setInterval(() => {
      try {
        const [, kb = "0"] = /VmHWM:\s+(\d+)/u.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? []
        peak = Math.max(peak, Number(kb) / 1024)
        // User and system time, in hundredths of a second.
        const [, ...fields] = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1].split(" ")
        cpu = (Number(fields[10]) + Number(fields[11])) / 100
      } catch {}
    }, 50)
    const after = env?.KILL_AFTER
    const timer = after === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), Number(after))
    child.on("exit", (code, signal) => {
      clearInterval(look)
      clearTimeout(timer)
      resume({ code, signal, peak, cpu })
    })
  })

const submitted = { recordBytes: 300, parts: 4, pendingMs: 200, processingMs: 800 }
const program = Effect.gen(function* () {
  const sandbox = yield* Sandbox.start({
    submitted,
    usageDelayMs: 0,
    rateLimit: { limit: 600, windowSeconds: 60 },
    ...(faults === "failing"
      ? {
          submits: [
            { nth: 3, job: { ...submitted, outcome: "failed" } },
            { nth: 7, job: { ...submitted, outcome: "failed" } }
          ]
        }
      : {})
  })
  const submit = { on: { server: "api", method: "POST" } }
  if (faults === "lost") {
    yield* sandbox.script(
      { ...submit, times: 1, do: { drop: { by: "reset" } } },
      { ...submit, times: 1, do: { unprocessed: true, drop: { by: "reset" } } }
    )
  }
  if (faults === "storm")
    yield* sandbox.script({
      ...submit,
      times: 30,
      do: { respond: { status: 429, headers: { "retry-after": "1" }, body: "{}" } }
    })
  yield* Effect.promise(write)
  const env = {
    CRUSTDATA_BASE_URL: sandbox.baseUrl,
    CRUSTDATA_API_KEY: sandbox.apiKey,
    XDG_STATE_HOME: join(folder, "state"),
    BATCH_POLL_INITIAL_DELAY: "300ms",
    BATCH_POLL_MIN_DELAY: "200ms"
  }
  const args = [
    binary,
    "run",
    "company",
    "enrich",
    "--input",
    input,
    "--column",
    "website",
    "--as",
    "domains",
    "-o",
    output,
    "--yes",
    "--max-active",
    "4"
  ]
  const started = performance.now()
  for (let kill = 0; kill < kills; kill++) {
    const outcome = yield* Effect.promise(() =>
      rss([...args, "--quiet"], { ...env, KILL_AFTER: 300 + Math.random() * 2500 })
    )
    if (outcome.code === 0) break
  }
  const last = yield* Effect.promise(() => rss(args, env))
  const seconds = (performance.now() - started) / 1000
  const empty = yield* Effect.promise(() => rss(["-e", "setTimeout(() => 0, 300)"], {}))
  const jobs = (yield* Effect.promise(() => list(sandbox))).filter(({ action }) => action === "enrich")
  const posts = (yield* sandbox.requests).filter(({ method }) => method === "POST")
  return { last, seconds, empty, jobs, posts, script: yield* sandbox.faults }
})

const list = async ({ apiKey, baseUrl }) => {
  const all = []
  for (let cursor = ""; ;) {
    const answer = await fetch(`${baseUrl}/batch?limit=100${cursor}`, {
      headers: { authorization: `Bearer ${apiKey}` }
    })
    const { has_more, jobs, next_cursor } = await answer.json()
    all.push(...jobs)
    if (!has_more) return all
    cursor = `&cursor=${next_cursor}`
  }
}

const { empty, jobs, last, posts, script, seconds } = await Effect.runPromise(Effect.scoped(program))
const report = JSON.parse(readFileSync(join(folder, "out.report.json"), "utf8"))
const seen = { rows: 0, order: true }
for await (const line of createInterface({ input: createReadStream(join(folder, "out.fates.csv")) })) {
  if (line.startsWith("row,")) continue
  seen.rows += 1
  seen.order &&= line.startsWith(`${seen.rows},`)
}
let records = 0
for await (const _ of createInterface({ input: createReadStream(output).pipe(createGunzip()) })) records += 1
const inputs = jobs.reduce((sum, job) => sum + job.identifier_count, 0)
console.log(
  `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}, load ${loadavg()[0].toFixed(1)}`
)
console.log(
  `exit ${last.code}, ${seconds.toFixed(1)} s and ${last.cpu} s of CPU with ${kills} kills, peak ${last.peak.toFixed(0)} MiB, ${(last.peak - empty.peak).toFixed(0)} over an empty Node`
)
console.log(
  `jobs at the API ${jobs.length} with ${inputs} inputs, unique ${report.unique}; fates ${JSON.stringify(report.fates)}; lines of fates ${seen.rows}, in order ${seen.order}; records ${records}; credits ${JSON.stringify(report.credits)}`
)
const statuses = new Map()
for (const { status = "no answer" } of posts) statuses.set(status, (statuses.get(status) ?? 0) + 1)
console.log(
  `submits ${posts.length}: ${[...statuses].map(([status, times]) => `${times} × ${status}`).join(", ")}; faults ${JSON.stringify(script)}`
)
const sum = Object.values(report.fates).reduce((a, b) => a + b, 0)
const isSound =
  sum === rows && seen.rows === rows && seen.order && records === report.records && inputs === report.unique
console.log(isSound ? "every row accounted for, nothing sent twice" : "NOT SOUND")
rmSync(folder, { recursive: true, force: true })
process.exitCode = isSound ? 0 : 1
