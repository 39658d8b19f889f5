/**
 * The planned files of a result, fetched by a pool of connections and proven as they come: each at its place in one
 * file, in the order of the rows, or each in a file of its own.
 *
 * @example
 * import { Effect } from "effect"
 * import * as Assembly from "./Assembly.js"
 *
 * const rows = <E>(options: Assembly.AssemblyOptions<E>) =>
 *   Effect.scoped(Effect.map(Assembly.assemble(options), ({ records }) => records))
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Option, Ref, type Scope } from "effect"
import { alongside } from "../disk/Companion.js"
import * as Condition from "../disk/Condition.js"
import * as GrowingFile from "../disk/GrowingFile.js"
import * as LocalMachine from "../disk/LocalMachine.js"
import * as Storage from "../disk/Storage.js"
import { BatchConfig } from "../model/BatchConfig.js"
import type { ResultsCorrupt, StorageError } from "../model/BatchError.js"
import * as Proof from "../proof/Proof.js"
import type { BatchHttp } from "../status/BatchHttp.js"
import type * as Cells from "../transfer/Cells.js"
import * as Connections from "../transfer/Connections.js"
import * as FileResponse from "../transfer/FileResponse.js"
import type * as FileTransfer from "../transfer/FileTransfer.js"
import * as RangeFetch from "../transfer/RangeFetch.js"
import type { FileLinks } from "../transfer/ResultLinks.js"
import type { Emit } from "./Event.js"
import * as Mending from "./Mending.js"
import * as PartialFiles from "./PartialFiles.js"
import type * as RowWriter from "./RowWriter.js"

/** What to assemble, and where. `E` is what asking for fresh links, and the writer, can fail with. */
export interface AssemblyOptions<E> extends PartialFiles.Layout {
  readonly links: FileLinks<E>
  /** Connections at most. */
  readonly concurrency: number
  /** Takes the inflated rows of all files, one after the other, if they are wanted. */
  readonly writer?: RowWriter.Open<E> | undefined
  readonly emit: Emit
}

/** One file that is here, synced and proven. */
export interface AssembledFile {
  readonly index: number
  readonly path: string
  /** As delivered; where it is a file of its own, those of its file. */
  readonly bytes: number
  readonly records: number
  readonly etag: string
  /** SHA-256 of its file, in hexadecimal, where it is a file of its own (`parts`). */
  readonly sha256: Option.Option<string>
}

/** All files, synced and proven. */
export interface Assembled {
  readonly files: ReadonlyArray<AssembledFile>
  /** Size and SHA-256 of what the writer has written, if there is one, else of all compressed bytes in order. */
  readonly bytes: number
  readonly sha256: string
  readonly records: number
  /** Lines that hold nothing. */
  readonly blankLines: number
  /** Whether plain JSON lines were compressed here. */
  readonly compressedHere: boolean
  readonly retries: number
  /** Compressed bytes that an earlier run had brought. */
  readonly resumedBytes: number
}

/** What assembling can fail with, beside the failures of fresh links and of the writer. */
export type AssemblyError = RangeFetch.FetchError | StorageError

type Needs = BatchHttp | BatchConfig | FileSystem.FileSystem | Scope.Scope

/** Fetches and proves everything, going on where an earlier run ended. A failure ends all; what came stays. */
export const assemble = <E>(
  options: AssemblyOptions<E>
): Effect.Effect<Assembled, AssemblyError | E, Needs> =>
  Effect.gen(function* () {
    const files = yield* PartialFiles.open(options)
    const resumedBytes = files.reduce((sum, { transfer }) => sum + transfer.received(), 0)
    yield* checkRoom(files)
    yield* Effect.forEach(files.slice(0, 1), (file) => warnUnlessDurable(options, file))
    const progress = yield* makeProgress(options, files, resumedBytes)
    const writer = options.writer === undefined ? undefined : yield* options.writer
    // What is proven is what the disk gives back, from the first byte on: also what an earlier run has brought.
    const proofs = Effect.forEach(files, (file) => prove(options, file, progress, writer), {
      concurrency: writer === undefined ? Proof.atOnce : 1
    })
    const sha256 = Proof.digest(files.map(({ growing }) => growing))
    const proven =
      writer === undefined
        ? Effect.all([proofs, sha256], { concurrency: 2 })
        : Effect.zip(proofs, Effect.succeed(""))
    const checkpoints = yield* PartialFiles.checkpoints(options, files)
    const all = Effect.all([proven, bring(options, files, progress, checkpoints)], { concurrency: 2 })
    const [[found, digest]] = yield* alongside(all, checkpoints.keep)
    const stored = yield* mended(options, found, digest)
    const written = writer === undefined ? stored : yield* writer.end
    const sum = (of: (file: ProvenFile) => number) => found.reduce((total, file) => total + of(file), 0)
    return {
      files: stored.files,
      records: sum(({ rows }) => rows.records),
      blankLines: sum(({ rows }) => rows.blankLines),
      compressedHere: writer === undefined && found.some(({ rows }) => rows.isPlain),
      retries: files.reduce((total, { transfer }) => total + transfer.retries(), 0),
      bytes: written.bytes,
      sha256: written.sha256,
      resumedBytes
    }
  })

