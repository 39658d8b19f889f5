/**
 * Compresses a text into one gzip member, portion by portion.
 *
 * @example
 * import { Effect } from "effect"
 * import { Compression } from "@org/batch-core"
 *
 * const size = (text: Uint8Array) =>
 *   Effect.gen(function* () {
 *     let bytes = 0
 *     const member = yield* Compression.make((chunks) =>
 *       Effect.sync(() => chunks.forEach((chunk) => (bytes += chunk.length)))
 *     )
 *     yield* member.push(text)
 *     yield* member.end
 *     return bytes
 *   }).pipe(Effect.scoped)
 */
import { Effect, type Scope } from "effect"
import { createGzip } from "node:zlib"

/** A gzip member that grows. */
export interface Compression<E> {
  /** Compresses the next portion, which may change again when it is done. */
  readonly push: (text: Uint8Array) => Effect.Effect<void, E>
  /** Ends the member: no more text will come. */
  readonly end: Effect.Effect<void, E>
}

/**
 * Starts a member, whose compressed bytes `onCompressed` takes in their order, by a level of zlib from 1 (fast) to 9.
 * Its memory goes with the scope.
 */
export const make = <E>(
  onCompressed: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, E>,
  options: { readonly level?: number | undefined } = {}
): Effect.Effect<Compression<E>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => createGzip({ chunkSize: chunkBytes, level: options.level ?? defaultLevel })),
      (gzip) => Effect.sync(() => gzip.destroy())
    ),
    (gzip) => {
      let held: Array<Uint8Array> = []
      gzip.on("data", (chunk: Uint8Array) => held.push(chunk))
      const handOn = Effect.suspend(() => {
        const chunks = held
        held = []
        return chunks.length === 0 ? Effect.void : onCompressed(chunks)
      })
      const write = (text: Uint8Array) =>
        Effect.async<void>((resume) => void gzip.write(text, () => resume(Effect.void)))
      const ended = Effect.async<void>((resume) => {
        gzip.once("end", () => resume(Effect.void))
        gzip.end()
      })
      return {
        push: (text) => (text.length === 0 ? Effect.void : Effect.zipRight(write(text), handOn)),
        end: Effect.zipRight(ended, handOn)
      }
    }
  )

const chunkBytes = 262_144

const defaultLevel = 6
