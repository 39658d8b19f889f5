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
import { Effect, Mailbox, Option, Queue, type Scope, Stream } from "effect"
import type { Batch } from "../model/Batch.js"
import { BatchClient } from "../status/BatchClient.js"
import { BatchConfig, type Settings } from "../model/BatchConfig.js"
import {
  type BatchFailed,
  type BatchNotCompleted,
  type ResultsCorrupt,
  type ResultsUnavailable,
  type StatusError,
  type TransferFailed
} from "../model/BatchError.js"
import type { BatchHttp } from "../status/BatchHttp.js"
import * as Digest from "../disk/Digest.js"
import * as Connections from "../transfer/Connections.js"
import type { Emit } from "./Event.js"
import * as Gunzip from "../proof/Gunzip.js"
import * as Buffers from "../disk/Buffers.js"
import * as Proof from "../proof/Proof.js"
import * as ResultLinks from "../transfer/ResultLinks.js"
import * as ResultPlan from "../transfer/ResultPlan.js"
import * as Condition from "../disk/Condition.js"
import * as FileTransfer from "../transfer/FileTransfer.js"
import * as Throttle from "../retry/Throttle.js"
import * as RangeFetch from "../transfer/RangeFetch.js"

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

/** The results of a completed job, as bytes. A reader that stops ends the transfer; one that pauses pauses it. */
export const make = (batch: Batch, options: StreamOptions): Stream.Stream<Uint8Array, StreamError, Needs> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const plan = yield* ResultPlan.make(batch, { parts: false })
      if (plan.source === "none") {
        return options.format === "jsonl.gz" ? Stream.make(Uint8Array.from(Gunzip.emptyMember)) : Stream.empty
      }
      const output = yield* Mailbox.make<Uint8Array, StreamError>(1)
      const run: Run = { batch, options, plan, output, ...(yield* share(batch, options.onEvent)) }
      yield* Effect.forkScoped(Mailbox.into(pump(run), output))
      return Mailbox.toStream(output)
    })
  )

/** Bytes in a chunk: few enough for hundreds of streams at the same time, and nearly as fast as larger ones. */
const chunkBytes = 262_144

interface Run {
  readonly batch: Batch
  readonly options: StreamOptions
  readonly plan: ResultPlan.ResultPlan
  readonly output: Mailbox.Mailbox<Uint8Array, StreamError>
  readonly settings: Settings
  readonly shared: RangeFetch.Shared
}

