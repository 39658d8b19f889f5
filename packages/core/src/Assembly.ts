/**
 * The planned files of a result, fetched side by side and proven as they come: each at its place in one file, in
 * the order of the rows, or each in a file of its own.
 */
import type { FileSystem } from "@effect/platform"
import { Deferred, Effect, Option, Ref, type Scope } from "effect"
import type { BatchConfig } from "./BatchConfig.js"
import { ResultsCorrupt, type StorageError, type TransferError } from "./BatchError.js"
import type { BatchHttp } from "./BatchHttp.js"
import type { Emit } from "./Event.js"
import * as Frontier from "./Frontier.js"
import * as Proof from "./Proof.js"
import type { Links } from "./ResultLink.js"
import type { PlannedFile } from "./ResultPlan.js"
import * as Storage from "./Storage.js"
import type { Throttle } from "./Throttle.js"
import * as Transfer from "./Transfer.js"

/** What to assemble, and where. */
export interface AssemblyOptions {
  readonly files: ReadonlyArray<PlannedFile>
  readonly links: Links
  readonly throttle: Throttle
  /** Files at once, at most. */
  readonly concurrency: number
  /** Where a planned file's compressed bytes go. The same path for all joins them as members of one gzip file. */
  readonly pathOf: (file: PlannedFile) => string
  /** Where the inflated rows of all files go, one after the other, if they are wanted. */
  readonly inflateTo?: string | undefined
  readonly emit: Emit
}

/** One file that is here, synced and proven. */
export interface AssembledFile {
  readonly index: number
  readonly path: string
  readonly bytes: number
  readonly records: number
  readonly etag: string
  readonly sha256: Option.Option<string>
}

/** All files, synced and proven. */
export interface Assembled {
  readonly files: ReadonlyArray<AssembledFile>
  /** Of the output: the inflated rows if they were wanted, else all compressed bytes in order. */
  readonly bytes: number
  readonly sha256: string
  readonly records: number
  readonly retries: number
}

type Needs = BatchHttp | BatchConfig | FileSystem.FileSystem | Scope.Scope

/** Where a file's bytes lie, and what it must wait for. */
interface Slot extends Proof.Region {
  readonly file: PlannedFile
  readonly size: Deferred.Deferred<number>
  /** Done when its rows are handed on, so that those of the next file may follow. */
  readonly inflated: Deferred.Deferred<void>
  readonly previous: Slot | undefined
}

/** Fetches and proves everything. A failure of one file ends the others; what was written stays. */
export const assemble = (options: AssemblyOptions): Effect.Effect<Assembled, TransferError, Needs> =>
  Effect.gen(function* () {
    const slots = yield* makeSlots(options)
    const progress = yield* makeProgress(options)
    const output = options.inflateTo === undefined ? undefined : yield* openOutput(options.inflateTo)
    const files = Effect.forEach(slots, (slot) => one(options, slot, progress, output), {
      concurrency: options.concurrency
    }).pipe(Effect.tap(() => output?.close ?? Effect.void))
    const [done, sha256] = yield* Effect.all([files, Proof.digest(output === undefined ? slots : [output])], {
      concurrency: 2
    })
    const sum = (of: (file: (typeof done)[number]) => number) =>
      done.reduce((total, file) => total + of(file), 0)
    return {
      files: done,
      records: sum((file) => file.records),
      retries: sum((file) => file.retries),
      bytes: sum((file) => (output === undefined ? file.bytes : file.inflatedBytes)),
      sha256
    }
  })

/** Files that share a path lie one behind the other: each begins where the sizes of those before it add up to. */
const makeSlots = (options: AssemblyOptions): Effect.Effect<ReadonlyArray<Slot>, StorageError, Needs> =>
  Effect.gen(function* () {
    const slots: Array<Slot> = []
    for (const file of options.files) {
      const previous = slots.at(-1)
      const path = options.pathOf(file)
      if (path !== previous?.path) yield* Effect.scoped(Storage.open(path, "w"))
      slots.push({
        file,
        path,
        previous,
        base: previous?.path === path ? yield* Effect.cached(endOf(previous)) : Effect.succeed(0),
        frontier: yield* Frontier.make,
        size: yield* Deferred.make<number>(),
        inflated: yield* Deferred.make<void>()
      })
    }
    return slots
  })

