/**
 * From a batch id to verified rows on the disk: await → plan → transfer → verify → format → publish → receipt.
 *
 * @example
 * import { type Batch, Retrieval } from "@org/batch-core"
 *
 * const program = (id: Batch.BatchId) =>
 *   Retrieval.get(id, { deadline: "30 minutes", output: `${id}.jsonl.gz` })
 */
import type { FileSystem, Path } from "@effect/platform"
import { DateTime, Effect, Either, Option } from "effect"
import type * as Assembly from "./Assembly.js"
import type { Batch, BatchId } from "../model/Batch.js"
import { BatchClient, status } from "../status/BatchClient.js"
import { count, plural } from "../model/CountText.js"
import { BatchConfig } from "../model/BatchConfig.js"
import {
  type AwaitError,
  type BatchFailed,
  type BatchNotCompleted,
  ResultsCorrupt,
  type StorageError,
  type TableError,
  type TransferError
} from "../model/BatchError.js"
import type { BatchHttp } from "../status/BatchHttp.js"
import * as BatchPoll from "../status/BatchPoll.js"
import * as Event from "./Event.js"
import * as Delivery from "./Delivery.js"
import * as Destination from "./Destination.js"
import * as Digest from "../disk/Digest.js"
import type { Format } from "../model/Format.js"
import * as Proof from "../proof/Proof.js"
import * as Receipt from "../proof/Receipt.js"
import * as ResultLinks from "../transfer/ResultLinks.js"
import * as FileTransfer from "../transfer/FileTransfer.js"
import * as RangeFetch from "../transfer/RangeFetch.js"
import * as ResultPlan from "../transfer/ResultPlan.js"
import * as Settling from "../transfer/Settling.js"

export type { Event } from "./Event.js"

/** Where the result goes and in which form. */
export interface DownloadOptions {
  /** The file to write; with `parts` the folder. Its name appears only when the result is complete and verified. */
  readonly output: string
  /** Default `jsonl.gz`. */
  readonly format?: Format | undefined
  /**
   * Of `csv`: the columns, each once, as `Csv` names them. Rows are then written while they arrive. Default: those of
   * all rows, which are then read twice.
   */
  readonly columns?: ReadonlyArray<string> | undefined
  /** Of `csv`: begin with a byte order mark, without which Excel does not take a file for UTF-8. */
  readonly bom?: boolean | undefined
  /**
   * Keep the part files separate, as `<batch-id>.part-000.jsonl.gz` … in the folder `output`. If they have not all
   * rows and the merged file has, it is delivered there as `<batch-id>.jsonl.gz`.
   */
  readonly parts?: boolean | undefined
  /** Connections at most, 1 to 64; default from `BatchConfig`. */
  readonly concurrency?: number | undefined
  /** Replace an existing destination. */
  readonly force?: boolean | undefined
  /** Accept a result whose row count disagrees with `result_count`. */
  readonly allowIncomplete?: boolean | undefined
  /** Write the receipt as well: `<output>.receipt.json`; with `parts` `<batch-id>.receipt.json` in the folder. */
  readonly receipt?: boolean | undefined
  /** Write the receipt here instead. */
  readonly receiptPath?: string | undefined
  /** Told of everything worth showing, in order. */
  readonly onEvent?: ((event: Event.Event) => Effect.Effect<void>) | undefined
}

/** As `DownloadOptions`, and how long to wait for the job. */
export interface GetOptions extends DownloadOptions {
  /** There is no default: `Infinity` must be said. A number alone counts seconds. */
  readonly deadline: BatchPoll.Deadline
  /** Whether we submitted the job just now: a 404 within a minute is then taken for lag. Default: no. */
  readonly submitted?: boolean | undefined
}

/** What everything here needs. */
export type Needs = BatchClient | BatchConfig | BatchHttp | FileSystem.FileSystem | Path.Path

/** What fetching the results of a job can fail with; where they become `csv`, with `TableError` as well. */
export type DownloadError = TransferError | BatchFailed | BatchNotCompleted

/** What `get` can fail with; where the results become `csv`, with `TableError` as well. */
export type GetError = AwaitError | TransferError

/** Options for everything but a table. */
type WithoutTable<Options> = Options & { readonly format?: Exclude<Format, "csv"> | undefined }

/** Fetches the results of a job that is completed already. */
export function download(
  batchId: BatchId,
  options: WithoutTable<DownloadOptions>
): Effect.Effect<Receipt.Receipt, DownloadError, Needs>
export function download(
  batchId: BatchId,
  options: DownloadOptions
): Effect.Effect<Receipt.Receipt, DownloadError | TableError, Needs>
export function download(
  batchId: BatchId,
  options: DownloadOptions
): Effect.Effect<Receipt.Receipt, DownloadError | TableError, Needs> {
  return downloadAny(batchId, options)
}

