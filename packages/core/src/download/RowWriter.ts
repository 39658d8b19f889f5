/**
 * Where the decompressed rows of a result go, in the form that is asked for, while they are proven.
 *
 * @example
 * import { Effect } from "effect"
 * import * as RowWriter from "./RowWriter.js"
 *
 * const program = Effect.gen(function* () {
 *   const sink = yield* RowWriter.file("rows.jsonl.partial")
 *   yield* sink.write([new TextEncoder().encode('{"id":1}\n')])
 *   return yield* sink.end
 * })
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Either, Fiber, type Scope } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import type { RecordInvalid, ResultsCorrupt, StorageError } from "../model/BatchError.js"
import * as Csv from "../records/Csv.js"
import * as Digest from "../disk/Digest.js"
import type { Format } from "../model/Format.js"
import * as Gunzip from "../proof/Gunzip.js"
import * as GrowingFile from "../disk/GrowingFile.js"
import * as Proof from "../proof/Proof.js"
import * as Storage from "../disk/Storage.js"

/** What was written. */
export interface Written {
  readonly bytes: number
  readonly sha256: string
}

/** Takes rows. */
export interface RowWriter {
  /** Takes decompressed bytes, in order, which may be gone when it is done. */
  readonly write: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, StorageError>
  /** To be called when all rows are here and proven: only then is one that is no record known to be upstream's. */
  readonly end: Effect.Effect<Written, RecordInvalid | ResultsCorrupt | StorageError, Needs>
}

type Needs = BatchConfig | FileSystem.FileSystem

/** Opens a sink, over what an earlier one has left. */
export type Open = Effect.Effect<RowWriter, StorageError, Needs | Scope.Scope>

/** Where a sink writes, and what. */
export interface Options {
  readonly path: string
  /** Of `csv`: those of all rows if none are named. Then the rows are read again, from the gzip file at `spool`. */
  readonly columns: ReadonlyArray<string> | undefined
  readonly spool: string
}

/** The sink of a format; none if rows are stored as they were delivered. */
export const of = (format: Format, { columns, path, spool }: Options): Open | undefined => {
  switch (format) {
    case "jsonl.gz":
      return undefined
    case "jsonl":
      return file(path)
    case "csv":
      return columns === undefined ? ofAllColumns(path, spool) : ofColumns(path, columns)
  }
}

/** A result without rows. */
export const nothing = (format: Format, columns: ReadonlyArray<string> | undefined): Uint8Array => {
  if (format === "jsonl.gz") return Gunzip.emptyMember
  return format === "csv" && columns !== undefined ? Csv.header(columns) : new Uint8Array(0)
}

/** The rows as they are. */
export const file = (
  path: string
): Effect.Effect<RowWriter, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const handle = yield* Storage.open(path, "w")
    const hash = Digest.sha256()
    let bytes = 0
    /** The hash is made while the disk has to do. Not interruptible, as the write. */
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

const ofColumns = (path: string, columns: ReadonlyArray<string>): Open =>
  Effect.gen(function* () {
    const out = yield* file(path)
    const rows = Csv.rowsOf(columns, (yield* BatchConfig).transfer)
    return converted(rows, (bytes) => out.write([bytes]), out.end)
  })

const ofAllColumns = (path: string, spool: string): Open =>
  Effect.gen(function* () {
    let columns: ReadonlyArray<string> = []
    const again = Effect.gen(function* () {
      const table = yield* ofColumns(path, columns)
      yield* Proof.rows({ file: yield* GrowingFile.ofFile(spool), name: spool, onInflated: table.write })
      return yield* table.end
    })
    return converted(
      Csv.columnsOf((yield* BatchConfig).transfer),
      (soFar) => Effect.sync(() => void (columns = soFar)),
      Effect.scoped(again)
    )
  })

/** Hands on what rows are converted to. A line that is no record ends that, and is told at the end. */
const converted = <A>(
  conversion: Csv.Conversion<A>,
  next: (converted: A) => Effect.Effect<void, StorageError>,
  end: RowWriter["end"]
): RowWriter => {
  let state: Either.Either<void, RecordInvalid> = Either.void
  const take = (step: () => Either.Either<A, RecordInvalid>) =>
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
