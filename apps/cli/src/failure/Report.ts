/**
 * Telling failures: on standard error for people, on standard output for `--json`.
 */
import { Effect } from "effect"
import { CommandLine, wantsJson } from "../terminal/CommandLine.js"
import { Stderr } from "../terminal/Stderr.js"
import { Stdout, type StdoutError } from "../terminal/Stdout.js"
import type { Circumstances, Failure } from "./CliError.js"
import * as ExitCode from "./ExitCode.js"
import * as FailureText from "./FailureText.js"

/** Tells a failure and gives its exit code. */
export const failure = Effect.fn("Report.failure")(function* (
  error: Failure,
  about: Omit<Circumstances, "commandLine"> = {}
): Effect.fn.Return<number, StdoutError, CommandLine | Stdout | Stderr> {
  const commandLine = yield* CommandLine
  const code = yield* aside(error, about)
  if (wantsJson(commandLine)) yield* (yield* Stdout).json(FailureText.json(error, about))
  return code
})

/** Tells a failure on standard error alone and gives its exit code. */
export const aside = Effect.fn("Report.aside")(function* (
  error: Failure,
  about: Omit<Circumstances, "commandLine"> = {}
): Effect.fn.Return<number, never, CommandLine | Stderr> {
  const commandLine = yield* CommandLine
  const stderr = yield* Stderr
  yield* Effect.forEach(FailureText.lines(error, { commandLine, ...about }), stderr.line, { discard: true })
  return FailureText.exitCode(error)
})

/** Tells a fault of this program and gives its exit code. */
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
