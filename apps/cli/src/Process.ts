/**
 * The services that come from the process: arguments, environment, standard output and standard error, file system.
 */
import { Terminal } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as LocalMachine from "@org/batch-node/LocalMachine"
import { Effect, Layer } from "effect"
import * as Cli from "./Cli.js"
import { Environment } from "./settings/Settings.js"
import { CommandLine, spelledOut } from "./terminal/CommandLine.js"
import * as Redactor from "./terminal/Redactor.js"
import * as Stderr from "./terminal/Stderr.js"
import * as StderrLogger from "./terminal/StderrLogger.js"
import * as Stdout from "./terminal/Stdout.js"

const never = Effect.dieMessage("batchctl asks no questions")

/**
 * A terminal without input: the parser requires one for prompts, and no command has any. Node's own would load its line
 * editor into every run.
 */
const layerNoPrompt: Layer.Layer<Terminal.Terminal> = Layer.succeed(Terminal.Terminal, {
  columns: Effect.succeed(80),
  rows: Effect.succeed(24),
  isTTY: Effect.succeed(false),
  readInput: never,
  readLine: never,
  display: () => never
})

/** The layer of the services that any command may require. */
export const layer = Layer.mergeAll(
  Layer.succeed(CommandLine, {
    argv: spelledOut(process.argv.slice(2), Cli.valued),
    debug: Boolean(process.env["BATCH_DEBUG"]),
    valued: Cli.valued
  }),
  Layer.succeed(Environment, { variables: process.env }),
  Layer.mergeAll(Stdout.layer, StderrLogger.layer).pipe(
    Layer.provideMerge(Stderr.layer),
    Layer.provideMerge(Redactor.layer)
  ),
  Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, layerNoPrompt, LocalMachine.layer)
)
