/** A built program as a process of its own, which ends with the scope. */
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"

/** What a process came to. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A process under way. */
export interface Spawned {
  /** Standard output and standard error so far. */
  readonly printed: Effect.Effect<string>
  /** What the pattern's first group matches, once it does; dies if the process ends before. */
  readonly until: (pattern: RegExp) => Effect.Effect<string>
  /** Closes both for good, so that whatever else it prints fails with EPIPE. */
  readonly unread: Effect.Effect<void>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Its exit code, when it has ended. */
  readonly code: Effect.Effect<number | null>
  /** All of it, when it has ended. */
  readonly outcome: Effect.Effect<Outcome>
}

/** Variables of a process; `undefined` leaves one out. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The store is WebAssembly, and no process here lives so long that optimizing that for minutes to come would repay its cost. */
const engine = ["--liftoff-only"]

/** Starts `dist/<name>`, or the file of that path, with nothing in its environment but what is given and the search path. */
export const spawned = (
  name: string,
  env: Environment,
  args: ReadonlyArray<string> = []
): Effect.Effect<Spawned, never, Scope.Scope> =>
  Effect.gen(function* () {
    const file = resolve(fileURLToPath(new URL("../dist", import.meta.url)), name)
    if (!existsSync(file))
      return yield* Effect.dieMessage(`run the task \`bundle\` first: there is no ${file}`)
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [...engine, file, ...args], {
          env: { PATH: process.env["PATH"], ...env },
          stdio: ["ignore", "pipe", "pipe"]
        })
      ),
      (started) => Effect.sync(() => started.kill("SIGKILL"))
    )
    let text = ""
    const streams = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
        streams[name] += chunk
      })
    }
    const closed = new Promise<Outcome>((resolve) =>
      child.on("close", (code) => resolve({ code, ...streams }))
    )
    const outcome = Effect.promise(() => closed)
    return {
      printed: Effect.sync(() => text),
      unread: Effect.sync(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }),
      kill: (signal) => Effect.sync(() => void child.kill(signal)),
      code: Effect.map(outcome, ({ code }) => code),
      outcome,
      until: (pattern) =>
        Effect.async<string>((resume) => {
          const look = () => {
            const found = pattern.exec(text)
            if (found !== null) resume(Effect.succeed(found[1] ?? ""))
          }
          child.stdout.on("data", look)
          child.stderr.on("data", look)
          child.on("close", () => resume(Effect.dieMessage(`it ended without ${pattern}:\n${text}`)))
          look()
        })
    }
  })

/** Starts the service on any free port; the process, and where it listens. */
export const spawnedService = (
  env: Environment
): Effect.Effect<Spawned & { readonly url: string }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const service = yield* spawned("batch-server.js", { PORT: "0", ...env })
    return { ...service, url: yield* service.until(/listening on (http:\/\/[\d.]+:\d+)/u) }
  })
