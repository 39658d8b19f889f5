/** What swift.sh runs beside Swift: uploads a result, plays the API, and lets batchctl fetch it. */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync, mkdirSync } from "node:fs"
import { createServer } from "node:http"
import { connect, createServer as listen } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import { presign } from "./Presign.mjs"

const batchctl = join(import.meta.dirname, "../dist/batchctl.js")
const folder = join(process.env.FOLDER, "runs")
const id = "96faf844-e303-4ba5-a622-56965e684878"
const rows = 2000
const account = { accessKey: "test:tester", secretKey: "testing" }
const swift = "http://127.0.0.1:8080"
mkdirSync(folder)

/** Rows of random figures, stored rather than compressed: always about 4 MB. */
const result = () => {
  const row = (n) => `{"row":"${String(n).padStart(6, "0")}","data":"${randomBytes(1000).toString("hex")}"}\n`
  return gzipSync(Array.from({ length: rows }, (_, n) => row(n)).join(""), { level: 0 })
}
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex")

const put = async (path, body) => {
  const response = await fetch(presign({ ...account, method: "PUT", root: swift, path, seconds: 60 }), {
    method: "PUT",
    body
  })
  assert.equal(response.status, 200, `PUT ${path}: ${response.status} ${await response.text()}`)
  return response.headers.get("etag")
}

/** Bytes as they are, from another port, each connection held to a rate; the answers that go by are counted. */
const relay = { rate: Infinity, answers: [], body: 0 }
const relayServer = listen((client) => {
  const server = connect(8080, "127.0.0.1")
  client.pipe(server)
  server.on("data", async (chunk) => {
    const [head, status] = /^HTTP\/1\.1 (\d+) [^]*?\r\n\r\n/.exec(chunk.toString("latin1")) ?? []
    if (head !== undefined) {
      relay.answers.push(Number(status))
      if (status === "206") relay.body += Number(/^content-length: (\d+)/im.exec(head)[1])
    }
    server.pause()
    client.write(chunk)
    if (Number.isFinite(relay.rate)) await sleep((chunk.length / relay.rate) * 1000)
    server.resume()
  })
  const end = () => (client.destroy(), server.destroy())
  client.on("close", end).on("error", end)
  server.on("close", end).on("error", end)
}).listen(0, "127.0.0.1")
await once(relayServer, "listening")
const front = `http://127.0.0.1:${relayServer.address().port}`

const path = "/results/merged.jsonl.gz"
const link = (options) => presign({ ...account, root: front, path, seconds: 3600, ...options })

/** The API: what the next status answers lead to; the last one for ever. */
let links = []
let asked = 0
const api = createServer((_, response) => {
  asked += 1
  const next = links.length > 1 ? links.shift() : links[0]
  response.end(
    JSON.stringify({ batch_id: id, status: "completed", result_count: rows, download_url: next() })
  )
}).listen(0, "127.0.0.1")
await once(api, "listening")

const figures = {
  BATCH_TRANSFER_CELL_BYTES: "131072",
  BATCH_TRANSFER_SYNC_BYTES: "131072",
  BATCH_TRANSFER_BLOCK_BYTES: "65536"
}

const start = (output, env) => {
  Object.assign(relay, { answers: [], body: 0 })
  asked = 0
  const child = spawn(process.execPath, [batchctl, "download", id, "-o", join(folder, output)], {
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      CRUSTDATA_API_KEY: "key",
      CRUSTDATA_BASE_URL: `http://127.0.0.1:${api.address().port}`,
      ...figures,
      ...env
    },
    stdio: ["ignore", "ignore", "pipe"]
  })
  let stderr = ""
  child.stderr.on("data", (chunk) => (stderr += chunk))
  return { child, end: once(child, "close").then(([code]) => ({ code, stderr })) }
}

const isWhole = ({ code, stderr }, output, bytes) => {
  assert.equal(code, 0, stderr)
  assert.equal(sha256(readFileSync(join(folder, output))), sha256(bytes))
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith(`${output}.`)),
    []
  )
}

