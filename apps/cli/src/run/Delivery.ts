/**
 * Delivers results to files or to standard output; `download` and `get` share it. Loaded only when there is something
 * to fetch.
 */
import { FileSystem } from "@effect/platform"
import type { BatchId } from "@org/batch-core/Batch"
import { type BatchError, type StorageError, storageErrorAt } from "@org/batch-core/BatchError"
import * as Existing from "@org/batch-core/Existing"
import { Receipt } from "@org/batch-core/Receipt"
import type { DownloadOptions, Needs } from "@org/batch-core/Retrieval"
import { Effect, Option, Schema, type Scope, Stream } from "effect"
import { tmpdir } from "node:os"
import * as ExitCode from "../failure/ExitCode.js"
import type { Ids } from "../options/BatchIds.js"
import type { Destination } from "../options/Destination.js"
import type { OutputRequest } from "../options/OutputOptions.js"
import * as ProgressReporter from "../progress/ProgressReporter.js"
import { Stdout } from "../terminal/Stdout.js"
import { summary } from "./DeliveryText.js"
import * as PerBatch from "./PerBatch.js"

/** The batches to deliver, their destination, and the effect that fetches one. */
export interface Job {
  readonly ids: Ids
  readonly request: OutputRequest
  readonly destination: Destination
  /** How many batches are fetched at the same time. */
  readonly concurrency: number
  readonly fetch: (id: BatchId, options: DownloadOptions) => Effect.Effect<Receipt, BatchError, Needs>
}

/**
 * Fetches every batch, even if another fails; fails with the exit code of the first one that did, in the order of the
 * ids.
 */
export const run = Effect.fn("Delivery.run")(function* (job: Job) {
  const reporter = yield* ProgressReporter.make({ ids: job.ids, quiet: job.request.quiet })
  if (job.destination._tag === "Files" && job.destination.note !== undefined) {
    yield* reporter.say(`note: ${job.destination.note}`)
  }
  return yield* job.destination._tag === "Stdout"
    ? toStdout(job, job.destination, reporter)
    : toFiles(job, job.destination, reporter)
}, Effect.scoped)

const toFiles = (
  job: Job,
  destination: Destination & { readonly _tag: "Files" },
  reporter: ProgressReporter.ProgressReporter
) =>
  PerBatch.run({
    ids: job.ids,
    concurrency: job.concurrency,
    order: "arrival",
    ifInterrupted: "what has arrived is kept, and the job goes on",
    run: (id) => {
      const options = {
        output: destination.path(id),
        format: destination.format,
        columns: destination.columns,
        parts: job.request.parts,
        receipt: job.request.receipt || job.request.skipExisting,
        force: job.request.force
      }
      const fetched = Effect.map(fetch(job, reporter, id, options), (receipt) => ({
        receipt,
        skipped: false
      }))
      return job.request.skipExisting ? unlessHere(job, reporter, id, options, fetched) : fetched
    },
    emit: (delivered) => announce(delivered, job.request, reporter),
    last: reporter.last
  })

/** A receipt, and whether it is of what was here already. */
interface Delivered {
  readonly receipt: Receipt
  readonly skipped: boolean
}

/** What is at the destination already is as good as fetched. */
const unlessHere = <E, R>(
  job: Job,
  reporter: ProgressReporter.ProgressReporter,
  id: BatchId,
  options: DownloadOptions,
  fetched: Effect.Effect<Delivered, E, R>
) =>
  Existing.find(id, { ...options, allowIncomplete: job.request.allowIncomplete }).pipe(
    Effect.flatMap(
      Option.match({
        onNone: () => fetched,
        onSome: (receipt) => Effect.as(reporter.ended(id, "done"), { receipt, skipped: true })
      })
    )
  )

/** Downloads to a temporary folder first, so that all rows are verified before the first of them is printed. */
const toStdout = (
  job: Job,
  { columns, format }: Destination & { readonly _tag: "Stdout" },
  reporter: ProgressReporter.ProgressReporter
) =>
  Effect.gen(function* () {
    const folder = yield* privateFolder
    const stdout = yield* Stdout
    yield* PerBatch.run({
      ids: job.ids,
      concurrency: job.concurrency,
      order: "arguments",
      ifInterrupted: "-o - starts from the beginning, a file would go on from what is here",
      run: (id) => fetch(job, reporter, id, { output: `${folder}/${id}.${format}`, format, columns }),
      emit: (receipt) =>
        Stream.runForEach(contents(receipt.output), stdout.bytes).pipe(
          Effect.zipRight(remove(receipt.output)),
          Effect.zipRight(reporter.say(`${receipt.batchId} ${summary(receipt)} written to standard output`)),
          Effect.as(ExitCode.ok)
        ),
      last: reporter.last
    })
  })

const fetch = (
  job: Job,
  reporter: ProgressReporter.ProgressReporter,
  id: BatchId,
  options: DownloadOptions
) =>
  job
    .fetch(id, {
      ...options,
      bom: job.request.bom,
      concurrency: Option.getOrUndefined(job.request.concurrency),
      allowIncomplete: job.request.allowIncomplete,
      onEvent: reporter.onEvent(id)
    })
    .pipe(
      Effect.tapBoth({
        onFailure: () => reporter.ended(id, "failed"),
        onSuccess: () => reporter.ended(id, "done")
      })
    )

const announce = (
  { receipt, skipped }: Delivered,
  request: OutputRequest,
  reporter: ProgressReporter.ProgressReporter
) =>
  Effect.gen(function* () {
    const here = skipped ? "is here already, " : ""
    if (!request.json) {
      yield* reporter.say(`${receipt.batchId} ${here}${summary(receipt)} in ${receipt.output}`)
      return ExitCode.ok
    }
    const encoded = yield* Effect.orDie(Schema.encode(Receipt)(receipt))
    yield* (yield* Stdout).json(skipped ? { ...encoded, skipped } : encoded)
    return ExitCode.ok
  })

/** A temporary folder that only its owner can read; it goes with the scope. */
const privateFolder: Effect.Effect<string, StorageError, FileSystem.FileSystem | Scope.Scope> =
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "batchctl-" })).pipe(
    Effect.mapError(storageErrorAt(`the temporary folder ${tmpdir()}`))
  )

const contents = (path: string): Stream.Stream<Uint8Array, StorageError, FileSystem.FileSystem> =>
  Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.stream(path, { chunkSize: 256 * 1024 }))).pipe(
    Stream.mapError(storageErrorAt(path))
  )

const remove = (path: string): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.remove(path)).pipe(Effect.mapError(storageErrorAt(path)))
