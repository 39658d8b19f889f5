/**
 * All completed jobs of an account in one folder: what is not there yet is fetched, the links that die first before the
 * others. Made to be run again and again.
 *
 * @example
 * import { Effect, Stream } from "effect"
 * import { Collection } from "@org/batch-core"
 *
 * const nightly = Collection.run({ folder: "results" }).pipe(
 *   Stream.runForEach(({ _tag, batch }) => Effect.log(_tag, batch.batchId))
 * )
 */
import { type FileSystem, Path } from "@effect/platform"
import { Array, DateTime, Effect, Either, Option, Order, Stream } from "effect"
import * as Storage from "../disk/Storage.js"
import type { Batch, BatchId } from "../model/Batch.js"
import { type ApiError, StorageError, type TableError } from "../model/BatchError.js"
import * as DurationText from "../model/DurationText.js"
import type { Format } from "../model/Format.js"
import * as JobFields from "../model/JobFields.js"
import * as JobKind from "../model/JobKind.js"
import * as Receipt from "../proof/Receipt.js"
import { type BatchClient, list } from "../status/BatchClient.js"
import type * as Event from "./Event.js"
import * as Existing from "./Existing.js"
import * as Retrieval from "./Retrieval.js"

/** What to collect, and where. */
export interface Options {
  /** Where `<batch-id>.<format>` and `<batch-id>.receipt.json` of each job go; it is made if need be. */
  readonly folder: string
  /** Default `jsonl.gz`. */
  readonly format?: Format | undefined
  /** Only jobs that were completed then or later. */
  readonly since?: DateTime.Utc | undefined
  /** Only jobs of this kind. */
  readonly kind?: JobKind.JobKind | undefined
  /** Only tell what would be fetched. */
  readonly dryRun?: boolean | undefined
  /** Jobs that are looked at or fetched at a time; default 4. */
  readonly atOnce?: number | undefined
  /** Told of each job before it is fetched. */
  readonly onDue?: ((batch: Batch) => Effect.Effect<void>) | undefined
  /** Told of everything worth showing of a job that is fetched. */
  readonly onEvent?: ((batchId: BatchId) => (event: Event.Event) => Effect.Effect<void>) | undefined
}

/** What became of one job. */
export type Outcome =
  /** Its results are in the folder already, and what their receipt says. */
  | { readonly _tag: "Present"; readonly batch: Batch; readonly receipt: Receipt.Receipt }
  /** With `dryRun`: it would be fetched, to this file. */
  | { readonly _tag: "Due"; readonly batch: Batch; readonly output: string }
  | { readonly _tag: "Delivered"; readonly batch: Batch; readonly receipt: Receipt.Receipt }
  | { readonly _tag: "Failed"; readonly batch: Batch; readonly output: string; readonly error: CollectError }

/** What one job can fail with; the others go on. */
export type CollectError = Retrieval.DownloadError | TableError | StorageError

/**
 * Every completed job that is asked for, as it comes to its end, or in their order with `dryRun`; those that were completed
 * first are begun first. Fails only where there is no
 * list, or the folder cannot be written.
 */
export const run = (options: Options): Stream.Stream<Outcome, ApiError | StorageError, Retrieval.Needs> =>
  Stream.unwrap(
    Effect.gen(function* () {
      if (options.dryRun !== true) yield* Storage.checkFolder(options.folder)
      return Stream.fromIterable(yield* completed(options)).pipe(
        Stream.mapEffect((batch) => collect(batch, options), {
          concurrency: options.atOnce ?? 4,
          unordered: options.dryRun !== true
        })
      )
    })
  )

/** The completed jobs that are asked for, without their links: those that were completed first come first. */
export const completed = Effect.fn("Collection.completed")(function* ({
  kind,
  since
}: Pick<Options, "kind" | "since">): Effect.fn.Return<ReadonlyArray<Batch>, ApiError, BatchClient> {
  const all = yield* Stream.runCollect(list({ status: "completed", limit: 100 }))
  const wanted = Array.fromIterable(all).filter(
    (batch) =>
      batch.status === "completed" &&
      (kind === undefined || JobKind.isOf(kind, batch)) &&
      (since === undefined || !Option.exists(endOf(batch), DateTime.lessThan(since)))
  )
  return Array.sort(wanted, order)
})

/** The job that was completed first comes first; one of which that is not known comes last. */
export const order: Order.Order<Batch> = Order.mapInput(Order.number, (batch) => millisOf(endOf(batch)))

/** When a job was completed, or when it was created where that is not said. */
const endOf = ({ completedAt, createdAt }: Batch): Option.Option<DateTime.Utc> =>
  Option.orElse(completedAt, () => createdAt)

const millisOf = Option.match({ onNone: () => Number.POSITIVE_INFINITY, onSome: DateTime.toEpochMillis })

const collect = (batch: Batch, options: Options): Effect.Effect<Outcome, never, Retrieval.Needs> => {
  const { batchId } = batch
  const { dryRun = false, folder, format = "jsonl.gz", onDue, onEvent } = options
  const place = `${folder.replace(/(?<=.)[/\\]+$/u, "")}/${batchId}`
  const output = `${place}.${format}`
  const delivery = { output, format, receiptPath: Receipt.pathOf(place) }
  return Effect.gen(function* () {
    yield* checkFormat(delivery)
    const found = yield* Existing.find(batchId, delivery)
    if (Option.isSome(found)) return { _tag: "Present", batch, receipt: found.value } as const
    if (dryRun) return { _tag: "Due", batch, output } as const
    yield* onDue?.(batch) ?? Effect.void
    const receipt = yield* Retrieval.download(batchId, { ...delivery, onEvent: onEvent?.(batchId) })
    return { _tag: "Delivered", batch, receipt } as const
  }).pipe(Effect.catchAll((error) => Effect.succeed({ _tag: "Failed", batch, output, error } as const)))
}

/** A batch has one receipt in the folder, so it is there in one format. */
const checkFormat = (delivery: {
  readonly output: string
  readonly format: Format
  readonly receiptPath: string
}): Effect.Effect<void, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const receipt = Option.flatten(Either.getRight(yield* Effect.either(Receipt.read(delivery.receiptPath))))
    const other = Option.filter(receipt, ({ format }) => format !== delivery.format)
    if (Option.isNone(other)) return
    const { format, output } = other.value
    const file = path.join(path.dirname(delivery.output), path.basename(output))
    if (!(yield* Receipt.exists(file))) return
    const detail = `it is here as ${format} already: ${delivery.format} needs a folder of its own`
    return yield* new StorageError({ reason: "Exists", path: file, detail })
  })

/** A moment as people write it: `2d` for so long ago, `2026-11-01`, `2026-11-01T08:00Z`; without an offset it is UTC. */
export const parseSince = (text: string, now: DateTime.Utc): Either.Either<DateTime.Utc, string> =>
  Either.orElse(
    Either.map(DurationText.parse(text), (ago) => DateTime.subtractDuration(now, ago)),
    () =>
      Either.fromOption(
        JobFields.instant(text.trim()),
        () => `${JSON.stringify(text)} is neither a date (2026-11-01) nor a duration (2d, 12h)`
      )
  )
