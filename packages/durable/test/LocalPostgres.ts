/** For tests: PostgreSQL, as `BATCH_TEST_POSTGRES_URL` names it, or one of this machine's installation, started for them. */
import { Effect, type Scope } from "effect"
import { execFile, spawn } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { chmod, chown, mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)

const binaries = (): string | undefined => {
  const root = "/usr/lib/postgresql"
  const versions = existsSync(root)
    ? readdirSync(root)
        .map(Number)
        .filter((version) => version >= 15)
    : []
  const folder = join(root, String(Math.max(...versions)), "bin")
  return existsSync(join(folder, "initdb")) ? folder : undefined
}

const given = process.env["BATCH_TEST_POSTGRES_URL"]

/** Whether there is one; a suite that needs it is skipped otherwise. */
export const isAvailable = given !== undefined || binaries() !== undefined

/** A running server. */
export interface Server {
  /** The address of a database that is empty. */
  readonly url: string
  /** Stops it as a crash would, and starts it again; not for a server that was given. */
  readonly stop: Effect.Effect<void>
  readonly start: Effect.Effect<void>
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** PostgreSQL refuses to run as root; Debian's package brings a user. */
const asUser = async (): Promise<{ readonly uid: number; readonly gid: number } | undefined> => {
  if (process.getuid?.() !== 0) return undefined
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map((flag) => run("id", [flag, "postgres"]).then(({ stdout }) => Number(stdout)))
  )
  return { uid: uid ?? 0, gid: gid ?? 0 }
}

/** A server for as long as the scope. */
export const make: Effect.Effect<Server, never, Scope.Scope> = Effect.gen(function* () {
  if (given !== undefined) {
    yield* Effect.promise(() => reset(given))
    return { url: given, stop: Effect.void, start: Effect.void }
  }
  const bin = binaries() ?? ""
  const user = yield* Effect.promise(asUser)
  const folder = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const made = await mkdtemp(join(tmpdir(), "batch-postgres-"))
      await chmod(made, 0o700)
      if (user !== undefined) await chown(made, user.uid, user.gid)
      return made
    }),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true, maxRetries: 5 }))
  )
  const data = join(folder, "data")
  const options = { cwd: "/", ...user }
  yield* Effect.promise(() =>
    run(
      join(bin, "initdb"),
      ["-D", data, "-U", "batch", "-A", "trust", "--no-locale", "-E", "UTF8", "-N"],
      options
    )
  )
  const port = yield* Effect.promise(freePort)
  const command = (...args: ReadonlyArray<string>) =>
    Effect.promise(() => run(join(bin, "pg_ctl"), [...args], options))
  const start = Effect.promise(
    () =>
      new Promise<void>((resolve, reject) => {
        const settings = `-c port=${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=${folder} -c max_connections=120`
        const child = spawn(
          join(bin, "pg_ctl"),
          ["-D", data, "-w", "-t", "60", "-l", join(folder, "log"), "-o", settings, "start"],
          { ...options, stdio: "ignore" }
        )
        child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`pg_ctl: ${code}`))))
      })
  )
  const stop = Effect.asVoid(command("-D", data, "-m", "immediate", "-w", "stop"))
  yield* Effect.acquireRelease(start, () => Effect.exit(Effect.timeout(stop, "30 seconds")))
  return { url: `postgres://batch@127.0.0.1:${port}/postgres`, stop, start }
})

const reset = async (url: string): Promise<void> => {
  const { default: pg } = await import("pg")
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query("DROP SCHEMA IF EXISTS batch CASCADE")
  await client.query("DROP SCHEMA IF EXISTS batch_queue CASCADE")
  await client.end()
}
