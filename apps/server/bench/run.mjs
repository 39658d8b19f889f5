/**
 * `pnpm bench`: what the service costs, measured on this machine with the built service against a sandbox. Peers that
 * are missing are installed from Debian where that is possible, and skipped with a notice otherwise.
 */
import { spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { answers, bundled, freePort, start, stop } from "./Processes.mjs"
import { requests } from "./Requests.mjs"
import { results } from "./Results.mjs"
import { streams } from "./Streams.mjs"

const folder = await mkdtemp(join(tmpdir(), "batch-server-bench-"))
const program = new URL("../dist/batch-server.js", import.meta.url).pathname
const running = []
try {
  const sandbox = await start(
    await bundled("Sandbox.ts", folder),
    {},
    /CRUSTDATA_BASE_URL=(\S+) CRUSTDATA_API_KEY=(\S+)/
  )
  running.push(sandbox)
  const [, base, key] = sandbox.said
  const submit = async (spec) => {
    const body = JSON.stringify({ pendingMs: 0, processingMs: 0, ...spec })
    const response = await fetch(`${base}/__sandbox/jobs`, {
      method: "POST",
      headers: { connection: "close" },
      body
    })
    return (await response.json()).batch_id
  }
  const linksOf = async (id) => {
    const headers = { authorization: `Bearer ${key}`, connection: "close" }
    return (await fetch(`${base}/batch/${id}`, { headers })).json()
  }
  const serve = async (variables = {}) => {
    const port = await freePort()
    const env = { PORT: port, CRUSTDATA_BASE_URL: base, CRUSTDATA_API_KEY: key, ...variables }
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "inherit"]
    })
    running.push({ child })
    const url = `http://127.0.0.1:${port}`
    await answers(`${url}/health`)
    return { child, url }
  }
  const wanted = process.argv.slice(2)
  const context = { folder, linksOf, running, serve, submit }
  for (const bench of [requests, results, streams]) {
    if (wanted.length === 0 || wanted.includes(bench.name)) await bench(context)
  }
} finally {
  for (const process of running.toReversed()) await stop(process)
  await rm(folder, { recursive: true, force: true })
}
