/**
 * How long a caller lets us wait: `timeout=60s`, `wait=2m`; a number alone counts seconds.
 */
import * as DurationText from "@org/batch-core/DurationText"
import { Duration, Effect, Either } from "effect"
import { Problem } from "./Problem.js"

/** Longer than this nobody waits in one request: what lies between us and the caller gives up earlier. */
const longest = Duration.hours(1)

/** Reads the parameter, or takes the default. */
export const parse = (
  name: string,
  text: string | undefined,
  dflt: Duration.DurationInput
): Effect.Effect<Duration.Duration, Problem> =>
  text === undefined
    ? Effect.succeed(Duration.decode(dflt))
    : DurationText.parse(text).pipe(
        Either.filterOrLeft(
          Duration.lessThanOrEqualTo(longest),
          () => `${text} is too long: at most ${Duration.format(longest)}; ask again to go on`
        ),
        Either.mapLeft(
          (reason) =>
            new Problem({
              status: 400,
              type: "RequestRejected",
              message: `${name}: ${reason}`
            })
        )
      )
