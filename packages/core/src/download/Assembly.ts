/**
 * The planned files of a result, fetched by a pool of connections and proven as they come: each at its place in one
 * file, in the order of the rows, or each in a file of its own.
 *
 * @example
 * import { Effect } from "effect"
 * import * as Assembly from "./Assembly.js"
 *
 * const rows = (options: Assembly.AssemblyOptions) =>
 *   Effect.scoped(Effect.map(Assembly.assemble(options), ({ records }) => records))
 */
import type { FileSystem } from "@effect/platform"
import { Deferred, Effect, Option, Ref, type Scope } from "effect"
import { alongside } from "../disk/Companion.js"
import { BatchConfig } from "../model/BatchConfig.js"
import type { RecordInvalid, ResultsCorrupt, StorageError, TransferError } from "../model/BatchError.js"
import type { BatchHttp } from "../status/BatchHttp.js"
import type * as Cells from "../transfer/Cells.js"
import * as Connections from "../transfer/Connections.js"
import * as PartialFiles from "./PartialFiles.js"
import type { Emit } from "./Event.js"
import * as FileResponse from "../transfer/FileResponse.js"
import * as LocalMachine from "../disk/LocalMachine.js"
import type * as Journal from "./Journal.js"
import * as Proof from "../proof/Proof.js"
import type { Links } from "../transfer/ResultLinks.js"
import type { PlannedFile } from "../transfer/ResultPlan.js"
import * as Condition from "../disk/Condition.js"
import type * as RowWriter from "./RowWriter.js"
import * as FileTransfer from "../transfer/FileTransfer.js"
import type { Throttle } from "../retry/Throttle.js"
import * as RangeFetch from "../transfer/RangeFetch.js"

/** What to assemble, and where. */
export interface AssemblyOptions {
  readonly files: ReadonlyArray<PlannedFile>
  readonly purpose: Journal.Purpose
  /** Where the journal lies that an interrupted run leaves behind. */
  readonly journal: string
  readonly links: Links
  readonly throttle: Throttle
  /** Connections at most. */
  readonly concurrency: number
  /** Where a planned file's compressed bytes go. The same path for all joins them as members of one gzip file. */
  readonly pathOf: (file: PlannedFile) => string
  /** Takes the inflated rows of all files, one after the other, if they are wanted. */
  readonly sink?: RowWriter.Open | undefined
  readonly emit: Emit
}

/** One file that is here, synced and proven. */
export interface AssembledFile {
  readonly index: number
  readonly path: string
  readonly bytes: number
  readonly records: number
  readonly etag: string
  readonly retries: number
  /** Of a file of its own. */
  readonly sha256: Option.Option<string>
}

/** All files, synced and proven. */
export interface Assembled {
  readonly files: ReadonlyArray<AssembledFile>
  /** Of what the sink has written, if there is one, else of all compressed bytes in order. */
  readonly bytes: number
  readonly sha256: string
  readonly records: number
  readonly retries: number
  /** Compressed bytes that an earlier run had brought. */
  readonly resumedBytes: number
}

type Needs = BatchHttp | BatchConfig | FileSystem.FileSystem | Scope.Scope

/** Fetches and proves everything, going on where an earlier run ended. A failure ends all; what came stays. */
export const assemble = (
  options: AssemblyOptions
): Effect.Effect<Assembled, RecordInvalid | TransferError, Needs> =>
  Effect.gen(function* () {
    const sources = yield* PartialFiles.open(options)
    const resumedBytes = sources.reduce((sum, source) => sum + FileTransfer.count(source), 0)
    yield* checkRoom(sources)
    const progress = yield* makeProgress(options, sources, resumedBytes)
    const sink = options.sink === undefined ? undefined : yield* options.sink
    const proofs = Effect.forEach(sources, (source) => prove(options, source, progress, sink), {
      concurrency: sink === undefined ? Proof.atOnce : 1
    })
    const proven =
      sink === undefined
        ? Effect.all([proofs, Effect.map(Proof.digest(sources), (sha256) => ({ sha256 }))], {
            concurrency: 2
          })
        : Effect.zip(proofs, sink.end)
    const durability = yield* PartialFiles.make(options, sources)
    const all = Effect.all([proven, bring(options, sources, progress, durability)], { concurrency: 2 })
    const [[files, written]] = yield* alongside(all, durability.keep)
    const sum = (of: (file: AssembledFile) => number) => files.reduce((total, file) => total + of(file), 0)
    return {
      files,
      records: sum((file) => file.records),
      retries: sum((file) => file.retries),
      bytes: sum((file) => file.bytes),
      ...written,
      resumedBytes
    }
  })

/** A pool of workers, of which as many work as the host bears, brings all bytes of all files. */
const bring = (
  options: AssemblyOptions,
  sources: ReadonlyArray<FileTransfer.Source>,
  progress: Progress,
  durability: PartialFiles.Durability
): Effect.Effect<void, TransferError, Needs> =>
  Effect.gen(function* () {
    const { cellBytes, initialConnections } = (yield* BatchConfig).transfer
    const changed = yield* Condition.make
    const connections = yield* Connections.make({
      initial: initialConnections,
      most: options.concurrency,
      changed
    })
    const shared: Omit<RangeFetch.Shared, "isSurplus"> = {
      ...options,
      connections,
      onSize: (source, bytes) =>
        Deferred.succeed(source.size, bytes).pipe(
          Effect.zipRight(checkRoom(sources)),
          Effect.zipRight(progress.sized(bytes)),
          Effect.zipRight(warnUnlessStrong(options, source)),
          Effect.zipRight(changed.notify)
        ),
      onWritten: (_, bytes) => Effect.zipRight(progress.brought(bytes), durability.written),
      onRetry: (source, detail, delay) =>
        options.emit({ _tag: "Retrying", file: source.planned.name, detail, delay })
    }
    const claim = { cellBytes, connections: options.concurrency }
    const worker = (index: number) =>
      Effect.gen(function* () {
        const isSurplus = Effect.map(connections.allowed, (most) => index >= most)
        while (true) {
          const task = yield* changed.until(
            Effect.map(connections.allowed, (most) => nextTask(sources, index < most, claim))
          )
          if (task === "Done") return
          yield* RangeFetch.fetch({ ...shared, isSurplus }, task.source, task.run)
          if (FileTransfer.isWhole(task.source)) yield* finish(task.source, durability)
          yield* changed.notify
        }
      })
    const workers = Array.from({ length: options.concurrency }, (_, index) => worker(index))
    yield* Effect.forEach(sources, (source) =>
      FileTransfer.isWhole(source) ? finish(source, durability) : Effect.void
    )
    yield* Effect.all(workers, { concurrency: "unbounded", discard: true })
  })

