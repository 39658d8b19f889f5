/** A sandbox as promises, and clients against it that wait for nothing longer than they must. */
import { type Fault, type JobSpec, Sandbox } from "@org/batch-sandbox"
import { Effect, Exit, Scope } from "effect"
import { mkdtemp, realpath } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client, type Settings } from "../src/index.js"

export const secret = "sandbox-key-that-is-long-enough-to-be-cut-out"

/** A running sandbox. */
export const start = async (options: Sandbox.Options = {}) => {
  const scope = Effect.runSync(Scope.make())
  const sandbox = await Effect.runPromise(
    Scope.extend(
      Sandbox.start({ apiKey: secret, clock: { pendingMs: 0, processingMs: 0 }, ...options }),
      scope
    )
  )
  const clients: Array<Client> = []
  return {
    /** Closes the clients and forgets the script. */
    reset: async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()))
      await Effect.runPromise(sandbox.clearFaults)
    },
    stop: () => Effect.runPromise(Scope.close(scope, Exit.void)),
    baseUrl: sandbox.baseUrl,
    createJob: (spec: JobSpec.JobSpec = {}) => Effect.runPromise(sandbox.createJob(spec)),
    script: (...rules: ReadonlyArray<Fault.Rule>) => Effect.runPromise(sandbox.script(...rules)),
    /** Whether every fault that was scripted has happened. */
    areSpent: async () =>
      (await Effect.runPromise(sandbox.faults)).every(({ consumed, expected }) => consumed === expected),
    requests: () => Effect.runPromise(sandbox.requests),
    client: (settings: Settings = {}) => {
      const client = new Client({ ...impatient, apiKey: secret, baseUrl: sandbox.baseUrl, ...settings })
      clients.push(client)
      return client
    }
  }
}

export const impatient: Settings = {
  poll: { initialDelay: 0.02, minDelay: "10ms", maxDelay: "200ms" },
  retry: { baseDelay: "5ms", maxDelay: 0.05, throttledBaseDelay: "5ms", throttledMaxDelay: "50ms" },
  transfer: { settle: "500ms" }
}

export const emptyFolder = async (): Promise<string> =>
  realpath(await mkdtemp(join(tmpdir(), "batch-client-")))

/** What a promise rejects with. */
export const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error("it did not reject")
}

/** All that an iterable gives. */
export const all = async <A>(rows: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const found: Array<A> = []
  for await (const row of rows) found.push(row)
  return found
}
