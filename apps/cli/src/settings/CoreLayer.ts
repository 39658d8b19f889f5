/**
 * The layer of core services for commands that call the API: one client, so that all ids share one throttle and one
 * retry budget.
 */
import type { FileSystem, HttpClient } from "@effect/platform"
import * as BatchClient from "@org/batch-core/BatchClient"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import type * as BatchHttp from "@org/batch-core/BatchHttp"
import * as Network from "@org/batch-node/Network"
import { Effect, Layer } from "effect"
import { SettingsError } from "../failure/CliError.js"
import type { Redactor } from "../terminal/Redactor.js"
import type { Stderr } from "../terminal/Stderr.js"
import * as Settings from "./Settings.js"

/** The services of the core. */
export type Core = BatchClient.BatchClient | BatchConfig | BatchHttp.BatchHttp

/** The HTTP client, with the proxy settings of the environment. */
export const layerNetwork: Layer.Layer<
  HttpClient.HttpClient,
  SettingsError,
  BatchConfig | Settings.Environment
> = Layer.unwrapEffect(
  Effect.zipWith(Settings.Environment, BatchConfig, ({ variables }, { baseUrl }) =>
    Network.layer({ variables, baseUrl })
  )
).pipe(Layer.mapError(({ detail, setting }) => new SettingsError({ setting, detail })))

/** The services of the core with the settings and the proxies of the environment. */
export const layer: Layer.Layer<
  Core,
  SettingsError,
  Redactor | Settings.Environment | FileSystem.FileSystem | Stderr
> = BatchClient.layerOver(Settings.layer).pipe(
  Layer.provide(layerNetwork),
  // Built once: layers are known by their identity.
  Layer.provide(Settings.layer)
)
