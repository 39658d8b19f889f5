/** For tests: the program of `Program.ts`, started, talked to and killed. */
import { Effect, type Scope } from "effect"
import { build } from "esbuild"
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { createInterface } from "node:readline"

const results = fileURLToPath(new URL("../.test-results/", import.meta.url))

/** Bundles the program once for a test run. */
export const bundle: Effect.Effect<string> = Effect.suspend(() => bundleAs("Program", {}))

/** Bundles the program with modules of a test in place of some of the package's, and gives the bundle's file. */
export const bundleAs = (name: string, inPlaceOf: Readonly<Record<string, URL>>): Effect.Effect<string> =>
  Effect.promise(async () => {
    const outfile = `${results}${name}.mjs`
    await build({
      entryPoints: [fileURLToPath(new URL("Program.ts", import.meta.url))],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20.19",
      logLevel: "error",
      external: ["pg", "pg-boss", "@electric-sql/pglite", "@electric-sql/pglite/nodefs", "@aws-sdk/*"],
      banner: {
        js: `import { createRequire as createRequire_ } from "node:module"; const require = createRequire_(import.meta.url);`
      },
      plugins: Object.entries(inPlaceOf).map(([module, other]) => ({
        name: module,
        setup: ({ onResolve }) =>
          onResolve({ filter: new RegExp(`^\\./${module}\\.js$`) }, () => ({
            path: fileURLToPath(other)
          }))
      }))
    })
    return outfile
  })

/** What the program has said. */
export interface Line {
  readonly ready?: boolean
  readonly id?: string
  readonly created?: boolean
  readonly error?: string
  /** Of the service's log. */
  readonly message?: string
  /** What a download did that had been taken over, and how many rows that changed. */
  readonly late?: string
  readonly rows?: number
}

/** A running program. */
export interface Running {
  readonly child: ChildProcess
  readonly lines: ReadonlyArray<Line>
  readonly stderr: () => string
  /** Waits until it has said something that fits; fails when it ends before. */
  readonly until: (fits: (line: Line) => boolean) => Effect.Effect<Line>
  readonly send: (request: object) => Effect.Effect<void>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Its exit code, or the signal that ended it. */
  readonly exit: Effect.Effect<number | string>
}

/** Starts the program; it is killed with the scope. */
export const start = (
  variables: Readonly<Record<string, string>>,
  program = `${results}Program.mjs`
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): Running => {
      const env = { ...process.env, ...variables, NO_COLOR: "1" }
      const child = spawn(process.execPath, [program], { env, stdio: ["pipe", "pipe", "pipe"] })
      const lines: Array<Line> = []
      const waiting = new Set<() => void>()
      const wake = () => waiting.forEach((one) => one())
      let stderr = ""
      let ended: number | string | undefined
      child.stdin.on("error", () => undefined)
      child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line.startsWith("{")) lines.push(JSON.parse(line))
        else stderr += `${line}\n`
        wake()
      })
      child.once("exit", (code, signal) => {
        ended = code ?? signal ?? 0
        wake()
      })
      const when = <A>(look: () => A | undefined): Effect.Effect<A> =>
        Effect.async<A>((resume) => {
          const check = () => {
            const found = look()
            if (found === undefined) return
            waiting.delete(check)
            resume(Effect.succeed(found))
          }
          waiting.add(check)
          check()
        })
      return {
        child,
        lines,
        stderr: () => stderr,
        until: (fits) =>
          Effect.flatMap(
            when(() => lines.find(fits) ?? (ended === undefined ? undefined : { error: `ended: ${ended}` })),
            (line) => (fits(line) ? Effect.succeed(line) : Effect.die(new Error(`${line.error}\n${stderr}`)))
          ),
        send: (request) => Effect.sync(() => void child.stdin.write(`${JSON.stringify(request)}\n`)),
        kill: (signal) => Effect.sync(() => void child.kill(signal)),
        exit: when(() => ended)
      }
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )
