/**
 * The rows of a job straight from the network, with nothing written to disk: over one connection, in their order, at
 * the pace of whoever reads them. Retries, dead links and broken connections stay below; what has been read is always
 * a prefix of the result, and the stream ends without a failure only if every byte and every row was there.
 *
 * @example
 * import { Stream } from "effect"
 * import { type Batch, ResultStream } from "@org/batch-core"
 *
 * const bytes = (id: Batch.BatchId) =>
 *   ResultStream.get(id, { deadline: "30 minutes", format: "jsonl" }).pipe(
 *     Stream.runFold(0, (sum, chunk) => sum + chunk.length)
 *   )
 */
import { Effect, Either, Mailbox, Option, Predicate, Queue, type Scope, Stream } from "effect"
import type { Batch, BatchId } from "../model/Batch.js"
import { BatchClient } from "../status/BatchClient.js"
import { BatchConfig, type Settings } from "../model/BatchConfig.js"
import type {
  AwaitError,
  BatchFailed,
  BatchNotCompleted,
  ResultsCorrupt,
  ResultsUnavailable,
  StatusError,
  TransferFailed
} from "../model/BatchError.js"
import * as CountText from "../model/CountText.js"
import type { BatchHttp } from "../status/BatchHttp.js"
import * as BatchPoll from "../status/BatchPoll.js"
import * as Digest from "../disk/Digest.js"
import * as Connections from "../transfer/Connections.js"
import * as Event from "./Event.js"
import type { Emit } from "./Event.js"
import * as Compression from "../proof/Compression.js"
import * as Gunzip from "../proof/Gunzip.js"
import * as PlainLines from "../proof/PlainLines.js"
import * as Buffers from "../disk/Buffers.js"
import * as Proof from "../proof/Proof.js"
import * as ResultLinks from "../transfer/ResultLinks.js"
import * as ResultPlan from "../transfer/ResultPlan.js"
import * as Condition from "../disk/Condition.js"
import * as FileResponse from "../transfer/FileResponse.js"
import * as FileTransfer from "../transfer/FileTransfer.js"
import * as Settling from "../transfer/Settling.js"
import * as RangeFetch from "../transfer/RangeFetch.js"

/** One version of a results file, which is gzip. */
export interface DeliveredFile {
  /** Strong, with its quotes, as the file host has it. */
  readonly etag: string
  /** Its size in bytes. */
  readonly total: number
}

/** What to stream. */
export interface StreamOptions {
  /**
   * `jsonl` is the rows decompressed, `jsonl.gz` the bytes as delivered: part files follow each other as members, without
   * padding between them; what came without compression is compressed.
   */
  readonly format: "jsonl" | "jsonl.gz"
  /** Told which file it is, before its first byte, if the bytes as delivered are those of one file with a strong name. */
  readonly onFile?: ((file: DeliveredFile) => Effect.Effect<void>) | undefined
  /** Told of everything worth showing, in order. */
  readonly onEvent?: Emit | undefined
  /**
   * Bytes in a chunk; 262,144 by default. A stream holds some eight of them while its reader pauses: smaller ones take less
   * memory, and more time.
   */
  readonly chunkBytes?: number | undefined
}

/** As `StreamOptions`, and how long to wait for the job. */
export interface GetOptions extends StreamOptions {
  /** There is no default: `Infinity` must be said. A number alone counts seconds. */
  readonly deadline: BatchPoll.Deadline
}

/** What the results of a completed job can fail with, at the beginning of their stream or in its middle. */
export type ResultsError = StatusError | BatchFailed | ResultsUnavailable | TransferFailed | ResultsCorrupt

/** What a stream of results can fail with, at its beginning or in its middle. */
export type StreamError = ResultsError | BatchNotCompleted

/** What `get` can fail with. */
export type GetError = AwaitError | ResultsError

/** What is needed to stream. */
export type Needs = BatchClient | BatchConfig | BatchHttp

/** The results of a completed job, as bytes. A reader that stops ends the transfer; one that pauses pauses it. */
export const make = (
  answered: Batch,
  options: StreamOptions
): Stream.Stream<Uint8Array, StreamError, Needs> =>
  Stream.unwrap(Effect.map(ResultPlan.completed(answered), (batch) => ofCompleted(batch, options)))

