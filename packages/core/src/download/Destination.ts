/**
 * Where a result goes, and what lies beside it until it is whole: `<output>.partial` with its `.journal` and `.lock`;
 * what turns out to be wrong stays as `<output>.corrupt`, under a name that nobody takes for the result.
 *
 * @example
 * import { Effect } from "effect"
 * import type * as Assembly from "./Assembly.js"
 * import * as Destination from "./Destination.js"
 *
 * const whole = (destination: Destination.Destination, assembled: Assembly.Assembled) =>
 *   Effect.zipRight(destination.publish(assembled), destination.forget)
 */
import { FileSystem, Path } from "@effect/platform"
import { Effect, Option } from "effect"
import * as GrowingFile from "../disk/GrowingFile.js"
import * as Storage from "../disk/Storage.js"
import { isSameId } from "../model/Batch.js"
import { StorageError, storageErrorAt, type TableError } from "../model/BatchError.js"
import type { Format } from "../model/Format.js"
import * as Proof from "../proof/Proof.js"
import * as Receipt from "../proof/Receipt.js"
import type { PlannedFile, ResultPlan } from "../transfer/ResultPlan.js"
import type { Assembled, AssembledFile } from "./Assembly.js"
import type { Emit } from "./Event.js"
import * as Journal from "./Journal.js"
import * as PartialFiles from "./PartialFiles.js"
import * as RowWriter from "./RowWriter.js"

/** What to deliver, and where. */
export interface Request {
  readonly subject: Journal.Subject
  /** How many rows there must be, if that is known. */
  readonly announced: number | undefined
  /** What the job or the file is called. */
  readonly name: string
  readonly plan: ResultPlan
  /** The file, or with `parts` the folder. */
  readonly output: string
  readonly format: Format
  /** Of `csv`: those of all rows if none are named. */
  readonly columns?: ReadonlyArray<string> | undefined
  /** Of `csv`: whether it begins with a byte order mark. */
  readonly bom?: boolean | undefined
  /** Told what is worth knowing of what was written. */
  readonly emit?: Emit | undefined
  readonly parts: boolean
  /** Whether an existing destination may be replaced. */
  readonly replace: boolean
  /** Whether a result may be published whose rows are not as many as were announced. */
  readonly allowIncomplete: boolean
  /** A second attempt, whose bytes lie beside those of the first. */
  readonly aside?: boolean | undefined
}

/**
 * The destination of one result: what lies beside the output, and how it is published and cleared up. `E` is what becoming
 * its format can fail with.
 */
export interface Destination<E = TableError> {
  /** Where the bytes lie until they are published, and which run may go on with them. */
  readonly layout: PartialFiles.Layout
  /** The path of the lock. */
  readonly lock: string
  /** Takes the decompressed rows until they are published, if they are wanted. */
  readonly writer: RowWriter.Open<E> | undefined
  /** Makes the folder of the output. */
  readonly makeFolder: Effect.Effect<void, StorageError, FileSystem.FileSystem>
  /** Ends a publication that a crash has interrupted, and gives what was published; none if there is no such thing. */
  readonly takeUp: Effect.Effect<Option.Option<Assembled>, StorageError, Needs>
  /** Fails if the destination could not be written in the end: it exists, or is no plain file. */
  readonly prepare: Effect.Effect<void, StorageError, FileSystem.FileSystem>
  /** Notes in the journal what is published, then gives everything its own name. */
  readonly publish: (assembled: Assembled) => Effect.Effect<void, StorageError, Needs>
  /** The bytes of an empty result: one empty gzip member, an empty file or a header; no part files. */
  readonly nothing: Uint8Array
  /** Writes an empty result. */
  readonly publishNothing: Effect.Effect<void, StorageError, Needs>
  /** The name under which an assembled file is published. */
  readonly nameOf: (path: string) => string
  /** Keeps what is wrong for a look, and says where. */
  readonly keep: Effect.Effect<Option.Option<string>, never, FileSystem.FileSystem>
  /** Removes what an earlier run has kept for a look. */
  readonly discard: Effect.Effect<void, StorageError, FileSystem.FileSystem>
  /** Removes what lies beside the output. */
  readonly forget: Effect.Effect<void, StorageError, FileSystem.FileSystem>
}

type Needs = FileSystem.FileSystem | Path.Path

/** What can be said of a destination while nothing is known of the job but its id. */
export interface Outlook extends Pick<Request, "output" | "parts" | "replace"> {
  /** The id of the batch; of a file that is no batch's its name. */
  readonly batchId: string
  /** Where the receipt will lie; default beside the output. */
  readonly receiptPath?: string | undefined
}

/**
 * Refuses a destination that could not be written in the end, before anything is asked for: one that exists (unless it
 * may be replaced) or is no plain file, in a folder where no file can be made, or beside which another batch's receipt
 * lies.
 */
