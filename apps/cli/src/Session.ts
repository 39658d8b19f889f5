/**
 * What every command that talks to the API needs: one client, so one throttle and one retry budget for all ids.
 */
import type { FileSystem, HttpClient } from "@effect/platform"
import * as BatchClient from "@org/batch-core/BatchClient"
import type { BatchConfig } from "@org/batch-core/BatchConfig"
import type * as BatchHttp from "@org/batch-core/BatchHttp"
import * as Network from "@org/batch-node/Network"
import { Effect, Layer } from "effect"
import type { Censor } from "./Censor.js"
import type { SettingsError } from "./CliError.js"
import type { Screen } from "./Screen.js"
import * as Settings from "./Settings.js"

/** The services of the core. */
export type Session = BatchClient.BatchClient | BatchConfig | BatchHttp.BatchHttp

/** The HTTP client with the network of the environment. */
export const network: Layer.Layer<HttpClient.HttpClient, never, Settings.Environment> = Layer.unwrapEffect(
  Effect.map(Settings.Environment, Network.layer)
)

/** The services of the core with the settings and the network of the environment. */
export const layer: Layer.Layer<
  Session,
  SettingsError,
  Censor | Settings.Environment | FileSystem.FileSystem | Screen
> = BatchClient.layerOver(Settings.layer).pipe(Layer.provide(network))
