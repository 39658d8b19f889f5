#!/usr/bin/env node
/**
 * The entry point of `batch-server`: the service with the settings of the environment.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, Layer } from "effect"
import * as CommandLine from "./CommandLine.js"
import * as Logging from "./Logging.js"
import * as ProcessExit from "./ProcessExit.js"
import * as SecretFiles from "./SecretFiles.js"
import * as Server from "./Server.js"
import * as Settings from "./Settings.js"
import * as Tracing from "./Tracing.js"

const service = Layer.unwrapEffect(
  Effect.map(SecretFiles.resolve(process.env), (variables) =>
    Server.layer(variables).pipe(
      Layer.provide(Layer.merge(Logging.layer(process.stdout.isTTY === true), Tracing.layer)),
      Layer.provide(Settings.layerFrom(variables))
    )
  )
).pipe(Layer.provide(NodeFileSystem.layer))

ProcessExit.run(process, CommandLine.run(process.argv.slice(2), Layer.launch(service)))
