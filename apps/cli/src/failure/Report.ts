/**
 * Prints failures: as text on standard error, and with `--json` as an object on standard output too.
 */
import { Effect } from "effect"
import { CommandLine, wantsJson } from "../terminal/CommandLine.js"
import { Stderr } from "../terminal/Stderr.js"
import { Stdout, type StdoutClosed, type StdoutError } from "../terminal/Stdout.js"
import { type AlreadyReported, type Circumstances, type Failure } from "./CliError.js"
import * as ExitCode from "./ExitCode.js"
import * as FailureText from "./FailureText.js"

/** Prints a failure and returns its exit code. */
export const failure = Effect.fn("Report.failure")(function* (
  error: Failure,
  about: Omit<Circumstances, "commandLine"> = {}
): Effect.fn.Return<number, StdoutError, CommandLine | Stdout | Stderr> {
  const commandLine = yield* CommandLine
  const code = yield* aside(error, about)
  if (wantsJson(commandLine)) yield* (yield* Stdout).json(FailureText.json(error, about))
  return code
})

/** Prints a failure on standard error only and returns its exit code. */
export const aside = Effect.fn("Report.aside")(function* (
  error: Failure,
  about: Omit<Circumstances, "commandLine"> = {}
): Effect.fn.Return<number, never, CommandLine | Stderr> {
  const commandLine = yield* CommandLine
  const stderr = yield* Stderr
  yield* Effect.forEach(FailureText.lines(error, { commandLine, ...about }), stderr.line, { discard: true })
  return FailureText.exitCode(error)
})

/** Prints a bug in batchctl and returns its exit code. */
export const defect = Effect.fn("Report.defect")(function* (
  cause: unknown,
  batchId?: string
): Effect.fn.Return<number, StdoutError, CommandLine | Stdout | Stderr> {
  const commandLine = yield* CommandLine
  const stderr = yield* Stderr
  const about = { batchId, debug: commandLine.debug }
  yield* Effect.forEach(FailureText.bug(cause, about), stderr.line, { discard: true })
  if (wantsJson(commandLine)) yield* (yield* Stdout).json(FailureText.bugJson(cause, batchId))
  return ExitCode.bug
})

/** Every error that a command can end with. */
export type RunError = Failure | AlreadyReported | StdoutClosed

/**
 * Turns the end of a run into its exit code and prints the failure that has not been printed yet. Errors and defects
 * are handled here; an interruption is passed on.
 */
export const settle = <R>(
  run: Effect.Effect<void, RunError, R>
): Effect.Effect<number, never, R | CommandLine | Stdout | Stderr> =>
  run.pipe(
    Effect.as(ExitCode.ok),
    Effect.catchAll((error): Effect.Effect<number, StdoutClosed | Failure, CommandLine | Stdout | Stderr> => {
      switch (error._tag) {
        case "AlreadyReported":
          return Effect.succeed(error.exitCode)
        case "StdoutClosed":
          return Effect.succeed(ExitCode.ok)
        default:
          return failure(error)
      }
    }),
    Effect.catchAllDefect((fault) => defect(fault)),
    // Printing the failure may itself have failed, on a pipe that is closed or a disk that is full.
    Effect.catchAll((error) => Effect.succeed(error._tag === "StdoutClosed" ? ExitCode.ok : ExitCode.local))
  )
