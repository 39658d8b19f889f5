/**
 * The query parameters `timeout` and `wait`: how long a request may wait for a job, such as `60s` or `2m`; a number alone
 * counts seconds.
 */
import * as DurationText from "@org/batch-core/DurationText"
import { Duration, Effect, Either } from "effect"
import { Problem } from "./Problem.js"

/** The longest wait in one request: proxies between the caller and the service give up earlier. */
const longest = Duration.hours(1)

/** Parses the parameter, or gives the default if it is missing. Fails with 400, naming the parameter. */
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
          () => `${text} is too long: at most ${DurationText.format(longest)}; ask again to go on`
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