/** Takes the next bytes for the reader, in order. */
type HandOn = (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, ResultsCorrupt>

const share = (batch: Batch, emit: Emit = () => Effect.void) =>
  Effect.gen(function* () {
    const config = yield* BatchConfig
    const { retry, transfer } = config
    const changed = yield* Condition.make
    const shared: RangeFetch.Shared = {
      links: yield* ResultLinks.make(batch, {
        client: yield* BatchClient,
        settings: config,
        onRefresh: emit({ _tag: "LinkRefreshed" })
      }),
      throttle: yield* Throttle.make(retry),
      connections: yield* Connections.make({ initial: 1, most: 1, changed }),
      isSurplus: Effect.succeed(false),
      onWritten: () => Effect.void,
      onSize: () => Effect.void,
      onRetry: ({ planned }, detail, delay) => emit({ _tag: "Retrying", file: planned.name, detail, delay })
    }
    const blockBytes = Math.min(transfer.blockBytes, chunkBytes)
    return { shared, settings: { ...config, transfer: { ...transfer, blockBytes } } }
  })

/** All rows. If the merged file has not all of them, the part files may go on where it ended. */
const pump = (run: Run): Effect.Effect<void, StreamError, BatchHttp> =>
  Effect.gen(function* () {
    const { batch, options, output, plan } = run
    const offer: HandOn = (chunks) => Effect.asVoid(output.offerAll(chunks))
    const other =
      options.format === "jsonl" ? ResultPlan.alternative(batch, plan) : Option.none<ResultPlan.ResultPlan>()
    const read = { bytes: 0, crc: 0 }
    const note: HandOn = (chunks) => {
      for (const chunk of chunks) {
        read.bytes += chunk.length
        read.crc = Digest.crc32(chunk, read.crc)
      }
      return offer(chunks)
    }
    const first = yield* pumpFiles(run, plan, Option.isSome(other) ? note : offer)
    if (first === batch.resultCount) return
    if (Option.isNone(other) || first > batch.resultCount) return yield* wrongCount(batch, `${first} rows`)
    const second = yield* pumpFiles(run, other.value, behind(batch, read, offer))
    if (second === batch.resultCount) return
    return yield* wrongCount(batch, `${first} rows in the merged file and ${second} rows in the part files`)
  })

/** Hands on what follows the bytes that were read already, if these are the same. */
const behind = (
  batch: Batch,
  read: { readonly bytes: number; readonly crc: number },
  offer: HandOn
): HandOn => {
  let [seen, crc] = [0, 0]
  return Effect.forEach(
    (chunk) => {
      const known = chunk.subarray(0, Math.max(0, read.bytes - seen))
      seen += chunk.length
      crc = Digest.crc32(known, crc)
      const isOther = known.length > 0 && seen >= read.bytes && crc !== read.crc
      if (isOther) return wrongCount(batch, "other rows in the part files than in the merged file")
      return known.length === chunk.length ? Effect.void : offer([chunk.subarray(known.length)])
    },
    { discard: true }
  )
}

const wrongCount = (batch: Batch, actual: string): Effect.Effect<never, ResultsCorrupt> =>
  Effect.fail(Proof.wrongCount(batch, actual))

/** All files of a plan in their order; gives the number of their rows. */
const pumpFiles = (
  run: Run,
  { files }: ResultPlan.ResultPlan,
  handOn: HandOn
): Effect.Effect<number, StreamError, BatchHttp> =>
  Effect.gen(function* () {
    let records = 0
    for (const file of files) {
      const end = yield* Effect.scoped(pumpFile(run, file, handOn))
      records += Gunzip.countOf(end)
      if (Gunzip.isUnterminated(end) && file.index + 1 < files.length) {
        return yield* Proof.unjoinable(file.name)
      }
    }
    return records
  })

/** One file: fetched, inflated and handed on, each a step ahead of the next. */
const pumpFile = (
  run: Run,
  planned: ResultPlan.PlannedFile,
  handOn: HandOn
): Effect.Effect<Gunzip.Position, StreamError, BatchHttp | Scope.Scope> =>
  Effect.gen(function* () {
    const { options } = run
    const lines = yield* Gunzip.make({
      maxLineBytes: Number.POSITIVE_INFINITY,
      chunkBytes,
      chunksHeld: 1,
      onInflated: options.format === "jsonl" ? handOn : undefined
    })
    const blocks = yield* Queue.bounded<Option.Option<Uint8Array>>(1)
    const fetched = fetchAll(run, planned, (block) =>
      Queue.offer(blocks, Option.some(new Uint8Array(block)))
    ).pipe(Effect.zipRight(Queue.offer(blocks, Option.none())))
    const take = (block: Uint8Array) =>
      Effect.zipRight(
        lines.push(block),
        options.format === "jsonl" ? Effect.sync(() => Buffers.release(block)) : handOn([block])
      )
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
    const file = yield* FileTransfer.make({
      planned,
      target: { write: (_, bytes) => Effect.asVoid(write(bytes)), sync: Effect.void },
      transfer: settings.transfer
    })
    let claimed = file.claim(1)
    while (Option.isSome(claimed)) {
      yield* RangeFetch.fetch(shared, file, claimed.value)
      claimed = file.claim(1)
    }
  }).pipe(Effect.provideService(BatchConfig, settings))
