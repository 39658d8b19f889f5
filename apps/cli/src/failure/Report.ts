/**
 * Telling failures: on standard error for people, on standard output for `--json`.
 */
import { Effect } from "effect"
import type { Circumstances, Failure } from "./CliError.js"
import * as ExitCode from "./ExitCode.js"
import * as FailureText from "./Failure.js"
import { Invocation, wantsJson } from "../terminal/Invocation.js"
import { Output, type OutputError } from "../terminal/Output.js"
import { Screen } from "../terminal/Screen.js"

/** Tells a failure and gives its exit code. */
export const failure = Effect.fn("Report.failure")(function* (
  error: Failure,
  about: Omit<Circumstances, "invocation"> = {}
): Effect.fn.Return<number, OutputError, Invocation | Output | Screen> {
  const invocation = yield* Invocation
  const code = yield* aside(error, about)
  if (wantsJson(invocation)) yield* (yield* Output).json(FailureText.json(error, about))
  return code
})

/** Tells a failure on standard error alone and gives its exit code. */
export const aside = Effect.fn("Report.aside")(function* (
  error: Failure,
  about: Omit<Circumstances, "invocation"> = {}
): Effect.fn.Return<number, never, Invocation | Screen> {
  const invocation = yield* Invocation
  const screen = yield* Screen
  yield* Effect.forEach(FailureText.lines(error, { invocation, ...about }), screen.line, { discard: true })
  return FailureText.exitCode(error)
})

/** Tells a fault of this program and gives its exit code. */
export const defect = Effect.fn("Report.defect")(function* (
  cause: unknown,
  batchId?: string
): Effect.fn.Return<number, OutputError, Invocation | Output | Screen> {
  const invocation = yield* Invocation
  const screen = yield* Screen
  const about = { batchId, debug: invocation.debug }
  yield* Effect.forEach(FailureText.bug(cause, about), screen.line, { discard: true })
  if (wantsJson(invocation)) yield* (yield* Output).json(FailureText.bugJson(cause, batchId))
  return ExitCode.bug
})
