/**
 * From whatever a run ends with to one exit code, everything having been told once.
 */
import { HelpDoc, ValidationError } from "@effect/cli"
import { Effect, Option } from "effect"
import { stripVTControlCharacters } from "node:util"
import {
  type AlreadyReported,
  type OutputClosed,
  type Failure as ToldFailure,
  UsageError
} from "./CliError.js"
import * as ExitCode from "./ExitCode.js"
import type { Invocation } from "../terminal/Invocation.js"
import type { Output } from "../terminal/Output.js"
import * as Report from "./Report.js"
import type { Screen } from "../terminal/Screen.js"

/** What a run can fail with. */
export type RunError = ToldFailure | ValidationError.ValidationError | AlreadyReported | OutputClosed

/** Tells what has not been told and gives the exit code; only an interruption goes through. */
export const settle = <R>(
  run: Effect.Effect<void, RunError, R>
): Effect.Effect<number, never, R | Invocation | Output | Screen> =>
  run.pipe(
    Effect.as(ExitCode.ok),
    Effect.catchIf(ValidationError.isValidationError, (error) => Effect.fail(misunderstood(error))),
    Effect.catchAll(
      (error): Effect.Effect<number, OutputClosed | ToldFailure, Invocation | Output | Screen> => {
        switch (error._tag) {
          case "AlreadyReported":
            return Effect.succeed(error.exitCode)
          case "OutputClosed":
            return Effect.succeed(ExitCode.ok)
          default:
            return Report.failure(error)
        }
      }
    ),
    Effect.catchAllDefect((defect) => Report.defect(defect)),
    Effect.catchAll((error) => Effect.succeed(error._tag === "OutputClosed" ? ExitCode.ok : ExitCode.local))
  )

const misunderstood = (error: ValidationError.ValidationError): UsageError =>
  new UsageError({
    detail: stripVTControlCharacters(HelpDoc.toAnsiText(error.error)).replace(/\s+/gu, " ").trim(),
    hint: ValidationError.isCommandMismatch(error) ? Option.some("batchctl --help") : Option.none(),
    batchId: Option.none()
  })
