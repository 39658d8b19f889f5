/**
 * A file host that others wrote: nginx, with its own ideas of ETags, ranges, limits, encodings and redirects. The API
 * beside it is a few lines.
 */
import { expect, it } from "@effect/vitest"
import { Effect, Schedule, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { createServer, type RequestListener } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { createServer as listenRaw } from "node:net"
import { join } from "node:path"
import { gunzipSync, gzipSync } from "node:zlib"
import { lines, objects, type Settings, temporary, type World, world } from "./Batchctl.js"
import { addressOf, installed, listening, selfSigned } from "./Loopback.js"

const rows = 600

/** About 1.2 MB that do not compress further, in cells of 64 KiB. */
const small = {
  BATCH_TRANSFER_CELL_BYTES: "65536",
  BATCH_TRANSFER_BLOCK_BYTES: "16384",
  BATCH_TRANSFER_SYNC_BYTES: "65536"
}

const test = (name: string, body: (host: Host) => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.scopedLive(name, (context) =>
    Effect.flatMap(
      Effect.sync(() => installed("nginx", "openssl")),
      (isInstalled) =>
        isInstalled
          ? Effect.flatMap(start, body)
          : Effect.sync(() => context.skip("nginx or openssl is not installed"))
    )
  )

test("parallel ranges: each asked for once, under the ETag of the first", (host) =>
  Effect.gen(function* () {
    expect(yield* host.get("/plain/rows.jsonl.gz")).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
    const log = yield* host.log
    expect(log.length).toBeGreaterThan(10)
    expect(new Set(log.map(({ status }) => status))).toEqual(new Set([206]))
    expect(log.slice(1).every(({ ifMatch }) => /^"[0-9a-f]+-[0-9a-f]+"$/u.test(ifMatch))).toBe(true)
    expect(sum(log.map(({ bytes }) => bytes))).toBe(host.file.bytes)
    expect(log.every(({ authorization }) => authorization === "")).toBe(true)
  }))

test("a limit per connection: several go at once", (host) =>
  Effect.gen(function* () {
    // A cell takes most of a second, so that a busy machine has the next request out before the others end.
    const url = "/plain/rows.jsonl.gz?rate=80k"
    expect(yield* host.get(url)).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
    const log = yield* host.log
    const atOnce = log.map(
      ({ begun }) => log.filter((other) => other.begun <= begun && begun < other.ended).length
    )
    expect(Math.max(...atOnce)).toBeGreaterThanOrEqual(4)
  }))

test("a limit on connections: 503 leads to fewer of them, and to a whole file", (host) =>
  Effect.gen(function* () {
    const env = { BATCH_TRANSFER_INITIAL_CONNECTIONS: "8" }
    expect(yield* host.get("/narrow/rows.jsonl.gz?rate=500k", { env })).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
    const statuses = (yield* host.log).map(({ status }) => status)
    const refused = statuses.filter((status) => status === 503).length
    expect(refused).toBeGreaterThanOrEqual(1)
    expect(refused).toBeLessThanOrEqual(12)
    expect(statuses.slice(-4)).toEqual([206, 206, 206, 206])
  }))

test("replaced between two ranges: one 412, one fresh start, and the new file is whole", (host) =>
  Effect.gen(function* () {
    const env = { BATCH_TRANSFER_MAX_CONNECTIONS: "2" }
    const running = yield* host.begin("/plain/rows.jsonl.gz?rate=300k", { env })
    yield* until(() => host.logged().length >= 3)
    const other = host.replace()
    expect(yield* host.end(running)).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...other
    })
    expect((yield* host.log).some(({ status }) => status === 412)).toBe(true)
  }))

test("replaced by another of equal size and age, under the same ETag: the checksums tell", (host) =>
  Effect.gen(function* () {
    const env = { BATCH_TRANSFER_MAX_CONNECTIONS: "2" }
    const running = yield* host.begin("/plain/rows.jsonl.gz?rate=300k", { env })
    yield* until(() => host.logged().length >= 3)
    const other = host.replace({ alike: true })
    expect(yield* host.end(running)).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...other
    })
    expect(new Set((yield* host.log).map(({ status }) => status))).toEqual(new Set([206]))
  }))

