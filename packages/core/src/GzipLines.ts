/**
 * Gzip into lines: inflates, counts and checks, down to the trailer of the last member. The one room that knows
 * `node:zlib`, and its habits: it ends in silence at padding and ignores what lies behind, so the bytes that it
 * consumed are compared with the bytes that it was given.
 *
 * @example
 * import { Effect } from "effect"
 * import { GzipLines } from "@org/batch-core"
 *
 * const rows = (bytes: Uint8Array) =>
 *   Effect.gen(function* () {
 *     const lines = yield* GzipLines.make({ maxLineBytes: 67_108_864 })
 *     yield* lines.push(bytes)
 *     return (yield* lines.end).lines
 *   }).pipe(Effect.scoped)
 */
import { Effect, type Scope } from "effect"
import { createGunzip, type Gunzip } from "node:zlib"

/** Why the bytes are no sound gzip file of lines. */
export interface GzipFault {
  readonly _tag: "GzipFault"
  readonly kind: "Gzip" | "Line"
  readonly expected: string
  readonly actual: string
}

/** What was found. A last line without a line feed counts, and `unterminated` says so. */
export interface Counted {
  readonly lines: number
  readonly inflatedBytes: number
  readonly unterminated: boolean
}

/** One gzip file that is being read; bytes are pushed in their order, in any portions. */
export interface GzipLines {
  /** Takes compressed bytes and gives what they inflate to, or nothing unless `keep` is set. */
  readonly push: (bytes: Uint8Array) => Effect.Effect<ReadonlyArray<Uint8Array>, GzipFault>
  /** No more bytes will come: gives the last of what was kept, and the figures. */
  readonly end: Effect.Effect<Counted & { readonly rest: ReadonlyArray<Uint8Array> }, GzipFault>
  /** Lines so far. */
  readonly lines: Effect.Effect<number>
}

/** An empty result: one member with nothing in it. */
export const emptyMember: Uint8Array = Uint8Array.from([
  0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0
])

/** The most that may be pushed at once when what it inflates to is kept: deflate reaches a thousandfold. */
export const keepableBytes = 65_536

const chunkBytes = 262_144

/** Begins a file. */
export const make = (options: {
  /** The longest line, in bytes; a longer one is a fault with its line and offset. */
  readonly maxLineBytes: number
  /** Whether `push` gives what the bytes inflate to. */
  readonly keep?: boolean | undefined
}): Effect.Effect<GzipLines, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => createGunzip({ chunkSize: chunkBytes })),
      (gunzip) => Effect.sync(() => gunzip.destroy())
    ),
    (gunzip) => {
      const reading = read(gunzip, options)
      const push = (bytes: Uint8Array) =>
        Effect.async<ReadonlyArray<Uint8Array>, GzipFault>((resume) => {
          if (bytes.length === 0) return resume(Effect.succeed([]))
          reading.given += bytes.length
          reading.settle = (fault) =>
            resume(fault === undefined ? Effect.succeed(reading.take()) : Effect.fail(fault))
          if (reading.ended) return reading.settle(trailing(gunzip, reading.given))
          gunzip.write(bytes, () => reading.settle(reading.fault))
        })
      const end = Effect.async<Counted & { readonly rest: ReadonlyArray<Uint8Array> }, GzipFault>(
        (resume) => {
          reading.settle = (fault) =>
            resume(fault === undefined ? Effect.succeed(reading.total()) : Effect.fail(fault))
          if (reading.given === 0) return reading.settle(gzipFault("at least one gzip member", "no bytes"))
          if (reading.ended) return reading.settle(reading.fault)
          reading.finishing = true
          gunzip.end()
        }
      )
      return { push, end, lines: Effect.sync(() => reading.lines) }
    }
  )

interface Reading {
  /** Compressed bytes that were pushed. */
  given: number
  lines: number
  ended: boolean
  finishing: boolean
  fault: GzipFault | undefined
  /** Ends the call that is under way. */
  settle: (fault: GzipFault | undefined) => void
  readonly take: () => ReadonlyArray<Uint8Array>
  readonly total: () => Counted & { readonly rest: ReadonlyArray<Uint8Array> }
}

/** The mutable side of one file: callbacks of the stream in, figures out. */
const read = (
  gunzip: Gunzip,
  options: { readonly maxLineBytes: number; readonly keep?: boolean | undefined }
) => {
  let kept: Array<Uint8Array> = []
  let inflated = 0
  let lineStart = 0
  const reading: Reading = {
    given: 0,
    lines: 0,
    ended: false,
    finishing: false,
    fault: undefined,
    settle: () => undefined,
    take: () => {
      const taken = kept
      kept = []
      return taken
    },
    total: () => ({
      lines: reading.lines + (inflated > lineStart ? 1 : 0),
      inflatedBytes: inflated,
      unterminated: inflated > lineStart,
      rest: reading.take()
    })
  }
  const fail = (fault: GzipFault) => {
    reading.fault ??= fault
    reading.settle(reading.fault)
  }
  gunzip.on("data", (chunk: Uint8Array) => {
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) {
      reading.lines += 1
      lineStart = inflated + at + 1
    }
    inflated += chunk.length
    if (inflated - lineStart > options.maxLineBytes) {
      fail({
        _tag: "GzipFault",
        kind: "Line",
        expected: `lines of at most ${options.maxLineBytes} bytes`,
        actual: `more in line ${reading.lines + 1}, which begins at byte ${lineStart}`
      })
      gunzip.destroy()
    } else if (options.keep === true) {
      kept.push(chunk)
    }
  })
  gunzip.on("error", (error: Error) => {
    reading.ended = true
    fail(gzipFault("sound gzip data", `${error.message} near byte ${gunzip.bytesWritten}`))
  })
  gunzip.on("end", () => {
    reading.ended = true
    const left = trailing(gunzip, reading.given)
    if (left !== undefined) return fail(left)
    if (reading.finishing) reading.settle(undefined)
  })
  return reading
}

const trailing = (gunzip: Gunzip, given: number): GzipFault | undefined =>
  gunzip.bytesWritten === given
    ? undefined
    : gzipFault(
        `an end after ${gunzip.bytesWritten} bytes`,
        `${given - gunzip.bytesWritten} more bytes that are no gzip member`
      )

const gzipFault = (expected: string, actual: string): GzipFault => ({
  _tag: "GzipFault",
  kind: "Gzip",
  expected,
  actual
})
