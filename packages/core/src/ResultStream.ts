/**
 * The rows of a job straight from the network, with nothing written to disk: over one connection, in their order, at
 * the pace of whoever reads them. Retries, dead links and broken connections stay below; what has been read is always
 * a prefix of the result, and the stream ends without a failure only if every byte and every row was there.
 *
 * @example
 * import { Effect, Stream } from "effect"
 * import { type Batch, BatchClient, ResultStream } from "@org/batch-core"
 *
 * const bytes = (id: Batch.BatchId) =>
 *   Stream.unwrap(Effect.map(BatchClient.status(id), (batch) => ResultStream.make(batch, { format: "jsonl" }))).pipe(
 *     Stream.runFold(0, (sum, chunk) => sum + chunk.length)
 *   )
 */
import { Deferred, Effect, Option, Queue, type Scope, Stream, Take } from "effect"
import type { Batch } from "./Batch.js"
import { BatchClient } from "./BatchClient.js"
import { BatchConfig, type Settings } from "./BatchConfig.js"
import {
  type BatchFailed,
  type BatchNotCompleted,
  ResultsCorrupt,
  type ResultsUnavailable,
  type StatusError,
  type TransferFailed
} from "./BatchError.js"
import type { BatchHttp } from "./BatchHttp.js"
import * as Connections from "./Connections.js"
import type { Emit } from "./Event.js"
import * as Frontier from "./Frontier.js"
import * as GzipLines from "./GzipLines.js"
import * as Proof from "./Proof.js"
import * as ResultLink from "./ResultLink.js"
import * as ResultPlan from "./ResultPlan.js"
import * as Signal from "./Signal.js"
import * as Source from "./Source.js"
import * as Throttle from "./Throttle.js"
import * as Transfer from "./Transfer.js"

/** What to stream. */
export interface StreamOptions {
  /** `jsonl` is the rows decompressed, `jsonl.gz` the bytes as delivered: part files follow each other as members. */
  readonly format: "jsonl" | "jsonl.gz"
  /** Told of retries and fresh links. */
  readonly onEvent?: Emit | undefined
}

/** What a stream of results can fail with, at its beginning or in its middle. */
export type StreamError =
  StatusError | BatchFailed | BatchNotCompleted | ResultsUnavailable | TransferFailed | ResultsCorrupt

/** What is needed to stream. */
export type Needs = BatchClient | BatchConfig | BatchHttp

/** The results of a completed job. A reader that stops ends the transfer; one that pauses pauses it. */
export const make = (batch: Batch, options: StreamOptions): Stream.Stream<Uint8Array, StreamError, Needs> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const plan = yield* ResultPlan.make(batch, { parts: false })
      if (plan.source === "none") {
        return options.format === "jsonl.gz" ? Stream.make(GzipLines.emptyMember) : Stream.empty
      }
      const output = yield* Queue.bounded<Take.Take<Uint8Array, StreamError>>(1)
      const run: Run = { batch, options, plan, output, ...(yield* share(batch, options.onEvent)) }
      yield* pump(run).pipe(
        Effect.matchCauseEffect({
          onFailure: (cause) => Queue.offer(output, Take.failCause(cause)),
          onSuccess: () => Queue.offer(output, Take.end)
        }),
        Effect.forkScoped
      )
      return Stream.flattenTake(Stream.fromQueue(output, { maxChunkSize: 1 }))
    })
  )

/** Small enough for hundreds of streams at the same time, large enough to be nearly as fast as larger ones. */
const chunkBytes = 262_144

interface Run {
  readonly batch: Batch
  readonly options: StreamOptions
  readonly plan: ResultPlan.ResultPlan
  readonly output: Queue.Enqueue<Take.Take<Uint8Array, StreamError>>
  readonly settings: Settings
  readonly shared: Transfer.Shared
}