test("killed in the middle: the same command fetches only what its journal does not claim", (host) =>
  Effect.gen(function* () {
    const running = yield* host.begin("/plain/rows.jsonl.gz?rate=200k")
    yield* until(() => host.claimed() > 0)
    yield* running.kill("SIGKILL")
    yield* running.outcome
    const [claimed, before] = [host.claimed(), (yield* host.log).length]
    expect(claimed).toBeGreaterThan(0)
    expect(yield* host.get("/plain/rows.jsonl.gz")).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
    expect(sum((yield* host.log).slice(before).map(({ bytes }) => bytes))).toBe(host.file.bytes - claimed)
    expect(readdirSync(host.folder)).toEqual(["rows.jsonl.gz"])
  }))

test("the host goes away and comes back: the transfer outlives it", (host) =>
  Effect.gen(function* () {
    const env = { BATCH_RETRY_BASE_DELAY: "500ms", BATCH_RETRY_MAX_DELAY: "1s" }
    const running = yield* host.begin("/plain/rows.jsonl.gz?rate=200k", { env })
    yield* until(() => host.claimed() > 0)
    yield* host.restart
    expect(yield* host.end(running)).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
  }))

test("links that the host itself lets expire: fresh ones, and nothing is fetched twice", (host) =>
  Effect.gen(function* () {
    const env = { BATCH_TRANSFER_MAX_CONNECTIONS: "2", BATCH_TRANSFER_REFRESH_BEFORE: "0s" }
    for (const [name, statuses] of [
      ["expires", [206]],
      ["until", [206, 403]]
    ] as const) {
      const before = (yield* host.log).length
      const asked = host.asked()
      const link = () => host.signed(name, "/rows.jsonl.gz", 1)
      expect(yield* host.get(link, { env, output: `${name}.jsonl.gz` })).toMatchObject({
        stderr: expect.stringContaining("complete and verified"),
        code: 0,
        ...host.file
      })
      expect(host.asked() - asked).toBeGreaterThan(1)
      const log = (yield* host.log).slice(before)
      expect(new Set(log.map(({ status }) => status))).toEqual(new Set(statuses))
      expect(sum(log.flatMap(({ bytes, status }) => (status === 206 ? [bytes] : [])))).toBe(host.file.bytes)
    }
  }))

test("a host without ranges: one 200 brings it all, also after a crash", (host) =>
  Effect.gen(function* () {
    expect(yield* host.get("/rangeless/rows.jsonl.gz")).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
    expect((yield* host.log).map(({ status }) => status)).toEqual([200])
    const running = yield* host.begin("/rangeless/rows.jsonl.gz?rate=300k", { output: "again.jsonl.gz" })
    yield* until(() => host.claimed("again.jsonl.gz") > 0)
    yield* running.kill("SIGKILL")
    yield* running.outcome
    expect(yield* host.get("/rangeless/rows.jsonl.gz", { output: "again.jsonl.gz" })).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
  }))

test("no length and no ETag, in chunks: the gzip trailer and the rows say when it is whole", (host) =>
  Effect.gen(function* () {
    expect(yield* host.get("/chunked/rows.jsonl.gz")).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
    expect((yield* host.log).map(({ status }) => status)).toEqual([200])
  }))

test("Content-Encoding: gzip on the object: the bytes are kept as they are", (host) =>
  Effect.gen(function* () {
    expect(yield* host.get("/encoded/rows.jsonl")).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
    expect(sum((yield* host.log).map(({ bytes }) => bytes))).toBe(host.file.bytes)
  }))

test("a host that inflates on the way: its lines are taken, and compressed here", (host) =>
  Effect.gen(function* () {
    const args = ["--json", "--receipt"]
    const outcome = yield* host.get("/inflated/rows.jsonl", { args })
    expect(outcome).toMatchObject({ code: 0, sha256: expect.not.stringContaining(host.file.sha256) })
    const written = readFileSync(join(host.folder, "rows.jsonl.gz"))
    expect(gunzipSync(written).equals(gunzipSync(readFileSync(host.path)))).toBe(true)
    const { bytes, sha256 } = outcome
    const facts = { format: "jsonl.gz", compressed_here: true, records: rows, complete: true, bytes, sha256 }
    expect(objects(outcome.stdout)).toMatchObject([facts])
    expect(JSON.parse(readFileSync(join(host.folder, "rows.jsonl.gz.receipt.json"), "utf8"))).toMatchObject(
      facts
    )
    expect((yield* host.get("/inflated/rows.jsonl", { output: "rows.jsonl", args })).code).toBe(0)
    expect(readFileSync(join(host.folder, "rows.jsonl")).equals(gunzipSync(written))).toBe(true)
  }))

