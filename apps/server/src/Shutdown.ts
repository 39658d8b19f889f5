/**
 * The end of the service, in order: whoever only waits is sent away at once, no new work is taken, and what is under
 * way gets half a minute.
 */
import { Context, Deferred, Duration, Effect, Layer } from "effect"
import type * as Http from "node:http"

/** Whether the end has started, and what is still under way. */
export interface Service {
  readonly start: Effect.Effect<boolean>
  /** Waits until the end begins. */
  readonly started: Effect.Effect<void>
  readonly isStarted: () => boolean
  /** Waits until nothing is under way. */
  readonly idle: Effect.Effect<void>
  /** A request has begun; it must end by `requestEnded`. */
  readonly requestStarted: () => void
  readonly requestEnded: () => void
}

/** Whether the end has started, and what is still under way. */
export class Shutdown extends Context.Tag("@org/batch-server/Shutdown")<Shutdown, Service>() {}

/** So long may requests go on that are under way. */
export const grace = Duration.seconds(30)

/** Nothing is under way. */
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

/** Brings the end about when it is closed; so it must be built last. */
export const layerServer = (server: Http.Server): Layer.Layer<never, never, Shutdown> =>
  Layer.scopedDiscard(
    Effect.flatMap(Shutdown, ({ start, idle }) =>
      Effect.addFinalizer(() =>
        start.pipe(
          Effect.zipRight(Effect.sync(() => server.close())),
          Effect.zipRight(Effect.timeoutOption(idle, grace)),
          Effect.zipRight(Effect.sync(() => server.closeAllConnections()))
        )
      )
    )
  )
