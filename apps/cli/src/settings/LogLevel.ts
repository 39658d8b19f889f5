/**
 * What is logged on standard error: by `--log-level`, else by `BATCH_DEBUG`.
 */
import { Effect, LogLevel } from "effect"
import { read } from "../syntax/Reading.js"
import { CommandLine } from "../terminal/CommandLine.js"
import { Environment } from "./Settings.js"

/** The level of the log, and where it was set. */
export interface Chosen {
  readonly level: LogLevel.LogLevel
  readonly name: string
  readonly source: "flag" | "environment" | "default"
}

const levels: Readonly<Record<string, LogLevel.LogLevel>> = {
  all: LogLevel.All,
  trace: LogLevel.Trace,
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warning: LogLevel.Warning,
  error: LogLevel.Error,
  fatal: LogLevel.Fatal,
  none: LogLevel.None
}

/** The level that was chosen; `info` if none was. */
export const chosen: Effect.Effect<Chosen, never, CommandLine | Environment> = Effect.gen(function* () {
  const reading = read((yield* CommandLine).argv)
  const typed = reading._tag === "Run" ? reading.logLevel : undefined
  const words = ((yield* Environment).variables["BATCH_DEBUG"] ?? "").split(",")
  const [name, source] =
    typed !== undefined
      ? ([typed, "flag"] as const)
      : words.includes("api")
        ? (["debug", "environment"] as const)
        : (["info", "default"] as const)
  return { level: levels[name] ?? LogLevel.Info, name, source }
})
