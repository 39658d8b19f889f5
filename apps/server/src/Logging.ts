/**
 * The log format: text on a terminal, one JSON object a line elsewhere.
 */
import { Array as Arrays, Effect, Layer, Logger, Predicate } from "effect"
import { ServerSettings } from "./Settings.js"

/** The message, and the fields that may come with it as a second argument. */
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

/** Fields that text leaves out: the message has them already, or nobody reads them on a terminal. */
const unread = new Set(["message", "method", "path", "status", "request_id", "version"])

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

/** The logger of the process, on standard output, with the level of `LOG_LEVEL`. */
export const layer = (isTerminal: boolean): Layer.Layer<never, never, ServerSettings> =>
  Layer.unwrapEffect(
    Effect.map(ServerSettings, ({ logLevel }) =>
      Layer.merge(
        Logger.replace(Logger.defaultLogger, Logger.withConsoleLog(isTerminal ? text : json)),
        Logger.minimumLogLevel(logLevel)
      )
    )
  )
