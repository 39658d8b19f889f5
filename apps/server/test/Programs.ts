/** Programs of others, which may not be installed. */
import { Effect, type Scope } from "effect"
import { execFile, spawn } from "node:child_process"
import { createServer } from "node:net"

/** How a program ended, and what it wrote to standard output. */
export interface Ran {
  readonly code: number
  readonly stdout: Buffer
}

/** Runs a program past any proxy, with this on its standard input, and kills it with the test. */
export const run = (program: string, args: ReadonlyArray<string>, input = ""): Effect.Effect<Ran> =>
  Effect.async((resume) => {
    const env = { ...process.env, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" }
    const options = { encoding: "buffer", maxBuffer: 64 * 1024 * 1024, env } as const
    const child = execFile(program, args, options, (error, stdout) =>
      resume(Effect.succeed({ code: error === null ? 0 : Number(error.code) || 1, stdout }))
    )
    child.stdin?.on("error", () => undefined).end(input)
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Whether a program is there, and can do what is looked for in what it says. */
export const isThere = (
  program: string,
  args: ReadonlyArray<string>,
  says = /(?:)/u
): Effect.Effect<boolean> =>
  Effect.map(run(program, args), ({ code, stdout }) => code === 0 && says.test(stdout.toString()))

/** Runs a program until the scope is closed. */
export const daemon = (
  program: string,
  args: ReadonlyArray<string>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => spawn(program, args, { stdio: "ignore" })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
  )

/** A port that nobody listens on at the moment. */
export const freePort: Effect.Effect<number> = Effect.async((resume) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const address = probe.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    probe.close(() => resume(Effect.succeed(port)))
  })
})
