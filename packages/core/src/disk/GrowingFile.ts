/**
 * How far a file is written without a gap: what one fiber writes and another reads behind it.
 *
 * @example
 * import { Effect } from "effect"
 * import * as GrowingFile from "./GrowingFile.js"
 *
 * const program = Effect.gen(function* () {
 *   const frontier = yield* GrowingFile.make
 *   yield* Effect.fork(frontier.advance(1024))
 *   return yield* frontier.beyond(0) // { end: 1024, closed: false }
 * })
 */
import { Effect, Option, Ref } from "effect"
import * as Condition from "./Condition.js"

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

/** Nothing is written yet. */
export const make: Effect.Effect<Frontier> = Effect.gen(function* () {
  const extent = yield* Ref.make<Extent>({ end: 0, closed: false })
  const moved = yield* Condition.make
  const change = (next: (extent: Extent) => Extent) => Effect.zipRight(Ref.update(extent, next), moved.notify)
  return {
    advance: (end) => change((held) => ({ ...held, end: Math.max(held.end, end) })),
    close: change((held) => ({ ...held, closed: true })),
    beyond: (position) =>
      moved.until(
        Effect.map(
          Ref.get(extent),
          Option.liftPredicate(({ closed, end }) => closed || end > position)
        )
      )
  }
})
