/**
 * Writes the decompressed rows of a result to the disk, in the format that is asked for, while they are proven.
 *
 * @example
 * import { Effect } from "effect"
 * import * as RowWriter from "./RowWriter.js"
 *
 * const program = Effect.gen(function* () {
 *   const rows = yield* RowWriter.file("rows.jsonl.partial")
 *   yield* rows.write([new TextEncoder().encode('{"id":1}\n')])
 *   return yield* rows.end
 * })
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Either, Fiber, type Scope } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import type {
  ColumnsNotFound,
  RecordInvalid,
  ResultsCorrupt,
  StorageError,
  TableError
} from "../model/BatchError.js"
import * as Csv from "../records/Csv.js"
import * as Digest from "../disk/Digest.js"
import type { Format } from "../model/Format.js"
import * as Gunzip from "../proof/Gunzip.js"
import * as GrowingFile from "../disk/GrowingFile.js"
import type { Emit } from "./Event.js"
import * as Proof from "../proof/Proof.js"
import * as Storage from "../disk/Storage.js"

/** Size in bytes, and SHA-256 in hexadecimal, of the file that was written. */
export interface Written {
  readonly bytes: number
  readonly sha256: string
}

/** A writer of the rows of one result. `E` is what becoming its format can fail with. */
export interface RowWriter<E = TableError> {
  /** Takes decompressed bytes, in order, which may be gone when it is done. */
  readonly write: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, StorageError>
  /**
   * Ends the file and syncs it. To be called when all rows are here and proven: only then is one that is no record
   * known to be upstream's.
   */
  readonly end: Effect.Effect<Written, E | ResultsCorrupt | StorageError, Needs>
}

/** A writer of bytes to a file, whose end can fail as the disk does only. */
export interface FileWriter extends RowWriter<never> {
  readonly end: Effect.Effect<Written, StorageError>
}

type Needs = BatchConfig | FileSystem.FileSystem

/** Opens a writer, over what an earlier one has left. */
export type Open<E = TableError> = Effect.Effect<RowWriter<E>, StorageError, Needs | Scope.Scope>

/** Where a writer writes, and what. */
export interface Options {
  readonly path: string
  /** Of `csv`: those of all rows if none are named. Then the rows are read again, from the gzip file at `spool`. */
  readonly columns: ReadonlyArray<string> | undefined
  readonly spool: string
  /** Of `csv`: whether the file begins with a byte order mark. */
  readonly bom?: boolean | undefined
  /** Told what is worth knowing of the table that was written. */
  readonly emit?: Emit | undefined
}

/** The writer of a format; none if rows are stored as they were delivered. */
export function of(format: Exclude<Format, "csv">, options: Options): Open<never> | undefined
export function of(format: Format, options: Options): Open | undefined
export function of(format: Format, options: Options): Open | undefined {
  switch (format) {
    case "jsonl.gz":
      return undefined
    case "jsonl":
      return file(options.path)
    case "csv":
      return options.columns === undefined ? ofAllColumns(options) : ofColumns(options, options.columns)
  }
}

/** The bytes of a result without rows: an empty gzip member, nothing, or the header of named columns. */
export const nothing = (format: Format, { bom, columns }: Pick<Options, "bom" | "columns">): Uint8Array => {
  if (format === "jsonl.gz") return Gunzip.emptyMember
  return format === "csv" && columns !== undefined ? Csv.header(columns, { bom }) : new Uint8Array(0)
}

/** A writer of the rows as they are, one JSON object a line, to the file at `path`. */
export const file = (
  path: string
): Effect.Effect<FileWriter, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const handle = yield* Storage.open(path, "w")
    const hash = Digest.sha256()
    let bytes = 0
    /** Writes a chunk, which is hashed while the disk is busy with it. Not interruptible, as the write. */
    const write = (chunk: Uint8Array) =>
      Effect.gen(function* () {
        const written = yield* Effect.fork(Storage.writeAt(handle, path, bytes, chunk))
        yield* Effect.yieldNow()
        hash.update(chunk)
        yield* Fiber.join(written)
        bytes += chunk.length
      }).pipe(Effect.uninterruptible)
    return {
      write: (chunks) => Effect.forEach(chunks, write, { discard: true }),
      end: Effect.map(Storage.sync(handle, path), () => ({ bytes, sha256: hash.hex() }))
    }
  })

const ofColumns = (options: Options, columns: ReadonlyArray<string>): Open =>
  Effect.gen(function* () {
    const { bom, emit = () => Effect.void, path } = options
    const out = yield* file(path)
    const rows = Csv.rowsOf(columns, { ...(yield* BatchConfig).transfer, bom })
    const tell = Effect.suspend(() => {
      const { absent, longCells } = rows.findings()
      return Effect.zipRight(
        Effect.when(emit({ _tag: "ColumnsAbsent", columns: absent }), () => absent.length > 0),
        Effect.transposeMapOption(longCells, (found) => emit({ _tag: "LongCells", ...found }))
      )
    })
    return converted(rows, (bytes) => out.write([bytes]), Effect.zipLeft(out.end, tell))
  })

const ofAllColumns = (options: Options): Open =>
  Effect.gen(function* () {
    let columns: ReadonlyArray<string> = []
    const again = Effect.gen(function* () {
      const { spool } = options
      const table = yield* ofColumns(options, columns)
      yield* Proof.rows({ file: yield* GrowingFile.ofFile(spool), name: spool, onInflated: table.write })
      return yield* table.end
    })
    return converted(
      Csv.columnsOf((yield* BatchConfig).transfer),
      (soFar) => Effect.sync(() => void (columns = soFar)),
      Effect.scoped(again)
    )
  })

/** A writer that hands on what rows are converted to. A line that is no record ends that, and is told at the end. */
const converted = <A>(
  conversion: Csv.Conversion<A, ColumnsNotFound>,
  next: (converted: A) => Effect.Effect<void, StorageError>,
  end: RowWriter["end"]
): RowWriter => {
  let state: Either.Either<void, ColumnsNotFound | RecordInvalid> = Either.void
  const take = (step: () => Either.Either<A, ColumnsNotFound | RecordInvalid>) =>
    Effect.suspend(() => {
      if (Either.isLeft(state)) return Effect.void
      const result = step()
      state = Either.map(result, () => undefined)
      return Either.isRight(result) ? next(result.right) : Effect.void
    })
  return {
    write: (chunks) =>
      Effect.forEach(chunks, (chunk) => take(() => conversion.push(chunk)), { discard: true }),
    end: Effect.gen(function* () {
      yield* take(conversion.end)
      yield* state
      return yield* end
    })
  }
}
