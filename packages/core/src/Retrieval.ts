/**
 * The whole story: await → plan → transfer → verify → format → publish → receipt.
 *
 * @example
 * import { type Batch, Retrieval } from "@org/batch-core"
 *
 * const program = (id: Batch.BatchId) =>
 *   Retrieval.get(id, { deadline: "30 minutes", output: `${id}.jsonl.gz` })
 */
import { type FileSystem, Path } from "@effect/platform"
import { DateTime, type Duration, Effect, Option, Stream } from "effect"
import * as Assembly from "./Assembly.js"
import type { Batch, BatchId } from "./Batch.js"
import { BatchClient, status } from "./BatchClient.js"
import { BatchConfig } from "./BatchConfig.js"
import {
  type AwaitError,
  type BatchFailed,
  type BatchNotCompleted,
  ResultsCorrupt,
  type StorageError,
  type TransferError
} from "./BatchError.js"
import type { BatchHttp } from "./BatchHttp.js"
import * as BatchPoll from "./BatchPoll.js"
import * as Durability from "./Durability.js"
import type { Emit, Event } from "./Event.js"
import * as Digest from "./Digest.js"
import * as GzipLines from "./GzipLines.js"
import * as Lock from "./Lock.js"
import * as Receipt from "./Receipt.js"
import * as ResultLink from "./ResultLink.js"
import * as ResultPlan from "./ResultPlan.js"
import * as Storage from "./Storage.js"
import * as Throttle from "./Throttle.js"

export type { Event } from "./Event.js"

/** Where the result goes and in which form. */
export interface DownloadOptions {
  /** The file to write; with `parts` the folder. Its name appears only when the result is complete and verified. */
  readonly output: string
  /** Default `jsonl.gz`. */
  readonly format?: Receipt.Format | undefined
  /** Keep the part files separate, as `<batch-id>.part-000.jsonl.gz` … in the folder `output`. */
  readonly parts?: boolean | undefined
  /** Connections at most, 1 to 64; default from `BatchConfig`. */
  readonly concurrency?: number | undefined
  /** Replace an existing destination. */
  readonly force?: boolean | undefined
  /** Accept a result whose row count disagrees with `result_count`. */
  readonly allowIncomplete?: boolean | undefined
  /** Write `<output>.receipt.json` beside the output as well. */
  readonly receipt?: boolean | undefined
  /** Told of everything worth showing, in order. */
  readonly onEvent?: ((event: Event) => Effect.Effect<void>) | undefined
}

/** As `DownloadOptions`, and how long to wait for the job. */
export interface GetOptions extends DownloadOptions {
  /** There is no default: `Infinity` must be said. */
  readonly deadline: Duration.DurationInput
}

/** What everything here needs. */
export type Needs = BatchClient | BatchConfig | BatchHttp | FileSystem.FileSystem | Path.Path

/** What fetching the results of a job can fail with. */
export type DownloadError = TransferError | BatchFailed | BatchNotCompleted

/** What `get` can fail with. */
export type GetError = AwaitError | DownloadError

/** Fetches the results of a job that is completed already. */
export const download = Effect.fn("Retrieval.download")(function* (
  batchId: BatchId,
  options: DownloadOptions
): Effect.fn.Return<Receipt.Receipt, DownloadError, Needs> {
  yield* checkDestinations(options, [])
  return yield* deliver(yield* status(batchId), options)
})

/** Waits for the job, then fetches its results: the main job. */
export const get = Effect.fn("Retrieval.get")(function* (
  batchId: BatchId,
  options: GetOptions
): Effect.fn.Return<Receipt.Receipt, GetError, Needs> {
  yield* checkDestinations(options, [])
  const emit = options.onEvent ?? silent
  const last = yield* BatchPoll.watch(batchId, {
    deadline: options.deadline,
    onNotice: (notice) => emit({ _tag: "Notice", notice })
  }).pipe(
    Stream.tap((batch) => emit({ _tag: "Status", batch })),
    Stream.runLast
  )
  return yield* deliver(
    yield* Option.match(last, { onNone: () => status(batchId), onSome: Effect.succeed }),
    options
  )
})

const silent: Emit = () => Effect.void

/** What one run works with. */
interface Run {
  readonly batch: Batch
  readonly plan: ResultPlan.ResultPlan
  readonly options: DownloadOptions
  readonly format: Receipt.Format
  readonly emit: Emit
  readonly path: Path.Path
  readonly startedAt: DateTime.Utc
}

