/**
 * The end of the process and its exit code: that of the signal that came, 2 with one line when a setting cannot be used,
 * 9 when it cannot listen or open its store. After a signal it ends at a deadline whatever still hangs, after a second one at once.
 */
import type { HttpServerError } from "@effect/platform"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as DurationText from "@org/batch-core/DurationText"
import * as Signals from "@org/batch-node/Signals"
import { Cause, Console, Data, Duration, Effect, Exit, Option, Predicate } from "effect"
import { maskText } from "@org/batch-core/Masking"
import type { RetrievalError } from "@org/batch-durable"
import type { SettingsError } from "./Settings.js"
import * as Shutdown from "./Shutdown.js"

/**
 * How long a process that was told to end may take: the grace of its requests, and a moment to cut the rest and clear
 * up. It ends before whoever told it would kill it, which in `batch-server.service` is after 35 s.
 */
export const deadline = Duration.sum(Shutdown.grace, Duration.seconds(2))

/** The end of the process with a code, after the reason has been printed. */
export class ExitWithCode extends Data.TaggedError("ExitWithCode")<{ readonly code: number }> {}

const reasonOf = ({ cause }: HttpServerError.ServeError): string => {
  const code = Predicate.hasProperty(cause, "code") ? String(cause.code) : "it cannot listen"
  const meaning = {
    EADDRINUSE: "the address is in use already: choose another PORT, or 0 for any free one",
    EACCES: "no permission: ports below 1024 are for root",
    EADDRNOTAVAIL: "this machine has no such address: correct HOST",
    ENOTFOUND: "the name is unknown: correct HOST"
  }[code]
  return meaning === undefined ? code : `${meaning} (${code})`
}

/** Why a service did not start. */
type StartError = SettingsError | HttpServerError.ServeError | RetrievalError.StoreRefused

/** Prints why the service did not start, in one line. */
const explain = (error: StartError): Effect.Effect<never, ExitWithCode> => {
  const [line, code] = told(error)
  return Effect.zipRight(Console.error(`error: ${line}`), new ExitWithCode({ code }))
}

const told = (error: StartError): readonly [line: string, code: number] => {
  switch (error._tag) {
    case "SettingsError":
      return [error.message, 2]
    case "ServeError":
      return [`HOST and PORT: ${reasonOf(error)}`, 9]
    case "StoreRefused":
      return [`BATCH_SERVER_STORE: ${error.message}`, 9]
  }
}

/** Prints a defect as a bug of the service. */
const report = (cause: Cause.Cause<never>): Effect.Effect<void> =>
  Console.error(`error: this is a bug in the service: ${maskText(Cause.pretty(cause))}`)

/** The exit code of a program that no signal has ended. */
const codeOf = (exit: Exit.Exit<unknown, unknown>): number =>
  Exit.causeOption(exit).pipe(
    Option.flatMap(Cause.failureOption),
    Option.filter((error) => error instanceof ExitWithCode),
    Option.match({ onNone: () => (Exit.isSuccess(exit) ? 0 : 1), onSome: ({ code }) => code })
  )

/** How a process is run. */
export interface Options {
  /** How long it may take to end after a signal, whatever still hangs; 32 s by default. */
  readonly deadline?: Duration.DurationInput | undefined
}

/** Runs the program until it ends or a signal comes, and ends the process with the exit code that tells which. */
export const run = (
  target: NodeJS.Process,
  program: Effect.Effect<never, StartError | ExitWithCode>,
  options: Options = {}
): void => {
  const gracePeriod = options.deadline ?? deadline
  // The reader of the log may go, for instance when it is rotated; the service goes on without it.
  for (const stream of [target.stdout, target.stderr]) stream.on("error", () => {})
  const signalled = Signals.watch(target, {
    gracePeriod,
    onOverdue: (signal) => {
      target.stderr.write(
        `error: something still hangs ${DurationText.format(gracePeriod)} after ${signal}\n`
      )
    }
  })
  program.pipe(
    Effect.catchTags({ SettingsError: explain, ServeError: explain, StoreRefused: explain }),
    Effect.tapDefect(report),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      disablePrettyLogger: true,
      teardown: (exit, onExit) => onExit(signalled() ?? codeOf(exit))
    })
  )
}