/** One file that is here, and what its proof has found. */
interface ProvenFile {
  readonly file: AssembledFile
  readonly growing: PartialFiles.PartialFile["growing"]
  readonly rows: Proof.Rows
}

/** All files as they lie on the disk in the end: seldom other than they were delivered. */
interface Stored extends RowWriter.Written {
  readonly files: ReadonlyArray<AssembledFile>
}

/** Mends what is not yet a sound gzip file of lines. Nothing of it can be gone on with then. */
const mended = <E>(
  options: AssemblyOptions<E>,
  proven: ReadonlyArray<ProvenFile>,
  sha256: string
): Effect.Effect<Stored, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = proven.map(({ file }) => file)
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    const pieces = proven.map(({ file, growing, rows }) => ({ ...rows, growing, bytes: file.bytes }))
    const isSeparate = !options.purpose.joined
    const isSound = isSeparate ? !pieces.some(({ isPlain }) => isPlain) : !Mending.isNeeded(pieces)
    const isUnused = options.writer !== undefined && pieces.length === 1
    const path = files[0]?.path
    if (isSound || isUnused || path === undefined) return { files, bytes, sha256 }
    yield* PartialFiles.disclaim(options)
    if (!isSeparate) return { files, ...(yield* Mending.mend(path, pieces)) }
    const stored = yield* Effect.forEach(proven, ({ file, growing, rows }) =>
      rows.isPlain
        ? Effect.map(
            Mending.mend(file.path, [{ ...rows, growing, bytes: file.bytes }]),
            (written): AssembledFile => ({
              ...file,
              bytes: written.bytes,
              sha256: Option.some(written.sha256)
            })
          )
        : Effect.succeed(file)
    )
    const all = yield* Effect.forEach(stored, (file) => GrowingFile.ofFile(file.path))
    return {
      files: stored,
      bytes: stored.reduce((sum, file) => sum + file.bytes, 0),
      sha256: yield* Proof.digest(all)
    }
  })

/** A file that a worker fetches, and what its readers wait for once all of it is here. */
interface Arriving extends PartialFiles.PartialFile {
  readonly finish: Effect.Effect<void, StorageError>
}

/** A pool of workers, of which as many work as the host bears, brings all bytes of all files. */
const bring = <E>(
  options: AssemblyOptions<E>,
  files: ReadonlyArray<PartialFiles.PartialFile>,
  progress: Progress,
  checkpoints: PartialFiles.Checkpoints
): Effect.Effect<void, AssemblyError | E, Needs> =>
  Effect.gen(function* () {
    const { initialConnections } = (yield* BatchConfig).transfer
    const changed = yield* Condition.make
    const connections = yield* Connections.make({
      initial: initialConnections,
      most: options.concurrency,
      changed
    })
    const arriving = yield* Effect.forEach(files, (file) =>
      Effect.map(Effect.once(finish(file)), (once): Arriving => ({ ...file, finish: once }))
    )
    const shared = (file: Arriving): Omit<RangeFetch.Shared<StorageError | E>, "isSurplus"> => ({
      ...options,
      connections,
      onSize: (transfer, bytes) =>
        checkRoom(files).pipe(
          Effect.zipRight(progress.sized(bytes)),
          Effect.zipRight(warnUnlessStrong(options, transfer)),
          Effect.zipRight(changed.notify)
        ),
      onWritten: ({ contiguous }, bytes) =>
        file.growing
          .advance(contiguous())
          .pipe(Effect.zipRight(progress.brought(bytes)), Effect.zipRight(checkpoints.written)),
      onSettling: (pause) => options.emit({ _tag: "Settling", ...pause }),
      onRetry: ({ planned }, detail, delay) =>
        options.emit({ _tag: "Retrying", file: planned.name, detail, delay })
    })
    const worker = (index: number) =>
      Effect.gen(function* () {
        const isSurplus = Effect.map(connections.allowed, (most) => index >= most)
        while (true) {
          const task = yield* changed.until(
            Effect.map(connections.allowed, (most) => nextTask(arriving, index < most, options.concurrency))
          )
          if (task === "Done") return
          const { file, run } = task
          yield* RangeFetch.fetch({ ...shared(file), isSurplus }, file.transfer, run)
          if (file.transfer.isWhole()) yield* file.finish
          yield* changed.notify
        }
      })
    const workers = Array.from({ length: options.concurrency }, (_, index) => worker(index))
    yield* Effect.forEach(arriving, (file) => (file.transfer.isWhole() ? file.finish : Effect.void))
    yield* Effect.all(workers, { concurrency: "unbounded", discard: true })
  })

