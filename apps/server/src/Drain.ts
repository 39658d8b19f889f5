/**
 * The end of the service, in order: whoever only waits is sent away at once, no new work is taken, and what is under
 * way gets half a minute.
 */
import { Context, Deferred, Duration, Effect, Layer } from "effect"
import type * as Http from "node:http"

/** Whether the end has begun, and what is still under way. */
export interface Service {
  readonly begin: Effect.Effect<boolean>
  /** Waits until the end begins. */
  readonly begun: Effect.Effect<void>
  readonly isBegun: () => boolean
  /** Waits until nothing is under way. */
  readonly settled: Effect.Effect<void>
  /** A request has begun; it must `leave` in the end. */
  readonly enter: () => void
  readonly leave: () => void
}

/** Whether the end has begun, and what is still under way. */
export class Drain extends Context.Tag("@org/batch-server/Drain")<Drain, Service>() {}

/** So long may requests go on that are under way. */
export const grace = Duration.seconds(30)

/** Nothing is under way. */
export const layer: Layer.Layer<Drain> = Layer.effect(
  Drain,
  Effect.gen(function* () {
    const begun = yield* Deferred.make<void>()
    let isBegun = false
    let underWay = 0
    return {
      begin: Effect.suspend(() => {
        isBegun = true
        return Deferred.succeed(begun, undefined)
      }),
      begun: Deferred.await(begun),
      isBegun: () => isBegun,
      settled: Effect.repeat(Effect.sleep("20 millis"), { until: () => underWay === 0 }),
      enter: () => {
        underWay += 1
      },
      leave: () => {
        underWay -= 1
      }
    }
  })
)

/** Brings the end about when it is closed; so it must be built last. */
export const ending = (server: Http.Server): Layer.Layer<never, never, Drain> =>
  Layer.scopedDiscard(
    Effect.flatMap(Drain, ({ begin, settled }) =>
      Effect.addFinalizer(() =>
        begin.pipe(
          Effect.zipRight(Effect.sync(() => server.close())),
          Effect.zipRight(Effect.timeoutOption(settled, grace)),
          Effect.zipRight(Effect.sync(() => server.closeAllConnections()))
        )
      )
    )
  )
