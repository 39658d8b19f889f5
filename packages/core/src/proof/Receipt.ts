/**
 * The receipt of a delivery: what was delivered, and the proof. Encoded, its field names are written like the API's
 * (`batch_id`, `result_count`): that is what `<output>.receipt.json` and `batchctl get --json` show, to which later
 * versions may add fields. It never contains a link.
 *
 * @example
 * import { Schema } from "effect"
 * import { Receipt } from "@org/batch-core"
 *
 * const fromFile = Schema.decode(Schema.parseJson(Receipt.Receipt))
 */
import { FileSystem } from "@effect/platform"
import { Effect, Option, Schema } from "effect"
import { BatchId, BatchStatus } from "../model/Batch.js"
import { StorageError, storageErrorAt } from "../model/BatchError.js"
import { Format, withoutExtension } from "../model/Format.js"
import * as Storage from "../disk/Storage.js"

export { Format } from "../model/Format.js"

/** One file as it was fetched: the merged file, or a part. */
export class Part extends Schema.Class<Part>("ReceiptPart")({
  /** Its place among the files, from 0. */
  index: Schema.NonNegativeInt,
  /** Bytes as delivered; of a part that is kept separate, those of its file. */
  bytes: Schema.NonNegativeInt,
  /** Lines that are not blank. */
  records: Schema.NonNegativeInt,
  /** The version of the object that was fetched; empty when the server named none. */
  etag: Schema.String,
  /** SHA-256 of the compressed bytes, in hexadecimal, when parts are kept separate. */
  sha256: Schema.optionalWith(Schema.String, { as: "Option" }),
  /** Where it lies, when parts are kept separate. */
  output: Schema.optionalWith(Schema.String, { as: "Option" })
}) {}

/** What was delivered, and the proof. */
export class Receipt extends Schema.Class<Receipt>("Receipt")({
  batchId: Schema.propertySignature(BatchId).pipe(Schema.fromKey("batch_id")),
  status: BatchStatus,
  /** The file, or the folder of the parts; `-` for standard output. */
  output: Schema.String,
  format: Format,
  /** Of `csv`: the columns that were asked for, as `Csv` names them; absent where it has those of all rows. */
  columns: Schema.optionalWith(Schema.Array(Schema.String), { as: "Option" }).pipe(
    Schema.withConstructorDefault(() => Option.none<ReadonlyArray<string>>())
  ),
  /** Size of the file at `output`; of all parts together when they are kept separate. */
  bytes: Schema.NonNegativeInt,
  /** Rows delivered: lines that are not blank, or those of a table without its header. */
  records: Schema.NonNegativeInt,
  /** Lines among the rows that hold nothing, if there are any: they are no records, and some writers count them. */
  blankLines: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { as: "Option" }).pipe(
    Schema.fromKey("blank_lines"),
    Schema.withConstructorDefault(() => Option.none<number>())
  ),
  /** SHA-256 of the file at `output`, in hexadecimal; of all parts in order when they are kept separate. */
  sha256: Schema.String,
  /** Lines that the API announced. */
  resultCount: Schema.propertySignature(Schema.NonNegativeInt).pipe(Schema.fromKey("result_count")),
  entitiesRequested: Schema.propertySignature(Schema.NonNegativeInt).pipe(
    Schema.fromKey("entities_requested")
  ),
  entitiesFulfilled: Schema.propertySignature(Schema.NonNegativeInt).pipe(
    Schema.fromKey("entities_fulfilled")
  ),
  /** Whether `records` equals `result_count`, with the blank lines or without them. */
  complete: Schema.Boolean,
  /** `true` where a host delivered plain JSON lines, and they were compressed here to become `jsonl.gz`. */
  compressedHere: Schema.optionalWith(Schema.Literal(true), { as: "Option" }).pipe(
    Schema.fromKey("compressed_here"),
    Schema.withConstructorDefault(() => Option.none<true>())
  ),
  /** What was fetched: the merged file, the parts, or nothing because the result is empty. */
  source: Schema.Literal("merged", "parts", "none"),
  parts: Schema.Array(Part),
  /** Compressed bytes that an earlier run had already brought. */
  resumedBytes: Schema.propertySignature(Schema.NonNegativeInt).pipe(Schema.fromKey("resumed_bytes")),
  /** Requests for files that were tried again. */
  retries: Schema.NonNegativeInt,
  /** How often fresh links were asked for. */
  urlRefreshes: Schema.propertySignature(Schema.NonNegativeInt).pipe(Schema.fromKey("url_refreshes")),
  /** The id by which the vendor knows the request whose answer told of the results, where it had one. */
  requestId: Schema.optionalWith(Schema.String, { as: "Option" }).pipe(
    Schema.fromKey("request_id"),
    Schema.withConstructorDefault(() => Option.none<string>())
  ),
  /** When the delivery began: after the job was completed. */
  startedAt: Schema.propertySignature(Schema.DateTimeUtc).pipe(Schema.fromKey("started_at")),
  finishedAt: Schema.propertySignature(Schema.DateTimeUtc).pipe(Schema.fromKey("finished_at"))
}) {}

