/** The built binary as a process of its own, against a sandbox in this one. */
import { Sandbox } from "@org/batch-sandbox"
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const binary = fileURLToPath(new URL("../dist/batchctl.js", import.meta.url))
if (!existsSync(binary)) throw new Error("run the task `bundle` first: the tests drive dist/batchctl.js")

/** What a run came to. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A run under way. */
export interface Running {
  /** Resolves when standard output or standard error matches. */
  readonly until: (pattern: RegExp) => Effect.Effect<void>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly outcome: Effect.Effect<Outcome>
  /** Standard output so far. */
  readonly printed: Effect.Effect<string>
  readonly process: ChildProcess
}

/** How to run. */
export interface Settings {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** A shell command line in which `$B` is the binary. */
  readonly shell?: boolean
}

/** A sandbox, a folder, and the binary pointed at both. */
export interface World {
  readonly sandbox: Sandbox.Service
  /** Working folder, home and temporary folder of the runs. */
  readonly folder: string
  readonly run: (args: ReadonlyArray<string>, settings?: Settings) => Effect.Effect<Outcome>
  readonly start: (
    args: ReadonlyArray<string>,
    settings?: Settings
  ) => Effect.Effect<Running, never, Scope.Scope>
  readonly shell: (line: string, settings?: Settings) => Effect.Effect<Outcome>
}

/** Pauses so short that a test of many polls and retries takes a moment. */
export const quick = {
  BATCH_POLL_INITIAL_DELAY: "40ms",
  BATCH_POLL_MAX_DELAY: "80ms",
  BATCH_POLL_MIN_DELAY: "20ms",
  BATCH_RETRY_BASE_DELAY: "20ms",
  BATCH_RETRY_MAX_DELAY: "40ms",
  BATCH_RETRY_THROTTLED_BASE_DELAY: "20ms",
  BATCH_RETRY_THROTTLED_MAX_DELAY: "40ms",
  BATCH_TRANSFER_SETTLE: "0ms"
}

/** A job that is over at once. */
export const over = { pendingMs: 0, processingMs: 0 }

/** A world that goes with the scope. */
export const world = (
  options: Sandbox.Options = {}
): Effect.Effect<World, Sandbox.SandboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 }, ...options })
    const folder = yield* temporary
    const env = {
      PATH: process.env["PATH"],
      // One for all runs: compiling the program costs more than most of them do.
      XDG_CACHE_HOME: fileURLToPath(new URL("../node_modules/.cache", import.meta.url)),
      HOME: folder,
      TMPDIR: yield* temporary,
      CRUSTDATA_BASE_URL: sandbox.baseUrl,
      CRUSTDATA_API_KEY: sandbox.apiKey,
      ...quick
    }
    const start = (command: string, args: ReadonlyArray<string>, settings: Settings = {}) =>
      launch(command, args, { cwd: settings.cwd ?? folder, env: { ...env, ...settings.env } })
    const finish = (command: string, args: ReadonlyArray<string>, settings?: Settings) =>
      Effect.scoped(Effect.flatMap(start(command, args, settings), ({ outcome }) => outcome))
    return {
      sandbox,
      folder,
      run: (args, settings) => finish(process.execPath, [binary, ...args], settings),
      start: (args, settings) => start(process.execPath, [binary, ...args], settings),
      shell: (line, settings) =>
        finish("bash", ["-c", line], {
          ...settings,
          env: { B: `${process.execPath} ${binary}`, ...settings?.env }
        })
    }
  })

/** A folder that goes with the scope. */
export const temporary: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "batchctl-test-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const launch = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> }
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] })),
      (process) => Effect.sync(() => process.kill("SIGKILL"))
    )
    const text = { stdout: "", stderr: "" }
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk))
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk))
    const closed = new Promise<Outcome>((resolve) => child.on("close", (code) => resolve({ code, ...text })))
    return {
      process: child,
      outcome: Effect.promise(() => closed),
      printed: Effect.sync(() => text.stdout),
      kill: (signal) => Effect.sync(() => void child.kill(signal)),
      until: (pattern) =>
        Effect.async<void>((resume) => {
          const look = () => {
            if (pattern.test(text.stdout) || pattern.test(text.stderr)) resume(Effect.void)
          }
          child.stdout.on("data", look)
          child.stderr.on("data", look)
          child.on("close", () => resume(Effect.void))
          look()
        })
    }
  })

/** The lines of a text, without the empty last one. */
export const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

/** The JSON objects of a text, one a line. */
export const objects = (text: string): ReadonlyArray<Record<string, unknown>> =>
  lines(text).map((line): Record<string, unknown> => JSON.parse(line))
