/**
 * How far a file is written without a gap: what one fiber writes and another reads behind it.
 *
 * @example
 * import { Effect } from "effect"
 * import { Frontier } from "@org/batch-core"
 *
 * const program = Effect.gen(function* () {
 *   const frontier = yield* Frontier.make
 *   yield* Effect.fork(frontier.advance(1024))
 *   return yield* frontier.beyond(0) // { end: 1024, closed: false }
 * })
 */
import { Deferred, Effect, Ref } from "effect"

/** Where the bytes end for now; `closed` when no more will come. */
export interface Extent {
  readonly end: number
  readonly closed: boolean
}

/** A boundary that only grows. */
export interface Frontier {
  /** Bytes below `end` may be read now. */
  readonly advance: (end: number) => Effect.Effect<void>
  /** No more will come. */
  readonly close: Effect.Effect<void>
  /** Waits until there are bytes beyond `position`, or until no more will come. */
  readonly beyond: (position: number) => Effect.Effect<Extent>
}

interface State extends Extent {
  readonly moved: Deferred.Deferred<void>
}

/** Nothing is written yet. */
export const make: Effect.Effect<Frontier> = Effect.gen(function* () {
  const state = yield* Ref.make<State>({ end: 0, closed: false, moved: yield* Deferred.make<void>() })

  const change = (next: (extent: Extent) => Extent) =>
    Effect.gen(function* () {
      const moved = yield* Deferred.make<void>()
      const before = yield* Ref.getAndUpdate(state, (current) => ({ ...next(current), moved }))
      yield* Deferred.succeed(before.moved, undefined)
    })

  const beyond = (position: number): Effect.Effect<Extent> =>
    Effect.flatMap(Ref.get(state), ({ closed, end, moved }) =>
      end > position || closed
        ? Effect.succeed({ end, closed })
        : Effect.zipRight(Deferred.await(moved), beyond(position))
    )

  return {
    advance: (end) => change((extent) => ({ ...extent, end: Math.max(extent.end, end) })),
    close: change((extent) => ({ ...extent, closed: true })),
    beyond
  }
})
