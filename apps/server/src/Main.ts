#!/usr/bin/env node
/**
 * The entry point of `batch-server`: the service with the settings of the environment.
 */
import { ConfigProvider, Layer } from "effect"
import * as Logging from "./Logging.js"
import * as ProcessExit from "./ProcessExit.js"
import * as Server from "./Server.js"
import * as Settings from "./Settings.js"
import * as Tracing from "./Tracing.js"

const service = Server.layer(process.env).pipe(
  Layer.provide(Layer.merge(Logging.layer(process.stdout.isTTY === true), Tracing.layer)),
  Layer.provide(Settings.layer),
  Layer.provide(Layer.setConfigProvider(ConfigProvider.fromEnv({ pathDelim: "_" })))
)

ProcessExit.run(process, Layer.launch(service))
