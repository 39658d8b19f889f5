/**
 * Runs the command that the command line names.
 */
import { Effect, Logger, Option } from "effect"
import * as LogLevel from "./settings/LogLevel.js"
import { read } from "./syntax/Reading.js"
import { CommandLine } from "./terminal/CommandLine.js"

/** Each is loaded when it is asked for. */
const commands = {
  get: () => import("./commands/GetCommand.js"),
  submit: () => import("./commands/SubmitCommand.js"),
  collect: () => import("./commands/CollectCommand.js"),
  wait: () => import("./commands/WaitCommand.js"),
  download: () => import("./commands/DownloadCommand.js"),
  run: () => import("./commands/RunCommand.js"),
  status: () => import("./commands/StatusCommand.js"),
  list: () => import("./commands/ListCommand.js"),
  runs: () => import("./commands/RunsCommand.js"),
  retrievals: () => import("./commands/RetrievalsCommand.js"),
  verify: () => import("./commands/VerifyCommand.js"),
  doctor: () => import("./commands/DoctorCommand.js"),
  sandbox: () => import("./commands/SandboxCommand.js"),
  demo: () => import("./commands/DemoCommand.js")
} as const

/** What is known of the module of any command. */
type Loaded = Awaited<ReturnType<(typeof commands)[keyof typeof commands]>>

type Any = ReturnType<Loaded["command"]>

/** One type for what any of the commands does. */
type Work = Effect.Effect<void, Effect.Effect.Error<Any>, Effect.Effect.Context<Any>>

/** Runs the command that the command line names; `Answer` has answered what needs no command. */
export const run = Effect.gen(function* () {
  const { argv } = yield* CommandLine
  const reading = read(argv)
  if (reading._tag !== "Run") return yield* Effect.dieMessage("this is answered elsewhere")
  const { level } = yield* LogLevel.chosen
  const { command } = yield* Effect.promise<Loaded>(commands[reading.command])
  const work: Work = command(reading.args)
  // A failure is printed by `Report`; the log need not tell of it once more.
  yield* work.pipe(Logger.withMinimumLogLevel(level), Effect.withUnhandledErrorLogLevel(Option.none()))
})