export const check = (outlook: Outlook): Effect.Effect<void, StorageError, Needs> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    yield* Storage.checkFolder(outlook.parts ? outlook.output : path.dirname(outlook.output))
    // A crash may have come between publication and clearing up: that is seen when the job is known.
    if (!(yield* hasJournal(outlook))) {
      const targets = outlook.parts ? yield* partsOf(outlook) : [outlook.output]
      yield* Effect.forEach(targets, (target) => Storage.checkDestination(target, outlook), { discard: true })
    }
    if (!outlook.replace) yield* checkReceipt(outlook)
  })

/** Whether a run that did not come to its end has left a journal here. */
export const hasJournal = (
  outlook: Pick<Outlook, "batchId" | "output" | "parts">
): Effect.Effect<boolean, StorageError, Needs> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const place = placeOf(outlook, yield* Path.Path)
    return yield* Effect.exists([`${place}.journal`, `${place}.parts.journal`], (path) =>
      Effect.mapError(fs.exists(path), storageErrorAt(path))
    )
  })

/** Where the bytes lie together: the file, or a name in the folder of the parts. */
const placeOf = (
  { batchId, output, parts }: Pick<Outlook, "batchId" | "output" | "parts">,
  path: Path.Path
): string => (parts ? path.join(output, batchId) : output)

/** The part files of a batch that are in the folder already. */
const partsOf = ({ batchId, output }: Outlook): Effect.Effect<ReadonlyArray<string>, StorageError, Needs> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    if (!(yield* Effect.mapError(fs.exists(output), storageErrorAt(output)))) return []
    const names = yield* Effect.mapError(fs.readDirectory(output), storageErrorAt(output))
    return names
      .filter((name) => name.startsWith(`${batchId}.part-`) && name.endsWith(".jsonl.gz"))
      .map((name) => path.join(output, name))
  })

const checkReceipt = (outlook: Outlook): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const path = outlook.receiptPath ?? Receipt.placeOf(outlook)
    const held = Option.getOrUndefined(yield* Receipt.read(path))
    if (held === undefined || isSameId(held.batchId, outlook.batchId)) return
    const detail = `it is the receipt of batch ${held.batchId}, and was left untouched`
    return yield* new StorageError({ reason: "Exists", path, detail })
  })

