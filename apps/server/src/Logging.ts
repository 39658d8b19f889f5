/**
 * The log format: text on a terminal, one JSON object a line elsewhere; and how lines get out.
 */
import {
  Array as Arrays,
  Cause,
  Effect,
  FiberRef,
  HashMap,
  Layer,
  List,
  Logger,
  LogLevel,
  Predicate,
  type Scope
} from "effect"
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

/**
 * Takes lines for standard output. Those of one turn of the event loop are written together, in their order: a write for
 * each would cost more than the line. What is left when the process ends is written then.
 */
const output: Effect.Effect<(line: string) => void, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      let lines: Array<string> = []
      const flush = (): void => {
        if (lines.length === 0) return
        const text = `${lines.join("\n")}\n`
        lines = []
        process.stdout.write(text)
      }
      process.on("exit", flush)
      const take = (line: string): void => {
        if (lines.push(line) === 1) setImmediate(flush)
      }
      return { flush, take }
    }),
    ({ flush }) =>
      Effect.sync(() => {
        flush()
        process.off("exit", flush)
      })
  ),
  ({ take }) => take
)

/** The logger of the process, on standard output, with the level of `LOG_LEVEL`. */
export const layer = (isTerminal: boolean): Layer.Layer<never, never, ServerSettings> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const { logLevel } = yield* ServerSettings
      const write = yield* output
      return Layer.merge(
        Logger.replace(Logger.defaultLogger, Logger.map(isTerminal ? text : json, write)),
        Logger.minimumLogLevel(logLevel)
      )
    })
  )

/** Logs a line at once. */
export type Log = (
  level: LogLevel.LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>>
) => void

/** What logs to the loggers that are set here, for code that has no fiber. */
export const direct: Effect.Effect<Log> = Effect.gen(function* () {
  const context = yield* Effect.getFiberRefs
  const fiberId = yield* Effect.fiberId
  const loggers = yield* FiberRef.get(FiberRef.currentLoggers)
  const least = yield* FiberRef.get(FiberRef.currentMinimumLogLevel)
  const clock = yield* Effect.clock
  return (logLevel, message, fields) => {
    if (LogLevel.greaterThan(least, logLevel)) return
    const line = {
      context,
      fiberId,
      logLevel,
      message: [message, fields],
      cause: Cause.empty,
      spans: List.empty(),
      annotations: HashMap.empty(),
      date: new Date(clock.unsafeCurrentTimeMillis())
    }
    for (const logger of loggers) logger.log(line)
  }
})