test("a host that inflates on the way: lines that are not as many as announced are refused", (host) =>
  Effect.gen(function* () {
    for (const announced of [rows - 1, rows + 1]) {
      const outcome = yield* host.get("/inflated/rows.jsonl", { announced, args: ["--json"] })
      expect(outcome).toMatchObject({ code: 7, sha256: undefined })
      const [refusal] = objects(outcome.stdout)
      expect(refusal).toMatchObject({ error: { type: "ResultsCorrupt" } })
      expect(outcome.stderr).toContain(String(announced))
      expect(outcome.stderr).toContain(`${rows}`)
    }
  }))

test("pages in place of the file: 7 for 403 and 404, and the body is not taken for rows", (host) =>
  Effect.gen(function* () {
    for (const path of ["/absent/rows.jsonl.gz", "/forbidden/rows.jsonl.gz"]) {
      expect(yield* host.get(path)).toMatchObject({ code: 7, sha256: undefined })
    }
    expect(yield* host.get("/page/rows.jsonl.gz")).toMatchObject({ code: 7, sha256: undefined })
  }))

test("redirects: 307 is followed, 301 is not, and from https never to http", (host) =>
  Effect.gen(function* () {
    expect(yield* host.get("/temporary/rows.jsonl.gz")).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
    expect(yield* host.get("/permanent/rows.jsonl.gz", { output: "b.jsonl.gz" })).toMatchObject({ code: 6 })
    const before = (yield* host.log).length
    const secure = yield* host.get("/downgrade/rows.jsonl.gz", { output: "c.jsonl.gz", tls: true })
    expect(secure).toMatchObject({ code: 6, sha256: undefined })
    expect(secure.stderr).toContain("not https")
    expect((yield* host.log).slice(before).map(({ status }) => status)).toEqual([307])
    expect(yield* host.get("/plain/rows.jsonl.gz", { output: "c.jsonl.gz", tls: true })).toMatchObject({
      stderr: expect.stringContaining("complete and verified"),
      code: 0,
      ...host.file
    })
  }))

interface File {
  readonly bytes: number
  readonly sha256: string
}

/** A line of nginx's log: a request that has ended. */
interface Request {
  readonly status: number
  readonly range: string
  readonly ifMatch: string
  readonly authorization: string
  readonly bytes: number
  readonly begun: number
  readonly ended: number
}

interface How {
  readonly env?: Settings["env"]
  /** Default `rows.jsonl.gz`. */
  readonly output?: string
  readonly args?: ReadonlyArray<string>
  /** The `result_count`, default that of the file. */
  readonly announced?: number
  /** API and file host by https, under a certificate of our own. */
  readonly tls?: boolean
}

type Link = string | (() => string)

/** nginx with one file, and an API that leads to it. */
interface Host {
  readonly folder: string
  readonly file: File
  /** Where nginx has it. */
  readonly path: string
  readonly get: (link: Link, how?: How) => Effect.Effect<Result, never, Scope.Scope>
  readonly begin: (link: Link, how?: How) => Effect.Effect<Running, never, Scope.Scope>
  readonly end: (running: Running) => Effect.Effect<Result>
  readonly replace: (options?: { readonly alike: boolean }) => File
  readonly restart: Effect.Effect<void>
  /** The requests that have ended so far. */
  readonly logged: () => ReadonlyArray<Request>
  /** All requests: nginx logs one when it ends, and may see later than we that a client is gone. */
  readonly log: Effect.Effect<ReadonlyArray<Request>>
  /** How often the API was asked. */
  readonly asked: () => number
  /** How many bytes the journal beside an output says are here. */
  readonly claimed: (output?: string) => number
  /** A link with a signature of nginx's own kind, whose end it names under `name`. */
  readonly signed: (name: "expires" | "until", path: string, seconds: number) => string
}