const deliver = (
  batch: Batch,
  options: DownloadOptions
): Effect.Effect<Receipt.Receipt, DownloadError, Needs> =>
  Effect.gen(function* () {
    const plan = yield* ResultPlan.make(batch, { parts: options.parts ?? false })
    const emit = options.onEvent ?? silent
    const startedAt = yield* DateTime.now
    const run: Run = {
      batch,
      plan,
      options,
      emit,
      startedAt,
      path: yield* Path.Path,
      format: options.format ?? "jsonl.gz"
    }
    yield* Storage.makeFolder(
      options.parts === true ? options.output : run.path.dirname(run.path.resolve(options.output))
    )
    yield* emit({ _tag: "Planned", batch, source: plan.source, files: plan.files.length })
    const receipt = plan.source === "none" ? yield* deliverNothing(run) : yield* deliverRows(run)
    if (options.receipt === true) yield* Receipt.write(receipt)
    return receipt
  })

/** Nothing is asked for that could not be written in the end. */
const checkDestinations = (
  options: DownloadOptions,
  files: ReadonlyArray<ResultPlan.PlannedFile>
): Effect.Effect<void, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const replace = options.force ?? false
    const targets =
      options.parts === true ? files.map(({ name }) => path.join(options.output, name)) : [options.output]
    yield* Effect.forEach(targets, (target) => Storage.checkDestination(target, { replace }), {
      discard: true
    })
  })

/** An empty result is a success without a request: one empty gzip member, or an empty file; no part files. */
const deliverNothing = (
  run: Run
): Effect.Effect<Receipt.Receipt, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const bytes =
      run.options.parts === true || run.format === "jsonl" ? new Uint8Array(0) : GzipLines.emptyMember
    if (run.options.parts !== true) {
      const partial = partialOf(run.options.output)
      yield* Effect.scoped(
        Effect.flatMap(Storage.open(partial, "w"), (file) =>
          Effect.zipRight(Storage.writeAt(file, partial, 0, bytes), Storage.sync(file, partial))
        )
      )
      yield* Storage.publish({ from: partial, to: run.options.output, replace: run.options.force ?? false })
    }
    return yield* makeReceipt(
      run,
      { files: [], bytes: bytes.length, records: 0, retries: 0, resumedBytes: 0, sha256: sha256Of(bytes) },
      0
    )
  })

/** Fetches, proves and publishes. What was replaced upstream or damaged on the way is fetched once more. */
const deliverRows = (run: Run): Effect.Effect<Receipt.Receipt, TransferError, Needs> =>
  Effect.gen(function* () {
    const { baseUrl, retry, transfer } = yield* BatchConfig
    const client = yield* BatchClient
    const throttle = yield* Throttle.make(retry)
    const links = yield* ResultLink.make(run.batch, {
      client,
      transfer,
      allowHttp: new URL(baseUrl).protocol === "http:",
      onRefresh: Effect.suspend(() => run.emit({ _tag: "LinkRefreshed" }))
    })
    const layout = layoutOf(run)
    const lock = yield* Lock.acquire(`${placeOf(run)}.lock`)
    yield* checkDestinations(run.options, run.plan.files)
    const assemble = Effect.scoped(
      Assembly.assemble({
        ...layout,
        links,
        throttle,
        concurrency: Math.max(1, run.options.concurrency ?? transfer.maxConnections),
        inflateTo: run.format === "jsonl" ? partialOf(run.options.output) : undefined,
        emit: run.emit
      })
    )
    const assembled = yield* assemble.pipe(
      Effect.catchIf(isCurable, (error) =>
        run
          .emit({ _tag: "Restarted", detail: error.message })
          .pipe(Effect.zipRight(Durability.forget(layout)), Effect.zipRight(assemble))
      ),
      Effect.catchTag("ResultsCorrupt", (error) => keep(run, error)),
      Effect.raceFirst(lock.heart)
    )
    yield* checkCount(run, assembled)
    yield* lock.check
    yield* publish(run, assembled)
    yield* Storage.remove(layout.journal)
    return yield* makeReceipt(run, assembled, yield* links.refreshes)
  }).pipe(Effect.scoped)

/** Another version of the object, or bytes that were damaged: a fresh start may bring whole ones. */
const isCurable = (error: TransferError): boolean =>
  (error._tag === "ResultsUnavailable" && error.reason === "Changed") ||
  (error._tag === "ResultsCorrupt" && error.reason !== "RowCount")