const downloadAny = Effect.fn("Retrieval.download")(function* (batchId: BatchId, options: DownloadOptions) {
  yield* check(batchId, options)
  return yield* deliver(yield* ResultPlan.completed(yield* status(batchId)), options)
})

/** Waits for the job, then fetches its results: the main job. */
export function get(
  batchId: BatchId,
  options: WithoutTable<GetOptions>
): Effect.Effect<Receipt.Receipt, GetError, Needs>
export function get(
  batchId: BatchId,
  options: GetOptions
): Effect.Effect<Receipt.Receipt, GetError | TableError, Needs>
export function get(
  batchId: BatchId,
  options: GetOptions
): Effect.Effect<Receipt.Receipt, GetError | TableError, Needs> {
  return getAny(batchId, options)
}

const getAny = Effect.fn("Retrieval.get")(function* (batchId: BatchId, options: GetOptions) {
  yield* check(batchId, options)
  const { deadline, onEvent = Event.silent, submitted } = options
  const wait = { deadline, submitted, ...Event.ofWait(onEvent) }
  return yield* deliver(yield* BatchPoll.await(batchId, wait), options)
})

/** What one run works with. */
interface Run {
  /** The job as it was when the run began; `Found` says what it was last. */
  readonly batch: Batch
  readonly options: DownloadOptions
  readonly format: Format
  readonly emit: Event.Emit
  readonly startedAt: DateTime.Utc
}

/** One way to the rows: what is fetched, and where it lies meanwhile. */
interface Way extends Delivery.Way {
  readonly plan: ResultPlan.ResultPlan
  /** Whether its bytes lie beside those of another way. */
  readonly aside: boolean
}

/** Rows that are here and proven, the way they came, and the job that they are compared with. */
interface Found extends Way {
  readonly assembled: Assembly.Assembled
  readonly batch: Batch
}

const requestOf = ({ force, output, parts }: DownloadOptions) => ({
  output,
  parts: parts ?? false,
  replace: force ?? false
})

const outlookOf = (batchId: BatchId, options: DownloadOptions): Destination.Outlook => ({
  ...requestOf(options),
  batchId,
  receiptPath: options.receiptPath
})

/**
 * Fails with what would hinder a delivery in the end: a destination that exists, a folder that cannot be written. Asks
 * nobody; `download` and `get` begin with it.
 */
export const check = (
  batchId: BatchId,
  options: DownloadOptions
): Effect.Effect<void, StorageError, FileSystem.FileSystem | Path.Path> =>
  Destination.check(outlookOf(batchId, options))

const deliver = (
  answered: Batch,
  options: DownloadOptions
): Effect.Effect<Receipt.Receipt, RowsError | BatchFailed, Needs> =>
  Effect.gen(function* () {
    const emit = options.onEvent ?? Event.silent
    const batch = yield* Settling.links(answered, {
      client: yield* BatchClient,
      settings: yield* BatchConfig,
      onPause: (pause) => emit({ _tag: "Settling", ...pause })
    })
    const run: Run = {
      batch,
      options,
      emit,
      startedAt: yield* DateTime.now,
      format: options.format ?? "jsonl.gz"
    }
    const way = yield* wayOf(run, yield* ResultPlan.make(batch, { parts: options.parts ?? false }))
    yield* way.destination.makeFolder
    yield* emit({ _tag: "Planned", batch, source: way.plan.source, files: way.plan.files.length })
    return way.plan.source === "none" ? yield* deliverNothing(run, way) : yield* deliverRows(run, way)
  })

/** The receipt, written where it is wanted. */
const recorded = (run: Run, found: Found, refreshes: number) =>
  Effect.gen(function* () {
    const { parts = false, receipt: isAsked, receiptPath } = run.options
    const receipt = yield* makeReceipt(run, found, refreshes)
    const place = receiptPath ?? Receipt.placeOf({ ...receipt, parts })
    const isWanted = isAsked === true || receiptPath !== undefined
    // A receipt that is there is of what has been replaced now.
    if (isWanted || (yield* Receipt.exists(place))) yield* Receipt.write(place, receipt)
    return receipt
  })

const wayOf = (
  { batch, emit, format, options }: Run,
  plan: ResultPlan.ResultPlan,
  aside = false
): Effect.Effect<Way, never, Path.Path> =>
  Effect.map(
    Destination.make({
      ...requestOf(options),
      subject: { batch_id: batch.batchId, result_count: batch.resultCount },
      announced: batch.resultCount,
      name: batch.batchId,
      plan,
      format,
      columns: options.columns,
      bom: options.bom,
      emit,
      allowIncomplete: options.allowIncomplete ?? false,
      aside
    }),
    (destination) => ({ plan, destination, aside })
  )

