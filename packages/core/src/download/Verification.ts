/**
 * Checking results again, offline: against their receipts, or in themselves where there are none.
 *
 * @example
 * import { Verification } from "@org/batch-core"
 *
 * const program = Verification.verify("results/01234567-89ab-4cde-8f01-23456789abcd.jsonl.gz")
 */
import { FileSystem, Path } from "@effect/platform"
import { Array, Effect, Option } from "effect"
import * as GrowingFile from "../disk/GrowingFile.js"
import { BatchConfig } from "../model/BatchConfig.js"
import { RecordInvalid, ResultsCorrupt, StorageError, storageErrorAt } from "../model/BatchError.js"
import { plural } from "../model/CountText.js"
import * as Format from "../model/Format.js"
import * as Proof from "../proof/Proof.js"
import * as Receipt from "../proof/Receipt.js"
import * as RowCount from "../proof/RowCount.js"
import * as Readability from "../records/Readability.js"

/** One result on the disk. */
export interface Delivered {
  /** The file; of part files their folder, or what their names have in common where no receipt tells of them. */
  readonly file: string
  /** The file, or the part files in their order. */
  readonly paths: ReadonlyArray<string>
  /** What was delivered, if there is a receipt that says so. */
  readonly receipt: Receipt.Receipt | undefined
}

/** What was found of one result: nothing that could be checked is wrong. */
export interface Verification extends Pick<Delivered, "file" | "receipt"> {
  readonly bytes: number
  readonly records: number
  readonly sha256: string
  /** Whether it is what the receipt says. Without one nobody knows whose rows these are, and whether they are all. */
  readonly verified: boolean
}

type Needs = BatchConfig | FileSystem.FileSystem | Path.Path

/** What can be found to be wrong. */
export type VerificationError = ResultsCorrupt | RecordInvalid | StorageError

/** Checks a file, or every result in a folder; fails at the first that is wrong. */
export const verify = Effect.fn("Verification.verify")(function* (
  path: string
): Effect.fn.Return<Array.NonEmptyReadonlyArray<Verification>, VerificationError, Needs> {
  return yield* Effect.forEach(yield* find(path), check)
})

/**
 * The results at a path: a file, or what a receipt is of, or in a folder those that its receipts tell of, and what else is a result by its name.
 * Fails with `StorageError` where there are none.
 */
export const find = Effect.fn("Verification.find")(function* (
  path: string
): Effect.fn.Return<Array.NonEmptyReadonlyArray<Delivered>, StorageError, Needs> {
  const fs = yield* FileSystem.FileSystem
  const { type } = yield* Effect.mapError(fs.stat(path), storageErrorAt(path))
  if (type === "Directory") return yield* inFolder(path)
  const paths = yield* Path.Path
  const isReceipt = Receipt.isName(path)
  const receipt = Option.getOrUndefined(yield* isReceipt ? Receipt.read(path) : Receipt.ofFile(path))
  return isReceipt && receipt !== undefined
    ? [ofReceipt(paths.dirname(path), paths.basename(path), receipt, paths)]
    : [{ file: path, paths: [path], receipt }]
}, asReading)

/**
 * Reads a result again. What its receipt says must be so: bytes, rows and SHA-256. Without a receipt the structure is
 * checked, down to the last gzip trailer, and that every line or row can be read.
 */
export const check = Effect.fn("Verification.check")(function* (
  delivered: Delivered
): Effect.fn.Return<Verification, VerificationError, Needs> {
  const { file, paths, receipt } = delivered
  const files = yield* Effect.forEach(paths, GrowingFile.ofFile)
  const measure = receipt === undefined ? read : receipt.format === "csv" ? countTable : countLines
  const [found, sha256] = yield* Effect.all(
    [Effect.forEach(files, (one) => measure(one), { concurrency: Proof.atOnce }), Proof.digest(files)],
    { concurrency: 2 }
  )
  const sum = (of: (one: Measured) => number) => found.reduce((total, one) => total + of(one), 0)
  const bytes = sum((one) => one.bytes)
  const records = sum((one) => one.records)
  const verification = { file, bytes, records, sha256, receipt, verified: receipt !== undefined }
  if (receipt !== undefined)
    yield* compare(
      verification,
      sum(({ blankLines }) => blankLines),
      receipt
    )
  return verification
}, asReading)

/** Nothing is written here, so what fails is the reading. */
function asReading<A, E extends VerificationError, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | StorageError, R> {
  return Effect.mapError(effect, (error) =>
    error instanceof StorageError && error.reason === "Unwritable"
      ? new StorageError({ ...error, reason: "Unreadable" })
      : error
  )
}

