/**
 * The proof that bytes on disk are what was promised, computed behind the transfer while it runs: gzip structure
 * and rows by inflating, identity by SHA-256. What is proven is what the disk gives back, not what the network said.
 *
 * @example
 * import { Effect } from "effect"
 * import * as GrowingFile from "../disk/GrowingFile.js"
 * import * as Proof from "./Proof.js"
 *
 * const program = Effect.gen(function* () {
 *   const frontier = yield* GrowingFile.make
 *   return yield* Proof.rows({ name: "results", path: "out.partial", base: Effect.succeed(0), frontier })
 * })
 */
import { FileSystem } from "@effect/platform"
import { Effect, Option, ScopedRef } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import { ResultsCorrupt, type StorageError, storageErrorAt } from "../model/BatchError.js"
import * as Digest from "../disk/Digest.js"
import * as GrowingFile from "../disk/GrowingFile.js"
import * as Gunzip from "./Gunzip.js"
import * as RowCount from "./RowCount.js"
import * as Storage from "../disk/Storage.js"

/** A run of bytes in a file, behind a frontier that counts from `base`. */
export interface Region {
  readonly path: string
  readonly base: Effect.Effect<number>
  readonly frontier: GrowingFile.Frontier
}

/** What a sound gzip file of lines holds. */
export interface Rows {
  readonly records: number
  readonly inflatedBytes: number
  /** The last line has no line feed, so nothing may be joined to it. */
  readonly unterminated: boolean
}

/** Whole gzip members from the region's first byte on, and what they were proven to hold. */
export interface Proven extends Gunzip.Position {
  readonly bytes: number
}

/** A file that is all there. */
export const ofFile = (
  path: string
): Effect.Effect<Region & { readonly bytes: number }, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const bytes = Number((yield* Effect.mapError(fs.stat(path), storageErrorAt(path))).size)
    const frontier = yield* GrowingFile.make
    yield* frontier.advance(bytes)
    yield* frontier.close
    return { path, base: Effect.succeed(0), frontier, bytes }
  })

const sliceBytes = 1_048_576

/** How many regions are worth proving at the same time: Node inflates on four threads. */
export const atOnce = 4

/** What to prove, and who is told. */
export interface RowsOptions extends Region {
  /** In messages. */
  readonly name: string
  /** Takes the inflated bytes, in order, which are gone when it is done. */
  readonly onInflated?: ((chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, StorageError>) | undefined
  /** Told of further rows. */
  readonly onRows?: ((count: number) => Effect.Effect<void>) | undefined
  /** What was proven before of the very same bytes. */
  readonly from?: Proven | undefined
  /** Told of whole members that are proven, so that they need not be again: about once for every `syncBytes`. */
  readonly onProven?: ((proven: Proven) => void) | undefined
}

/** Inflates a region to its end and counts its rows. */
export const rows = (
  options: RowsOptions
): Effect.Effect<Rows, ResultsCorrupt | StorageError, BatchConfig | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { maxLineBytes, syncBytes } = (yield* BatchConfig).transfer
    const resumed = options.onInflated === undefined ? options.from : undefined
    const proven = resumed ?? { ...Gunzip.start, bytes: 0 }
    const run: Run = { options, maxLineBytes, every: syncBytes, proven, told: Gunzip.countOf(proven) }
    const end = yield* prove(run, options.onProven !== undefined && options.onInflated === undefined)
    return {
      records: Gunzip.countOf(end),
      inflatedBytes: end.inflatedBytes,
      unterminated: Gunzip.isUnterminated(end)
    }
  }).pipe(Effect.catchTag("GzipFault", (fault) => corrupt(options.name, fault)))

/** What a fault of the compressed bytes means for their file. */
export const corrupt = (
  file: string,
  { actual, expected, kind }: Gunzip.GzipFault
): Effect.Effect<never, ResultsCorrupt> =>
  Effect.fail(
    new ResultsCorrupt({
      reason: kind === "Gzip" ? "Gzip" : "Encoding",
      file,
      expected,
      actual,
      kept: Option.none()
    })
  )

/** What is joined to a line without a line feed would become part of it. */
export const unjoinable = (file: string): Effect.Effect<never, ResultsCorrupt> => {
  const expected = "a line feed after its last row, since another part follows"
  return Effect.fail(
    new ResultsCorrupt({ reason: "Encoding", file, expected, actual: "none", kept: Option.none() })
  )
}

/** One proof, and how far it is. */
interface Run {
  readonly options: RowsOptions
  readonly maxLineBytes: number
  /** How many bytes may have to be proven again, if members end in between. */
  readonly every: number
  proven: Proven
  told: number
}