/** Room for what is still to come of the files whose size is known: they all lie in one folder. */
const checkRoom = (files: ReadonlyArray<PartialFiles.PartialFile>): Effect.Effect<void, StorageError> => {
  const missing = files.reduce((sum, { transfer }) => sum + transfer.missing(), 0)
  return Effect.forEach(files.slice(0, 1), ({ growing }) => LocalMachine.checkRoom(growing.path, missing), {
    discard: true
  })
}

/** All files lie in one folder, so one of them tells for all. */
const warnUnlessDurable = (
  { emit }: Pick<AssemblyOptions<never>, "emit">,
  { growing: { path } }: PartialFiles.PartialFile
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(
    Storage.syncRefusal(path),
    Option.match({
      onNone: () => Effect.void,
      onSome: (code) => emit({ _tag: "NotDurable", path, code })
    })
  )

const etagOf = ({ identity }: FileTransfer.FileTransfer<unknown>): string =>
  Option.match(identity(), { onNone: () => "", onSome: ({ etag }) => etag })

const warnUnlessStrong = (
  { emit }: Pick<AssemblyOptions<never>, "emit">,
  transfer: FileTransfer.FileTransfer<unknown>
): Effect.Effect<void> => {
  const etag = etagOf(transfer)
  const isEmpty = Option.contains(transfer.total(), 0)
  if (isEmpty || (FileResponse.isStrong(etag) && !transfer.isPlain())) return Effect.void
  const detail = transfer.isPlain()
    ? "it comes without compression, and only whole"
    : etag === ""
      ? "the host names no ETag"
      : `the host's ETag ${etag} does not name one version`
  return emit({ _tag: "NotResumable", file: transfer.planned.name, detail })
}

/** A run to fetch, and its file. */
interface Task {
  readonly file: Arriving
  readonly run: Cells.Run
}

/** Files in their order; of each the first bytes that nobody fetches. None when everything is under way. */
const nextTask = (
  files: ReadonlyArray<Arriving>,
  allowed: boolean,
  connections: number
): Option.Option<Task | "Done"> => {
  if (files.every(({ transfer }) => transfer.isWhole())) return Option.some("Done")
  if (!allowed) return Option.none()
  for (const file of files) {
    const run = file.transfer.claim(connections)
    if (Option.isSome(run)) return Option.some({ file, run: run.value })
  }
  return Option.none()
}

/** All bytes of a file are here: its readers may go on to its end, and it ends when they are synced. */
const finish = ({ growing, transfer }: PartialFiles.PartialFile): Effect.Effect<void, StorageError> =>
  growing.advance(transfer.contiguous()).pipe(Effect.zipRight(transfer.sync), Effect.zipRight(growing.close))

/** Proves the rows of one file behind its transfer. Where another one follows, its last row is given its line feed. */
const prove = (
  options: Pick<AssemblyOptions<never>, "files" | "purpose">,
  { growing, transfer }: PartialFiles.PartialFile,
  progress: Progress,
  writer: Pick<RowWriter.RowWriter, "write"> | undefined
): Effect.Effect<ProvenFile, ResultsCorrupt | StorageError, Needs> =>
  Effect.gen(function* () {
    const { index, name, target } = transfer.planned
    const mayBeEmpty = target !== "merged"
    const separate = options.files.length > 1 && !options.purpose.joined
    const [rows, sha256] = yield* Effect.all(
      [
        Proof.rows({ file: growing, name, onRows: progress.proven, onInflated: writer?.write, mayBeEmpty }),
        separate ? Effect.asSome(Proof.digest([growing])) : Effect.succeedNone
      ],
      { concurrency: 2 }
    )
    const isFollowed = index + 1 < options.files.length
    if (rows.unterminated && isFollowed && writer !== undefined) yield* writer.write([lineFeed])
    const file = {
      index,
      path: growing.path,
      bytes: Option.getOrElse(transfer.total(), () => 0),
      records: rows.records,
      etag: etagOf(transfer),
      sha256
    }
    return { file, growing, rows }
  })

const lineFeed: Uint8Array = Uint8Array.of(0x0a)

/** What is told of for the event `Progress`: a size that is known now, bytes that came, rows that are proven. */
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
  options: Pick<AssemblyOptions<never>, "emit" | "files">,
  files: ReadonlyArray<PartialFiles.PartialFile>,
  resumedBytes: number
): Effect.Effect<Progress> => {
  const totals = files.flatMap(({ transfer }) => Option.toArray(transfer.total()))
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
