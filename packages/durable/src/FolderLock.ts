/**
 * One process for an embedded store: a lock that the kernel drops with its process, and a file with a heartbeat for
 * processes in other containers that share the folder and not the kernel's names.
 */
import { localMachine } from "@org/batch-node/LocalMachine"
import { Clock, Effect, Option, Random, Schedule, Schema, type Scope } from "effect"
import { createHash } from "node:crypto"
import { readFile, rename, rm, stat, statfs, utimes, writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:net"
import { join } from "node:path"
import { StoreRefused } from "./RetrievalError.js"

/** What holds the folder. */
export interface Lock {
  /** Whether the lock file is still ours; not, if this process was stopped for so long that another one took it. */
  readonly isOurs: () => boolean
}

/** How long a heartbeat may be silent, in milliseconds, before its process counts as ended. */
const silence = 10_000

/** File systems that other machines may write to at the same time: NFS, SMB, CIFS, SMB2, Ceph, AFS, 9p, Lustre, GFS2. */
const networked = new Set([
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x00c36400, 0x5346414f, 0x01021997, 0x0bd00bd0, 0x01161970
])

const Holder = Schema.parseJson(
  Schema.Struct({ token: Schema.String, process: Schema.String, pid: Schema.Int })
)

/** Takes the folder for this process until the scope is closed. */
export const acquire = (folder: string): Effect.Effect<Lock, StoreRefused, Scope.Scope> =>
  Effect.gen(function* () {
    const { type } = yield* Effect.promise(() => statfs(folder))
    if (networked.has(type)) {
      const detail = "it is on a network file system, where no lock holds: use a local disk, or PostgreSQL"
      return yield* new StoreRefused({ reason: "NetworkFileSystem", place: folder, detail })
    }
    yield* Effect.acquireRelease(bind(folder), (server) =>
      Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
    )
    return yield* mark(folder)
  })

const inUse = (folder: string, by: string): StoreRefused =>
  new StoreRefused({ reason: "InUse", place: folder, detail: `${by} has it open: one process only` })

const bind = (folder: string): Effect.Effect<Server, StoreRefused> =>
  Effect.flatMap(
    Effect.promise(() => stat(folder)),
    ({ dev, ino }) =>
      Effect.async<Server, StoreRefused>((resume) => {
        const name = createHash("sha256").update(`${dev}:${ino}`).digest("hex").slice(0, 32)
        const server = createServer((socket) => void socket.destroy())
        server.once("error", () => resume(Effect.fail(inUse(folder, "another process of this machine"))))
        const address =
          process.platform === "linux" ? `\0batch-durable-${name}` : `\\\\.\\pipe\\batch-${name}`
        if (process.platform === "linux" || process.platform === "win32") {
          server.listen(address, () => resume(Effect.succeed(server)))
        } else {
          // No names of the kernel's own here: a port of the loopback, of which the folder decides.
          server.listen(20_000 + (Number.parseInt(name.slice(0, 6), 16) % 20_000), "127.0.0.1", () =>
            resume(Effect.succeed(server))
          )
        }
        server.unref()
      })
  )

const mark = (folder: string): Effect.Effect<Lock, StoreRefused, Scope.Scope> =>
  Effect.gen(function* () {
    const path = join(folder, "lock")
    yield* waitForSilence(folder, path)
    const token = String(yield* Random.next)
    const holder = { token, process: yield* localMachine.self, pid: process.pid }
    const text = yield* Effect.orDie(Schema.encode(Holder)(holder))
    const next = `${path}.${process.pid}`
    yield* Effect.promise(() => writeFile(next, text))
    yield* Effect.promise(() => rename(next, path))
    const state = { ours: true }
    const beat = Effect.gen(function* () {
      const read = yield* readHolder(path)
      state.ours = Option.exists(read, (found) => found.token === token)
      const now = (yield* Clock.currentTimeMillis) / 1000
      if (state.ours) yield* Effect.promise(() => utimes(path, now, now))
    })
    yield* Effect.forkScoped(Effect.repeat(beat, Schedule.spaced("2 seconds")))
    yield* Effect.addFinalizer(() =>
      state.ours ? Effect.promise(() => rm(path, { force: true })) : Effect.void
    )
    return { isOurs: () => state.ours }
  })

const readHolder = (path: string): Effect.Effect<Option.Option<typeof Holder.Type>> =>
  Effect.option(
    Effect.flatMap(
      Effect.tryPromise(() => readFile(path, "utf8")),
      Schema.decode(Holder)
    )
  )

/** A holder that has ended on this machine is passed at once; of one elsewhere the heartbeat must be silent. */
const waitForSilence = (folder: string, path: string): Effect.Effect<void, StoreRefused> =>
  Effect.gen(function* () {
    const holder = yield* readHolder(path)
    if (Option.isNone(holder) || (yield* localMachine.isDead(holder.value.process))) return
    // We hold the kernel's name, so that a process under the same system that still runs cannot hold the folder.
    const ours = (yield* localMachine.self).split(" ").slice(0, 2).join(" ")
    if (ours !== "" && holder.value.process.startsWith(`${ours} `)) return
    const mtime = Effect.map(
      Effect.option(Effect.tryPromise(() => stat(path))),
      Option.match({ onNone: () => 0, onSome: ({ mtimeMs }) => mtimeMs })
    )
    const begun = yield* mtime
    const until = (yield* Clock.currentTimeMillis) + silence
    while ((yield* Clock.currentTimeMillis) < until) {
      yield* Effect.sleep("500 millis")
      const now = yield* mtime
      if (now === 0) return
      if (now !== begun) {
        return yield* inUse(folder, `process ${holder.value.pid} of another machine or container`)
      }
    }
  })