/** An empty result is a success without a request. Its receipt comes first: there is no journal with which to go on after a crash. */
const deliverNothing = (
  run: Run,
  way: Way
): Effect.Effect<Receipt.Receipt, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    yield* way.destination.prepare
    const bytes = way.destination.nothing
    const assembled: Assembly.Assembled = {
      files: [],
      bytes: bytes.length,
      sha256: Digest.sha256Of(bytes),
      records: 0,
      blankLines: 0,
      compressedHere: false,
      retries: 0,
      resumedBytes: 0
    }
    const receipt = yield* recorded(run, { ...way, assembled, batch: run.batch }, 0)
    yield* way.destination.publishNothing
    return receipt
  })

/** Fetches, proves and publishes, alone at this destination. */
const deliverRows = (run: Run, way: Way): Effect.Effect<Receipt.Receipt, RowsError, Needs> =>
  Effect.gen(function* () {
    const settings = yield* BatchConfig
    const links = yield* ResultLinks.make(run.batch, {
      client: yield* BatchClient,
      settings,
      onRefresh: (detail) => run.emit({ _tag: "LinkRefreshed", detail })
    })
    const receipt = yield* Delivery.alone(way.destination, {
      takeUp: takeUp(run, way),
      find: findRows(run, links, way),
      settle: (found) => Effect.flatMap(links.refreshes, (refreshes) => recorded(run, found, refreshes))
    })
    yield* Effect.forEach(yield* waysOf(run, way), ({ destination }) => destination.discard, {
      discard: true
    })
    return receipt
  })

/** What an earlier run had proven, and a crash kept from being published or cleared up, either way. */
const takeUp = (run: Run, way: Way): Effect.Effect<Option.Option<Found>, StorageError, Delivery.Needs> =>
  Effect.gen(function* () {
    for (const one of yield* waysOf(run, way)) {
      const assembled = yield* one.destination.takeUp
      if (Option.isSome(assembled)) {
        return Option.some({ ...one, assembled: assembled.value, batch: run.batch })
      }
    }
    return Option.none()
  })

/** A way, and the other one to the same rows, if there is one. */
const waysOf = (run: Run, way: Way): Effect.Effect<ReadonlyArray<Way>, never, Path.Path> =>
  Effect.map(
    Effect.transposeMapOption(ResultPlan.alternative(run.batch, way.plan), (plan) => wayOf(run, plan, true)),
    (aside) => [way, ...Option.toArray(aside)]
  )

type RowsError = TableError | TransferError

/**
 * As many rows as were announced. If they are not, the job is asked for again, since its count may come late; what has
 * changed is fetched again.
 */
const findRows = (
  run: Run,
  links: ResultLinks.Links,
  way: Way
): Effect.Effect<Found, RowsError, Delivery.Needs> =>
  Effect.gen(function* () {
    const settings = yield* BatchConfig
    let found = yield* tryBothWays(run, links, way)
    const recount = Settling.recount({
      settings,
      ask: Effect.option(links.ask),
      isNews: (fresh) => isNews(links, found[0], fresh),
      onPause: (pause) => run.emit({ _tag: "Settling", ...pause })
    })
    while (!isComplete(found[0])) {
      const [best] = found
      const told = `${inWords(best)}, of ${count(best.batch.resultCount)} announced`
      const fresh = yield* recount.next(told)
      if (Option.isNone(fresh)) return yield* settleFor(run, found)
      const caughtUp = yield* retold(run, { ...best, batch: fresh.value })
      if (isComplete(caughtUp)) return caughtUp
      const plan = ResultPlan.make(fresh.value, { parts: run.options.parts ?? false })
      if (Either.isLeft(plan) || plan.right.source === "none") return yield* settleFor(run, found)
      yield* run.emit({ _tag: "Restarted", detail: `${told}; the job or its files have changed since` })
      yield* Effect.forEach(found, ({ destination }) => destination.forget, { discard: true })
      const again = { ...run, batch: fresh.value }
      found = yield* tryBothWays(again, links, yield* wayOf(again, plan.right))
    }
    return found[0]
  })

/** Rows that were fetched, the most first. */
type Rows = readonly [Found, ...ReadonlyArray<Found>]

/** If the merged file has not all rows, the part files may, and the reverse. */
const tryBothWays = (
  run: Run,
  links: ResultLinks.Links,
  way: Way
): Effect.Effect<Rows, RowsError, Delivery.Needs> =>
  Effect.gen(function* () {
    const first = yield* fetchRows(run, links, way)
    if (isComplete(first)) return [first]
    const other = ResultPlan.alternative(first.batch, way.plan)
    if (Option.isNone(other)) return [first]
    yield* run.emit({
      _tag: "Restarted",
      detail: `${inWords(first)}, of ${count(first.batch.resultCount)} announced`
    })
    const aside = yield* wayOf(run, other.value, true)
    const second = yield* fetchRows(run, links, aside).pipe(
      Effect.asSome,
      Effect.catchTags({
        ResultsUnavailable: () => Effect.succeedNone,
        ResultsCorrupt: () => Effect.succeedNone
      })
    )
    if (Option.isNone(second)) return [first]
    const gained = second.value.assembled.records > first.assembled.records
    const [more, fewer] = gained ? [second.value, first] : [first, second.value]
    yield* fewer.destination.forget
    return isComplete(more) ? [more] : [more, fewer]
  })

