/**
 * Inflates a gzip file, counts its lines and checks it, down to the trailer of the last member. Zeros may follow on that,
 * as tapes and padded buffers leave them, and nothing else. It knows the habits of Node's streams: they end in silence
 * at padding and ignore what lies behind, so the bytes that they consumed are compared with the bytes that they were
 * given.
 *
 * @example
 * import { Effect } from "effect"
 * import { Gunzip } from "@org/batch-core"
 *
 * const rows = (bytes: Uint8Array) =>
 *   Effect.gen(function* () {
 *     const lines = yield* Gunzip.make()
 *     yield* lines.push(bytes)
 *     return Gunzip.countOf(yield* lines.end)
 *   }).pipe(Effect.scoped)
 */
import { Effect, type Scope } from "effect"
import { createGunzip, type Gunzip as Inflater } from "node:zlib"
import * as Buffers from "../disk/Buffers.js"
import * as CountText from "../model/CountText.js"
import * as Lines from "./Lines.js"
import * as Members from "./Members.js"

/** Why the bytes are no sound gzip file of lines. */
export interface GzipFault {
  readonly _tag: "GzipFault"
  readonly expected: string
  readonly actual: string
}

/** How far the inflated bytes are read. */
export interface Position extends Lines.Position {
  /** Zeros behind the last member. */
  readonly padding: number
}

export {
  /** How many records there are: lines that are not blank. A last one without a line feed counts. */
  countOf,
  /** Whether a line has begun that has no line feed. */
  isUnterminated
} from "./Lines.js"

/** An inflater for one gzip file; bytes are pushed in their order, in any portions. */
export interface Gunzip<E = never> {
  /** Inflates compressed bytes, which may change again when it is done. */
  readonly push: (bytes: Uint8Array) => Effect.Effect<void, GzipFault | E>
  /** No more bytes will come: they must end with a member. */
  readonly end: Effect.Effect<Position, GzipFault | E>
  /** How far the inflated bytes are read by now. */
  readonly position: Effect.Effect<Position>
}

/** An empty result: one member with nothing in it. */
export const emptyMember: Uint8Array = Uint8Array.from([
  0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0
])

/** A line feed in a member of its own, 21 bytes: it ends the last row of a file to which another one is joined. */
export const lineFeedMember: Uint8Array = Uint8Array.from([
  0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0xe3, 2, 0, 0x93, 0x06, 0xd7, 0x32, 1, 0, 0, 0
])

/** Makes an inflater for one gzip file, which ends with the scope. */
export const make = <E = never>(
  options: {
    /** Inflated bytes handed on at a time. Default 1 MiB: smaller is slower. */
    readonly chunkBytes?: number | undefined
    /** How many chunks may wait to be handed on before the inflating pauses. Default 4. */
    readonly chunksHeld?: number | undefined
    /** Takes what the bytes inflate to, in order. A slow one slows the inflating. */
    readonly onInflated?: ((chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, E>) | undefined
    /** Whether `onInflated` keeps nothing of what it takes: the memory goes when it is done. Default false. */
    readonly lent?: boolean | undefined
  } = {}
): Effect.Effect<Gunzip<E>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => createGunzip({ chunkSize: options.chunkBytes ?? 1_048_576 })),
      (gunzip) => Effect.sync(() => gunzip.destroy())
    ),
    (gunzip) => {
      const { chunksHeld = 4, lent = false, onInflated } = options
      const reading = read(gunzip, onInflated === undefined ? 0 : chunksHeld)

      /** Hands on what inflates until a step of the inflating is done, and no more than so many chunks wait. */
      const settle = (isDone: () => boolean, most: number): Effect.Effect<void, GzipFault | E> =>
        Effect.gen(function* () {
          while (true) {
            yield* reading.until(isDone)
            if (isDone() && reading.holding() <= most) return
            const chunks = reading.take()
            if (chunks.length > 0 && onInflated !== undefined) {
              yield* onInflated(chunks)
              if (lent) chunks.forEach(Buffers.release)
            }
          }
        })

      return {
        push: (bytes) =>
          Effect.suspend(() => {
            if (bytes.length === 0) return Effect.void
            reading.portion = bytes
            reading.given += bytes.length
            if (reading.ended) {
              reading.pad(bytes)
              return settle(() => true, chunksHeld - 1)
            }
            let written = false
            // Node reads the caller's bytes until it calls back: no earlier may they change again.
            gunzip.write(bytes, () => {
              written = true
              reading.wake()
            })
            // Where it ends before the portion does, it does not call back.
            return settle(() => written || reading.ended, chunksHeld - 1)
          }),
        end: Effect.suspend(() => {
          if (reading.given === 0) return Effect.fail(gzipFault("at least one gzip member", "no bytes"))
          if (!reading.ended) gunzip.end()
          return settle(() => reading.ended, 0)
        }).pipe(Effect.zipRight(Effect.sync(() => reading.position))),
        position: Effect.sync(() => reading.position)
      }
    }
  )

