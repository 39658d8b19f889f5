/**
 * From whatever a run ends with to one exit code, everything having been told once.
 */
import { HelpDoc, ValidationError } from "@effect/cli"
import { Effect, Option } from "effect"
import { stripVTControlCharacters } from "node:util"
import type { CommandLine } from "../terminal/CommandLine.js"
import type { Stderr } from "../terminal/Stderr.js"
import type { Stdout, StdoutClosed } from "../terminal/Stdout.js"
import { type AlreadyReported, type Failure as ToldFailure, UsageError } from "./CliError.js"
import * as ExitCode from "./ExitCode.js"
import * as Report from "./Report.js"

/** What a run can fail with. */
export type RunError = ToldFailure | ValidationError.ValidationError | AlreadyReported | StdoutClosed

/** Tells what has not been told and gives the exit code; only an interruption goes through. */
export const settle = <R>(
  run: Effect.Effect<void, RunError, R>
): Effect.Effect<number, never, R | CommandLine | Stdout | Stderr> =>
  run.pipe(
    Effect.as(ExitCode.ok),
    Effect.catchIf(ValidationError.isValidationError, (error) => Effect.fail(misunderstood(error))),
    Effect.catchAll(
      (error): Effect.Effect<number, StdoutClosed | ToldFailure, CommandLine | Stdout | Stderr> => {
        switch (error._tag) {
          case "AlreadyReported":
            return Effect.succeed(error.exitCode)
          case "StdoutClosed":
            return Effect.succeed(ExitCode.ok)
          default:
            return Report.failure(error)
        }
      }
    ),
    Effect.catchAllDefect((defect) => Report.defect(defect)),
    Effect.catchAll((error) => Effect.succeed(error._tag === "StdoutClosed" ? ExitCode.ok : ExitCode.local))
  )

const misunderstood = (error: ValidationError.ValidationError): UsageError =>
  new UsageError({
    detail: stripVTControlCharacters(HelpDoc.toAnsiText(error.error)).replace(/\s+/gu, " ").trim(),
    hint: ValidationError.isCommandMismatch(error) ? Option.some("batchctl --help") : Option.none(),
    batchId: Option.none()
  })