/** Waits for the job, then streams its results as `make` does. */
export const get = (batchId: BatchId, options: GetOptions): Stream.Stream<Uint8Array, GetError, Needs> => {
  const { deadline, onEvent = Event.silent } = options
  return Stream.unwrap(
    Effect.map(BatchPoll.await(batchId, { deadline, ...Event.ofWait(onEvent) }), (batch) =>
      ofCompleted(batch, options)
    )
  )
}

/** Takes the next bytes; they are its own, so it may release their memory. The next ones follow when it is done. */
export type Write<E = never> = (bytes: Uint8Array) => Effect.Effect<void, E>

/**
 * Hands the results of a completed job to `write`, chunk by chunk: as `make`, for those who only pass them on, without what
 * a stream costs for each chunk. Fails as `make` does, and as `write` does, at once.
 */
export const run = <E>(
  answered: Batch,
  options: StreamOptions,
  write: Write<E>
): Effect.Effect<void, StreamError | E, Needs> =>
  Effect.flatMap(ResultPlan.completed(answered), (batch) => runCompleted(batch, options, write))

const ofCompleted = (batch: Batch, options: StreamOptions): Stream.Stream<Uint8Array, ResultsError, Needs> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const output = yield* Mailbox.make<Uint8Array, ResultsError>(0)
      const write = (bytes: Uint8Array) => Effect.asVoid(output.offer(bytes))
      yield* Effect.forkScoped(Mailbox.into(runCompleted(batch, options, write), output))
      return Mailbox.toStream(output)
    })
  )

const runCompleted = <E>(
  completed: Batch,
  options: StreamOptions,
  write: Write<E>
): Effect.Effect<void, ResultsError | E, Needs> =>
  Effect.gen(function* () {
    const emit = options.onEvent ?? Event.silent
    const client = yield* BatchClient
    const settings = yield* BatchConfig
    const batch = yield* Settling.links(completed, {
      client,
      settings,
      onPause: (pause) => emit({ _tag: "Settling", ...pause })
    })
    const plan = yield* ResultPlan.make(batch, { parts: false })
    yield* emit({ _tag: "Planned", batch, source: plan.source, files: plan.files.length })
    if (plan.source === "none") {
      return options.format === "jsonl.gz" ? yield* write(Uint8Array.from(Gunzip.emptyMember)) : undefined
    }
    const progress = progressOf(emit)
    const sharing = yield* share(batch, { emit, onSize: progress.sized, chunkBytes: options.chunkBytes })
    yield* pump({ ...sharing, batch, options, plan, write, emit, progress, versions: new Map() })
  }).pipe(Effect.scoped)

/** Bytes in a chunk, if nothing else is asked for: 1 MiB takes a tenth less time, and four times the memory. */
const defaultChunkBytes = 262_144

/** What the transfers of a job's files to one reader share. */
export interface Sharing {
  /** Those of the configuration, with blocks that are small enough. */
  readonly settings: Settings
  readonly links: ResultLinks.Links
  readonly shared: RangeFetch.Shared<StatusError>
}

interface Run<E> extends Sharing {
  readonly batch: Batch
  readonly options: StreamOptions
  readonly plan: ResultPlan.ResultPlan
  readonly write: Write<E>
  readonly emit: Emit
  /** The ETag of each file that was read. */
  readonly versions: Map<ResultPlan.PlannedFile, string>
  readonly progress: Progress
}

