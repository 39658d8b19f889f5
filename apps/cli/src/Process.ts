/**
 * The services that come from the process: arguments, environment, standard output and standard error, file system.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as LocalMachine from "@org/batch-node/LocalMachine"
import { Layer } from "effect"
import { Environment } from "./settings/Settings.js"
import * as Reading from "./syntax/Reading.js"
import { CommandLine } from "./terminal/CommandLine.js"
import * as Redactor from "./terminal/Redactor.js"
import * as Stderr from "./terminal/Stderr.js"
import * as StderrLogger from "./terminal/StderrLogger.js"
import * as Stdout from "./terminal/Stdout.js"

/** The layer of the services that any command may require. */
export const layer = Layer.mergeAll(
  Layer.succeed(CommandLine, {
    argv: Reading.words(process.argv.slice(2)),
    debug: Boolean(process.env["BATCH_DEBUG"]),
    valued: Reading.valuedAnywhere
  }),
  Layer.succeed(Environment, { variables: process.env }),
  Layer.mergeAll(Stdout.layer, StderrLogger.layer).pipe(
    Layer.provideMerge(Stderr.layer),
    Layer.provideMerge(Redactor.layer)
  ),
  Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, LocalMachine.layer)
)
