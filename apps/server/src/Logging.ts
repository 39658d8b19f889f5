/**
 * Log lines: for people on a terminal, one JSON object a line elsewhere.
 */
import { Array as Arrays, Effect, Layer, Logger, Predicate } from "effect"
import { ServerSettings } from "./Settings.js"

/** A message may bring fields with it. */
const fieldsOf = (message: unknown): Readonly<Record<string, unknown>> => {
  const [text, fields] = Arrays.ensure(message)
  return { message: text, ...(Predicate.isRecord(fields) ? fields : {}) }
}

const json = Logger.map(Logger.structuredLogger, ({ annotations, cause, logLevel, message, timestamp }) =>
  JSON.stringify({
    time: timestamp,
    level: logLevel.toLowerCase(),
    ...fieldsOf(message),
    ...annotations,
    ...(cause === undefined ? {} : { cause })
  })
)

/** What the process logs, and how. */
export const layer = (isTerminal: boolean): Layer.Layer<never, never, ServerSettings> =>
  Layer.unwrapEffect(
    Effect.map(ServerSettings, ({ logLevel }) =>
      Layer.merge(
        isTerminal ? Logger.pretty : Logger.replace(Logger.defaultLogger, Logger.withConsoleLog(json)),
        Logger.minimumLogLevel(logLevel)
      )
    )
  )
