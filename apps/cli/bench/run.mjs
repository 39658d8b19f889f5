/**
 * `pnpm bench [startup] [results]`: the figures that the project promises, measured on this machine with the built
 * `batchctl` against the sandbox. BENCH_RECORDS sets the size of the result (default 200,000 rows, about 1.2 GB).
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { results } from "./Results.mjs"
import { startup } from "./Startup.mjs"

const batchctl = fileURLToPath(new URL("../dist/batchctl.js", import.meta.url))
const folder = await mkdtemp(join(tmpdir(), "batchctl-bench-"))
const sandbox = spawn(process.execPath, [batchctl, "sandbox", "--port", "0"], {
  stdio: ["ignore", "pipe", "inherit"]
})
try {
  let said = ""
  for await (const chunk of sandbox.stdout) {
    said += chunk
    if (/CRUSTDATA_API_KEY=\S+/.test(said) && /CRUSTDATA_BASE_URL=\S+/.test(said)) break
  }
  process.env.CRUSTDATA_BASE_URL = /CRUSTDATA_BASE_URL=(\S+)/.exec(said)[1]
  process.env.CRUSTDATA_API_KEY = /CRUSTDATA_API_KEY=(\S+)/.exec(said)[1]
  const base = process.env.CRUSTDATA_BASE_URL
  const submit = async (spec) => {
    const body = JSON.stringify({ pendingMs: 0, processingMs: 0, ...spec })
    const response = await fetch(`${base}/__sandbox/jobs`, { method: "POST", body })
    return (await response.json()).batch_id
  }
  const linkOf = async (id) => {
    const headers = { authorization: `Bearer ${process.env.CRUSTDATA_API_KEY}` }
    return (await (await fetch(`${base}/batch/${id}`, { headers })).json()).download_url
  }
  const wanted = process.argv.slice(2)
  const context = { batchctl, folder, submit, linkOf, records: Number(process.env.BENCH_RECORDS ?? 200_000) }
  for (const bench of [startup, results]) {
    if (wanted.length === 0 || wanted.includes(bench.name)) await bench(context)
  }
} finally {
  sandbox.kill("SIGTERM")
  await once(sandbox, "exit")
  await rm(folder, { recursive: true, force: true })
}