/** What the files that accompany a download are named after. */
const placeOf = (run: Run): string =>
  run.options.parts === true ? run.path.join(run.options.output, run.batch.batchId) : run.options.output

/** Where the bytes lie until they are published, and which run may go on with them. */
const layoutOf = (run: Run): Durability.Layout => ({
  files: run.plan.files,
  pathOf: (file) => spoolOf(run, file),
  journal: `${placeOf(run)}.journal`,
  purpose: {
    batch_id: run.batch.batchId,
    result_count: run.batch.resultCount,
    source: run.plan.source,
    files: run.plan.files.length,
    joined: run.options.parts !== true
  }
})

const partialOf = (output: string): string => `${output}.partial`

const spoolOf = (run: Run, file: ResultPlan.PlannedFile): string => {
  if (run.options.parts === true) return partialOf(run.path.join(run.options.output, file.name))
  return run.format === "jsonl" ? partialOf(`${run.options.output}.gz`) : partialOf(run.options.output)
}

const checkCount = (
  run: Run,
  { records }: Assembly.Assembled
): Effect.Effect<void, ResultsCorrupt, FileSystem.FileSystem> => {
  const { resultCount } = run.batch
  if (records === resultCount) return Effect.void
  if (run.options.allowIncomplete === true) return run.emit({ _tag: "Incomplete", records, resultCount })
  const error = new ResultsCorrupt({
    reason: "RowCount",
    file: `${run.batch.batchId}.jsonl.gz`,
    expected: `${resultCount} rows (result_count)`,
    actual: `${records} rows in the ${run.plan.source === "merged" ? "merged file" : `${run.plan.files.length} part files`}`,
    kept: Option.none()
  })
  return keep(run, error)
}

/** Keeps what is wrong for a look, under a name that nobody takes for the result. */
const keep = (run: Run, error: ResultsCorrupt): Effect.Effect<never, ResultsCorrupt, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const kept = [...new Set(run.plan.files.map((file) => spoolOf(run, file)))].map((partial) => ({
      partial,
      corrupt: partial.replace(/partial$/u, "corrupt")
    }))
    const moved = yield* Effect.partition(kept, ({ corrupt, partial }) => Storage.rename(partial, corrupt))
    if (run.format === "jsonl") yield* Effect.ignore(Storage.remove(partialOf(run.options.output)))
    yield* Effect.ignore(Storage.remove(layoutOf(run).journal))
    const first = moved[0].length === 0 ? Option.fromNullable(kept[0]?.corrupt) : Option.none()
    return yield* new ResultsCorrupt({ ...error, kept: first })
  })

const publish = (
  run: Run,
  { files }: Assembly.Assembled
): Effect.Effect<void, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const replace = run.options.force ?? false
    if (run.options.parts === true) {
      yield* Effect.forEach(
        files,
        ({ path }) => Storage.publish({ from: path, to: finalOf(path), replace }),
        { discard: true }
      )
      return
    }
    yield* Storage.publish({ from: partialOf(run.options.output), to: run.options.output, replace })
    if (run.format === "jsonl") yield* Storage.remove(partialOf(`${run.options.output}.gz`))
  })

const finalOf = (partial: string): string => partial.replace(/\.partial$/u, "")

const makeReceipt = (
  run: Run,
  { bytes, files, records, resumedBytes, retries, sha256 }: Assembly.Assembled,
  urlRefreshes: number
): Effect.Effect<Receipt.Receipt> =>
  Effect.map(
    DateTime.now,
    (finishedAt) =>
      new Receipt.Receipt({
        batchId: run.batch.batchId,
        status: run.batch.status,
        output: run.options.output,
        format: run.format,
        bytes,
        records,
        sha256,
        resultCount: run.batch.resultCount,
        entitiesRequested: run.batch.entitiesRequested,
        entitiesFulfilled: run.batch.entitiesFulfilled,
        complete: records === run.batch.resultCount,
        source: run.plan.source,
        parts: files.map(
          (file) =>
            new Receipt.Part({
              ...file,
              output: run.options.parts === true ? Option.some(finalOf(file.path)) : Option.none()
            })
        ),
        resumedBytes,
        retries,
        urlRefreshes,
        startedAt: run.startedAt,
        finishedAt
      })
  )

const sha256Of = (bytes: Uint8Array): string => {
  const digest = Digest.sha256()
  digest.update(bytes)
  return digest.hex()
}