/** Whether an answer says something new of the job, or its files have another version or size. */
const isNews = (
  links: ResultLinks.Links,
  { assembled, batch, plan }: Found,
  fresh: Batch
): Effect.Effect<boolean, never, BatchHttp | BatchConfig> =>
  Effect.gen(function* () {
    if (fresh.status !== "completed" || !Settling.hasLinks(fresh)) return false
    if (!Settling.isSameResult(batch, fresh)) return true
    const { transfer } = yield* BatchConfig
    const ignored = { write: () => Effect.void, sync: Effect.void }
    const isOther = (planned: ResultPlan.PlannedFile) =>
      Effect.gen(function* () {
        const known = assembled.files.find(({ index }) => index === planned.index)
        const file = yield* FileTransfer.make({ planned, target: ignored, transfer })
        const now = yield* RangeFetch.look(links, file)
        return Option.exists(now, ({ etag }) => known !== undefined && etag !== known.etag)
      })
    return yield* Effect.exists(plan.files, isOther)
  })

/** The same rows, compared with what the job says now. */
const retold = (run: Run, found: Found): Effect.Effect<Found, never, Path.Path> =>
  Effect.map(wayOf({ ...run, batch: found.batch }, found.plan, found.aside), ({ destination }) => ({
    ...found,
    destination
  }))

/** One way to the rows. */
const fetchRows = (
  run: Run,
  links: ResultLinks.Links,
  way: Way
): Effect.Effect<Found, RowsError, Delivery.Needs> =>
  Effect.gen(function* () {
    const { concurrency } = run.options
    const { emit } = run
    const found = yield* Delivery.fetch(way, { links, concurrency, emit, anew: renewed(run, links, way) })
    return yield* retold(run, { ...found, batch: yield* links.batch })
  })

/** The same way to what the job says now: it may have other files than when the run began. */
const renewed = (run: Run, links: ResultLinks.Links, way: Way): Effect.Effect<Way, never, Path.Path> =>
  Effect.flatMap(links.batch, (batch) =>
    Option.match(ResultPlan.again(batch, way.plan), {
      onNone: () => Effect.succeed(way),
      onSome: (plan) => wayOf({ ...run, batch }, plan, way.aside)
    })
  )

const isComplete = ({ assembled, batch }: Found): boolean => Proof.isComplete(assembled, batch.resultCount)

const inWords = ({ assembled, plan }: Found): string =>
  `${plural(assembled.records, "row")} in ${ResultPlan.inWords(plan)}`

/** Rows that are not those announced are accepted only if that was asked for. The first is the one to settle for. */
const settleFor = (
  run: Run,
  [best, ...others]: Rows
): Effect.Effect<Found, ResultsCorrupt, FileSystem.FileSystem> => {
  const { resultCount } = best.batch
  if (run.options.allowIncomplete === true) {
    return Effect.as(run.emit({ _tag: "Incomplete", records: best.assembled.records, resultCount }), best)
  }
  return Delivery.corrupt(best, Proof.wrongCount(best.batch, [best, ...others].map(inWords).join(" and ")))
}

const makeReceipt = (
  run: Run,
  { assembled, batch, destination, plan }: Found,
  urlRefreshes: number
): Effect.Effect<Receipt.Receipt> =>
  Effect.map(
    DateTime.now,
    (finishedAt) =>
      new Receipt.Receipt({
        ...assembled,
        batchId: batch.batchId,
        status: batch.status,
        output: run.options.output,
        format: run.format,
        columns: run.format === "csv" ? Option.fromNullable(run.options.columns) : Option.none(),
        resultCount: batch.resultCount,
        entitiesRequested: batch.entitiesRequested,
        entitiesFulfilled: batch.entitiesFulfilled,
        blankLines: Option.liftPredicate(assembled.blankLines, (count) => count > 0),
        complete: Proof.isComplete(assembled, batch.resultCount),
        compressedHere: assembled.compressedHere ? Option.some(true) : Option.none(),
        source: plan.source,
        parts: assembled.files.map((file) => {
          const output =
            run.options.parts === true ? Option.some(destination.nameOf(file.path)) : Option.none()
          return new Receipt.Part({ ...file, output })
        }),
        urlRefreshes,
        requestId: batch.requestId,
        startedAt: run.startedAt,
        finishedAt
      })
  )