/** Takes the next bytes for the reader, in order. */
type HandOn<E> = (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, ResultsCorrupt | E>

/** Makes what the transfers of a job's files to one reader share: one connection, and small blocks. */
export const share = (
  batch: Batch,
  {
    chunkBytes = defaultChunkBytes,
    emit = Event.silent,
    onSize = () => Effect.void
  }: {
    readonly chunkBytes?: number | undefined
    readonly emit?: Emit
    readonly onSize?: Progress["sized"]
  } = {}
): Effect.Effect<Sharing, never, BatchClient | BatchConfig | Scope.Scope> =>
  Effect.gen(function* () {
    const config = yield* BatchConfig
    const { transfer } = config
    const settings = {
      ...config,
      transfer: { ...transfer, blockBytes: Math.min(transfer.blockBytes, chunkBytes) }
    }
    const links = yield* ResultLinks.make(batch, {
      client: yield* BatchClient,
      settings,
      onRefresh: (detail) => emit({ _tag: "LinkRefreshed", detail })
    })
    const shared: RangeFetch.Shared<StatusError> = {
      links,
      connections: yield* Connections.make({ initial: 1, most: 1, changed: yield* Condition.make }),
      isSurplus: Effect.succeed(false),
      onWritten: () => Effect.void,
      onSize: (_, bytes) => onSize(bytes),
      onSettling: (pause) => emit({ _tag: "Settling", ...pause }),
      onRetry: ({ planned }, detail, delay) => emit({ _tag: "Retrying", file: planned.name, detail, delay })
    }
    return { settings, links, shared }
  })

/** What is told of for the event `Progress`, of the way to the rows that is read at the moment. */
interface Progress {
  /** So many files follow, from the first row on. */
  readonly begin: (files: number) => void
  readonly sized: (bytes: number) => Effect.Effect<void>
  /** Bytes of a file that are inflated, and the rows that this makes in all. */
  readonly read: (bytes: number, records: number) => Effect.Effect<void>
}

const progressOf = (emit: Emit): Progress => {
  let bytes = 0
  let known = 0
  let unknown = 0
  return {
    begin: (files) => {
      bytes = 0
      known = 0
      unknown = files
    },
    sized: (size) =>
      Effect.sync(() => {
        known += size
        unknown -= 1
      }),
    read: (more, records) =>
      Effect.suspend(() => {
        bytes += more
        const totalBytes = unknown === 0 ? known : undefined
        return emit({ _tag: "Progress", bytes, totalBytes, resumedBytes: 0, records })
      })
  }
}

/**
 * All rows. If the merged file has not all of them, the part files may go on where it ended; and if the job says later
 * that there are more, or its files are other ones, these may.
 */
const pump = <E>(run: Run<E>): Effect.Effect<void, ResultsError | E, BatchHttp> =>
  Effect.gen(function* () {
    const { batch, emit, links, options, plan, settings, write } = run
    const isText = options.format === "jsonl"
    const read = { bytes: 0, crc: 0 }
    const offer: HandOn<E> = Effect.forEach(
      (chunk) => {
        if (isText) {
          read.bytes += chunk.length
          read.crc = Digest.crc32(chunk, read.crc)
        }
        return write(chunk)
      },
      { discard: true }
    )
    const counts: Counts = [{ plan, count: yield* pumpFiles(run, plan, offer) }]
    const other = isText ? ResultPlan.alternative(batch, plan) : Option.none()
    const isShort = (announced: number) =>
      counts.every(({ count }) => !Proof.isComplete(count, announced) && count.records <= announced)
    if (isShort(batch.resultCount) && Option.isSome(other)) {
      yield* emit({
        _tag: "Restarted",
        detail: `${counts.map(inWords).join()}, of ${batch.resultCount} announced`
      })
      const count = yield* pumpFiles(run, other.value, behind(batch, { ...read }, offer))
      counts.push({ plan: other.value, count })
    }
    let latest = yield* links.batch
    const most = () => counts.reduce((a, b) => (b.count.records > a.count.records ? b : a))
    const isComplete = () => Proof.isComplete(most().count, latest.resultCount)
    const recount = Settling.recount({
      settings,
      ask: Effect.option(links.ask),
      isNews: (fresh) => isNews(run, latest, fresh),
      onPause: (pause) => run.emit({ _tag: "Settling", ...pause })
    })
    while (!isComplete()) {
      const told = counts.map(inWords).join(" and ")
      const fresh = yield* recount.next(`${told}, of ${CountText.count(latest.resultCount)} announced`)
      if (Option.isNone(fresh)) return yield* wrongCount(latest, told)
      latest = fresh.value
      run.versions.clear()
      const next = ResultPlan.make(latest, { parts: false })
      if (isComplete() || !isText || Either.isLeft(next)) continue
      yield* emit({ _tag: "Restarted", detail: `${told}; the job or its files have changed since` })
      const count = yield* pumpFiles(run, next.right, behind(latest, { ...read }, offer))
      counts.splice(0, counts.length, { plan: next.right, count })
    }
  })

/** Whether an answer says something new of the job, or its files have another version than those that were read. */
const isNews = (
  { links, settings, versions }: Run<unknown>,
  before: Batch,
  fresh: Batch
): Effect.Effect<boolean, never, BatchHttp> =>
  Effect.gen(function* () {
    if (fresh.status !== "completed" || !Settling.hasLinks(fresh)) return false
    if (!Settling.isSameResult(before, fresh)) return true
    return yield* Effect.exists(versions, ([planned, etag]) =>
      Effect.gen(function* () {
        const file = yield* FileTransfer.make({ planned, target: ignored, transfer: settings.transfer })
        return Option.exists(yield* RangeFetch.look(links, file), (now) => now.etag !== etag)
      })
    )
  }).pipe(Effect.provideService(BatchConfig, settings))

const ignored: FileTransfer.Target = { write: () => Effect.void, sync: Effect.void }

/** What each way to the rows has brought. What was handed on is what the longest has. */
type Counts = Array<{ readonly count: Proof.Count; readonly plan: ResultPlan.ResultPlan }>

const inWords = ({ count, plan }: Counts[number]): string =>
  `${CountText.plural(count.records, "row")} in ${ResultPlan.inWords(plan)}`

/** Hands on what follows the bytes that were read already, if these are the same. */
const behind = <E>(
  batch: Batch,
  read: { readonly bytes: number; readonly crc: number },
  offer: HandOn<E>
): HandOn<E> => {
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

/** All files of a plan in their order; gives the number of their rows. A last row is given its line feed. */
const pumpFiles = <E>(
  run: Run<E>,
  { files }: ResultPlan.ResultPlan,
  handOn: HandOn<E>
): Effect.Effect<Proof.Count, ResultsError | E, BatchHttp> =>
  Effect.gen(function* () {
    const count = { records: 0, blankLines: 0 }
    run.progress.begin(files.length)
    for (const file of files) {
      const isFollowed = file.index + 1 < files.length
      const onRead = (bytes: number, records: number) => run.progress.read(bytes, count.records + records)
      const end = yield* Effect.scoped(pumpFile(run, file, handOn, onRead, isFollowed))
      count.records += Gunzip.countOf(end)
      count.blankLines += end.blankLines
      if (Gunzip.isUnterminated(end) && isFollowed) yield* handOn([lineFeed(run.options.format)])
    }
    return count
  })

const lineFeed = (format: StreamOptions["format"]): Uint8Array =>
  format === "jsonl" ? Uint8Array.of(0x0a) : Uint8Array.from(Gunzip.lineFeedMember)

/** How one file is proven and handed on: made once its first byte says what it is. */
interface Reader<E> {
  readonly push: (block: Uint8Array) => Effect.Effect<unknown, Gunzip.GzipFault | ResultsCorrupt | E>
  readonly position: Effect.Effect<Gunzip.Position>
  readonly end: Effect.Effect<Gunzip.Position, Gunzip.GzipFault | ResultsCorrupt | E>
}

const readerOf = <E>(
  { options }: Run<E>,
  planned: ResultPlan.PlannedFile,
  first: Uint8Array,
  handOn: HandOn<E>,
  isFollowed: boolean
): Effect.Effect<Reader<E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const isText = options.format === "jsonl"
    const isPlain = first.length === 0 ? planned.target !== "merged" : PlainLines.mayBegin(first)
    if (isPlain) {
      if (isText || first.length === 0) return PlainLines.make(handOn)
      const lines = PlainLines.make()
      const member = yield* Compression.make(handOn)
      return {
        position: lines.position,
        push: (block) => Effect.zipRight(lines.push(block), member.push(block)),
        end: Effect.zipRight(member.end, lines.end)
      }
    }
    const lines = yield* Gunzip.make({
      chunkBytes: options.chunkBytes ?? defaultChunkBytes,
      chunksHeld: 1,
      onInflated: isText ? handOn : undefined
    })
    if (isText) {
      const release = (block: Uint8Array) => Effect.sync(() => Buffers.release(block))
      return { ...lines, push: (block) => Effect.zipRight(lines.push(block), release(block)) }
    }
    const zeros = withheld(handOn)
    return {
      position: lines.position,
      push: (block) => Effect.zipRight(lines.push(block), isFollowed ? zeros.push(block) : handOn([block])),
      end: Effect.tap(lines.end, ({ padding }) => zeros.end(padding))
    }
  })

