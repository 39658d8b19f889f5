/**
 * The end of the service, in order: whoever only waits is sent away at once, no new work is taken, and what is under
 * way gets half a minute.
 */
import * as Signal from "@org/batch-core/Signal"
import { Context, Deferred, Duration, Effect, Layer, Option } from "effect"
import type * as Http from "node:http"

/** Whether the end has begun, and what is still under way. */
export interface Service {
  readonly begin: Effect.Effect<void>
  /** Waits until the end begins. */
  readonly begun: Effect.Effect<void>
  readonly isBegun: Effect.Effect<boolean>
  /** Waits until nothing is under way. */
  readonly settled: Effect.Effect<void>
  /** Counts a request for as long as it is under way. */
  readonly during: <A, E, R>(request: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
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
    const changed = yield* Signal.make
    let underWay = 0
    const count = (by: number) =>
      Effect.suspend(() => {
        underWay += by
        return underWay === 0 ? changed.notify : Effect.void
      })
    return {
      begin: Effect.asVoid(Deferred.succeed(begun, undefined)),
      begun: Deferred.await(begun),
      isBegun: Deferred.isDone(begun),
      settled: changed.until(Effect.sync(() => (underWay === 0 ? Option.some(undefined) : Option.none()))),
      during: (request) => Effect.zipRight(count(1), Effect.ensuring(request, count(-1)))
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
