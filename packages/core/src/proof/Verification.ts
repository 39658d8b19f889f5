/**
 * Checking a delivered file again, offline: against the receipt beside it, and against what the file itself proves.
 *
 * @example
 * import { Verification } from "@org/batch-core"
 *
 * const program = Verification.verify("results/01234567-89ab-4cde-8f01-23456789abcd.jsonl.gz")
 */
import { FileSystem, Path } from "@effect/platform"
import { Effect, Option } from "effect"
import type { BatchConfig } from "../model/BatchConfig.js"
import { ResultsCorrupt, type StorageError, storageErrorAt } from "../model/BatchError.js"
import * as Format from "../model/Format.js"
import * as GrowingFile from "../disk/GrowingFile.js"
import * as Proof from "./Proof.js"
import * as RowCount from "./RowCount.js"
import * as Receipt from "./Receipt.js"

/** What was found; everything that could be compared agrees. */
export interface Verification {
  readonly file: string
  readonly bytes: number
  readonly records: number
  readonly sha256: string
  /** The receipt beside the file, if there is one. */
  readonly receipt: Receipt.Receipt | undefined
}

type Needs = BatchConfig | FileSystem.FileSystem | Path.Path

/**
 * Reads a file, or the folder of the parts, again. With `<file>.receipt.json` beside it, bytes, rows and SHA-256
 * must be those of the receipt. Without one, the gzip structure down to the last trailer is what can be checked.
 */
export const verify = Effect.fn("Verification.verify")(function* (
  file: string
): Effect.fn.Return<Verification, ResultsCorrupt | StorageError, Needs> {
  const receipt = Option.getOrUndefined(yield* Receipt.read(file))
  const paths = yield* contents(file, receipt)
  const files = yield* Effect.forEach(paths, GrowingFile.ofFile)
  const [found, sha256] = yield* Effect.all(
    [
      Effect.forEach(files, (one) => measure(one, receipt?.format), { concurrency: Proof.atOnce }),
      Proof.digest(files)
    ],
    { concurrency: 2 }
  )
  const verification = {
    file,
    bytes: found.reduce((sum, { bytes }) => sum + bytes, 0),
    records: found.reduce((sum, { records }) => sum + records, 0),
    sha256,
    receipt
  }
  const blankLines = found.reduce((sum, one) => sum + one.blankLines, 0)
  if (receipt !== undefined) yield* compare(verification, blankLines, receipt)
  return verification
})

/** A file is itself; a folder is the parts that its receipt names. */
const contents = (
  file: string,
  receipt: Receipt.Receipt | undefined
): Effect.Effect<ReadonlyArray<string>, StorageError, Needs> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { type } = yield* Effect.mapError(fs.stat(file), storageErrorAt(file))
    if (type !== "Directory") return [file]
    if (receipt !== undefined) {
      return receipt.parts.flatMap((part) =>
        Option.toArray(Option.map(part.output, (output) => path.join(file, path.basename(output))))
      )
    }
    const names = yield* Effect.mapError(fs.readDirectory(file), storageErrorAt(file))
    return names
      .filter((name) => /\.part-\d+\.jsonl\.gz$/u.test(name))
      .toSorted()
      .map((name) => path.join(file, name))
  })

type Delivered = Effect.Effect.Success<ReturnType<typeof GrowingFile.ofFile>>

/** Without a receipt, the name says what a file is. */
const measure = (file: Delivered, format: Format.Format | undefined) =>
  (format ?? Option.getOrUndefined(Format.ofName(file.path))) === "csv"
    ? measureTable(file)
    : measureLines(file)

const measureTable = (file: Delivered) =>
  Effect.gen(function* () {
    const count = RowCount.ofTable()
    yield* GrowingFile.follow(file, (bytes) => Effect.sync(() => count.push(bytes)))
    return { bytes: file.bytes, records: count.rows(), blankLines: 0 }
  })

const measureLines = (file: Delivered) =>
  Effect.gen(function* () {
    const rows = yield* Proof.rows({ file, name: file.path, mayBeEmpty: true })
    return { bytes: file.bytes, records: rows.records, blankLines: rows.blankLines }
  })

const compare = (
  found: Verification,
  blankLines: number,
  receipt: Receipt.Receipt
): Effect.Effect<void, ResultsCorrupt> => {
  // A receipt of an earlier version may have counted blank lines.
  const records = Proof.isComplete({ ...found, blankLines }, receipt.records)
    ? receipt.records
    : found.records
  const wrong = (
    [
      ["Length", `${receipt.bytes} bytes`, `${found.bytes} bytes`],
      ["RowCount", `${receipt.records} rows`, `${records} rows`],
      ["Encoding", `SHA-256 ${receipt.sha256}`, `SHA-256 ${found.sha256}`]
    ] as const
  ).find(([, expected, actual]) => expected !== actual)
  if (wrong === undefined) return Effect.void
  const [reason, expected, actual] = wrong
  return Effect.fail(new ResultsCorrupt({ reason, file: found.file, expected, actual, kept: Option.none() }))
}
