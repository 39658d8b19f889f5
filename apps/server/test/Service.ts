/** The built service as a process of its own, against a sandbox in this one. */
import { expect } from "@effect/vitest"
import { type Fault, type JobSpec, Sandbox } from "@org/batch-sandbox"
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { build } from "esbuild"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Caller from "./Caller.js"
import { type Environment, type Spawned, spawned } from "./Spawned.js"

/** A line of the log. */
export type Line = Readonly<Record<string, unknown>>

/** A service that listens, and the upstream that it talks to. */
export interface Started extends Spawned {
  readonly sandbox: Sandbox.Service
  readonly port: number
  /** Asks, and waits for the end of the answer. */
  readonly get: (path: string, headers?: Caller.Request["headers"]) => Effect.Effect<Caller.Answer>
  readonly ask: (path: string, request: Caller.Request) => Effect.Effect<Caller.Answer>
  /** Asks, and reads only when told to. */
  readonly open: (
    path: string,
    headers?: Caller.Request["headers"]
  ) => Effect.Effect<Caller.Open, never, Scope.Scope>
  readonly raw: (...texts: ReadonlyArray<string>) => ReturnType<typeof Caller.raw>
  readonly logs: Effect.Effect<ReadonlyArray<Line>>
  /** A metric's value now, by its name and labels as they are printed; 0 if there is none. */
  readonly metric: (sample: string) => Effect.Effect<number>
  /** Calls for one batch that came to the API. */
  readonly calls: (id: string) => Effect.Effect<ReadonlyArray<Sandbox.RequestRecord>>
  /** Requests for the files of one batch. */
  readonly transfers: (id: string) => Effect.Effect<ReadonlyArray<Sandbox.RequestRecord>>
}

/** A service that several tests share. */
export class Service extends Context.Tag("test/Service")<Service, Started>() {}

/** Pauses so short that a test of many polls and retries takes a moment. */
export const quick = {
  BATCH_POLL_INITIAL_DELAY: "40ms",
  BATCH_POLL_MAX_DELAY: "80ms",
  BATCH_POLL_MIN_DELAY: "20ms",
  BATCH_RETRY_BASE_DELAY: "5ms",
  BATCH_RETRY_MAX_DELAY: "20ms",
  BATCH_RETRY_THROTTLED_BASE_DELAY: "5ms",
  BATCH_RETRY_THROTTLED_MAX_DELAY: "20ms"
}

/** Cells so small that a short result takes several requests. */
export const small = {
  BATCH_TRANSFER_CELL_BYTES: "16384",
  BATCH_TRANSFER_BLOCK_BYTES: "4096",
  BATCH_TRANSFER_IDLE_TIMEOUT: "1s",
  BATCH_TRANSFER_SETTLE: "0ms"
}

/** A job that is over at once. */
export const over: JobSpec.JobSpec = { pendingMs: 0, processingMs: 0, records: 20, recordBytes: 2000 }

/** An id that no job has. */
export const nobody = "00000000-0000-4000-8000-000000000000"

/** How to start. */
export interface Options {
  readonly env?: Environment | undefined
  readonly sandbox?: Sandbox.Options | undefined
  /** The file that is run, in place of the service that is shipped. */
  readonly program?: string | undefined
}

/** The service's process, whether it comes to listen or not. */
export const launch = (
  env: Environment,
  program = "batch-server.js"
): Effect.Effect<Spawned, never, Scope.Scope> =>
  Effect.flatMap(temporary, (folder) =>
    spawned(program, {
      // Node's cache of compiled code would lie in the temporary folder, and go with it.
      NODE_DISABLE_COMPILE_CACHE: "1",
      TMPDIR: folder,
      PORT: "0",
      ...quick,
      ...env
    })
  )

