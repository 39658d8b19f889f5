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

/** Of a terminal's lines nobody reads these: they are in the text already, or the same for long. */
const unread = new Set(["message", "method", "path", "status", "request_id"])

const text = Logger.map(Logger.structuredLogger, ({ annotations, cause, logLevel, message, timestamp }) => {
  const fields = { ...fieldsOf(message), ...annotations }
  const shown = Object.entries(fields).flatMap(([name, value]) =>
    unread.has(name) ? [] : [`${name}=${typeof value === "string" ? JSON.stringify(value) : String(value)}`]
  )
  const level = logLevel === "INFO" ? [] : [logLevel.toLowerCase()]
  return [
    timestamp.slice(11, 19),
    ...level,
    String(fields["message"]),
    ...shown,
    ...(cause === undefined ? [] : [`\n${cause}`])
  ].join(" ")
})

/** What the process logs, and how. */
export const layer = (isTerminal: boolean): Layer.Layer<never, never, ServerSettings> =>
  Layer.unwrapEffect(
    Effect.map(ServerSettings, ({ logLevel }) =>
      Layer.merge(
        Logger.replace(Logger.defaultLogger, Logger.withConsoleLog(isTerminal ? text : json)),
        Logger.minimumLogLevel(logLevel)
      )
    )
  )
