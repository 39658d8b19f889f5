/**
 * What the sandbox itself fails with.
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

/** Work on the files of results. */
export const spooling = <A>(run: () => Promise<A>): Effect.Effect<A, SandboxError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new SandboxError({ reason: "Spool", detail: String(cause) })
  })