/** Hands on blocks without the zeros at their end until it is known that they are no padding. */
const withheld = <E>(handOn: HandOn<E>) => {
  let zeros = 0
  const handOnZeros = (count: number) => {
    const lengths = Array.from({ length: Math.ceil(count / defaultChunkBytes) }, (_, index) =>
      Math.min(defaultChunkBytes, count - index * defaultChunkBytes)
    )
    return Effect.forEach(lengths, (length) => handOn([new Uint8Array(length)]), { discard: true })
  }
  return {
    push: (block: Uint8Array) =>
      Effect.suspend(() => {
        const length = block.findLastIndex((byte) => byte !== 0) + 1
        const before = length === 0 ? 0 : zeros
        zeros += block.length - length - before
        if (length === 0) return Effect.void
        return Effect.zipRight(handOnZeros(before), handOn([block.subarray(0, length)]))
      }),
    end: (padding: number) => Effect.suspend(() => handOnZeros(zeros - padding))
  }
}

/** One file: fetched, inflated and handed on. The next block is gathered meanwhile, and is copied when its turn comes. */
const pumpFile = <E>(
  run: Run<E>,
  planned: ResultPlan.PlannedFile,
  handOn: HandOn<E>,
  onRead: Progress["read"],
  isFollowed: boolean
): Effect.Effect<Gunzip.Position, ResultsError | E, BatchHttp | Scope.Scope> =>
  Effect.gen(function* () {
    const blocks = yield* Queue.bounded<Option.Option<Uint8Array>>(1)
    const turn = yield* Effect.makeSemaphore(1)
    const fetched = fetchAll(run, planned, (block) =>
      Effect.zipRight(
        turn.take(1),
        Effect.suspend(() => Queue.offer(blocks, Option.some(new Uint8Array(block))))
      )
    ).pipe(Effect.zipRight(Queue.offer(blocks, Option.none())))
    const proven = Effect.gen(function* () {
      let block = yield* Queue.take(blocks)
      const first = Option.getOrElse(block, () => new Uint8Array(0))
      const reader = yield* readerOf(run, planned, first, handOn, isFollowed)
      while (Option.isSome(block)) {
        // A block that is read may be given back: its length is gone then.
        const { length } = block.value
        yield* reader.push(block.value)
        yield* turn.release(1)
        yield* onRead(length, Gunzip.countOf(yield* reader.position))
        block = yield* Queue.take(blocks)
      }
      const end = yield* reader.end
      yield* onRead(0, Gunzip.countOf(end))
      return end
    }).pipe(Effect.catchIf(isFault, (fault) => Proof.corrupt(planned.name, fault)))
    const [end] = yield* Effect.all([proven, fetched], { concurrency: 2 })
    return end
  })

