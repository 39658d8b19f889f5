/**
 * Waiting for a stream's first chunk before the response begins, so that a failure until then still gets a status of its
 * own. Once 200 is sent, nothing is left but to break the response off.
 */
import { Chunk, Effect, Option, type Scope, Stream } from "effect"

/** A stream whose first chunk has been pulled. */
export interface Started<A, E> {
  /** The first chunk; empty only if the stream is. */
  readonly head: Chunk.Chunk<A>
  /** The whole stream, head included. Its services are provided once here, rather than anew with each pull, which is slow. */
  readonly stream: Stream.Stream<A, E>
}

/** Pulls the first chunk. Fails as the stream does, if it fails before. */
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
