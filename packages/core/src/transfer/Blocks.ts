/**
 * The body of a response in blocks of about a megabyte. Effect is not in the loop for every chunk of the socket,
 * only for every block: that is the difference between five times `curl` and about one.
 *
 * @example
 * import { Effect, Option } from "effect"
 * import * as Blocks from "./Blocks.js"
 *
 * const count = (blocks: Blocks.Blocks) =>
 *   Effect.iterate(0, { while: (n) => n >= 0, body: (n) => Effect.map(blocks.next, Option.match({
 *     onNone: () => -1,
 *     onSome: (chunks) => n + chunks.length
 *   })) })
 */
import type { HttpClientResponse } from "@effect/platform"
import { type Duration, Effect, Option, Predicate, type Scope, Stream } from "effect"
import * as Buffers from "../disk/Buffers.js"
import * as Monotonic from "../retry/Monotonic.js"

/** Why no block came: nothing arrived for too long, or the connection failed. */
export type BlockFailure = { readonly _tag: "Stalled" } | { readonly _tag: "Broken"; readonly cause: unknown }

/** The body of a response, read block by block. */
export interface Blocks {
  /**
   * The next block: what arrives until `size` bytes are there, or a tenth of a second has passed. None at the end.
   * It is gone with the call for the one behind it. Fails as `Stalled` when nothing at all arrives for `idle`; time
   * between two calls does not count.
   */
  readonly next: Effect.Effect<Option.Option<Uint8Array>, BlockFailure>
}

/** How long a block waits to become full, in milliseconds. */
const patience = 100

const nothing: Uint8Array = new Uint8Array(0)

/**
 * A reader of a response's body in blocks of at most `size` bytes, all in one buffer that goes with the scope. Closing
 * the scope ends a read that is under way.
 */
export const make = (
  response: HttpClientResponse.HttpClientResponse,
  options: { readonly size: number; readonly idle: Duration.Duration }
): Effect.Effect<Blocks, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const block = yield* Effect.acquireRelease(
      Effect.sync(() => new Uint8Array(options.size)),
      (bytes) => Effect.sync(() => Buffers.release(bytes))
    )
    const isOurs = hasSource(response)
    const chunks = (isOurs ? response.source : Stream.toAsyncIterable(response.stream))[
      Symbol.asyncIterator
    ]()
    let length = 0
    let chunk = nothing
    let taken = 0
    let failure: BlockFailure | undefined
    let ended = false

    /** Copies as much of the chunk into the block as there is room for. */
    const take = (): void => {
      const part = chunk.subarray(taken, taken + block.length - length)
      block.set(part, length)
      length += part.length
      taken += part.length
      if (taken < chunk.length) return
      if (isOurs) Buffers.release(chunk)
      chunk = nothing
      taken = 0
    }

    const gather = async (): Promise<void> => {
      const until = Monotonic.unsafeNow(clock) + patience
      take()
      // An iterator of Effect does not answer a question after its end.
      while (!ended && length < block.length && (length === 0 || Monotonic.unsafeNow(clock) < until)) {
        const next = await chunks.next()
        // A read that has timed out goes on by itself; what it brings then is nobody's any more.
        if (next.done === true) ended = true
        if (next.done === true || failure !== undefined) return
        chunk = next.value
        take()
      }
    }

    /** What has arrived comes first; the failure that followed it comes with the next call. */
    const deliver = Effect.suspend(() => {
      const arrived = block.subarray(0, length)
      length = 0
      if (arrived.length > 0) return Effect.succeedSome(arrived)
      return failure === undefined ? Effect.succeedNone : Effect.fail(failure)
    })

    const read = Effect.tryPromise({
      try: gather,
      catch: (cause): BlockFailure => ({ _tag: "Broken", cause })
    }).pipe(
      Effect.timeoutFail({ duration: options.idle, onTimeout: (): BlockFailure => ({ _tag: "Stalled" }) }),
      Effect.catchAll((reason) =>
        Effect.sync(() => {
          failure = reason
        })
      )
    )

    return { next: Effect.suspend(() => (failure === undefined ? Effect.zipRight(read, deliver) : deliver)) }
  })

/** Node's own stream where the client has one (`node:http`): what it gives is its reader's. */
const hasSource = (
  response: HttpClientResponse.HttpClientResponse
): response is HttpClientResponse.HttpClientResponse & { readonly source: AsyncIterable<Uint8Array> } =>
  Predicate.hasProperty(response, "source") && Predicate.hasProperty(response.source, Symbol.asyncIterator)
