/**
 * `pnpm bench`, or one at a time after a build, in `apps/cli`, `pnpm bench [startup] [results] [memory] [resume]`: the
 * figures that the project promises, measured on this machine with the built `batchctl`. BENCH_RECORDS sets the size of
 * the result: 1,300,000 rows are 1 GB compressed and 8 GB of JSON, and need 35 GB of disk meanwhile; the default is a
 * tenth of that. BENCH_RUNS is how often each pair runs, 5 times if not said. What is missing of the peers is installed
 * from Debian where that is possible, and else skipped.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Host from "./Host.mjs"
import { have } from "./Measure.mjs"
import { memory } from "./Memory.mjs"
import { results } from "./Results.mjs"
import { resume } from "./Resume.mjs"
import { startup } from "./Startup.mjs"

const batchctl = fileURLToPath(new URL("../dist/batchctl.js", import.meta.url))
const folder = await mkdtemp(join(tmpdir(), "batchctl-bench-"))
const sandbox = spawn(process.execPath, [batchctl, "sandbox", "--port", "0"], {
  env: { ...process.env, TMPDIR: folder },
  stdio: ["ignore", "pipe", "inherit"]
})
let host
try {
  let said = ""
  for await (const chunk of sandbox.stdout) {
    said += chunk
    if (/CRUSTDATA_API_KEY=\S+/.test(said) && /CRUSTDATA_BASE_URL=\S+/.test(said)) break
  }
  const base = /CRUSTDATA_BASE_URL=(\S+)/.exec(said)[1]
  process.env.CRUSTDATA_BASE_URL = base
  process.env.CRUSTDATA_API_KEY = /CRUSTDATA_API_KEY=(\S+)/.exec(said)[1]
  const submit = async (spec) => {
    const body = JSON.stringify({ pendingMs: 0, processingMs: 0, ...spec })
    const response = await fetch(`${base}/__sandbox/jobs`, { method: "POST", body })
    return (await response.json()).batch_id
  }
  const linksOf = async (id) => {
    const headers = { authorization: `Bearer ${process.env.CRUSTDATA_API_KEY}` }
    return (await fetch(`${base}/batch/${id}`, { headers })).json()
  }
  const wanted = process.argv.slice(2)
  const isWanted = ({ name }) => wanted.length === 0 || wanted.includes(name)
  const context = { batchctl, folder, submit, linksOf, records: Number(process.env.BENCH_RECORDS ?? 130_000) }
  if (isWanted(startup)) await startup(context)
  const others = [results, memory, resume].filter(isWanted)
  const peers = { curl: "curl", gzip: "gzip", nginx: "nginx", tee: "coreutils" }
  if (others.length > 0 && have(peers)) {
    host = await Host.start(context)
    process.env.CRUSTDATA_BASE_URL = host.baseUrl
    for (const bench of others) await bench({ ...context, host })
  }
} finally {
  await host?.stop()
  sandbox.kill("SIGTERM")
  await once(sandbox, "exit")
  await rm(folder, { recursive: true, force: true })
}