/** Where the receipt of a delivery lies: beside the file, or in the folder of the part files, one for each batch. */
export const placeOf = (delivery: {
  readonly batchId: string
  readonly output: string
  readonly parts: boolean
}): string => pathOf(delivery.parts ? inFolder(delivery.output, delivery.batchId) : delivery.output)

const extension = ".receipt.json"

/** Whether a file is a receipt, by its name. */
export const isName = (file: string): boolean => file.endsWith(extension)

/** Where the receipt of a file lies. */
export const pathOf = (file: string): string => `${file}${extension}`

/** The file that the receipt at this path lies beside, if it is not one of part files. */
export const fileOf = (path: string): string => path.slice(0, -extension.length)

/** The names of the part files that were kept separate. */
export const namesOf = ({ parts }: Receipt): ReadonlyArray<string> =>
  parts.flatMap(({ output }) => Option.toArray(Option.map(output, nameOf)))

/** The name of a file without its folder. */
export const nameOf = (path: string): string => path.replace(/^.*[/\\]/su, "")

/** The same receipt of what lies elsewhere now. */
export const movedTo = (receipt: Receipt, output: string): Receipt =>
  new Receipt({
    ...receipt,
    output,
    parts: receipt.parts.map(
      (part) =>
        new Part({ ...part, output: Option.map(part.output, (path) => inFolder(output, nameOf(path))) })
    )
  })

const inFolder = (folder: string, name: string): string => `${folder.replace(/(?<=.)[/\\]+$/u, "")}/${name}`

const Json = Schema.parseJson(Receipt, { space: 2 })

/** Writes a receipt, whole or not at all. */
export const write = (
  path: string,
  receipt: Receipt
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const text = yield* Effect.orDie(Schema.encode(Json)(receipt))
    yield* Storage.replaceFile(path, `${text}\n`)
  })

/** Whether a receipt of this name is that of one file, and lies in its folder under the name of its batch. */
export const isByBatch = (name: string, receipt: Receipt): boolean => {
  const file = nameOf(receipt.output)
  const isNamed = file !== receipt.batchId && withoutExtension(file) === receipt.batchId
  return isNamed && name === pathOf(receipt.batchId) && namesOf(receipt).length === 0
}

/** The receipt of a file, if there is one: beside it, or in its folder under the name of its batch. */
export const ofFile = (
  file: string
): Effect.Effect<Option.Option<Receipt>, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const beside = yield* read(pathOf(file))
    if (Option.isSome(beside)) return beside
    const path = pathOf(withoutExtension(file))
    const byBatch = yield* read(path)
    return Option.filter(
      byBatch,
      (one) => isByBatch(nameOf(path), one) && nameOf(one.output) === nameOf(file)
    )
  })

/** Whether there is something at the path of a receipt. */
export const exists = (path: string): Effect.Effect<boolean, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.mapError(fs.exists(path), storageErrorAt(path)))

/** The receipt at a path, if there is one. What is none, or cannot be read, is a `StorageError`, not an absence. */
export const read = (
  path: string
): Effect.Effect<Option.Option<Receipt>, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (!(yield* exists(path))) return Option.none()
    const text = yield* Effect.mapError(fs.readFileString(path), storageErrorAt(path))
    return yield* Schema.decode(Json)(text).pipe(
      Effect.asSome,
      Effect.mapError(() => new StorageError({ reason: "Unreadable", path, detail: "it is no receipt" }))
    )
  })
