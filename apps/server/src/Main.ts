#!/usr/bin/env node
/**
 * Runs the service on Node.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ConfigProvider, Effect, Layer } from "effect"
import * as Ending from "./Ending.js"
import * as Logging from "./Logging.js"
import * as Server from "./Server.js"
import * as Settings from "./Settings.js"
import * as Tracing from "./Tracing.js"

const signalled = Ending.watch(process)

Server.layer(process.env).pipe(
  Layer.provide(Layer.merge(Logging.layer(process.stdout.isTTY === true), Tracing.layer)),
  Layer.provide(Settings.layer),
  Layer.provide(Layer.setConfigProvider(ConfigProvider.fromEnv({ pathDelim: "_" }))),
  Layer.launch,
  Effect.catchAll(Ending.explain),
  Effect.tapDefect(Ending.report),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, onExit) => onExit(signalled() ?? Ending.codeOf(exit))
  })
)
