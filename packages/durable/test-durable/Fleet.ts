/** For the long suites: a sandbox, a store on PostgreSQL, and workers that are killed, stopped and ended. */
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect, type Scope } from "effect"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { Client } from "pg"
import { gunzipSync } from "node:zlib"
import * as LocalPostgres from "../test/LocalPostgres.js"
import * as Process from "../test/Process.js"
import * as Stack from "../test/Stack.js"

/** What a suite works with. */
export interface Fleet {
  readonly sandbox: Sandboxes.Service
  readonly server: LocalPostgres.Server
  readonly out: string
  /** A process that may not be up yet. */
  readonly start: (
    variables?: Readonly<Record<string, string>>,
    program?: string
  ) => Effect.Effect<Process.Running, never, Scope.Scope>
  readonly worker: (
    variables?: Readonly<Record<string, string>>,
    program?: string
  ) => Effect.Effect<Process.Running, never, Scope.Scope>
  readonly query: (
    text: string,
    values?: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<Record<string, unknown>>>
  /** Hands so many retrievals over, ten of each batch if not said otherwise, and gives the names of their files. */
  readonly handOver: (
    program: Process.Running,
    count: number,
    prefix: string,
    ofEach?: number
  ) => Effect.Effect<ReadonlyArray<string>>
  readonly counts: Effect.Effect<Readonly<Record<string, number>>>
}

/** Rows of each result. */
export const records = 20

/** A fleet without workers yet. */
export const make: Effect.Effect<Fleet, never, Sandboxes.Sandbox | Scope.Scope> = Effect.gen(function* () {
  yield* Process.bundle
  const sandbox = yield* Sandboxes.Sandbox
  const server = yield* LocalPostgres.make
  const folder = yield* Stack.emptyFolder
  const out = join(folder, "out")
  const query: Fleet["query"] = (text, values = []) =>
    Effect.promise(async () => {
      const client = new Client({ connectionString: server.url })
      client.on("error", () => undefined)
      await client.connect()
      try {
        return (await client.query(text, [...values])).rows
      } finally {
        await client.end()
      }
    })
  const start: Fleet["start"] = (variables = {}, program) =>
    Process.start(
      {
        CRUSTDATA_BASE_URL: sandbox.baseUrl,
        CRUSTDATA_API_KEY: sandbox.apiKey,
        BATCH_TEST_STORE: server.url,
        BATCH_TEST_FOLDER: out,
        ...variables
      },
      program
    )
  return {
    sandbox,
    server,
    out,
    query,
    start,
    worker: (variables, program) =>
      Effect.tap(start(variables, program), (running) => running.until(({ ready }) => ready === true)),
    handOver: (program, count, prefix, ofEach = 10) =>
      Effect.gen(function* () {
        const names: Array<string> = []
        const batches = yield* Effect.forEach(Array.from({ length: Math.ceil(count / ofEach) }), () =>
          Effect.orDie(sandbox.createJob({ records }))
        )
        const before = program.lines.length
        for (let index = 0; index < count; index++) {
          const name = `${prefix}-${index}.jsonl.gz`
          names.push(name)
          yield* program.send({
            batch_id: batches[Math.floor(index / ofEach)],
            destination: { type: "folder", path: name }
          })
        }
        yield* program.until(() => program.lines.length >= before + count)
        return names
      }),
    counts: Effect.map(
      query("SELECT state, count(*)::int AS count FROM batch.retrieval GROUP BY state"),
      (rows) => Object.fromEntries(rows.map(({ count, state }) => [String(state), Number(count)]))
    )
  }
})

/** Waits until all retrievals are done, and checks that each file is whole and nothing lies beside them. */
export const allDone = (fleet: Fleet, names: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Stack.eventually(fleet.counts, (counts) => (counts["done"] ?? 0) >= names.length)
    const files = yield* Effect.promise(() => readdir(fleet.out))
    const strange = files.filter((name) => !names.includes(name) && name !== ".retrievals")
    if (strange.length > 0) throw new Error(`files that nobody asked for: ${strange.join(", ")}`)
    for (const name of names) {
      const bytes = yield* Effect.promise(() => readFile(join(fleet.out, name)))
      const rows = gunzipSync(bytes).toString().trim().split("\n").length
      if (rows !== records) throw new Error(`${name}: ${rows} rows`)
    }
  })

/** Seconds since a moment of `process.hrtime.bigint`. */
export const since = (begun: bigint): number => Number(process.hrtime.bigint() - begun) / 1e9

/** Seconds of CPU that a process has used; none can be told where there is no `/proc`. */
export const cpuSeconds = (pid: number): Effect.Effect<number> =>
  Effect.promise(async () => {
    const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) / 100
  })