const isFault = (error: unknown): error is Gunzip.GzipFault => Predicate.isTagged(error, "GzipFault")

/** What a file is known as, once its first bytes are here. */
export const deliveredFile = <E>(file: FileTransfer.FileTransfer<E>): Option.Option<DeliveredFile> =>
  Option.flatMap(file.identity(), ({ etag, total }) =>
    FileResponse.isStrong(etag) && !file.isPlain()
      ? Option.map(total, (bytes) => ({ etag, total: bytes }))
      : Option.none()
  )

/** Every byte of a file, in order, to `write`. */
const fetchAll = (
  { options, plan, settings, shared, versions }: Run<unknown>,
  planned: ResultPlan.PlannedFile,
  write: (bytes: Uint8Array) => Effect.Effect<unknown>
): Effect.Effect<void, ResultsError, BatchHttp> =>
  Effect.gen(function* () {
    const tell = Effect.suspend(() => {
      const isAll = options.format === "jsonl.gz" && plan.files.length === 1
      const known = isAll ? deliveredFile(file) : Option.none()
      return options.onFile === undefined || Option.isNone(known) ? Effect.void : options.onFile(known.value)
    })
    const file: FileTransfer.FileTransfer<StatusError> = yield* FileTransfer.make<StatusError>({
      planned,
      target: {
        write: (position, bytes) =>
          Effect.zipRight(position === 0 ? tell : Effect.void, Effect.asVoid(write(bytes))),
        sync: Effect.void
      },
      transfer: settings.transfer
    })
    yield* RangeFetch.fetchAll(shared, file)
    versions.set(planned, Option.match(file.identity(), { onNone: () => "", onSome: ({ etag }) => etag }))
  }).pipe(Effect.provideService(BatchConfig, settings))
