/**
 * Reads JSON lines that came without compression, as `Gunzip` reads a gzip file: counts them and hands them on.
 *
 * @example
 * import { Effect } from "effect"
 * import * as PlainLines from "./PlainLines.js"
 *
 * const rows = (text: Uint8Array) =>
 *   Effect.gen(function* () {
 *     const lines = PlainLines.make()
 *     yield* lines.push(text)
 *     return PlainLines.countOf(yield* lines.end)
 *   })
 */
import { Effect } from "effect"
import type { Gunzip } from "./Gunzip.js"
import * as Lines from "./Lines.js"

export { countOf } from "./Lines.js"

/** Whether a file begins like JSON lines: with an object, maybe behind blank lines or a byte order mark. */
export const mayBegin = (bytes: Uint8Array): boolean => {
  const text = bytes.subarray(Lines.textStart(bytes))
  const first = text.find((byte) => byte !== 0x0a && !isSpace(byte))
  return bytes.length > 0 && (first === undefined || first === openBrace)
}

const openBrace = 0x7b

const isSpace = (byte: number): boolean => Lines.isBlank(Uint8Array.of(byte), 0, 1)

/** A reader of one file. `onInflated` takes the text, in order, which the caller may change when it is done. */
export const make = <E = never>(
  onInflated: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, E> = () => Effect.void
): Gunzip<E> => {
  const lines = Lines.make()
  const handOn = (text: Uint8Array) => (text.length === 0 ? Effect.void : onInflated([text]))
  const position = Effect.sync(() => ({ ...lines.position(), padding: 0 }))
  return {
    push: (bytes) => Effect.suspend(() => handOn(lines.push(bytes))),
    end: Effect.zipRight(
      Effect.suspend(() => handOn(lines.end())),
      position
    ),
    position
  }
}
