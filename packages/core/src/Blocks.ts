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
import { type Duration, Effect, Option, Predicate, Stream } from "effect"

/** Why no block came. */
export type BlockFailure = { readonly _tag: "Stalled" } | { readonly _tag: "Broken"; readonly cause: unknown }

/** A body that is being read. */
export interface Blocks {
  /**
   * The next block: what arrives until `size` bytes are there, or a tenth of a second has passed. None at the end.
   * Fails as `Stalled` when nothing at all arrives for `idle`; time between two calls does not count.
   */
  readonly next: Effect.Effect<Option.Option<Uint8Array>, BlockFailure>
}

const patience = 100

/** Reads the body of a response. Closing the response's scope ends a read that is under way. */
export const make = (
  response: HttpClientResponse.HttpClientResponse,
  options: { readonly size: number; readonly idle: Duration.Duration }
): Effect.Effect<Blocks> =>
  Effect.map(Effect.clock, (clock) => {
    const chunks = source(response)[Symbol.asyncIterator]()
    let pending: Array<Uint8Array> = []
    let failure: BlockFailure | undefined

    const gather = async (): Promise<void> => {
      const until = clock.unsafeCurrentTimeMillis() + patience
      for (let length = 0; length < options.size;) {
        const chunk = await chunks.next()
        if (chunk.done === true) return
        if (chunk.value.length === 0) continue
        pending.push(chunk.value)
        length += chunk.value.length
        if (clock.unsafeCurrentTimeMillis() >= until) return
      }
    }

    /** What has arrived comes first; the failure that followed it comes with the next call. */
    const deliver = Effect.suspend(() => {
      const block = pending
      pending = []
      if (block.length > 0) return Effect.succeedSome(Buffer.concat(block))
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

/** Node's own stream where the client has one (`node:http`), else the response's `Stream`. */
const source = (response: HttpClientResponse.HttpClientResponse): AsyncIterable<Uint8Array> =>
  Predicate.hasProperty(response, "source") && isByteSource(response.source)
    ? response.source
    : Stream.toAsyncIterable(response.stream)

const isByteSource = (value: unknown): value is AsyncIterable<Uint8Array> =>
  Predicate.hasProperty(value, Symbol.asyncIterator)