/** The mutable side of one file: callbacks of the stream in, bytes and figures out. */
interface Reading {
  /** Compressed bytes that were pushed, and the last portion of them. */
  given: number
  portion: Uint8Array
  ended: boolean
  /** Takes bytes behind the last member, which must be zeros: the last ones that were pushed. */
  readonly pad: (bytes: Uint8Array) => void
  readonly position: Position
  /** Looks again whether what is waited for is the case. */
  wake: () => void
  /** Waits until something is the case, or there is something to take. */
  readonly until: (isDone: () => boolean) => Effect.Effect<void, GzipFault>
  /** How many chunks there are to take. */
  readonly holding: () => number
  readonly take: () => ReadonlyArray<Uint8Array>
}

const read = (
  gunzip: Inflater,
  /** How many chunks to hold; 0 if nobody takes them. */
  most: number
): Reading => {
  let inflated: Array<Uint8Array> = []
  let held: Array<Uint8Array> = []
  let fault: GzipFault | undefined
  let padding = 0
  const lines = Lines.make()
  const reading: Reading = {
    given: 0,
    portion: new Uint8Array(0),
    ended: false,
    get position() {
      count()
      return { ...lines.position(), padding }
    },
    pad: (bytes) => {
      const other = bytes.findIndex((byte) => byte !== 0)
      if (other === -1) padding += bytes.length
      else fail(trailing(gunzip.bytesWritten, reading.given - bytes.length + other))
    },
    wake: () => count(),
    until: (isDone) =>
      Effect.async((resume) => {
        reading.wake = () => {
          count()
          if (fault === undefined && held.length === 0 && !isDone()) return
          reading.wake = count
          resume(fault === undefined ? Effect.void : Effect.fail(fault))
        }
        reading.wake()
      }),
    holding: () => {
      count()
      return held.length
    },
    take: () => {
      count()
      const taken = held
      held = []
      gunzip.resume()
      return taken
    }
  }
  const fail = (found: GzipFault) => {
    fault ??= found
    reading.ended = true
    gunzip.destroy()
  }
  const take = (text: Uint8Array) => {
    if (most > 0 && text.length > 0) held.push(text)
    else Buffers.release(text)
  }
  /** Counts what has been inflated since, and lets it be taken. */
  const count = () => {
    const chunks = inflated
    inflated = []
    for (const chunk of chunks) take(lines.push(chunk))
  }
  gunzip.on("data", (chunk: Uint8Array) => {
    inflated.push(chunk)
    if (most > 0 && held.length + inflated.length >= most) gunzip.pause()
    // Node goes on inflating, in another thread, only when we return: so it is counted behind that, meanwhile.
    queueMicrotask(() => reading.wake())
  })
  gunzip.on("error", (error: Error) => {
    fail(unsound(error, reading))
    reading.wake()
  })
  gunzip.on("end", () => {
    const rest = reading.given - gunzip.bytesWritten
    if (rest > 0) reading.pad(reading.portion.subarray(reading.portion.length - rest))
    reading.ended = true
    count()
    take(lines.end())
    reading.wake()
  })
  return reading
}

/** What lies behind the last member and is neither zeros nor a member. */
const trailing = (end: number, other: number): GzipFault =>
  gzipFault(
    `an end after ${CountText.plural(end, "byte")}, or nothing but zeros from there on`,
    `other bytes from byte ${CountText.count(other)} on`
  )

/** Node does not say where in a portion it failed. Of one that begins with the file, a second look does. */
const unsound = (error: Error, { given, portion }: Reading): GzipFault => {
  const begun = given - portion.length
  const end = begun === 0 ? Members.endOf(portion) : 0
  return end > 0 && !Members.mayBegin(portion.subarray(end))
    ? trailing(end, end)
    : gzipFault(
        "sound gzip data",
        `${error.message} between byte ${CountText.count(begun + end)} and byte ${CountText.count(given)}`
      )
}

const gzipFault = (expected: string, actual: string): GzipFault => ({
  _tag: "GzipFault",
  expected,
  actual
})
