/**
 * Spectral over the service's OpenAPI document, and Prism as a validating proxy between a caller and the service:
 * `node bench/Conformance.mjs`, after `pnpm build`. npx fetches both, in these versions; they are too heavy to be installed
 * for every change. Ends with 1 if one of them finds a fault.
 */
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { answers, bundled, freePort, start, stop } from "./Processes.mjs"

const tools = { spectral: "@stoplight/spectral-cli@6.16.3", prism: "@stoplight/prism-cli@5.14.2" }

const folder = mkdtempSync(join(tmpdir(), "batch-server-conformance-"))
const direct = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^https?_proxy$/iu.test(name))
)
const faults = []

const sandbox = await start(
  await bundled("Sandbox.ts", folder),
  {},
  /CRUSTDATA_BASE_URL=(\S+) CRUSTDATA_API_KEY=(\S+)/u
)
const [, CRUSTDATA_BASE_URL, CRUSTDATA_API_KEY] = sandbox.said
const over = { pendingMs: 0, processingMs: 0, records: 50 }
for (const job of [
  { ...over, parts: 3 },
  { ...over, records: 0 },
  { ...over, outcome: "failed" },
  { stuck: true }
]) {
  const headers = { "content-type": "application/json" }
  await fetch(`${CRUSTDATA_BASE_URL}/__sandbox/jobs`, { method: "POST", headers, body: JSON.stringify(job) })
}
const settings = { ...direct, CRUSTDATA_BASE_URL, CRUSTDATA_API_KEY, PORT: "0" }
const service = await start(
  join(import.meta.dirname, "../dist/batch-server.js"),
  settings,
  /listening on (http:\/\/[\d.]+:\d+)/u
)
const [, url] = service.said

const files = { document: join(folder, "openapi.json"), rules: join(folder, "rules.yaml") }
writeFileSync(files.document, await (await fetch(`${url}/openapi.json`)).text())
writeFileSync(files.rules, 'extends: ["spectral:oas"]\n')
const lint = ["--yes", tools.spectral, "lint", files.document, "-r", files.rules, "--fail-severity", "warn"]
const { status } = spawnSync("npx", lint, { stdio: "inherit" })
if (status !== 0) faults.push("Spectral finds fault with the document")

const port = await freePort()
// npx itself may need a proxy, and Prism must not use it.
spawnSync("npx", ["--yes", tools.prism, "--version"], { stdio: "ignore" })
const prism = spawn(
  "npx",
  ["--yes", tools.prism, "proxy", files.document, url, "-p", String(port), "--errors"],
  {
    env: direct,
    stdio: "ignore",
    detached: true
  }
)
const proxy = `http://127.0.0.1:${port}`
for (let tries = 0; tries < 6; tries++)
  if (
    await answers(`${proxy}/health`).then(
      () => true,
      () => false
    )
  )
    break

const { jobs } = await (await fetch(`${url}/batch?limit=100`)).json()
const paths = [
  "/batch",
  "/batch?limit=1",
  "/batch/00000000-0000-4000-8000-000000000000",
  ...jobs.flatMap(({ batch_id }) =>
    ["", "/wait?timeout=0", "/results"].map((path) => `/batch/${batch_id}${path}`)
  ),
  ...jobs
    .filter(({ status }) => status === "completed" || status === "failed")
    .map(({ batch_id }) => `/batch/${batch_id}/events`),
  "/health",
  "/ready",
  "/metrics"
]
for (const path of paths) {
  for (const accept of path.endsWith("/results")
    ? ["application/x-ndjson", "application/gzip", "text/csv", "image/png"]
    : ["*/*"]) {
    const answer = await fetch(`${proxy}${path}`, { headers: { accept } })
    const text = await answer.text()
    console.log(`${answer.status} ${path} (${accept})`)
    if (/stoplight\.io\/prism\/errors/u.test(text.slice(0, 2000)))
      faults.push(`${path} (${accept}): ${text.slice(0, 500)}`)
  }
}

process.kill(-prism.pid, "SIGTERM")
await stop(service)
await stop(sandbox)
rmSync(folder, { recursive: true, force: true })
for (const fault of faults) console.error(fault)
console.log(faults.length === 0 ? `no fault found in ${paths.length} paths` : `${faults.length} faults`)
process.exitCode = faults.length === 0 ? 0 : 1