/** A service with a sandbox behind it; both go with the scope. */
export const start = (options: Options = {}): Effect.Effect<Started, Sandbox.SandboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({
      clock: { pendingMs: 0, processingMs: 0 },
      rateLimit: { limit: 1_000_000, windowSeconds: 1 },
      ...options.sandbox
    })
    const running = yield* launch(
      { CRUSTDATA_BASE_URL: sandbox.baseUrl, CRUSTDATA_API_KEY: sandbox.apiKey, ...options.env },
      options.program
    )
    const port = Number(yield* running.until(/listening on http:\/\/[\d.]+:(\d+)/u))
    const requests = (server: Fault.Server) => (id: string) =>
      Effect.map(sandbox.requests, (all) =>
        all.filter((request) => request.server === server && request.path.includes(id))
      )
    const get: Started["get"] = (path, headers) => Caller.ask(port, path, { headers })
    return {
      ...running,
      sandbox,
      port,
      get,
      ask: (path, request) => Caller.ask(port, path, request),
      open: (path, headers) => Caller.open(port, path, { headers }),
      raw: (...texts) => Caller.raw(port, ...texts),
      logs: Effect.map(running.printed, linesOf),
      metric: (sample) => Effect.map(get("/metrics"), ({ body }) => valueOf(body.toString(), sample)),
      calls: requests("api"),
      transfers: requests("storage")
    }
  })

/** A service that several tests share. */
export const layer = (options?: Options): Layer.Layer<Service, Sandbox.SandboxError> =>
  Layer.scoped(Service, start(options))

/** Runs under faults, of which each must have been used up in the end, and leaves none behind. */
export const under = <A, E, R>(
  sandbox: Sandbox.Service,
  rules: ReadonlyArray<Fault.Rule>,
  use: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Sandbox.SandboxError, R> =>
  Effect.gen(function* () {
    yield* sandbox.script(...rules)
    const result = yield* use
    const left = (yield* sandbox.faults).filter(({ consumed, expected }) =>
      expected === "forever" ? consumed === 0 : consumed < expected
    )
    expect(left).toEqual([])
    return result
  }).pipe(Effect.ensuring(sandbox.clearFaults))

/** Looks until it is so, less and less often, and gives what was seen then; a test in vain ends by its own time limit. */
export const eventually = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  isSo: (seen: A) => boolean,
  pause = 15
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.delay(look, pause), (seen) =>
    // Each look has its price, that of metrics most.
    isSo(seen) ? Effect.succeed(seen) : eventually(look, isSo, Math.min(pause * 1.2, 60))
  )

/** A folder that goes with the scope. */
export const temporary: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "batch-server-test-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** The program of `Impatient.ts`, bundled once for all files that a process tests. */
let bundled: Promise<string> | undefined

const bundle = async (): Promise<string> => {
  const here = new URL(".", import.meta.url)
  const outdir = fileURLToPath(
    new URL(`../.test-results/impatient-${process.env["VITEST_POOL_ID"] ?? ""}`, here)
  )
  await build({
    entryPoints: [fileURLToPath(new URL("Impatient.ts", here))],
    outdir,
    bundle: true,
    // What only some calls need is then loaded by those.
    splitting: true,
    minify: true,
    platform: "node",
    format: "esm",
    outExtension: { ".js": ".mjs" },
    external: ["@aws-sdk/*", "@electric-sql/*", "pg", "pg-boss"],
    banner: {
      js: `import { createRequire as createRequire_ } from "node:module"; const require = createRequire_(import.meta.url);`
    },
    loader: { ".html": "text" },
    define: { BATCH_SERVER_VERSION: JSON.stringify("0.0.0") },
    logLevel: "warning"
  })
  return join(outdir, "Impatient.mjs")
}

/** Where the bundled program of `Impatient.ts` is. */
export const impatient: Effect.Effect<string> = Effect.promise(() => (bundled ??= bundle()))

// ----------------------------------------------------------------------------------------------------------------

const Lines = Schema.Array(Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown })))

/** Every whole line is a JSON object. */
const linesOf = (text: string): ReadonlyArray<Line> =>
  Schema.decodeSync(Lines)(
    text
      .slice(0, text.lastIndexOf("\n") + 1)
      .split("\n")
      .filter((line) => line !== "")
  )

const valueOf = (text: string, sample: string): number =>
  Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${sample} `))
      ?.slice(sample.length) ?? 0
  )
