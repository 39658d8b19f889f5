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
 *   const file = yield* GrowingFile.ofFile("results.jsonl.gz")
 *   return yield* Proof.rows({ file, name: "results" })
 * })
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Option } from "effect"
import * as Digest from "../disk/Digest.js"
import * as GrowingFile from "../disk/GrowingFile.js"
import type { Batch } from "../model/Batch.js"
import { BatchConfig } from "../model/BatchConfig.js"
import { ResultsCorrupt, type StorageError } from "../model/BatchError.js"
import * as Gunzip from "./Gunzip.js"
import * as RowCount from "./RowCount.js"

/** What a sound gzip file of lines holds. */
export interface Rows {
  readonly records: number
  readonly inflatedBytes: number
  /** The last line has no line feed, so nothing may be joined to it. */
  readonly unterminated: boolean
}

/** How many files are worth proving at the same time: Node inflates on four threads. */
export const atOnce = 4

/** What to prove, and who is told. */
export interface RowsOptions {
  readonly file: GrowingFile.GrowingFile
  /** The file's name in messages. */
  readonly name: string
  /** Takes the inflated bytes, in order, which are gone when it is done. */
  readonly onInflated?: ((chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, StorageError>) | undefined
  /** Told of further rows. */
  readonly onRows?: ((count: number) => Effect.Effect<void>) | undefined
}

/** Inflates a file to its end, behind its writer, and counts its rows. */
export const rows = (
  options: RowsOptions
): Effect.Effect<Rows, ResultsCorrupt | StorageError, BatchConfig | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { file, name, onInflated, onRows } = options
    // Nobody holds a line here, so there is no limit to it; whoever reads records has one.
    const lines = yield* Gunzip.make({ maxLineBytes: Number.POSITIVE_INFINITY, onInflated, lent: true })
    let told = 0
    const tell = (position: Gunzip.Position) => {
      const news = Gunzip.countOf(position) - told
      if (news === 0 || onRows === undefined) return Effect.void
      told += news
      return onRows(news)
    }
    const proven = Effect.gen(function* () {
      yield* GrowingFile.follow(file, (bytes) =>
        Effect.zipRight(lines.push(bytes), Effect.flatMap(lines.position, tell))
      )
      return yield* Effect.tap(lines.end, tell)
    })
    const end = yield* Effect.catchTag(proven, "GzipFault", (fault) => corrupt(name, fault))
    return {
      records: Gunzip.countOf(end),
      inflatedBytes: end.inflatedBytes,
      unterminated: Gunzip.isUnterminated(end)
    }
  }).pipe(Effect.scoped)

/** Fails as `ResultsCorrupt`, for a fault of a file's compressed bytes. */
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

/** Fails as `ResultsCorrupt`, for a last row without a line feed: what is joined to it would become part of it. */
export const unjoinable = (file: string): Effect.Effect<never, ResultsCorrupt> => {
  const expected = "a line feed after its last row, since another part follows"
  return Effect.fail(
    new ResultsCorrupt({ reason: "Encoding", file, expected, actual: "none", kept: Option.none() })
  )
}

/** The failure of rows that are not as many as the API announced. */
export const wrongCount = (
  { batchId, resultCount }: Pick<Batch, "batchId" | "resultCount">,
  actual: string
): ResultsCorrupt =>
  new ResultsCorrupt({
    reason: "RowCount",
    file: `${batchId}.jsonl.gz`,
    expected: `${resultCount} rows (result_count)`,
    actual,
    kept: Option.none()
  })

/** Whether a file begins like a gzip file. */
export const isGzip = (
  file: GrowingFile.GrowingFile
): Effect.Effect<boolean, StorageError, FileSystem.FileSystem> =>
  Effect.map(GrowingFile.beginning(file, 2), ([first, second]) => first === 0x1f && second === 0x8b)

/** Counts the rows of a file that is not compressed. */
export const plainRows = (
  file: GrowingFile.GrowingFile
): Effect.Effect<Rows, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const count = RowCount.ofLines()
    const inflatedBytes = yield* GrowingFile.follow(file, (bytes) => Effect.sync(() => count.push(bytes)))
    return { records: count.rows(), inflatedBytes, unterminated: count.isUnterminated() }
  })

/** SHA-256 of the files one after the other, in hexadecimal. */
export const digest = (
  files: ReadonlyArray<GrowingFile.GrowingFile>
): Effect.Effect<string, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const hash = Digest.sha256()
    for (const file of files) {
      yield* GrowingFile.follow(file, (bytes) => Effect.sync(() => hash.update(bytes)))
    }
    return hash.hex()
  })