interface Result {
  readonly bytes: number | undefined
  readonly sha256: string | undefined
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

type Running = Effect.Effect.Success<ReturnType<World["start"]>> & { readonly output: string }

const start = Effect.gen(function* () {
  const here = yield* world()
  const prefix = yield* temporary
  const path = join(prefix, "files", "rows.jsonl.gz")
  mkdirSync(join(prefix, "files"))
  const paths = selfSigned(prefix)
  const file = write(path)
  const { nginx, port, tlsPort } = yield* launched(prefix)
  const state: { link: Link; announced: number; asked: number; nginx: ChildProcess } = {
    link: "",
    announced: rows,
    asked: 0,
    nginx
  }
  yield* Effect.addFinalizer(() => Effect.promise(() => stop(state.nginx)))

  const answer =
    (root: string): RequestListener =>
    (_, response) => {
      state.asked += 1
      const link = typeof state.link === "string" ? state.link : state.link()
      const count = { result_count: state.announced }
      const batch = { batch_id: id, status: "completed", ...count, download_url: `${root}${link}` }
      response.setHeader("content-type", "application/json").end(JSON.stringify(batch))
    }
  const api = yield* listening(createServer(answer(`http://127.0.0.1:${port}`)))
  const pair = { key: readFileSync(paths.key), cert: readFileSync(paths.cert) }
  const tlsApi = yield* listening(createSecureServer(pair, answer(`https://127.0.0.1:${tlsPort}`)))

  const begin = (link: Link, how: How = {}) =>
    Effect.suspend(() => {
      const { announced = rows, args = [], env, output = "rows.jsonl.gz", tls = false } = how
      state.link = link
      state.announced = announced
      const base = tls ? `https://127.0.0.1:${tlsApi}` : `http://127.0.0.1:${api}`
      const trust = { NODE_EXTRA_CA_CERTS: paths.cert }
      return Effect.map(
        here.start(["download", id, "-o", output, ...args], {
          env: { CRUSTDATA_BASE_URL: base, ...trust, ...small, ...env }
        }),
        (running) => ({ ...running, output: join(here.folder, output) })
      )
    })
  const end = ({ outcome, output }: Running) =>
    Effect.map(outcome, ({ code, stderr, stdout }): Result => ({
      code,
      stdout,
      stderr,
      ...(existsSync(output) ? read(output) : { bytes: undefined, sha256: undefined })
    }))
  const logged = () =>
    lines(readFileSync(join(prefix, "access.log"), "utf8")).map((line): Request => {
      const request: Request & { readonly took: number } = JSON.parse(line)
      return { ...request, begun: request.ended - request.took }
    })
  const host: Host = {
    folder: here.folder,
    file,
    path,
    begin,
    end,
    get: (link, how) => Effect.flatMap(begin(link, how), end),
    replace: ({ alike } = { alike: false }) => {
      const { atime, mtime } = statSync(path)
      const other = write(`${path}.next`)
      const time = alike ? mtime : new Date(mtime.getTime() + 5_000)
      utimesSync(`${path}.next`, atime, time)
      renameSync(`${path}.next`, path)
      return other
    },
    restart: Effect.gen(function* () {
      yield* Effect.promise(() => stop(state.nginx))
      yield* Effect.sleep("200 millis")
      state.nginx = launch(prefix)
    }),
    logged,
    log: Effect.zipRight(isIdle(port), Effect.sync(logged)),
    asked: () => state.asked,
    claimed: (output = "rows.jsonl.gz") => claimed(join(here.folder, `${output}.journal`)),
    signed: (name, path, seconds) => {
      const end = Math.floor(Date.now() / 1000) + seconds
      const md5 = createHash("md5").update(`${end} ${name} ${secret}`).digest("base64url")
      return `/${name}${path}?rate=150k&md5=${md5}&${name}=${end}`
    }
  }
  return host
})

const id = "96faf844-e303-4ba5-a622-56965e684878"

const secret = "a secret of nginx"

const configuration = (prefix: string, port: number, tlsPort: number): string => `
daemon off;
master_process off;
pid ${prefix}/pid;
error_log ${prefix}/error.log;
events { worker_connections 256; }
http {
  log_format json escape=json '{"status":$status,"range":"$http_range","ifMatch":"$http_if_match",'
    '"authorization":"$http_authorization","bytes":$body_bytes_sent,"ended":$msec,"took":$request_time}';
  access_log ${prefix}/access.log json;
  client_body_temp_path ${prefix}/body; proxy_temp_path ${prefix}/proxy; fastcgi_temp_path ${prefix}/fastcgi;
  uwsgi_temp_path ${prefix}/uwsgi; scgi_temp_path ${prefix}/scgi;
  limit_conn_zone $binary_remote_addr zone=all:1m;
  types { application/gzip gz; }
  server {
    listen 127.0.0.1:${port};
    listen 127.0.0.1:${tlsPort} ssl;
    ssl_certificate ${prefix}/cert.pem; ssl_certificate_key ${prefix}/key.pem;
    limit_rate $arg_rate;
    location = /status { stub_status; access_log off; }
    location /plain/ { alias ${prefix}/files/; }
    location /narrow/ { alias ${prefix}/files/; limit_conn all 2; limit_conn_status 503; }
    location /rangeless/ { alias ${prefix}/files/; max_ranges 0; }
    location /chunked/ { alias ${prefix}/files/; max_ranges 0; sub_filter_types *; sub_filter "${secret}" ""; }
    location /encoded/ { alias ${prefix}/files/; gzip_static always; }
    location /inflated/ { alias ${prefix}/files/; gzip_static always; gunzip on; }
    location /absent/ { return 404; }
    location /forbidden/ { return 403; }
    location /page/ { default_type text/html; return 200 "<html>please log in</html>"; }
    location /temporary/ { return 307 /plain/rows.jsonl.gz; }
    location /permanent/ { return 301 /plain/rows.jsonl.gz; }
    location /downgrade/ { return 307 http://127.0.0.1:${port}/plain/rows.jsonl.gz; }
    location /expires/ { ${signing("expires")} alias ${prefix}/files/; }
    location /until/ { ${signing("until")} alias ${prefix}/files/; }
  }
}
`

const signing = (name: string): string => `
  secure_link $arg_md5,$arg_${name};
  secure_link_md5 "$secure_link_expires ${name} ${secret}";
  if ($secure_link = "") { return 400; }
  if ($secure_link = "0") { return 403; }`

const launch = (prefix: string): ChildProcess =>
  spawn("nginx", ["-p", prefix, "-c", join(prefix, "nginx.conf")], { stdio: "ignore" })

const stop = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null) return resolve()
    child.once("exit", () => resolve())
    child.kill("SIGKILL")
  })

