/**
 * A stateful local upstream: the batch API, its file host, and a script of faults.
 *
 * @example
 * ```ts
 * import { Sandbox } from "@org/batch-sandbox"
 * import { Effect } from "effect"
 *
 * export const program = Effect.scoped(
 *   Effect.gen(function* () {
 *     const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 200 } })
 *     const id = yield* sandbox.createJob({ records: 1000, parts: 4 })
 *     yield* sandbox.script({ on: { server: "storage" }, do: { cut: { afterBytes: 5000, by: "reset" } } })
 *     return `${sandbox.baseUrl}/batch/${id}`
 *   })
 * )
 * ```
 */
import { Context, Effect, Layer, Schema, Scope } from "effect"
import { mkdtemp, rm, mkdir } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Api from "./Api.js"
import * as Control from "./Control.js"
import * as Credits from "./Credits.js"
import * as Endpoint from "./Endpoint.js"
import * as Fault from "./Fault.js"
import * as FaultScript from "./FaultScript.js"
import * as JobControl from "./JobControl.js"
import { type JobAction, type JobSpec, SubmitRule, SubmittedSpec } from "./JobSpec.js"
import * as JobStore from "./JobStore.js"
import * as Listener from "./Listener.js"
import * as Presign from "./Presign.js"
import * as RateLimit from "./RateLimit.js"
import * as RequestLog from "./RequestLog.js"
import * as Results from "./Results.js"
import { checked, type SandboxError, spooling } from "./SandboxError.js"
import * as Seed from "./Seed.js"
import * as Serve from "./Serve.js"
import * as Storage from "./Storage.js"
import * as SubmitScript from "./SubmitScript.js"
import * as Usage from "./Usage.js"

export type { JobAction, JobSpec, Step, SubmitRule, SubmittedSpec } from "./JobSpec.js"
export type { RequestRecord } from "./RequestLog.js"
export { SandboxError } from "./SandboxError.js"

/** How to start a sandbox; every setting has a default. */
export interface Options {
  /** Address of both listeners; default `127.0.0.1`. */
  readonly host?: string | undefined
  /** Port of the API; default 0, any free one. */
  readonly port?: number | undefined
  /** Port of the file host; default 0, any free one. */
  readonly storagePort?: number | undefined
  /** The one bearer token that is accepted; default `sandbox-key`. */
  readonly apiKey?: string | undefined
  /** Where generated results are written; default a temporary folder that goes with the scope. */
  readonly dataDir?: string | undefined
  /** Same seed, same ids and same bytes; default 1. */
  readonly seed?: number | undefined
  /** How long jobs take; default 500 ms pending, 3000 ms processing. */
  readonly clock?:
    { readonly pendingMs?: number | undefined; readonly processingMs?: number | undefined } | undefined
  /** How long links hold; default 432,000: five days. */
  readonly linkTtlSeconds?: number | undefined
  /** Requests that the API admits per window; default 600 a minute. */
  readonly rateLimit?: RateLimit.Options | undefined
  /** Jobs that may be pending or processing at a time; default 5. */
  readonly maxActiveJobs?: number | undefined
  /** What all submitted jobs are to be, beside their kind and inputs: time line, size of records, parts, lag. */
  readonly submitted?: SubmittedSpec | undefined
  /** What some of them are to be. */
  readonly submits?: ReadonlyArray<SubmitRule> | undefined
  /** The balance; default 1,000,000. */
  readonly credits?: number | undefined
  /** Whether there are usage events; default `true`. Without, their paths answer 404. */
  readonly usage?: boolean | undefined
  /** How long after its answer a request shows in the usage events; default 10,000 ms. */
  readonly usageDelayMs?: number | undefined
  /** The longest body that usage events keep; a longer one reads `null`. Default 8 MiB, the longest that is accepted. */
  readonly usageBodyBytes?: number | undefined
  /** Paths of submits that the plan does not cover, such as `/batch/person/identify`: 403. Default none. */
  readonly disabledEndpoints?: ReadonlyArray<string> | undefined
  /** Requests a minute that `/account/endpoints` tells; default those of `rateLimit`. */
  readonly tokenLimitRpm?: number | null | undefined
  /** The form of link signatures; default `v4`. */
  readonly signature?: Presign.Version | undefined
}

