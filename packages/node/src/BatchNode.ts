/**
 * Everything that `@org/batch-core` needs on Node in one layer: the hardened HTTP client with the proxies of the
 * environment, the disk, free space and living processes, the settings, and the client of the API. Settings are
 * `CRUSTDATA_API_KEY`, `CRUSTDATA_BASE_URL` and `BATCH_*` of the environment, and what `layerWith` is given.
 *
 * Build it once in a process. All calls over one layer share one throttle, one retry budget and one budget for the file
 * host; with `Effect.provide` around every call, every call has its own, and together they are as impolite as they can be.
 * A script provides it once, around all it does, and runs under `NodeRuntime.runMain`, which ends with an exit code and
 * interrupts the program on Ctrl-C. A server makes one `ManagedRuntime` of it.
 *
 * @example
 * import { type Batch, BatchClient, Retrieval } from "@org/batch-core"
 * import { BatchNode } from "@org/batch-node"
 * import { Effect, ManagedRuntime, Redacted } from "effect"
 *
 * // a script: `NodeRuntime.runMain(script(id))`
 * const script = (id: Batch.BatchId) =>
 *   Retrieval.get(id, { deadline: "30 minutes", output: "rows.jsonl.gz" }).pipe(Effect.provide(BatchNode.layer))
 *
 * // a server: one runtime for all its requests, disposed of at its end
 * const runtime = ManagedRuntime.make(BatchNode.layerWith({ apiKey: Redacted.make("key") }))
 * const status = (id: Batch.BatchId) => runtime.runPromise(BatchClient.status(id))
 */
import type { FileSystem, HttpClient, Path } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as BatchClient from "@org/batch-core/BatchClient"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import type * as BatchHttp from "@org/batch-core/BatchHttp"
import { type ConfigError, Effect, Layer } from "effect"
import * as LocalMachine from "./LocalMachine.js"
import * as Network from "./Network.js"

/** All that core works with: client, settings, hardened HTTP, disk and paths; `HttpClient` is that of the network. */
export type Services =
  | BatchClient.BatchClient
  | BatchConfig.BatchConfig
  | BatchHttp.BatchHttp
  | HttpClient.HttpClient
  | FileSystem.FileSystem
  | Path.Path

/** A setting that cannot be used: `ConfigError` names its variable, `ProxySettingError` the proxy's. */
export type SettingError = ConfigError.ConfigError | Network.ProxySettingError

/** Everything over settings and a network that stand already. */
export const layerOver = <E, E2>(
  config: Layer.Layer<BatchConfig.BatchConfig, E>,
  network: Layer.Layer<HttpClient.HttpClient, E2, BatchConfig.BatchConfig>
): Layer.Layer<Services, E | E2> =>
  BatchClient.layerOver(config).pipe(
    Layer.provideMerge(Layer.provide(network, config)),
    Layer.provideMerge(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, LocalMachine.layer))
  )

/** The HTTP client with the proxies of the environment, of which that for the API must be usable. */
const network = Layer.unwrapEffect(
  Effect.map(BatchConfig.BatchConfig, ({ baseUrl }) => Network.layer({ variables: process.env, baseUrl }))
)

/** Everything, with settings from code, and from the environment what the code does not say. */
export const layerWith = (options: BatchConfig.Options): Layer.Layer<Services, SettingError> =>
  layerOver(BatchConfig.layerWith(options), network)

/** Everything, with the settings of the environment. */
export const layer: Layer.Layer<Services, SettingError> = layerWith({})
