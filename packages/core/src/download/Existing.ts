/**
 * A result that is at its destination already, so that the same command may run every night.
 *
 * @example
 * import { Effect, Option } from "effect"
 * import { type Batch, Existing, Retrieval } from "@org/batch-core"
 *
 * const nightly = (id: Batch.BatchId) => {
 *   const options = { output: `${id}.jsonl.gz`, receipt: true }
 *   return Effect.flatMap(Existing.find(id, options), (found) =>
 *     Option.isSome(found) ? Effect.succeed(found.value) : Retrieval.download(id, options)
 *   )
 * }
 */
import { FileSystem, Path } from "@effect/platform"
import { Effect, Either, Option } from "effect"
import { type BatchId, isSameId } from "../model/Batch.js"
import type { BatchConfig } from "../model/BatchConfig.js"
import { StorageError, storageErrorAt } from "../model/BatchError.js"
import { count, plural } from "../model/CountText.js"
import * as Receipt from "../proof/Receipt.js"
import * as Destination from "./Destination.js"
import type { DownloadOptions } from "./Retrieval.js"
import * as Verification from "./Verification.js"

type Needs = BatchConfig | FileSystem.FileSystem | Path.Path

/**
 * The receipt of what is at the destination, read again and found to be what is asked for. None if nothing is there, if
 * a run that did not come to its end has left a journal, with which the next one goes on, or if `force` lets it be
 * replaced. Fails as `StorageError` of reason `Exists`, saying why, if anything else is there. Asks nobody.
 */
export const find = Effect.fn("Existing.find")(function* (
  batchId: BatchId,
  options: DownloadOptions
): Effect.fn.Return<Option.Option<Receipt.Receipt>, StorageError, Needs> {
  const { output, parts = false } = options
  const place = { batchId, output, parts }
  const kept = receiptOf(place, options.receiptPath)
  const receipt = Option.flatten(Either.getRight(yield* Effect.either(kept)))
  const delivered = {
    file: output,
    paths: parts ? yield* partsOf(output, receipt) : [output],
    receipt: Option.getOrUndefined(receipt)
  }
  if (!(yield* isHere(delivered))) return Option.none()
  const verdict = yield* Effect.either(judged(batchId, options, delivered))
  if (Either.isRight(verdict)) return Option.some(verdict.right)
  if (options.force === true || (yield* Destination.hasJournal(place))) return Option.none()
  return yield* new StorageError({ reason: "Exists", path: output, detail: verdict.left })
})

/** The receipt of what is there: where it was said to lie, or where one of such a delivery would. */
const receiptOf = (place: Parameters<typeof Receipt.placeOf>[0], path: string | undefined) =>
  Effect.flatMap(
    path === undefined ? Effect.succeedNone : Receipt.read(path),
    Option.match({
      onSome: Effect.succeedSome,
      onNone: () => (place.parts ? Receipt.read(Receipt.placeOf(place)) : Receipt.ofFile(place.output))
    })
  )

/** The part files that a receipt names, where they are now. */
const partsOf = (
  folder: string,
  receipt: Option.Option<Receipt.Receipt>
): Effect.Effect<ReadonlyArray<string>, never, Path.Path> =>
  Effect.map(Path.Path, (path) =>
    Option.match(receipt, {
      onNone: () => [],
      onSome: (one) => Receipt.namesOf(one).map((name) => path.join(folder, name))
    })
  )

/** Whether anything is at the destination; an empty result has no part files, only a receipt. */
const isHere = ({
  paths,
  receipt
}: Verification.Delivered): Effect.Effect<boolean, StorageError, FileSystem.FileSystem> =>
  paths.length === 0
    ? Effect.succeed(receipt !== undefined)
    : Effect.flatMap(FileSystem.FileSystem, (fs) =>
        Effect.exists(paths, (path) => Effect.mapError(fs.exists(path), storageErrorAt(path)))
      )

/** The receipt of what is asked for, or in words why it is not that. */
const judged = (
  batchId: BatchId,
  options: DownloadOptions,
  delivered: Verification.Delivered
): Effect.Effect<Receipt.Receipt, string, Needs> =>
  Effect.gen(function* () {
    const { receipt } = delivered
    if (receipt === undefined) return yield* Effect.fail("no receipt beside it says what it is")
    const otherwise = difference(batchId, options, receipt)
    if (otherwise !== undefined) return yield* Effect.fail(otherwise)
    yield* Effect.mapError(Verification.check(delivered), (error) =>
      error._tag === "ResultsCorrupt"
        ? `it is not what its receipt says: expected ${error.expected}, got ${error.actual}`
        : `it is not what its receipt says: ${error.message}`
    )
    return Receipt.movedTo(receipt, options.output)
  })

const difference = (
  batchId: BatchId,
  options: DownloadOptions,
  receipt: Receipt.Receipt
): string | undefined => {
  const format = options.format ?? "jsonl.gz"
  const { columns } = format === "csv" ? options : {}
  if (!isSameId(receipt.batchId, batchId)) return `its receipt is of batch ${receipt.batchId}`
  if (receipt.format !== format) return `it is ${receipt.format}, not ${format}`
  if (!Destination.sameColumns(receipt.columns, columns)) {
    return "it has other columns than those that are asked for"
  }
  return receipt.complete || options.allowIncomplete === true
    ? undefined
    : `it is incomplete: ${plural(receipt.records, "row")} of ${count(receipt.resultCount)}`
}