/** A running sandbox. */
export interface Service {
  /** `http://host:port` of the API. */
  readonly baseUrl: string
  /** `http://host:port` of the file host. */
  readonly storageUrl: string
  readonly apiKey: string
  /** Seed a job, past the rules of the API; its batch id. One that is over at once has its results written on return. */
  readonly createJob: (spec?: JobSpec) => Effect.Effect<string, SandboxError>
  /** What some of the jobs are to be that are submitted from now on: all rules are taken, or, if one makes no sense, none. */
  readonly onSubmit: (...rules: ReadonlyArray<SubmitRule>) => Effect.Effect<void, SandboxError>
  /** The balance, after all jobs that have completed. */
  readonly credits: Effect.Effect<number>
  /** Set the balance, as if somebody else had used credits or bought some. */
  readonly setCredits: (credits: number) => Effect.Effect<void, SandboxError>
  /** Append rules to the fault script: all of them, or, if one makes no sense, none. */
  readonly script: (...rules: ReadonlyArray<Fault.Rule>) => Effect.Effect<void, SandboxError>
  readonly clearFaults: Effect.Effect<void>
  /** Every rule of the script with how much of it was consumed. */
  readonly faults: Effect.Effect<ReadonlyArray<Fault.Report>>
  /** What arrived, in order; without the control endpoints. */
  readonly requests: Effect.Effect<ReadonlyArray<RequestLog.RequestRecord>>
  /** A job to change; its effects fail with `UnknownJob` when there is none. */
  readonly job: (id: string) => JobHandle
  /** Close the API listener and its connections: nothing answers. */
  readonly pauseApi: Effect.Effect<void>
  /** Open it again on the same port. */
  readonly resumeApi: Effect.Effect<void, SandboxError>
}

/** What can be done to a job; see `JobAction`. */
export interface JobHandle {
  readonly id: string
  readonly complete: Effect.Effect<void, SandboxError>
  readonly fail: (message?: string) => Effect.Effect<void, SandboxError>
  readonly replaceObject: (object?: string) => Effect.Effect<void, SandboxError>
  readonly deleteObject: (object?: string) => Effect.Effect<void, SandboxError>
  readonly expireLinks: (as?: "AccessDenied" | "ExpiredToken") => Effect.Effect<void, SandboxError>
  readonly linkTtl: (seconds: number) => Effect.Effect<void, SandboxError>
}

/** A sandbox as a service. */
export class Sandbox extends Context.Tag("@org/batch-sandbox/Sandbox")<Sandbox, Service>() {}

/**
 * Start a sandbox that lives as long as the scope. It reads the clock of the caller: under a `TestClock`, jobs, links, limits and delays
 * move with it.
 */
export const start = (options: Options = {}): Effect.Effect<Service, SandboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const { apiKey = "sandbox-key", clock, host = "127.0.0.1", seed = 1 } = yield* checkedOptions(options)
    const folder = yield* dataFolder(options.dataDir)
    const results = yield* Results.make(folder, seed)
    const jobs = yield* JobStore.make(seed, {
      pendingMs: clock?.pendingMs ?? 500,
      processingMs: clock?.processingMs ?? 3000,
      linkTtlSeconds: options.linkTtlSeconds ?? 432_000
    })
    const script = yield* FaultScript.make
    const log = yield* RequestLog.make
    const presign = Presign.make(options.signature ?? "v4", Seed.hex(40, seed, "secret"))
    const { limit, windowSeconds } = options.rateLimit ?? { limit: 600, windowSeconds: 60 }
    const submits = yield* SubmitScript.make(options.submitted ?? {}, options.submits ?? [])
    const usage = yield* Usage.make({
      seed,
      delayMs: options.usageDelayMs ?? 10_000,
      bodyBytes: options.usageBodyBytes ?? Infinity
    })
    const credits = yield* Credits.make({ seed, initial: options.credits ?? 1_000_000, jobs, usage })
    const listen = (server: Fault.Server, port: number | undefined, handler: Serve.Handler) =>
      Listener.make({
        host,
        port: port ?? 0,
        handle: Serve.make({
          server,
          log,
          script,
          handler,
          isControl: (incoming) => server === "api" && Control.isControl(incoming)
        })
      })
    const storage = yield* listen(
      "storage",
      options.storagePort,
      Storage.make({ seed, jobs, results, presign })
    )
    const batches = Api.make({
      apiKey,
      seed,
      jobs,
      submits,
      credits,
      usage: options.usage === false ? undefined : usage,
      results,
      presign,
      rateLimit: yield* RateLimit.make({ limit, windowSeconds }),
      usageRateLimit: yield* RateLimit.make({ limit: 60, windowSeconds: 60 }),
      tokenLimitRpm:
        options.tokenLimitRpm === undefined
          ? Math.floor((limit * 60) / windowSeconds)
          : options.tokenLimitRpm,
      disabledEndpoints: options.disabledEndpoints ?? [],
      maxActiveJobs: options.maxActiveJobs ?? 5,
      storageHost: new URL(storage.url).host
    })
    const control = { jobs, results, script, submits, credits, log }
    const api = yield* listen("api", options.port, (incoming, effects) =>
      Control.isControl(incoming) ? Control.handle(control, incoming) : batches(incoming, effects)
    )
    return {
      baseUrl: api.url,
      storageUrl: storage.url,
      apiKey,
      createJob: (spec = {}) => JobControl.create(jobs, results, spec),
      onSubmit: (...rules) => Effect.flatMap(checkedSubmits(rules), submits.append),
      credits: credits.balance,
      setCredits: (balance) => Effect.flatMap(checkedBalance(balance), credits.set),
      script: (...rules) => Effect.asVoid(Effect.flatMap(checkedRules(rules), script.append)),
      clearFaults: script.clear,
      faults: script.reports,
      requests: log.records,
      job: (id) => jobHandle(id, (action) => JobControl.act(jobs, id, action)),
      pauseApi: api.pause,
      resumeApi: api.resume
    }
  })

