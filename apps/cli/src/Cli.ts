/**
 * Runs the command that the command line names.
 */
import { Effect, Logger, Option } from "effect"
import * as CollectCommand from "./commands/CollectCommand.js"
import * as DemoCommand from "./commands/DemoCommand.js"
import * as DoctorCommand from "./commands/DoctorCommand.js"
import * as DownloadCommand from "./commands/DownloadCommand.js"
import * as GetCommand from "./commands/GetCommand.js"
import * as ListCommand from "./commands/ListCommand.js"
import * as RetrievalsCommand from "./commands/RetrievalsCommand.js"
import * as RunCommand from "./commands/RunCommand.js"
import * as RunsCommand from "./commands/RunsCommand.js"
import * as SandboxCommand from "./commands/SandboxCommand.js"
import * as StatusCommand from "./commands/StatusCommand.js"
import * as SubmitCommand from "./commands/SubmitCommand.js"
import * as VerifyCommand from "./commands/VerifyCommand.js"
import * as WaitCommand from "./commands/WaitCommand.js"
import * as LogLevel from "./settings/LogLevel.js"
import { read } from "./syntax/Reading.js"
import { CommandLine } from "./terminal/CommandLine.js"

const commands = {
  get: GetCommand.command,
  submit: SubmitCommand.command,
  collect: CollectCommand.command,
  wait: WaitCommand.command,
  download: DownloadCommand.command,
  run: RunCommand.command,
  status: StatusCommand.command,
  list: ListCommand.command,
  runs: RunsCommand.command,
  retrievals: RetrievalsCommand.command,
  verify: VerifyCommand.command,
  doctor: DoctorCommand.command,
  sandbox: SandboxCommand.command,
  demo: DemoCommand.command
} as const

type Any = ReturnType<(typeof commands)[keyof typeof commands]>

/** One type for what any of the commands does. */
type Work = Effect.Effect<void, Effect.Effect.Error<Any>, Effect.Effect.Context<Any>>

/** Runs the command that the command line names; `Answer` has answered what needs no command. */
export const run = Effect.gen(function* () {
  const { argv } = yield* CommandLine
  const reading = read(argv)
  if (reading._tag !== "Run") return yield* Effect.dieMessage("this is answered elsewhere")
  const { level } = yield* LogLevel.chosen
  const work: Work = commands[reading.command](reading.args)
  // A failure is printed by `Report`; the log need not tell of it once more.
  yield* work.pipe(Logger.withMinimumLogLevel(level), Effect.withUnhandledErrorLogLevel(Option.none()))
})
