/**
 * A stream whose first chunk is here: whether it begins well is known before the answer's status is sent.
 */
import { Chunk, Effect, Option, type Scope, Stream } from "effect"

/** A stream that has begun. */
export interface Started<A, E> {
  /** Empty only if the stream is. */
  readonly head: Chunk.Chunk<A>
  /** All of it, the head included. It has what it needs, so that no step of it is given that anew. */
  readonly stream: Stream.Stream<A, E>
}

/** Waits for the first chunk; a stream that fails before it fails here. */
export const waitForFirstChunk = <A, E, R>(
  stream: Stream.Stream<A, E, R>
): Effect.Effect<Started<A, E>, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const needs = yield* Effect.context<R>()
    const pull = Effect.provide(yield* Stream.toPull(stream), needs)
    const head = yield* pull.pipe(
      Effect.catchAll(Option.match({ onNone: () => Effect.succeed(Chunk.empty<A>()), onSome: Effect.fail }))
    )
    const rest = Stream.repeatEffectChunkOption(pull)
    return { head, stream: Chunk.isEmpty(head) ? Stream.empty : Stream.concat(Stream.fromChunk(head), rest) }
  })
