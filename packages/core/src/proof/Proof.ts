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
import { ResultsCorrupt, type StorageError } from "../model/BatchError.js"
import { plural } from "../model/CountText.js"
import * as Gunzip from "./Gunzip.js"
import * as PlainLines from "./PlainLines.js"

/** What a sound file of lines holds. */
export interface Rows extends Count {
  readonly inflatedBytes: number
  /** The last line has no line feed, so it must be given one before anything is joined to it. */
  readonly unterminated: boolean
  /** Zeros behind the last gzip member. */
  readonly padding: number
  /** Whether the lines came without compression. */
  readonly isPlain: boolean
}

/** How many rows there are. */
export interface Count {
  /** Lines that hold something. */
  readonly records: number
  /** Lines that hold nothing: no records, but some writers count them. */
  readonly blankLines: number
}

/** Whether as many rows are here as were announced, blank lines counted or not. */
export const isComplete = ({ blankLines, records }: Count, announced: number): boolean =>
  records === announced || records + blankLines === announced

/** How many files are worth proving at the same time: Node inflates on four threads. */
export const atOnce = 4

/** What to prove, and who is told. */
export interface RowsOptions {
  readonly file: GrowingFile.GrowingFile
  /** The file's name in messages. */
  readonly name: string
  /** Takes the inflated bytes, in order, which are gone when it is done. */
  readonly onInflated?: ((chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, StorageError>) | undefined
  /** Told of further rows, and how many bytes of the file are read by then. */
  readonly onRows?: ((count: number, read: number) => Effect.Effect<void>) | undefined
  /** Whether a file without a byte is a file without rows, as an empty part is. Default false. */
  readonly mayBeEmpty?: boolean | undefined
}

/** Reads a file to its end, behind its writer, and counts its rows: a gzip file, or JSON lines as they are. */
export const rows = (
  options: RowsOptions
): Effect.Effect<Rows, ResultsCorrupt | StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { file, mayBeEmpty = false, name, onInflated, onRows } = options
    const first = yield* GrowingFile.beginning(file, 1)
    const isPlain = first.length === 0 ? mayBeEmpty : PlainLines.mayBegin(first)
    const lines = isPlain ? PlainLines.make(onInflated) : yield* Gunzip.make({ onInflated, lent: true })
    let [told, read] = [0, 0]
    const tell = (position: Gunzip.Position) => {
      const news = Gunzip.countOf(position) - told
      if (news === 0 || onRows === undefined) return Effect.void
      told += news
      return onRows(news, read)
    }
    const proven = Effect.gen(function* () {
      yield* GrowingFile.follow(file, (bytes) => {
        read += bytes.length
        return Effect.zipRight(lines.push(bytes), Effect.flatMap(lines.position, tell))
      })
      return yield* Effect.tap(lines.end, tell)
    })
    const end = yield* Effect.catchTag(proven, "GzipFault", (fault) => corrupt(name, fault))
    return {
      records: Gunzip.countOf(end),
      blankLines: end.blankLines,
      inflatedBytes: end.inflatedBytes,
      unterminated: Gunzip.isUnterminated(end),
      padding: end.padding,
      isPlain: isPlain && end.inflatedBytes > 0
    }
  }).pipe(Effect.scoped)

/** Fails as `ResultsCorrupt`, for a fault of a file's compressed bytes. */
export const corrupt = (
  file: string,
  { actual, expected }: Gunzip.GzipFault
): Effect.Effect<never, ResultsCorrupt> =>
  Effect.fail(
    new ResultsCorrupt({
      reason: "Gzip",
      file,
      expected,
      actual,
      kept: Option.none()
    })
  )

/** The failure of rows that are not as many as the API announced. */
export const wrongCount = (
  { batchId, resultCount }: Pick<Batch, "batchId" | "resultCount">,
  actual: string
): ResultsCorrupt =>
  new ResultsCorrupt({
    reason: "RowCount",
    file: `${batchId}.jsonl.gz`,
    expected: `${plural(resultCount, "row")} (result_count)`,
    actual,
    kept: Option.none()
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
