/**
 * The local sandbox of `sandbox` and `demo`, with example jobs. Loaded only by these commands.
 */
import { Sandbox } from "@org/batch-sandbox"
import { Effect, type Scope } from "effect"
import { SandboxUnavailable } from "../failure/CliError.js"

/** Starts a sandbox, which is stopped when the scope is closed. */
export const start = (
  options: Sandbox.Options
): Effect.Effect<Sandbox.Service, SandboxUnavailable, Scope.Scope> =>
  Sandbox.start(options).pipe(Effect.mapError(unavailable))

/** A job of the sandbox, the command to try on it, and what that shows. */
export interface Example {
  readonly id: string
  readonly verb: string
  readonly what: string
}

/** Creates one job in every state that a user will meet. */
export const examples = (
  sandbox: Sandbox.Service
): Effect.Effect<ReadonlyArray<Example>, SandboxUnavailable> =>
  Effect.forEach(seeds, ({ spec, verb, what }) =>
    Effect.map(sandbox.createJob(spec), (id) => ({ id, verb, what }))
  ).pipe(Effect.mapError(unavailable))

const over = { pendingMs: 0, processingMs: 0 }

const seeds = [
  {
    verb: "get",
    what: "completed, 250 rows in 3 parts",
    spec: { ...over, records: 250, unresolved: 12, parts: 3 }
  },
  {
    verb: "get",
    what: "running, 1,000 rows in half a minute",
    spec: { pendingMs: 5_000, processingMs: 25_000, records: 1_000 }
  },
  {
    verb: "wait",
    what: "running for an hour",
    spec: { pendingMs: 1_000, processingMs: 3_600_000, records: 5_000 }
  },
  { verb: "get", what: "completed, nothing found", spec: { ...over, records: 0, unresolved: 20 } },
  {
    verb: "get",
    what: "failed",
    spec: {
      ...over,
      records: 0,
      requested: 40,
      outcome: "failed" as const,
      errorMessage: "The data provider did not answer"
    }
  }
]

const unavailable = ({ detail }: Sandbox.SandboxError): SandboxUnavailable =>
  new SandboxUnavailable({ detail })
