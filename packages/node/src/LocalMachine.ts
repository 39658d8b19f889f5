/**
 * The free space of a disk, and whether a process is still alive, from `/proc` of Linux: boot, namespace, process id and
 * start time together are unique, where a process id alone is used again. On other systems no process has a name, and
 * none counts as dead.
 *
 * @example
 * import { NodeContext } from "@effect/platform-node"
 * import { LocalMachine } from "@org/batch-node"
 * import { Layer } from "effect"
 *
 * const layer = Layer.merge(NodeContext.layer, LocalMachine.layer)
 */
import * as LocalMachine from "@org/batch-core/LocalMachine"
import { Effect, Layer, Option } from "effect"
import { readFile, readlink, statfs } from "node:fs/promises"

/** Place, process id and start time. */
const parts = /^(\S+ \S+) (\d+) (\d+)$/u

/** The boot and the process namespace in which process ids are valid. */
const place = Effect.tryPromise(async () => {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8")
  return `${boot.trim()} ${await readlink("/proc/self/ns/pid")}`
})

/**
 * The start time of a process, in ticks since the boot; `undefined` for one that has ended, even if it is still a
 * zombie.
 */
const began = (pid: string) =>
  Effect.tryPromise(() => readFile(`/proc/${pid}/stat`, "utf8")).pipe(
    Effect.map((stat) => {
      const [state, ...figures] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return state === "Z" || state === "X" ? undefined : figures[18]
    })
  )

/** Whether the process id is in use. Only ESRCH says that it is not: EPERM is a process of another user. */
const exists = (pid: string): boolean => {
  try {
    return process.kill(Number(pid), 0)
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH")
  }
}

/** The free space of a disk, and the names of processes with the check whether one has ended. */
export const localMachine: LocalMachine.Service = {
  freeBytes: (path) =>
    Effect.map(
      Effect.option(Effect.tryPromise(() => statfs(path))),
      Option.map(({ bavail, bsize }) => bavail * bsize)
    ),
  self: Effect.zipWith(place, began("self"), (where, when) => `${where} ${process.pid} ${when}`).pipe(
    Effect.orElseSucceed(() => "")
  ),
  processId: (name) => Option.map(Option.fromNullable(parts.exec(name)?.[2]), Number),
  isDead: (name) => {
    const [, where, pid = "", when] = parts.exec(name) ?? []
    return place.pipe(
      Effect.filterOrFail((here) => here === where),
      Effect.flatMap(() =>
        exists(pid) ? Effect.map(began(pid), (now) => now !== when) : Effect.succeed(true)
      ),
      Effect.orElseSucceed(() => false)
    )
  }
}

/** Provides `LocalMachine`: a download looks for room before it begins, and resumes at once where a killed process has left its lock. */
export const layer: Layer.Layer<LocalMachine.LocalMachine> = Layer.succeed(
  LocalMachine.LocalMachine,
  localMachine
)
