/**
 * For the long suites: an S3 server, as `BATCH_TEST_S3_ENDPOINT` names it (with `AWS_ACCESS_KEY_ID` and
 * `AWS_SECRET_ACCESS_KEY`), or OpenStack Swift with its S3 API, as Debian's packages `swift-proxy`, `swift-account`,
 * `swift-container`, `swift-object` and `memcached` install it, started for them on loopback.
 */
import { Effect, type Scope } from "effect"
import { execFile, spawn, spawnSync } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)

const given = process.env["BATCH_TEST_S3_ENDPOINT"]

const kinds = ["account", "container", "object"] as const

const programs = ["memcached", ...[...kinds, "proxy"].map((kind) => `swift-${kind}-server`)]

const isInstalled = programs.every((program) => spawnSync("which", [program]).status === 0)

/** Whether there is one; a suite that needs it is skipped otherwise. */
export const isAvailable = given !== undefined || isInstalled

if (!isAvailable) console.log(`skipped: no BATCH_TEST_S3_ENDPOINT, and not all of ${programs.join(", ")}`)

/** Of the server that is started here. */
export const credentials = { id: "test:tester", secret: "testing" }

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const common = (folder: string, port: number) => `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = ${userInfo().username}
swift_dir = ${folder}
devices = ${folder}/devices
mount_check = false
`

const proxy = (cache: number) => `[pipeline:main]
pipeline = catch_errors cache s3api tempauth slo proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${cache}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
`

const server = (program: string, ...args: ReadonlyArray<string>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => spawn(program, args, { stdio: "ignore" })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
  )

const answers = (url: string): Effect.Effect<void> =>
  Effect.promise(() =>
    fetch(url).then(
      () => true,
      () => false
    )
  ).pipe(Effect.delay("200 millis"), Effect.repeat({ until: (isThere) => isThere }), Effect.asVoid)

/** The address of a server, for as long as the scope. */
export const make: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function* () {
  if (given !== undefined) return given
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "batch-swift-"))),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true, maxRetries: 5 }))
  )
  yield* Effect.promise(() => mkdir(join(folder, "devices", "one"), { recursive: true }))
  for (const kind of kinds) {
    const port = yield* Effect.promise(freePort)
    const ring = (...args: ReadonlyArray<string>) =>
      Effect.promise(() => run("swift-ring-builder", [join(folder, `${kind}.builder`), ...args]))
    yield* ring("create", "4", "1", "0")
    yield* ring("add", `r1z1-127.0.0.1:${port}/one`, "1")
    yield* ring("rebalance")
    const config = join(folder, `${kind}.conf`)
    const app = `[pipeline:main]\npipeline = ${kind}-server\n[app:${kind}-server]\nuse = egg:swift#${kind}\n`
    yield* Effect.promise(() => writeFile(config, `${common(folder, port)}${app}`))
    yield* server(`swift-${kind}-server`, config)
  }
  const cache = yield* Effect.promise(freePort)
  yield* server("memcached", "-l", "127.0.0.1", "-p", String(cache), "-u", userInfo().username)
  const port = yield* Effect.promise(freePort)
  const config = join(folder, "proxy.conf")
  yield* Effect.promise(() => writeFile(config, `${common(folder, port)}${proxy(cache)}`))
  yield* server("swift-proxy-server", config)
  const url = `http://127.0.0.1:${port}`
  yield* answers(url)
  return url
})
