/**
 * What the process lends to a run: its arguments and environment, its two outputs, and the disk.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Disk from "@org/batch-node/Disk"
import * as Liveness from "@org/batch-node/Liveness"
import { Layer } from "effect"
import * as NoPrompt from "./NoPrompt.js"
import { Environment } from "./settings/Settings.js"
import { CommandLine } from "./terminal/CommandLine.js"
import * as Redactor from "./terminal/Redactor.js"
import * as Stderr from "./terminal/Stderr.js"
import * as StderrLogger from "./terminal/StderrLogger.js"
import * as Stdout from "./terminal/Stdout.js"

/** Everything that every command may ask for. */
export const layer = Layer.mergeAll(
  Layer.succeed(CommandLine, { argv: process.argv.slice(2), debug: Boolean(process.env["BATCH_DEBUG"]) }),
  Layer.succeed(Environment, { variables: process.env }),
  Layer.mergeAll(Stdout.layer, StderrLogger.layer).pipe(
    Layer.provideMerge(Stderr.layer),
    Layer.provideMerge(Redactor.layer)
  ),
  Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NoPrompt.layer, Disk.layer, Liveness.layer)
)
