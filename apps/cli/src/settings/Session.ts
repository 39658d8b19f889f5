/**
 * What every command that talks to the API needs: one client, so one throttle and one retry budget for all ids.
 */
import type { FileSystem, HttpClient } from "@effect/platform"
import * as BatchClient from "@org/batch-core/BatchClient"
import type { BatchConfig } from "@org/batch-core/BatchConfig"
import * as BatchHttp from "@org/batch-core/BatchHttp"
import * as Network from "@org/batch-node/Network"
import { Effect, Layer } from "effect"
import type { Censor } from "../terminal/Censor.js"
import type { SettingsError } from "../failure/CliError.js"
import type { Screen } from "../terminal/Screen.js"
import * as Settings from "./Settings.js"

/** The services of the core. */
export type Session = BatchClient.BatchClient | BatchConfig | BatchHttp.BatchHttp

/** The services of the core over any client and any settings. */
export const over: Layer.Layer<
  BatchClient.BatchClient | BatchHttp.BatchHttp,
  never,
  BatchConfig | HttpClient.HttpClient
> = BatchClient.layer.pipe(Layer.provideMerge(BatchHttp.layer))

/** The HTTP client with the network of the environment. */
export const network: Layer.Layer<HttpClient.HttpClient, never, Settings.Environment> = Layer.unwrapEffect(
  Effect.map(Settings.Environment, Network.layer)
)

/** The services of the core with the settings and the network of the environment. */
export const layer: Layer.Layer<
  Session,
  SettingsError,
  Censor | Settings.Environment | FileSystem.FileSystem | Screen
> = over.pipe(Layer.provide(network), Layer.provideMerge(Settings.layer))