const inFolder = (
  folder: string
): Effect.Effect<Array.NonEmptyReadonlyArray<Delivered>, StorageError, Needs> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = (yield* Effect.mapError(fs.readDirectory(folder), storageErrorAt(folder))).toSorted()
    const told = yield* Effect.forEach(names.filter(Receipt.isName), (name) =>
      Effect.map(Receipt.read(path.join(folder, name)), (receipt) =>
        Option.map(receipt, (one) => ofReceipt(folder, name, one, path))
      )
    )
    const known = Array.getSomes(told)
    const claimed = new Set(known.flatMap(({ paths }) => paths.map((one) => path.basename(one))))
    const others = names.filter((name) => Option.isSome(Format.ofName(name)) && !claimed.has(name))
    const all = [...known, ...withoutReceipt(others, (name) => path.join(folder, name))]
    return Array.isNonEmptyReadonlyArray(all)
      ? all
      : yield* new StorageError({ reason: "Unreadable", path: folder, detail: "the folder holds no results" })
  })

/**
 * What a receipt in a folder tells of: the part files that it names, the file under the name of its batch, or the file that
 * it lies beside.
 */
const ofReceipt = (folder: string, name: string, receipt: Receipt.Receipt, path: Path.Path): Delivered => {
  const parts = Receipt.namesOf(receipt)
  const isByBatch = Receipt.isByBatch(name, receipt)
  const isOfParts =
    parts.length > 0 || (!isByBatch && receipt.source === "none" && name === Receipt.pathOf(receipt.batchId))
  const file = path.join(folder, isByBatch ? Receipt.nameOf(receipt.output) : Receipt.fileOf(name))
  return isOfParts
    ? { file: folder, paths: parts.map((part) => path.join(folder, part)), receipt }
    : { file, paths: [file], receipt }
}

const partName = /^(.*\.part-)(\d+)(\.jsonl\.gz)$/u

/** Files by themselves, and part files as one result: all from the first to the last must be there. */
const withoutReceipt = (
  names: ReadonlyArray<string>,
  placeOf: (name: string) => string
): ReadonlyArray<Delivered> => {
  const groups = Array.groupBy(names, (name) => name.replace(partName, "$1*$3"))
  return Object.entries(groups).map(([label, members]) => {
    const [, before, last, behind] = partName.exec(members.at(-1) ?? "") ?? []
    const paths =
      last === undefined
        ? members
        : Array.makeBy(Number(last) + 1, (index) => `${before}${String(index).padStart(3, "0")}${behind}`)
    return { file: placeOf(label), paths: paths.map(placeOf), receipt: undefined }
  })
}

/** What one file holds. */
interface Measured extends Proof.Count {
  readonly bytes: number
}

type Opened = Effect.Effect.Success<ReturnType<typeof GrowingFile.ofFile>>

const countTable = (file: Opened): Effect.Effect<Measured, StorageError, Needs> =>
  Effect.gen(function* () {
    const count = RowCount.ofTable()
    yield* GrowingFile.follow(file, (bytes) => Effect.sync(() => count.push(bytes)))
    return { bytes: file.bytes, records: count.rows(), blankLines: 0 }
  })

const countLines = (
  file: Opened,
  onInflated?: Proof.RowsOptions["onInflated"]
): Effect.Effect<Measured, ResultsCorrupt | StorageError, Needs> =>
  Effect.map(
    Proof.rows({ file, name: file.path, mayBeEmpty: true, onInflated }),
    ({ blankLines, records }) => ({ bytes: file.bytes, records, blankLines })
  )

/** Reads every line or row. The name says which of them they are. */
const read = (file: Opened): Effect.Effect<Measured, VerificationError, Needs> =>
  Effect.gen(function* () {
    const { transfer } = yield* BatchConfig
    const isTable = Option.contains(Format.ofName(file.path), "csv")
    const reader = isTable ? Readability.ofTable(transfer) : Readability.ofLines(transfer)
    const push = (bytes: Uint8Array) => Effect.sync(() => reader.push(bytes))
    const measured = isTable
      ? { bytes: yield* GrowingFile.follow(file, push), blankLines: 0 }
      : yield* countLines(file, (chunks) => Effect.forEach(chunks, push, { discard: true }))
    const records = yield* Effect.mapError(
      reader.end(),
      (error) => new RecordInvalid({ ...error, file: Option.some(file.path) })
    )
    return { ...measured, records }
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
      ["Length", plural(receipt.bytes, "byte"), plural(found.bytes, "byte")],
      ["RowCount", plural(receipt.records, "row"), plural(records, "row")],
      ["Encoding", `SHA-256 ${receipt.sha256}`, `SHA-256 ${found.sha256}`]
    ] as const
  ).find(([, expected, actual]) => expected !== actual)
  if (wrong === undefined) return Effect.void
  const [reason, expected, actual] = wrong
  return Effect.fail(new ResultsCorrupt({ reason, file: found.file, expected, actual, kept: Option.none() }))
}
