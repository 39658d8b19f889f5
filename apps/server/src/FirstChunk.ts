/**
 * A response body that is written chunk by chunk, straight to Node's response, and whose first chunk is here before the
 * response begins: a failure until then still gets a status of its own. Once 200 is sent, nothing is left but to break the
 * response off.
 */
import type { HttpServerRequest } from "@effect/platform"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Buffers from "@org/batch-core/Buffers"
import type { Write } from "@org/batch-core/ResultStream"
import { Deferred, Effect, Fiber, type Scope, Stream } from "effect"
import type * as Http from "node:http"

/** What hands a body to `write`, chunk by chunk; it fails as that does, too. */
export type Source<E, R> = <F>(write: Write<F>) => Effect.Effect<void, E | F, R>

/** A stream as a source: for bodies that are not in a hurry. */
export const fromStream =
  <E, R>(stream: Stream.Stream<Uint8Array, E, R>): Source<E, R> =>
  (write) =>
    Stream.runForEach(stream, write)

/**
 * Starts a source, and waits for its first chunk. Fails as the source does, if it fails before. The stream that it gives has
 * no elements: where it is run, once the head is sent, the chunks are written, at the pace of whoever reads them.
 */
export const waitForFirstChunk = <E, R>(
  source: Source<E, R>,
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<Stream.Stream<never, E>, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const response = NodeHttpServerRequest.toServerResponse(request)
    const first = yield* Deferred.make<void, E>()
    const isSending = yield* Deferred.make<void>()
    let isBegun = false
    const begin = Effect.zipRight(Deferred.succeed(first, undefined), Deferred.await(isSending))
    const write = (bytes: Uint8Array) =>
      Effect.suspend(() => {
        if (isBegun) return send(response, bytes)
        isBegun = true
        return Effect.zipRight(begin, send(response, bytes))
      })
    const fiber = yield* source(write).pipe(
      Effect.onExit((exit) => Deferred.done(first, exit)),
      Effect.forkScoped
    )
    yield* Deferred.await(first)
    return Stream.drain(
      Stream.fromEffect(Effect.zipRight(Deferred.succeed(isSending, undefined), Fiber.join(fiber)))
    )
  })

/** Writes a chunk, waits until there is room for the next one, and releases its memory if Node needs it no longer. */
const send = (response: Http.ServerResponse, bytes: Uint8Array): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (bytes.length === 0 || response.write(bytes)) return Effect.void
    return Effect.async<void>((resume) => {
      const drained = () => {
        if (response.writableLength === 0) Buffers.release(bytes)
        resume(Effect.void)
      }
      response.once("drain", drained)
      return Effect.sync(() => response.off("drain", drained))
    })
  })
