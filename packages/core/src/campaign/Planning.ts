/**
 * Divides a list of inputs into jobs: every row is read once, checked, and compared with those before it. What comes of it
 * lies in two files, so that a list of any length takes no more memory than what is kept to find duplicates.
 *
 * - `chunks.jsonl`: one line a job, a JSON array of the identifiers as they are sent;
 * - `rows.bin`: four bytes a row (a little-endian Int32): the number of its identifier from 0; −1 if it was rejected;
 *   −(r + 1) if it means the same as row r.
 *
 * @example
 * import * as Planning from "./Planning.js"
 *
 * const program = Planning.make({
 *   input: "state/input",
 *   format: "csv",
 *   column: "website",
 *   property: { name: "domains", type: "domain" },
 *   cap: 10_000,
 *   folder: "state"
 * })
 */
import { FileSystem, Path } from "@effect/platform"
import { DateTime, Effect, Either, type Scope } from "effect"
import * as Storage from "../disk/Storage.js"
import type { BatchConfig } from "../model/BatchConfig.js"
import { type InputInvalid, StorageError, storageErrorAt } from "../model/BatchError.js"
import type { IdentifierProperty } from "../model/JobKind.js"
import * as Identifier from "./Identifier.js"
import * as InputRows from "./InputRows.js"
import * as KnownKeys from "./KnownKeys.js"
import { Planned } from "./Ledger.js"

/** What to divide. */
export interface Options extends InputRows.Options {
  /** The file that is read. */
  readonly input: string
  readonly property: IdentifierProperty
  /** Identifiers of a job, at most. */
  readonly cap: number
  /** Where the two files are written. */
  readonly folder: string
}

/** The names of the two files in the folder. */
export const files = { chunks: "chunks.jsonl", rows: "rows.bin" } as const

/** Codes in `rows.bin`. */
export const rejected = -1
export const duplicateOf = (row: number): number => -(row + 1)

/** What the four bytes of a row say. */
export type RowCode =
  | { readonly _tag: "Identifier"; readonly index: number }
  | { readonly _tag: "Rejected" }
  | { readonly _tag: "Duplicate"; readonly of: number }

/** Reads a code. */
export const decode = (code: number): RowCode =>
  code >= 0
    ? { _tag: "Identifier", index: code }
    : code === rejected
      ? { _tag: "Rejected" }
      : { _tag: "Duplicate", of: -code - 1 }

/** Reads the input and writes the two files, which are synced when it is done. */
export const make = Effect.fn("Planning.make")(function* (
  options: Options
): Effect.fn.Return<typeof Planned.Type, InputInvalid | StorageError, Needs | Scope.Scope> {
  const paths = yield* Path.Path
  const chunks = yield* Storage.appender(paths.join(options.folder, files.chunks))
  const codes = yield* Storage.appender(paths.join(options.folder, files.rows))
  const division = divide(options)
  yield* InputRows.forEachPortion(InputRows.read(options.input, options), (rows) => {
    for (const row of rows) division.take(row)
    return Effect.zipRight(chunks.write(division.chunks()), codes.write(division.codes(false)))
  })
  yield* chunks.write(division.end())
  yield* codes.write(division.codes(true))
  yield* Effect.zipRight(chunks.sync, codes.sync)
  yield* Storage.syncFolder(options.folder)
  return Planned.make({ at: yield* DateTime.now, ...division.result() })
}, Effect.scoped)

type Needs = BatchConfig | FileSystem.FileSystem | Path.Path

/** What a plan counts, and the bytes of its files as they come. Mutable and synchronous: it is asked for each row. */
const divide = ({ cap, property }: Options) => {
  const known = KnownKeys.make()
  const encoder = new TextEncoder()
  const made: Array<{ readonly count: number; readonly offset: number; readonly bytes: number }> = []
  const columns = new Set<string>()
  let chunk: Array<string | number> = []
  let seen: ReadonlyArray<string> = []
  let lines: Array<Uint8Array> = []
  let codes = new Int32Array(16_384)
  let [used, offset, rows, unique, bad, double] = [0, 0, 0, 0, 0, 0]

  const close = () => {
    if (chunk.length === 0) return
    const line = encoder.encode(`${JSON.stringify(chunk)}\n`)
    made.push({ count: chunk.length, offset, bytes: line.length })
    offset += line.length
    lines.push(line)
    chunk = []
  }

  const codeOf = ({ row, value }: InputRows.Row): number => {
    const identifier = Either.flatMap(value, (text) => Identifier.read(property.type, text))
    if (Either.isLeft(identifier)) {
      bad += 1
      return rejected
    }
    const first = known.claim(identifier.right.key, row)
    if (first !== row) {
      double += 1
      return duplicateOf(first)
    }
    chunk.push(identifier.right.sent)
    if (chunk.length >= cap) close()
    return unique++
  }

  return {
    take: (row: InputRows.Row): void => {
      rows += 1
      if (row.columns !== seen) for (const name of row.columns) columns.add(name)
      seen = row.columns
      if (used === codes.length) {
        const larger = new Int32Array(codes.length * 2)
        larger.set(codes)
        codes = larger
      }
      codes[used++] = codeOf(row)
    },
    chunks: (): Uint8Array => {
      const taken = joined(lines)
      lines = []
      return taken
    },
    codes: (all: boolean): Uint8Array => {
      if (!all && used < 8192) return new Uint8Array(0)
      const bytes = new Uint8Array(codes.slice(0, used).buffer)
      used = 0
      return bytes
    },
    end: (): Uint8Array => {
      close()
      return joined(lines)
    },
    result: () => ({ rows, unique, rejected: bad, duplicates: double, columns: [...columns], chunks: made })
  }
}

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  parts.reduce((at, part) => {
    whole.set(part, at)
    return at + part.length
  }, 0)
  return whole
}

/** The identifiers of a chunk, as they are sent. */
export const identifiersOf = (
  folder: string,
  place: { readonly offset: number; readonly bytes: number }
): Effect.Effect<ReadonlyArray<string | number>, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = (yield* Path.Path).join(folder, files.chunks)
    const file = yield* Storage.open(path, "r")
    const line = yield* Storage.readExactly(file, path, place)
    return yield* Effect.try({
      try: (): ReadonlyArray<string | number> => JSON.parse(new TextDecoder().decode(line)),
      catch: () =>
        new StorageError({ reason: "Unreadable", path, detail: `there is no chunk at ${place.offset}` })
    })
  }).pipe(Effect.scoped)

/** The codes of all rows, in order: four bytes of memory for each. */
export const codesOf = (
  folder: string
): Effect.Effect<Int32Array, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = (yield* Path.Path).join(folder, files.rows)
    const fs = yield* FileSystem.FileSystem
    const { buffer, byteLength, byteOffset } = yield* Effect.mapError(fs.readFile(path), storageErrorAt(path))
    return new Int32Array(buffer.slice(byteOffset, byteOffset + byteLength - (byteLength % 4)))
  })
