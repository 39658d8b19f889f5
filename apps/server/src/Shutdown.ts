/**
 * Graceful shutdown, in order: requests that only wait for a job are answered at once, new work is refused, and requests
 * under way get a grace period; then their connections are cut.
 */
import { Context, Deferred, Duration, Effect, Layer } from "effect"
import type * as Http from "node:http"

/** The state of the shutdown, and the count of requests under way. */
export interface Service {
  /** Starts it. */
  readonly start: Effect.Effect<boolean>
  /** Waits until it starts. */
  readonly started: Effect.Effect<void>
  readonly isStarted: () => boolean
  /** Waits until no request is under way. */
  readonly idle: Effect.Effect<void>
  /** Counts a request as under way until `requestEnded`. */
  readonly requestStarted: () => void
  readonly requestEnded: () => void
}

/** The state of the shutdown, which every request looks at. */
export class Shutdown extends Context.Tag("@org/batch-server/Shutdown")<Shutdown, Service>() {}

/** How long requests under way may go on once the shutdown has started. */
export const grace = Duration.seconds(30)

/** A service that runs: its shutdown has not started, and no request is under way. */
export const layer: Layer.Layer<Shutdown> = Layer.effect(
  Shutdown,
  Effect.gen(function* () {
    const started = yield* Deferred.make<void>()
    let isStarted = false
    let underWay = 0
    return {
      start: Effect.suspend(() => {
        isStarted = true
        return Deferred.succeed(started, undefined)
      }),
      started: Deferred.await(started),
      isStarted: () => isStarted,
      idle: Effect.repeat(Effect.sleep("20 millis"), { until: () => underWay === 0 }),
      requestStarted: () => {
        underWay += 1
      },
      requestEnded: () => {
        underWay -= 1
      }
    }
  })
)

/** Shuts the server down when the scope is closed. It must be built last, so that all else is still there meanwhile. */
export const layerServer = (
  server: Http.Server,
  options: { readonly grace: Duration.DurationInput }
): Layer.Layer<never, never, Shutdown> =>
  Layer.scopedDiscard(
    Effect.flatMap(Shutdown, ({ idle, start }) =>
      Effect.addFinalizer(() =>
        start.pipe(
          Effect.zipRight(Effect.sync(() => server.close())),
          // A finalizer cannot be interrupted, nor can what it waits for, unless it says so: the grace would never be over.
          Effect.zipRight(Effect.timeoutOption(Effect.interruptible(idle), options.grace)),
          Effect.zipRight(Effect.sync(() => server.closeAllConnections()))
        )
      )
    )
  )