const checks = {
  async "the manners of its answers"(bytes, etag) {
    const ask = async (headers, options, method = "GET") => {
      const response = await fetch(link(options), { method, headers })
      const text = response.status < 300 ? (await response.arrayBuffer(), "") : await response.text()
      const code = /<Code>(.*?)<\/Code>/.exec(text)?.[1]
      return [response.status, code, response.headers.get("content-range")]
    }
    const size = bytes.length
    const manners = {
      part: await ask({ range: "bytes=0-9", "if-match": etag }),
      changed: await ask({ range: "bytes=0-9", "if-match": '"0123"' }),
      beyond: await ask({ range: `bytes=${size}-` }),
      head: await ask({}, {}, "HEAD"),
      expired: await ask({}, { date: new Date(Date.now() - 60_000), seconds: 1 }),
      altered: await ask({}, { secretKey: "another" }),
      absent: await ask({}, { path: "/results/none" })
    }
    console.log(manners)
    assert.deepEqual(manners.part, [206, undefined, `bytes 0-9/${size}`])
    assert.deepEqual(manners.changed.slice(0, 2), [412, "PreconditionFailed"])
    assert.deepEqual(manners.beyond.slice(0, 2), [416, "InvalidRange"])
    assert.equal(manners.head[0], 403)
    assert.deepEqual(manners.expired.slice(0, 2), [403, "AccessDenied"])
    assert.deepEqual(manners.altered.slice(0, 2), [403, "SignatureDoesNotMatch"])
    assert.deepEqual(manners.absent.slice(0, 2), [404, "NoSuchKey"])
  },

  async "a clean download, in ranges, each fetched once"(bytes) {
    links = [() => link()]
    isWhole(await start("clean").end, "clean", bytes)
    assert.deepEqual([relay.body, asked], [bytes.length, 1])
  },

  async "a link that is past its time at once: 403, a fresh one"(bytes) {
    links = [() => link({ date: new Date(Date.now() - 60_000), seconds: 1 }), () => link()]
    isWhole(await start("late").end, "late", bytes)
    assert.ok(relay.answers.includes(403))
    assert.deepEqual([relay.body, asked], [bytes.length, 2])
  },

  async "links that expire in the middle: fresh ones, nothing fetched twice"(bytes) {
    relay.rate = 300_000
    links = [() => link({ seconds: 2 })]
    const env = { BATCH_TRANSFER_REFRESH_BEFORE: "0s", BATCH_TRANSFER_MAX_CONNECTIONS: "3" }
    isWhole(await start("expiring", env).end, "expiring", bytes)
    assert.ok(asked > 1)
    assert.equal(relay.body, bytes.length)
  },

  async "killed in the middle, over a fresh link: what the journal claims is not fetched again"(bytes) {
    relay.rate = 300_000
    links = [() => link()]
    const journal = join(folder, "killed.journal")
    const { child, end } = start("killed")
    while (!existsSync(journal)) await sleep(20)
    await sleep(300)
    child.kill("SIGKILL")
    await end
    const claimed = JSON.parse(readFileSync(journal))
      .entries.flatMap(({ cells }) => cells)
      .reduce((sum, [filled]) => sum + filled, 0)
    assert.ok(claimed > 0)
    relay.rate = Infinity
    isWhole(await start("killed").end, "killed", bytes)
    assert.equal(relay.body, bytes.length - claimed)
  },

  async "replaced in the middle: 412, and the new object is whole"() {
    relay.rate = 300_000
    links = [() => link()]
    const { end } = start("replaced", { BATCH_TRANSFER_MAX_CONNECTIONS: "3" })
    while (relay.answers.length < 4) await sleep(20)
    const other = result()
    await put(path, other)
    isWhole(await end, "replaced", other)
    assert.ok(relay.answers.includes(412))
  }
}

let up = false
for (let tries = 0; tries < 100 && !up; tries++) {
  await sleep(300)
  up = await put("/results", "").then(
    () => true,
    (error) => (tries === 99 && console.error(error), false)
  )
}
assert.ok(up, "Swift does not come up")

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  const bytes = result()
  const etag = await put(path, bytes)
  relay.rate = Infinity
  await check(bytes, etag).then(
    () => console.log(`ok      ${name}: ${relay.answers.join(" ")}`),
    (error) => (failed++, console.log(`failed  ${name}\n${error.stack}`))
  )
}
process.exit(failed === 0 ? 0 : 1)
