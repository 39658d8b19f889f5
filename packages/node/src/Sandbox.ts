/**
 * For tests: everything that `BatchNode.layer` gives, against a fresh `@org/batch-sandbox` that lives as long as the layer,
 * and waits for nothing longer than it must. Neither the environment nor a network has a part in it. It is here, and not
 * in the sandbox, which plays the vendor and knows nothing of core; install `@org/batch-sandbox` beside this package.
 *
 * @example
 * import { Records } from "@org/batch-core"
 * import { Sandbox } from "@org/batch-node/Sandbox"
 * import * as Sandboxes from "@org/batch-node/Sandbox"
 * import { Effect, Stream } from "effect"
 *
 * const test = Effect.gen(function* () {
 *   const sandbox = yield* Sandbox
 *   const id = yield* sandbox.createJob({ records: 100 })
 *   yield* sandbox.script({ on: { server: "storage" }, do: { cut: { afterBytes: 5000, by: "reset" } } })
 *   return yield* Records.ofBatch(id, { deadline: "1 minute" }).pipe(Stream.runCount) // 100
 * }).pipe(Effect.provide(Sandboxes.layer()))
 */
import { BatchId } from "@org/batch-core/Batch"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { type JobSpec, Sandbox as Upstream } from "@org/batch-sandbox"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import * as BatchNode from "./BatchNode.js"
import * as Network from "./Network.js"

/** How to start the sandbox, and settings in place of the impatient ones. */
export interface Options extends Upstream.Options, Pick<BatchConfig.Options, "poll" | "retry" | "transfer"> {}

/**
 * What a sandbox refuses, with reason `Invalid` and the place of what makes no sense: `path: "("`, `parts: 0`, an id that is
 * no UUID, a setting beyond its bounds.
 */
export type SandboxError = Upstream.SandboxError

/** A running sandbox whose jobs have typed ids. */
export interface Service extends Omit<Upstream.Service, "createJob"> {
  /** Seed a job, past the rules of the API. One that is over at once has its results written on return. */
  readonly createJob: (spec?: JobSpec.JobSpec) => Effect.Effect<BatchId, SandboxError>
}

/** A running sandbox: its jobs, its script of faults, and the requests that it has seen. */
export class Sandbox extends Context.Tag("@org/batch-node/Sandbox")<Sandbox, Service>() {}

/**
 * A fresh sandbox and everything against it. Unless told otherwise its jobs are over at once, and polls and retries come
 * after milliseconds: meant for real time (`it.live`), not for `TestClock`.
 */
export const layer = (options: Options = {}): Layer.Layer<Sandbox | BatchNode.Services, SandboxError> => {
  const { poll, retry, transfer, ...upstream } = options
  const sandbox = Layer.scoped(
    Sandbox,
    Effect.map(
      Upstream.start({ clock: { pendingMs: 0, processingMs: 0 }, ...upstream }),
      (service): Service => ({
        ...service,
        createJob: (spec) =>
          Effect.flatMap(service.createJob(spec), (id) => Effect.orDie(Schema.decode(BatchId)(id)))
      })
    )
  )
  const config = Layer.unwrapEffect(
    Effect.map(Sandbox, ({ apiKey, baseUrl }) =>
      BatchConfig.layer({
        baseUrl,
        apiKey: Redacted.make(apiKey),
        poll: { initialDelay: "20ms", minDelay: "10ms", maxDelay: "200ms", ...poll },
        retry: {
          baseDelay: "5ms",
          maxDelay: "50ms",
          throttledBaseDelay: "5ms",
          throttledMaxDelay: "50ms",
          ...retry
        },
        transfer: { settle: "500ms", ...transfer }
      })
    )
  ).pipe(
    Layer.mapError((error) => {
      const { detail, setting } = BatchConfig.explain(error)
      return new Upstream.SandboxError({ reason: "Invalid", detail: `${setting}: ${detail}` })
    })
  )
  return Layer.unwrapScoped(
    Effect.map(Effect.context<Sandbox>(), (running) =>
      BatchNode.layerOver(Layer.provide(config, Layer.succeedContext(running)), Network.layerDirect)
    )
  ).pipe(Layer.provideMerge(sandbox))
}