/** Room for what is still to come of the files whose size is known: they all lie in one folder. */
const checkRoom = (sources: ReadonlyArray<FileTransfer.Source>): Effect.Effect<void, StorageError> => {
  const missing = sources.reduce((sum, source) => sum + FileTransfer.missing(source), 0)
  return Effect.forEach(sources.slice(0, 1), ({ path }) => LocalMachine.checkRoom(path, missing), {
    discard: true
  })
}

const warnUnlessStrong = (options: AssemblyOptions, source: FileTransfer.Source): Effect.Effect<void> => {
  const etag = Option.match(source.identity, { onNone: () => "", onSome: (identity) => identity.etag })
  if (FileResponse.isStrong(etag)) return Effect.void
  const detail = etag === "" ? "the host names no ETag" : `the host's ETag ${etag} does not name one version`
  return options.emit({ _tag: "NotResumable", file: source.planned.name, detail })
}

interface Task {
  readonly source: FileTransfer.Source
  readonly run: Cells.Run
}

/** Files in their order; of each the first bytes that nobody fetches. None when everything is under way. */
const nextTask = (
  sources: ReadonlyArray<FileTransfer.Source>,
  allowed: boolean,
  options: { readonly cellBytes: number; readonly connections: number }
): Option.Option<Task | "Done"> => {
  if (sources.every(FileTransfer.isWhole)) return Option.some("Done")
  if (!allowed) return Option.none()
  for (const source of sources) {
    const run = FileTransfer.claim(source, options)
    if (Option.isSome(run)) return Option.some({ source, run: run.value })
  }
  return Option.none()
}

const finish = (
  source: FileTransfer.Source,
  durability: PartialFiles.Durability
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    if (source.finished) return
    source.finished = true
    yield* source.frontier.advance(Option.getOrElse(FileTransfer.totalOf(source), () => 0))
    yield* durability.synced(source)
    yield* source.frontier.close
  })

/** Proves the rows of one file behind its transfer. */
const prove = (
  options: AssemblyOptions,
  source: FileTransfer.Source,
  progress: Progress,
  sink: RowWriter.RowWriter | undefined
): Effect.Effect<AssembledFile, ResultsCorrupt | StorageError, Needs> =>
  Effect.gen(function* () {
    const { index, name } = source.planned
    const separate = options.files.length > 1 && !options.purpose.joined
    const [rows, sha256] = yield* Effect.all(
      [
        Proof.rows({
          ...source,
          name,
          from: Option.getOrUndefined(source.proven),
          onProven: (proven) => {
            source.proven = Option.some(proven)
          },
          onRows: progress.proven,
          onInflated: sink?.write
        }),
        separate ? Effect.asSome(Proof.digest([source])) : Effect.succeedNone
      ],
      { concurrency: 2 }
    )
    const followed = index + 1 < options.files.length && (options.purpose.joined || sink !== undefined)
    if (rows.unterminated && followed) return yield* Proof.unjoinable(name)
    return {
      index,
      path: source.path,
      bytes: Option.getOrElse(FileTransfer.totalOf(source), () => 0),
      records: rows.records,
      etag: Option.match(source.identity, { onNone: () => "", onSome: ({ etag }) => etag }),
      retries: source.retries,
      sha256
    }
  })

interface Progress {
  readonly sized: (bytes: number) => Effect.Effect<void>
  readonly brought: (bytes: number) => Effect.Effect<void>
  readonly proven: (records: number) => Effect.Effect<void>
}

interface Counters {
  readonly bytes: number
  /** The sizes that are known, added up, and how many. */
  readonly known: number
  readonly sized: number
  readonly records: number
}

const makeProgress = (
  options: AssemblyOptions,
  sources: ReadonlyArray<FileTransfer.Source>,
  resumedBytes: number
): Effect.Effect<Progress> => {
  const totals = sources.flatMap((source) => Option.toArray(FileTransfer.totalOf(source)))
  const known = totals.reduce((sum, total) => sum + total, 0)
  return Effect.map(
    Ref.make<Counters>({ bytes: resumedBytes, known, sized: totals.length, records: 0 }),
    (ref) => {
      const change = (next: (counters: Counters) => Counters) =>
        Effect.flatMap(Ref.updateAndGet(ref, next), ({ bytes, known, records, sized }) =>
          options.emit({
            _tag: "Progress",
            bytes,
            totalBytes: sized === options.files.length ? known : undefined,
            resumedBytes,
            records
          })
        )
      return {
        sized: (bytes) => change((held) => ({ ...held, known: held.known + bytes, sized: held.sized + 1 })),
        brought: (bytes) => change((held) => ({ ...held, bytes: held.bytes + bytes })),
        proven: (records) => change((held) => ({ ...held, records: held.records + records }))
      }
    }
  )
}