/** A port of loopback that nobody listens on. */
const freePort = Effect.async<number>((resume) => {
  const server = listenRaw().listen(0, "127.0.0.1", () => {
    const { port } = addressOf(server.address())
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** An nginx that listens; on other ports if somebody else takes them before it does. */
const launched = (prefix: string) =>
  Effect.gen(function* () {
    const [port, tlsPort] = [yield* freePort, yield* freePort]
    writeFileSync(join(prefix, "nginx.conf"), configuration(prefix, port, tlsPort))
    const nginx = launch(prefix)
    const isUp = yield* Effect.repeat(statusOf(port), {
      until: (text) => text.startsWith("Active connections") || nginx.exitCode !== null,
      schedule: Schedule.spaced("20 millis")
    }).pipe(Effect.map(() => nginx.exitCode === null))
    return { isUp, nginx, port, tlsPort }
  }).pipe(Effect.repeat({ until: ({ isUp }) => isUp }), Effect.timeout("1 minute"), Effect.orDie)

/** What nginx says of itself; nothing, if there is none. */
const statusOf = (port: number): Effect.Effect<string> =>
  Effect.promise(async (signal) => {
    try {
      const headers = { connection: "close" }
      return await (await fetch(`http://127.0.0.1:${port}/status`, { headers, signal })).text()
    } catch {
      return ""
    }
  })

/** Nobody but us is connected any more, so every request is logged. */
const isIdle = (port: number) =>
  statusOf(port).pipe(
    Effect.repeat({
      until: (text) => text.startsWith("Active connections: 1 "),
      schedule: Schedule.spaced("20 millis")
    }),
    Effect.timeout("1 minute"),
    Effect.orDie
  )

/** Writes rows of random figures, always of the same length, stored rather than compressed. */
const write = (path: string): File => {
  const text = Array.from(
    { length: rows },
    (_, row) => `{"row":"${String(row).padStart(6, "0")}","data":"${randomBytes(1000).toString("hex")}"}\n`
  )
  writeFileSync(path, gzipSync(text.join(""), { level: 0 }))
  return read(path)
}

const read = (path: string): File => {
  const bytes = readFileSync(path)
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") }
}

const claimed = (path: string): number => {
  if (!existsSync(path)) return 0
  const journal: { readonly entries: ReadonlyArray<{ readonly filled: ReadonlyArray<number> }> } = JSON.parse(
    readFileSync(path, "utf8")
  )
  return sum(journal.entries.flatMap(({ filled }) => filled))
}

const until = (check: () => boolean) =>
  Effect.sync(check).pipe(
    Effect.repeat({ until: (is) => is, schedule: Schedule.spaced("20 millis") }),
    Effect.timeout("1 minute")
  )

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)
