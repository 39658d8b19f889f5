/**
 * The root command: `batchctl` with its subcommands, and what is done with a command line.
 */
import { CliConfig, Command, CommandDescriptor, type Usage } from "@effect/cli"
import { Effect, HashMap, Option } from "effect"
import * as DemoCommand from "./commands/DemoCommand.js"
import * as DoctorCommand from "./commands/DoctorCommand.js"
import * as DownloadCommand from "./commands/DownloadCommand.js"
import * as GetCommand from "./commands/GetCommand.js"
import * as ListCommand from "./commands/ListCommand.js"
import * as SandboxCommand from "./commands/SandboxCommand.js"
import * as StatusCommand from "./commands/StatusCommand.js"
import * as VerifyCommand from "./commands/VerifyCommand.js"
import * as WaitCommand from "./commands/WaitCommand.js"
import { CommandLine } from "./terminal/CommandLine.js"
import { Stdout } from "./terminal/Stdout.js"

/** The version of this package, which the bundler puts in. */
declare const BATCHCTL_VERSION: string

const summary = "From a batch id of the Crustdata Batch API to complete, verified rows."

/** The `batchctl` command with all subcommands. */
export const root = Command.make("batchctl").pipe(
  Command.withDescription(summary),
  Command.withSubcommands([
    GetCommand.command,
    StatusCommand.command,
    WaitCommand.command,
    DownloadCommand.command,
    ListCommand.command,
    VerifyCommand.command,
    SandboxCommand.command,
    DemoCommand.command,
    DoctorCommand.command
  ])
)

const builtIns = CliConfig.layer({ showBuiltIns: false, finalCheckBuiltIn: true, isCaseSensitive: true })

const understand = Command.run(root, { name: "batchctl", version: BATCHCTL_VERSION, executable: "batchctl" })

/**
 * The parser prints a usage error and fails with it as well; printed here it would appear twice, once from
 * `Report.settle`.
 */
const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.consoleWith((console) => Effect.withConsole(effect, { ...console, error: () => Effect.void }))

const asksForHelp = (argv: ReadonlyArray<string>): boolean =>
  argv.length === 0 || argv.some((word) => word === "--help" || word === "-h")

const help = Effect.fn("Cli.help")(function* (argv: ReadonlyArray<string>) {
  const { render } = yield* Effect.promise(() => import("./Help.js"))
  yield* (yield* Stdout).line(
    render({ commands: Command.getSubcommands(root), summary, version: BATCHCTL_VERSION, argv })
  )
})

/** The flags that are followed by a value, as the commands declare them. The parser's own two are in no descriptor. */
export const valued = (): ReadonlySet<string> =>
  new Set([
    "--completions",
    "--log-level",
    ...[...HashMap.values(Command.getSubcommands(root))].flatMap((command) =>
      valuedIn(CommandDescriptor.getUsage(command))
    )
  ])

const valuedIn = (usage: Usage.Usage): ReadonlyArray<string> => {
  switch (usage._tag) {
    case "Named":
      return Option.isSome(usage.acceptedValues) ? usage.names : []
    case "Optional":
    case "Repeated":
      return valuedIn(usage.usage)
    case "Alternation":
    case "Concat":
      return [...valuedIn(usage.left), ...valuedIn(usage.right)]
    default:
      return []
  }
}

/**
 * Parses the command line and runs the command that it names; `--help` and `--version` are answered without the
 * parser.
 */
export const run = Effect.gen(function* () {
  const { argv } = yield* CommandLine
  if (asksForHelp(argv)) return yield* help(argv)
  if (argv[0] === "--version") return yield* (yield* Stdout).line(BATCHCTL_VERSION)
  // The parser takes the whole argv of a process and drops its first two words.
  yield* understand(["", "", ...argv]).pipe(quietly, Effect.provide(builtIns))
})