/** What looked like the start of a member was in the middle of one, and the inflating was ended there. */
interface NoMember {
  readonly _tag: "NoMember"
}

const prove = (
  run: Run,
  searching: boolean
): Effect.Effect<Proven, Gunzip.GzipFault | StorageError, FileSystem.FileSystem> =>
  inflate(run, searching).pipe(Effect.catchTag("NoMember", () => prove(run, false)))

/** With `searching` every member that begins far enough behind the last one that is proven is inflated by itself. */
const inflate = (
  run: Run,
  searching: boolean
): Effect.Effect<Proven, Gunzip.GzipFault | NoMember | StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { maxLineBytes, options } = run
    const make = () =>
      Gunzip.make({ maxLineBytes, from: run.proven, onInflated: options.onInflated, lent: true })
    const inflater = yield* ScopedRef.fromAcquire(make())
    const push = (bytes: Uint8Array) => Effect.flatMap(ScopedRef.get(inflater), (lines) => lines.push(bytes))
    const end = Effect.flatMap(ScopedRef.get(inflater), (lines) => lines.end)
    const begun = run.proven.bytes
    const size = yield* follow({ ...options, from: begun }, (bytes, position) =>
      Effect.gen(function* () {
        let begin = 0
        let member = memberAfter(bytes, run.proven.bytes + run.every - position)
        while (searching && member > begin) {
          yield* push(bytes.subarray(begin, member))
          const found = yield* Effect.mapError(end, (): NoMember => ({ _tag: "NoMember" }))
          note(run, { ...found, bytes: position + member })
          yield* ScopedRef.set(inflater, make())
          begin = member
          member = memberAfter(bytes, begin + run.every)
        }
        yield* push(bytes.subarray(begin))
        yield* tell(run, yield* Effect.flatMap(ScopedRef.get(inflater), (lines) => lines.position))
      })
    )
    if (size === begun && begun > 0) return run.proven
    const found = yield* end
    note(run, { ...found, bytes: size })
    yield* tell(run, found)
    return run.proven
  }).pipe(Effect.scoped)

/** Where a member may begin in these bytes, at `from` or behind it; 0 if nowhere. */
const memberAfter = (bytes: Uint8Array, from: number): number =>
  from >= bytes.length ? 0 : Math.max(0, Gunzip.memberStart(bytes, Math.max(0, from)))

const note = (run: Run, proven: Proven): void => {
  run.proven = proven
  run.options.onProven?.(proven)
}

const tell = (run: Run, position: Gunzip.Position): Effect.Effect<void> => {
  const news = Gunzip.countOf(position) - run.told
  if (news <= 0 || run.options.onRows === undefined) return Effect.void
  run.told += news
  return run.options.onRows(news)
}

/** Whether a region begins like a gzip file. */
export const isGzip = (region: Region): Effect.Effect<boolean, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const file = yield* Storage.open(region.path, "r")
    const start = new Uint8Array(2)
    yield* Storage.readAt(file, region.path, yield* region.base, start)
    return start[0] === 0x1f && start[1] === 0x8b
  }).pipe(Effect.scoped)

/** Counts the rows of a region that is not compressed. */
export const plainRows = (region: Region): Effect.Effect<Rows, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const count = RowCount.ofLines()
    const inflatedBytes = yield* follow(region, (bytes) => Effect.sync(() => count.push(bytes)))
    return { records: count.rows(), inflatedBytes, unterminated: count.isUnterminated() }
  })

/** SHA-256 of the regions one after the other, in hexadecimal. */
export const digest = (
  regions: ReadonlyArray<Region>
): Effect.Effect<string, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const hash = Digest.sha256()
    for (const region of regions) {
      yield* follow(region, (bytes) => Effect.sync(() => hash.update(bytes)))
    }
    return hash.hex()
  })

/** Reads a region behind its frontier to its end, slice by slice, which change when they are read. Gives its size. */
export const follow = <E>(
  region: Region & { readonly from?: number | undefined },
  each: (bytes: Uint8Array, position: number) => Effect.Effect<unknown, E>
): Effect.Effect<number, E | StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const file = yield* Storage.open(region.path, "r")
    const buffer = new Uint8Array(sliceBytes)
    let position = region.from ?? 0
    while (true) {
      const extent = yield* region.frontier.beyond(position)
      if (extent.end <= position) return position
      const base = yield* region.base
      while (position < extent.end) {
        const slice = buffer.subarray(0, extent.end - position)
        const length = yield* Storage.readAt(file, region.path, base + position, slice)
        if (length === 0) return yield* Storage.vanished(region.path)
        yield* each(slice.subarray(0, length), position)
        position += length
      }
    }
  }).pipe(Effect.scoped)