const endOf = (slot: Slot): Effect.Effect<number> =>
  Effect.zipWith(slot.base, Deferred.await(slot.size), (base, size) => base + size)

/** Fetches one file while its rows are proven behind it. */
const one = (options: AssemblyOptions, slot: Slot, progress: Progress, output: Output | undefined) =>
  Effect.gen(function* () {
    const { file, path } = slot
    const fetched = Transfer.fetch({
      ...slot,
      links: options.links,
      throttle: options.throttle,
      onSize: (bytes) => Effect.zipRight(Deferred.succeed(slot.size, bytes), progress.sized(bytes)),
      onBytes: progress.brought,
      onRetry: (detail, delay) => options.emit({ _tag: "Retrying", file: file.name, detail, delay })
    })
    const proven = Proof.rows({
      ...slot,
      name: file.name,
      onRows: progress.proven,
      onInflated: output && ((chunks) => Effect.zipRight(turn(slot), output.write(chunks)))
    }).pipe(Effect.tap(() => Deferred.succeed(slot.inflated, undefined)))
    const separateDigest = options.files.length > 1 && slot.previous?.path !== path
    const [{ bytes, etag, retries }, rows, sha256] = yield* Effect.all(
      [fetched, proven, separateDigest ? Effect.asSome(Proof.digest([slot])) : Effect.succeedNone],
      { concurrency: 3 }
    )
    return { index: file.index, path, bytes, etag, retries, sha256, ...rows }
  }).pipe(
    Effect.tap((done) => (isJoined(options, slot) && done.unterminated ? unjoinable(slot) : Effect.void))
  )

/** Rows are handed on in the order of the files. */
const turn = (slot: Slot): Effect.Effect<void> =>
  slot.previous === undefined ? Effect.void : Deferred.await(slot.previous.inflated)

const isJoined = (options: AssemblyOptions, slot: Slot): boolean => {
  const next = options.files[slot.file.index + 1]
  return next !== undefined && (options.inflateTo !== undefined || options.pathOf(next) === slot.path)
}

/** What is joined to a line without a line feed would become part of it. */
const unjoinable = (slot: Slot): Effect.Effect<never, ResultsCorrupt> =>
  Effect.fail(
    new ResultsCorrupt({
      reason: "Encoding",
      file: slot.file.name,
      expected: "a line feed after its last row, since another part follows",
      actual: "none",
      kept: Option.none()
    })
  )

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

const makeProgress = (options: AssemblyOptions): Effect.Effect<Progress> =>
  Effect.map(Ref.make<Counters>({ bytes: 0, known: 0, sized: 0, records: 0 }), (ref) => {
    const change = (next: (counters: Counters) => Counters) =>
      Effect.flatMap(Ref.updateAndGet(ref, next), ({ bytes, known, records, sized }) =>
        options.emit({
          _tag: "Progress",
          bytes,
          totalBytes: sized === options.files.length ? known : undefined,
          resumedBytes: 0,
          records
        })
      )
    return {
      sized: (bytes) => change((held) => ({ ...held, known: held.known + bytes, sized: held.sized + 1 })),
      brought: (bytes) => change((held) => ({ ...held, bytes: held.bytes + bytes })),
      proven: (records) => change((held) => ({ ...held, records: held.records + records }))
    }
  })

/** The inflated rows of all files, with a frontier of their own, so that their digest follows as well. */
interface Output extends Proof.Region {
  readonly write: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, StorageError>
  readonly close: Effect.Effect<void, StorageError>
}

const openOutput = (path: string): Effect.Effect<Output, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const file = yield* Storage.open(path, "w")
    const frontier = yield* Frontier.make
    const end = yield* Ref.make(0)
    const write = (chunk: Uint8Array) =>
      Effect.flatMap(
        Ref.getAndUpdate(end, (before) => before + chunk.length),
        (before) =>
          Effect.zipRight(Storage.writeAt(file, path, before, chunk), frontier.advance(before + chunk.length))
      )
    return {
      path,
      base: Effect.succeed(0),
      frontier,
      write: (chunks) => Effect.forEach(chunks, write, { discard: true }),
      close: Effect.zipRight(Storage.sync(file, path), frontier.close)
    }
  })
