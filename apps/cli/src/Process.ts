/**
 * What the process lends to a run: its arguments and environment, its two outputs, and the disk.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Disk from "@org/batch-node/Disk"
import * as Liveness from "@org/batch-node/Liveness"
import { Layer } from "effect"
import * as Censor from "./terminal/Censor.js"
import * as Diagnostics from "./terminal/Diagnostics.js"
import { Invocation } from "./terminal/Invocation.js"
import * as NoPrompt from "./NoPrompt.js"
import * as Output from "./terminal/Output.js"
import * as Screen from "./terminal/Screen.js"
import { Environment } from "./settings/Settings.js"

/** Everything that every command may ask for. */
export const layer = Layer.mergeAll(
  Layer.succeed(Invocation, { argv: process.argv.slice(2), debug: Boolean(process.env["BATCH_DEBUG"]) }),
  Layer.succeed(Environment, { variables: process.env }),
  Layer.mergeAll(Output.layer, Diagnostics.layer).pipe(
    Layer.provideMerge(Screen.layer),
    Layer.provideMerge(Censor.layer)
  ),
  Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NoPrompt.layer, Disk.layer, Liveness.layer)
)