/** The destination of a request. Looks at no file yet. */
export function make(
  request: Request & { readonly format: Exclude<Format, "csv"> }
): Effect.Effect<Destination<never>, never, Path.Path>
export function make(request: Request): Effect.Effect<Destination, never, Path.Path>
export function make(request: Request): Effect.Effect<Destination, never, Path.Path> {
  return Effect.map(Path.Path, (path): Destination => {
    const {
      announced,
      bom = false,
      columns,
      emit,
      format,
      name,
      output,
      parts,
      plan,
      replace,
      subject
    } = request
    const place = placeOf({ batchId: name, output, parts }, path)
    const beside = request.aside === true ? `${place}.parts` : place
    const inflated = format !== "jsonl.gz"
    const spool = partialOf(inflated ? `${beside}.gz` : beside)
    const inflateTo = inflated ? partialOf(beside) : undefined
    const pathOf = (file: PlannedFile) => (parts ? partialOf(path.join(output, file.name)) : spool)
    const layout: PartialFiles.Layout = {
      files: plan.files,
      pathOf,
      journal: `${beside}.journal`,
      purpose: {
        ...subject,
        source: plan.source,
        files: plan.files.length,
        joined: !parts
      }
    }
    const forget = Effect.zipRight(
      inflateTo === undefined ? Effect.void : Storage.remove(inflateTo),
      PartialFiles.forget(layout)
    )
    /** What gets a name of its own, and the proof of it. */
    const outputsOf = (assembled: Pick<Assembled, "bytes" | "files" | "sha256">): ReadonlyArray<Output> =>
      parts
        ? assembled.files.map(({ bytes, path: from, sha256 }) => {
            const proof = { bytes, sha256: Option.getOrElse(sha256, () => assembled.sha256) }
            return { from, to: nameOf(from), ...proof }
          })
        : [{ from: inflateTo ?? spool, to: output, bytes: assembled.bytes, sha256: assembled.sha256 }]

    /** What an earlier run was about to publish, if this one would publish it too. */
    const noted = Effect.map(Journal.load(layout.journal, layout.purpose), ({ published }) =>
      published.pipe(
        Option.filter(
          (note) => note.format === format && note.bom === bom && sameColumns(note.columns, columns)
        ),
        Option.filter(
          (note) => announced === undefined || Proof.isComplete(note, announced) || request.allowIncomplete
        ),
        Option.map((note) => assembledOf(note, plan.files.map(pathOf)))
      )
    )
    const arePublished = (outputs: ReadonlyArray<Output>) =>
      Effect.filter(outputs, (one) => isThere(one.to, one))

    const nothing = parts ? new Uint8Array(0) : RowWriter.nothing(format, { bom, columns })

    return {
      layout,
      lock: `${place}.lock`,
      writer: RowWriter.of(format, { path: partialOf(beside), columns, bom, emit, spool }),
      makeFolder: Storage.makeFolder(parts ? output : path.dirname(path.resolve(output))),
      takeUp: Effect.gen(function* () {
        const assembled = yield* noted
        if (Option.isNone(assembled)) return assembled
        const outputs = outputsOf(assembled.value)
        const published = yield* arePublished(outputs)
        const rest = outputs.filter((one) => !published.includes(one))
        const ready = yield* Effect.forEach(rest, (one) => isThere(one.from, one))
        if (ready.includes(false)) return Option.none()
        yield* Effect.forEach(rest, (one) => publish(one, replace), { discard: true })
        return assembled
      }),
      prepare: Effect.gen(function* () {
        const before = Option.match(yield* noted, { onNone: () => [], onSome: outputsOf })
        const published = (yield* arePublished(before)).map(({ to }) => to)
        const targets = parts ? plan.files.map((file) => nameOf(pathOf(file))) : [output]
        yield* Effect.forEach(
          targets.filter((target) => !published.includes(target)),
          (target) => Storage.checkDestination(target, { replace }),
          { discard: true }
        )
      }),
      publish: (assembled) =>
        Effect.gen(function* () {
          const { entries } = yield* Journal.load(layout.journal, layout.purpose)
          const published = Option.some({
            format,
            columns: Option.fromNullable(columns),
            bom,
            bytes: assembled.bytes,
            sha256: assembled.sha256,
            records: assembled.records,
            blankLines: assembled.blankLines,
            compressedHere: assembled.compressedHere,
            files: assembled.files
          })
          yield* Journal.save(layout.journal, layout.purpose, { entries, published })
          yield* Effect.forEach(outputsOf(assembled), (one) => publish(one, replace), { discard: true })
        }),
      nothing,
      publishNothing: parts
        ? Effect.void
        : Effect.zipRight(
            Storage.writeFile(partialOf(output), nothing),
            Storage.publish({ from: partialOf(output), to: output, replace })
          ),
      nameOf,
      keep: keep([...new Set(plan.files.map(pathOf))]).pipe(Effect.tap(() => Effect.ignore(forget))),
      discard: Effect.forEach(new Set(plan.files.map(pathOf)), (partial) => Storage.remove(keptOf(partial)), {
        discard: true
      }),
      forget
    }
  })
}

const partialOf = (path: string): string => `${path}.partial`

const nameOf = (partial: string): string => partial.replace(/\.partial$/u, "")

const keptOf = (partial: string): string => `${nameOf(partial)}.corrupt`

/** A file that gets its own name, and what it holds. */
interface Output extends Content {
  readonly from: string
  readonly to: string
}

interface Content {
  readonly bytes: number
  readonly sha256: string
}

/** Whether the columns that were written are those that are asked for. */
export const sameColumns = (
  written: Option.Option<ReadonlyArray<string>>,
  asked: ReadonlyArray<string> | undefined
): boolean => JSON.stringify(Option.getOrNull(written)) === JSON.stringify(asked ?? null)

const assembledOf = (note: Journal.Published, paths: ReadonlyArray<string>): Assembled => {
  const files = note.files.map((file): AssembledFile => ({ ...file, path: paths[file.index] ?? "" }))
  const resumedBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
  return { ...note, files, retries: 0, resumedBytes }
}

/** Whether a file holds exactly this. */
const isThere = (
  path: string,
  { bytes, sha256 }: Content
): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  GrowingFile.ofFile(path).pipe(
    Effect.flatMap((file) => (file.bytes === bytes ? Proof.digest([file]) : Effect.succeed(""))),
    Effect.map((found) => found === sha256),
    Effect.catchAll(() => Effect.succeed(false))
  )

/** Gives one file its name. What has it already stays; if it is the very same, another process has published it. */
const publish = (output: Output, replace: boolean): Effect.Effect<void, StorageError, Needs> =>
  Storage.publish({ from: output.from, to: output.to, replace }).pipe(
    Effect.catchIf(
      ({ reason }) => reason === "Exists",
      (error) =>
        Effect.if(isThere(output.to, output), {
          onTrue: () => Storage.remove(output.from),
          onFalse: () => Effect.fail(error)
        })
    )
  )

const keep = (
  partials: ReadonlyArray<string>
): Effect.Effect<Option.Option<string>, never, FileSystem.FileSystem> =>
  Effect.map(
    Effect.forEach(partials, (partial) =>
      Effect.option(Effect.as(Storage.rename(partial, keptOf(partial)), keptOf(partial)))
    ),
    Option.firstSomeOf
  )
