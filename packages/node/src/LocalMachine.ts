/**
 * What Linux and the other systems that Node knows can tell of the machine: the free space of a disk and, on Linux,
 * whether a process is alive. A process is named by boot, namespace, number and the moment of its start, which
 * together never come again; on other systems no process has a name.
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

/** The boot and the namespace whose numbers we see. */
const place = Effect.tryPromise(async () => {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8")
  return `${boot.trim()} ${await readlink("/proc/self/ns/pid")}`
})

/** When a process began, in ticks since the boot; none of one that has ended, even if nobody has asked how yet. */
const began = (pid: string) =>
  Effect.tryPromise(() => readFile(`/proc/${pid}/stat`, "utf8")).pipe(
    Effect.map((stat) => {
      const [state, ...figures] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return state === "Z" || state === "X" ? undefined : figures[18]
    })
  )

/** A process whose number nobody has any more has ended; that of another user may not be ours to look at. */
const exists = (pid: string): boolean => {
  try {
    return process.kill(Number(pid), 0)
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH")
  }
}

/** The machine as Node sees it. */
export const localMachine: LocalMachine.Service = {
  freeBytes: (path) =>
    Effect.map(
      Effect.option(Effect.tryPromise(() => statfs(path))),
      Option.map(({ bavail, bsize }) => bavail * bsize)
    ),
  self: Effect.zipWith(place, began("self"), (where, when) => `${where} ${process.pid} ${when}`).pipe(
    Effect.orElseSucceed(() => "")
  ),
  isDead: (name) => {
    const [, where, pid = "", when] = /^(\S+ \S+) (\d+) (\d+)$/u.exec(name) ?? []
    return place.pipe(
      Effect.filterOrFail((here) => here === where),
      Effect.flatMap(() =>
        exists(pid) ? Effect.map(began(pid), (now) => now !== when) : Effect.succeed(true)
      ),
      Effect.orElseSucceed(() => false)
    )
  }
}

/** Lets a download look for room before it begins, and go on at once where a process that was killed had been. */
export const layer: Layer.Layer<LocalMachine.LocalMachine> = Layer.succeed(
  LocalMachine.LocalMachine,
  localMachine
)