const share = (batch: Batch, emit: Emit = () => Effect.void) =>
  Effect.gen(function* () {
    const config = yield* BatchConfig
    const { baseUrl, retry, transfer } = config
    const changed = yield* Signal.make
    const shared: Transfer.Shared = {
      links: yield* ResultLink.make(batch, {
        client: yield* BatchClient,
        transfer,
        allowHttp: new URL(baseUrl).protocol === "http:",
        onRefresh: emit({ _tag: "LinkRefreshed" })
      }),
      throttle: yield* Throttle.make(retry),
      connections: yield* Connections.make({ initial: 1, most: 1, changed }),
      isSurplus: Effect.succeed(false),
      onWritten: () => Effect.void,
      onSize: (source, bytes) => Deferred.succeed(source.size, bytes),
      onRetry: (source, detail, delay) => emit({ _tag: "Retrying", file: source.planned.name, detail, delay })
    }
    const blockBytes = Math.min(transfer.blockBytes, chunkBytes)
    return { shared, settings: { ...config, transfer: { ...transfer, blockBytes } } }
  })

/** All files in their order, and then the rows counted. */
const pump = (run: Run): Effect.Effect<void, StreamError, BatchHttp> =>
  Effect.gen(function* () {
    const { batch, plan } = run
    let records = 0
    for (const file of plan.files) {
      const end = yield* Effect.scoped(pumpFile(run, file))
      records += GzipLines.countOf(end)
      if (GzipLines.isUnterminated(end) && file.index + 1 < plan.files.length) {
        return yield* Proof.unjoinable(file.name)
      }
    }
    if (records === batch.resultCount) return
    return yield* new ResultsCorrupt({
      reason: "RowCount",
      file: `${batch.batchId}.jsonl.gz`,
      expected: `${batch.resultCount} rows (result_count)`,
      actual: `${records} rows`,
      kept: Option.none()
    })
  })

/** One file: fetched, inflated and handed on, each a step ahead of the next. */
const pumpFile = (
  run: Run,
  planned: ResultPlan.PlannedFile
): Effect.Effect<GzipLines.Position, StreamError, BatchHttp | Scope.Scope> =>
  Effect.gen(function* () {
    const { options, output, settings } = run
    const handOn = (chunks: ReadonlyArray<Uint8Array>) =>
      Effect.forEach(chunks, (chunk) => Queue.offer(output, Take.of(chunk)), { discard: true })
    const lines = yield* GzipLines.make({
      maxLineBytes: settings.transfer.maxLineBytes,
      chunkBytes,
      onInflated: options.format === "jsonl" ? handOn : undefined
    })
    const blocks = yield* Queue.bounded<Option.Option<Uint8Array>>(1)
    const fetched = fetchAll(run, planned, (block) => Queue.offer(blocks, Option.some(block))).pipe(
      Effect.zipRight(Queue.offer(blocks, Option.none()))
    )
    const take = (block: Uint8Array) =>
      Effect.zipRight(lines.push(block), options.format === "jsonl" ? Effect.void : handOn([block]))
    const proven = Effect.gen(function* () {
      let block = yield* Queue.take(blocks)
      while (Option.isSome(block)) {
        yield* take(block.value)
        block = yield* Queue.take(blocks)
      }
      return yield* lines.end
    }).pipe(Effect.catchTag("GzipFault", (fault) => Proof.corrupt(planned.name, fault)))
    const [end] = yield* Effect.all([proven, fetched], { concurrency: 2 })
    return end
  })

/** Every byte of a file, in order, to `write`. Its first request tells the size, the next one asks for all the rest. */
const fetchAll = (
  { settings, shared }: Run,
  planned: ResultPlan.PlannedFile,
  write: (bytes: Uint8Array) => Effect.Effect<unknown>
): Effect.Effect<void, StreamError, BatchHttp> =>
  Effect.gen(function* () {
    const source = Source.make({
      planned,
      path: planned.name,
      sink: { write: (_, bytes) => Effect.asVoid(write(bytes)), sync: Effect.void },
      size: yield* Deferred.make<number>(),
      base: Effect.succeed(0),
      frontier: yield* Frontier.make
    })
    const next = () => Source.claim(source, { cellBytes: settings.transfer.cellBytes, connections: 1 })
    let claimed = next()
    while (Option.isSome(claimed)) {
      yield* Transfer.fetch(shared, source, claimed.value)
      claimed = next()
    }
  }).pipe(Effect.provideService(BatchConfig, settings), Effect.catchTag("StorageError", Effect.die))
