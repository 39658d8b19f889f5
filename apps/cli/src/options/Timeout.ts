/**
 * `--timeout`: how long to wait for jobs. One deadline, from the start of the command, holds for all ids.
 */
import * as DurationText from "@org/batch-core/DurationText"
import * as Monotonic from "@org/batch-core/Monotonic"
import { Duration, Effect, Either, Option } from "effect"
import { UsageError } from "../failure/CliError.js"

/** The `--timeout` that was typed, or the default. */
export const of = ({ timeout = "30m" }: { readonly timeout?: string | undefined }): string => timeout

/** The time left until the deadline, at the moment it is run; zero once it has passed. */
export type Left = Effect.Effect<Duration.Duration>

/** Parses the flag and starts the countdown. */
export const start = Effect.fn("Timeout.start")(function* (text: string): Effect.fn.Return<Left, UsageError> {
  const timeout = yield* Either.mapLeft(
    DurationText.parse(text),
    (detail) => new UsageError({ detail: `--timeout ${detail}`, hint: Option.none(), batchId: Option.none() })
  )
  const startedAt = yield* Monotonic.now
  return Effect.map(Monotonic.now, (now) =>
    Duration.subtract(timeout, Duration.millis(Math.max(0, now - startedAt)))
  )
})