const Count = Schema.NonNegativeInt

const Port = Schema.optional(Schema.Int.pipe(Schema.between(0, 65_535)))

const checkedOptions = checked(
  Schema.Struct({
    host: Schema.optional(Schema.NonEmptyString),
    port: Port,
    storagePort: Port,
    apiKey: Schema.optional(Schema.NonEmptyString),
    dataDir: Schema.optional(Schema.NonEmptyString),
    seed: Schema.optional(Schema.Int),
    clock: Schema.optional(
      Schema.Struct({ pendingMs: Schema.optional(Count), processingMs: Schema.optional(Count) })
    ),
    linkTtlSeconds: Schema.optional(Count),
    rateLimit: Schema.optional(Schema.Struct({ limit: Count, windowSeconds: Schema.Positive })),
    maxActiveJobs: Schema.optional(Count),
    submitted: Schema.optional(SubmittedSpec),
    submits: Schema.optional(Schema.Array(SubmitRule)),
    credits: Schema.optional(Schema.NonNegative),
    usage: Schema.optional(Schema.Boolean),
    usageDelayMs: Schema.optional(Count),
    usageBodyBytes: Schema.optional(Count),
    disabledEndpoints: Schema.optional(Schema.Array(Schema.Literal(...Endpoint.paths))),
    tokenLimitRpm: Schema.optional(Schema.NullOr(Count)),
    signature: Schema.optional(Schema.Literal("v4", "v2"))
  })
)

const checkedSubmits = checked(Schema.Array(SubmitRule))

const checkedBalance = checked(Schema.NonNegative)

const checkedRules = checked(Schema.Array(Fault.Rule))

/** A sandbox that lives as long as the layer. */
export const layer = (options: Options = {}): Layer.Layer<Sandbox, SandboxError> =>
  Layer.scoped(Sandbox, start(options))

const jobHandle = (id: string, act: (action: JobAction) => Effect.Effect<void, SandboxError>): JobHandle => ({
  id,
  complete: act({ action: "complete" }),
  fail: (message) => act({ action: "fail", message }),
  replaceObject: (object) => act({ action: "replaceObject", object }),
  deleteObject: (object) => act({ action: "deleteObject", object }),
  expireLinks: (as) => act({ action: "expireLinks", as }),
  linkTtl: (seconds) => act({ action: "linkTtl", seconds })
})

const dataFolder = (given: string | undefined): Effect.Effect<string, SandboxError, Scope.Scope> =>
  given === undefined
    ? Effect.acquireRelease(
        spooling(() => mkdtemp(join(tmpdir(), "batch-sandbox-"))),
        (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
      )
    : Effect.as(
        spooling(() => mkdir(given, { recursive: true })),
        given
      )
