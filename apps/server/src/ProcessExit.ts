/**
 * How the process ends: with the signal's code when it was told to, with 2 and one line when a setting cannot be used,
 * with 9 when it cannot listen. A second signal ends it at once.
 */
import type { HttpServerError } from "@effect/platform"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Console, Data, Effect, Exit, Option, Predicate } from "effect"
import { maskText } from "@org/batch-core/Secret"
import type { SettingsError } from "./Settings.js"

const codes = { SIGINT: 130, SIGTERM: 143 } as const

/** Notes the first signal; the answer is its exit code, or `undefined` while there was none. */
const watch = (target: NodeJS.Process): (() => number | undefined) => {
  let received: number | undefined
  const note = (signal: keyof typeof codes) => () => {
    if (received !== undefined) target.exit(codes[signal])
    received = codes[signal]
  }
  target.on("SIGINT", note("SIGINT"))
  target.on("SIGTERM", note("SIGTERM"))
  return () => received
}

/** The process ends with this code; everything has been told. */
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

/** Tells in one line why the service did not start. */
const explain = (error: SettingsError | HttpServerError.ServeError): Effect.Effect<never, ExitWithCode> =>
  error._tag === "SettingsError"
    ? Effect.zipRight(Console.error(`error: ${error.message}`), new ExitWithCode({ code: 2 }))
    : Effect.zipRight(
        Console.error(`error: HOST and PORT: ${reasonOf(error)}`),
        new ExitWithCode({ code: 9 })
      )

/** Tells of a fault of this program. */
const report = (cause: Cause.Cause<never>): Effect.Effect<void> =>
  Console.error(`error: this is a bug in the service: ${maskText(Cause.pretty(cause))}`)

/** The code of a run that no signal has ended. */
const codeOf = (exit: Exit.Exit<unknown, unknown>): number =>
  Exit.causeOption(exit).pipe(
    Option.flatMap(Cause.failureOption),
    Option.filter((error) => error instanceof ExitWithCode),
    Option.match({ onNone: () => (Exit.isSuccess(exit) ? 0 : 1), onSome: ({ code }) => code })
  )

/** Runs the program until it ends or is told to, and the process with it. */
export const run = (
  target: NodeJS.Process,
  program: Effect.Effect<never, SettingsError | HttpServerError.ServeError | ExitWithCode>
): void => {
  const signalled = watch(target)
  program.pipe(
    Effect.catchTags({ SettingsError: explain, ServeError: explain }),
    Effect.tapDefect(report),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      disablePrettyLogger: true,
      teardown: (exit, onExit) => onExit(signalled() ?? codeOf(exit))
    })
  )
}
