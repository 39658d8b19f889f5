/**
 * The failure of the sandbox itself, beside those that it plays.
 */
import { Effect, Schema } from "effect"

/** `Listen`: a port could not be opened; `Spool`: the results could not be written; `UnknownJob`: there is no such batch. */
export class SandboxError extends Schema.TaggedError<SandboxError>()("SandboxError", {
  reason: Schema.Literal("Listen", "Spool", "UnknownJob"),
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
