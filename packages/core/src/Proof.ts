/**
 * The proof that bytes on disk are what was promised, computed behind the transfer while it runs: gzip structure
 * and rows by inflating, identity by SHA-256. What is proven is what the disk gives back, not what the network said.
 *
 * @example
 * import { Effect } from "effect"
 * import * as Frontier from "./Frontier.js"
 * import * as Proof from "./Proof.js"
 *
 * const program = Effect.gen(function* () {
 *   const frontier = yield* Frontier.make
 *   return yield* Proof.rows({ name: "results", path: "out.partial", base: Effect.succeed(0), frontier })
 * })
 */
import { FileSystem } from "@effect/platform"
import { Effect, Option } from "effect"
import { BatchConfig } from "./BatchConfig.js"
import { ResultsCorrupt, type StorageError } from "./BatchError.js"
import * as Digest from "./Digest.js"
import * as Frontier from "./Frontier.js"
import * as GzipLines from "./GzipLines.js"
import * as Storage from "./Storage.js"

/** A run of bytes in a file, behind a frontier that counts from `base`. */
export interface Region {
  readonly path: string
  readonly base: Effect.Effect<number>
  readonly frontier: Frontier.Frontier
}

/** What a sound gzip file of lines holds. */
export interface Rows {
  readonly records: number
  readonly inflatedBytes: number
  /** The last line has no line feed, so nothing may be joined to it. */
  readonly unterminated: boolean
}

/** A file that is all there. */
export const ofFile = (
  path: string
): Effect.Effect<Region & { readonly bytes: number }, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const bytes = Number((yield* Effect.mapError(fs.stat(path), Storage.explain(path))).size)
    const frontier = yield* Frontier.make
    yield* frontier.advance(bytes)
    yield* frontier.close
    return { path, base: Effect.succeed(0), frontier, bytes }
  })

const sliceBytes = 262_144

/** Inflates a region to its end and counts its rows. With `onInflated` the inflated bytes are handed on, in order. */
export const rows = (
  region: Region & {
    /** In messages. */
    readonly name: string
    readonly onInflated?:
      ((chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, StorageError>) | undefined
    /** Told of further rows. */
    readonly onRows?: ((count: number) => Effect.Effect<void>) | undefined
  }
): Effect.Effect<Rows, ResultsCorrupt | StorageError, BatchConfig | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { maxLineBytes } = (yield* BatchConfig).transfer
    const handOn = region.onInflated ?? (() => Effect.void)
    const keep = region.onInflated !== undefined
    const lines = yield* GzipLines.make({ maxLineBytes, keep })
    let told = 0
    const tell = (count: number) => {
      const news = count - told
      told = count
      return news === 0 || region.onRows === undefined ? Effect.void : region.onRows(news)
    }
    yield* follow(region, keep ? GzipLines.keepableBytes : sliceBytes, (bytes) =>
      lines.push(bytes).pipe(Effect.flatMap(handOn), Effect.zipRight(Effect.flatMap(lines.lines, tell)))
    )
    const end = yield* lines.end
    yield* handOn(end.rest)
    yield* tell(end.lines)
    return { records: end.lines, inflatedBytes: end.inflatedBytes, unterminated: end.unterminated }
  }).pipe(
    Effect.scoped,
    Effect.catchTag("GzipFault", ({ actual, expected, kind }) =>
      Effect.fail(
        new ResultsCorrupt({
          reason: kind === "Gzip" ? "Gzip" : "Encoding",
          file: region.name,
          expected,
          actual,
          kept: Option.none()
        })
      )
    )
  )

/** Whether a region begins like a gzip file. */
export const isGzip = (region: Region): Effect.Effect<boolean, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const file = yield* Storage.open(region.path, "r")
    const start = yield* Storage.readAt(file, region.path, yield* region.base, 2)
    return Option.exists(start, (bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b)
  }).pipe(Effect.scoped)

/** Counts the rows of a region that is not compressed. */
export const plainRows = (region: Region): Effect.Effect<Rows, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    let [lines, size, last] = [0, 0, 10]
    yield* follow(region, sliceBytes, (bytes) =>
      Effect.sync(() => {
        for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines += 1
        size += bytes.length
        last = bytes.at(-1) ?? last
      })
    )
    return { records: lines + (last === 10 ? 0 : 1), inflatedBytes: size, unterminated: last !== 10 }
  })

/** SHA-256 of the regions one after the other, in hexadecimal. */
export const digest = (
  regions: ReadonlyArray<Region>
): Effect.Effect<string, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const hash = Digest.sha256()
    for (const region of regions) {
      yield* follow(region, sliceBytes, (bytes) => Effect.sync(() => hash.update(bytes)))
    }
    return hash.hex()
  })

/** Reads a region behind its frontier to its end, in slices of at most `size` bytes. */
const follow = <E, R>(
  region: Region,
  size: number,
  each: (bytes: Uint8Array) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, E | StorageError, R | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const file = yield* Storage.open(region.path, "r")
    let position = 0
    while (true) {
      const extent = yield* region.frontier.beyond(position)
      if (extent.end <= position) return
      const base = yield* region.base
      while (position < extent.end) {
        const slice = yield* Storage.readAt(
          file,
          region.path,
          base + position,
          Math.min(size, extent.end - position)
        )
        if (Option.isNone(slice)) return yield* Storage.vanished(region.path)
        yield* each(slice.value)
        position += slice.value.length
      }
    }
  }).pipe(Effect.scoped)
