/**
 * The pictures of the page in `docs/images`, taken by Chromium of the service over a sandbox: `node bench/Pictures.mjs`, after
 * `pnpm build`. Another folder to put them in may be named.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { chromium } from "playwright-core"
import { bundled, start, stop } from "./Processes.mjs"

const images = resolve(process.argv[2] ?? join(import.meta.dirname, "../../../docs/images"))
mkdirSync(images, { recursive: true })
const folder = mkdtempSync(join(tmpdir(), "batch-server-pictures-"))

const sandbox = await start(
  await bundled("Sandbox.ts", folder),
  {},
  /CRUSTDATA_BASE_URL=(\S+) CRUSTDATA_API_KEY=(\S+)/u
)
const [, CRUSTDATA_BASE_URL, CRUSTDATA_API_KEY] = sandbox.said
const service = await start(
  join(import.meta.dirname, "../dist/batch-server.js"),
  {
    CRUSTDATA_BASE_URL,
    CRUSTDATA_API_KEY,
    PORT: "0",
    BATCH_SERVER_STATE: folder,
    BATCH_SERVER_TOKENS: "token",
    BATCH_TRANSFER_MAX_CONNECTIONS: "1"
  },
  /listening on (http:\/\/[\d.]+:\d+)/u
)
const [, url] = service.said

const post = async (address, body) => {
  const headers = { "content-type": "application/json", authorization: "Bearer token" }
  const response = await fetch(address, { method: "POST", headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${address}: ${await response.text()}`)
  return response.json()
}

const job = async (spec) => (await post(`${CRUSTDATA_BASE_URL}/__sandbox/jobs`, spec)).batch_id
const over = { pendingMs: 0, processingMs: 0 }
const deliver = async (batch_id, path) =>
  (await post(`${url}/retrievals`, { batch_id, destination: { type: "folder", path } })).retrieval_id

/** Until a retrieval is as it should be. */
const until = async (id, isSo) => {
  for (;;) {
    const response = await fetch(`${url}/retrievals/${id}`, { headers: { authorization: "Bearer token" } })
    if (isSo(await response.json())) return
    await new Promise((wake) => setTimeout(wake, 100))
  }
}

const done = await job({ ...over, records: 1200, unresolved: 41 })
const large = await job({ ...over, records: 12_000, parts: 1, unresolved: 17 })
const broken = await job({
  ...over,
  action: "search",
  outcome: "failed",
  errorMessage: "Insufficient credits to complete the job"
})
const running = await job({ pendingMs: 0, processingMs: 600_000, records: 8120, entity: "person" })
const waiting = await job({ stuck: true, records: 280, entity: "person", action: "contact_enrich" })
await post(`${CRUSTDATA_BASE_URL}/__sandbox/faults`, {
  on: { server: "storage", path: large },
  times: -1,
  do: { trickle: { bytesPerSecond: 200_000 } }
})
await until(await deliver(done, "companies/"), ({ state }) => state === "done")
await until(await deliver(broken, "search.csv"), ({ state }) => state === "failed")
await deliver(waiting, "people/contacts.csv")
await deliver(running, "people/enriched.jsonl")
const moving = await deliver(large, "companies/large.jsonl.gz")
await until(moving, ({ progress }) => progress.bytes > 600_000)

const [executablePath] = execFileSync("sh", ["-c", "command -v chromium chromium-browser google-chrome"])
  .toString()
  .split("\n")
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] })

/** Opens a page, waits for what it is to show, and takes the picture: all of it, or what was waited for. */
const picture = async (name, { colorScheme = "light", hash = "", height, width }, ready) => {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme })
  const page = await context.newPage()
  await page.addInitScript("sessionStorage.setItem('credential', 'token')")
  await page.goto(`${url}/${hash}`)
  const part = await ready(page)
  await (part ?? page).screenshot({ path: join(images, `${name}.png`) })
  await context.close()
}
const says = (selector, hasText) => (page) => page.locator(selector, { hasText }).first().waitFor()
const wide = { width: 1280, height: 660 }
const narrow = { width: 390, height: 800, colorScheme: "dark" }

await picture("page-1280", wide, says("#as-of", "as of"))
await picture("page-390", { ...narrow, hash: `#${running}` }, says("#live", "Live"))
await picture("retrievals-1280", { ...wide, hash: "#retrievals" }, says("#retrievals .below", "/s"))
await picture("retrieval-390", { ...narrow, hash: `#retrievals/${moving}` }, says("#retrieval-rate", "left"))
await picture("deliver-1280", wide, async (page) => {
  await page.getByRole("button", { name: `Deliver… job ${done}` }).click()
  await page.getByLabel("Deliver to").fill("companies/")
  return page.locator("#delivering")
})

await browser.close()
await stop(service)
await stop(sandbox)
rmSync(folder, { recursive: true })
