/**
 * The failure of the sandbox itself, beside those that it plays.
 */
import { Effect, ParseResult, Schema } from "effect"

/**
 * `Listen`: a port could not be opened; `Spool`: the results could not be written; `UnknownJob`: there is no such batch;
 * `Invalid`: options, a job, an action or a rule make no sense, and nothing was changed.
 */
export class SandboxError extends Schema.TaggedError<SandboxError>()("SandboxError", {
  reason: Schema.Literal("Listen", "Spool", "UnknownJob", "Invalid"),
  detail: Schema.String
}) {
  override get message() {
    return `${this.reason}: ${this.detail}`
  }
}

/** Run work on the files of results; its failure is a `SandboxError` of reason `Spool`. */
export const spooling = <A>(run: () => Promise<A>): Effect.Effect<A, SandboxError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new SandboxError({ reason: "Spool", detail: String(cause) })
  })

/** Check what a test asks for: a fault that never strikes, or a job that cannot be, proves nothing. */
export const checked =
  <A, I>(schema: Schema.Schema<A, I>) =>
  (value: A): Effect.Effect<A, SandboxError> =>
    Schema.validate(schema)(value, { onExcessProperty: "error", errors: "all" }).pipe(
      Effect.mapError((error) => new SandboxError({ reason: "Invalid", detail: explain(error) }))
    )

/** Every issue with its place. The tree form repeats the whole schema at every level, and both say that nothing would do as well. */
export const explain = (error: ParseResult.ParseError): string =>
  ParseResult.ArrayFormatter.formatErrorSync(error)
    .filter(({ message }) => !message.startsWith("Expected undefined, "))
    .map(({ message, path }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`))
    .join("; ")
