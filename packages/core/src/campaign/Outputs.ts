/**
 * Writes what a campaign brought: the joined result in the format that was asked for, the fates, the remainder and the
 * report. All of it is written beside its names first, and appears under them when all is whole, the result last.
 *
 * @example
 * import * as Outputs from "./Outputs.js"
 *
 * Outputs.baseOf("leads.jsonl.gz") // "leads"
 */
import { FileSystem, type Path } from "@effect/platform"
import { Chunk, Effect, Option, Schema } from "effect"
import * as GrowingFile from "../disk/GrowingFile.js"
import * as Storage from "../disk/Storage.js"
import * as Mending from "../download/Mending.js"
import * as RowWriter from "../download/RowWriter.js"
import type { BatchConfig } from "../model/BatchConfig.js"
import {
  type InputInvalid,
  type ResultsCorrupt,
  StorageError,
  storageErrorAt,
  type TableError
} from "../model/BatchError.js"
import type { IdentifierProperty, JobKind } from "../model/JobKind.js"
import * as Compression from "../proof/Compression.js"
import * as Gunzip from "../proof/Gunzip.js"
import * as Proof from "../proof/Proof.js"
import * as Fates from "./Fates.js"
import * as InputRows from "./InputRows.js"
import type * as Ledger from "./Ledger.js"
import * as Planning from "./Planning.js"
import { Report } from "./Report.js"

/** The name of an output without the extension of its format. */
export const baseOf = (output: string): string => output.replace(/\.(?:(?:jsonl|ndjson)(?:\.gz)?|csv)$/iu, "")

/** Where everything goes. */
export const pathsOf = (output: string) => ({
  output,
  fates: `${baseOf(output)}.fates.csv`,
  remainder: `${baseOf(output)}.remainder.csv`,
  report: `${baseOf(output)}.report.json`
})

/** What is written. */
export interface Options {
  readonly begun: typeof Ledger.Begun.Type
  readonly plan: typeof Ledger.Planned.Type
  readonly chunks: ReadonlyArray<Ledger.Standing>
  readonly kind: JobKind
  readonly property: IdentifierProperty
  /** Where the plan is. */
  readonly folder: string
  /** The copy of the input. */
  readonly input: string
  readonly resultOf: (batchId: string) => string
  readonly credits: { readonly at_most: number | null; readonly spent: number | null }
  /** Written before anything appears under its name. */
  readonly publishing: Effect.Effect<void, StorageError>
  /** Whether the result is at the output already, so that fates, remainder and report alone are written. Default: no. */
  readonly isDelivered?: boolean | undefined
}

/** What writing can fail with; `TableError` only where the result becomes `csv`. */
export type Failure = InputInvalid | ResultsCorrupt | StorageError | TableError

type Needs = BatchConfig | FileSystem.FileSystem | Path.Path

/** Writes all, and gives the report. */
export const write = Effect.fn("Outputs.write")(function* (
  options: Options
): Effect.fn.Return<Report, Failure, Needs> {
  const { begun, chunks, isDelivered = false, publishing } = options
  const paths = pathsOf(begun.output)
  const aside = (path: string) => `${path}.${begun.campaign}.partial`
  const read = yield* readChunks(options)
  const told = yield* writeRows(options, read, { ...paths, aside })
  if (!isDelivered) {
    if (!begun.join) yield* joinResults(read.pieces, aside(paths.output))
    yield* converted(begun.format, aside(paths.output))
  }
  const report = new Report({
    campaign: begun.campaign,
    kind: begun.kind,
    output: begun.output,
    rows: options.plan.rows,
    unique: options.plan.unique,
    fates: told,
    records: read.records,
    jobs: chunks.flatMap(jobOf),
    credits: options.credits,
    complete: told.failed === 0 && told.undecided === 0
  })
  yield* Storage.replaceFile(aside(paths.report), yield* Effect.orDie(encodeReport(report)))
  yield* publishing
  yield* Effect.forEach(
    [paths.fates, paths.remainder, paths.report, ...(isDelivered ? [] : [paths.output])],
    (path) => Storage.publish({ from: aside(path), to: path, replace: true }),
    { discard: true }
  )
  return report
})

const encodeReport = (report: Report) =>
  Effect.map(Schema.encode(Schema.parseJson(Report, { space: 2 }))(report), (text) => `${text}\n`)

const jobOf = (standing: Ledger.Standing): ReadonlyArray<(typeof Report.Type)["jobs"][number]> =>
  "status" in standing
    ? [
        {
          batch_id: standing.batchId,
          status: standing.status,
          requested: standing.requested,
          fulfilled: standing.fulfilled,
          records: standing._tag === "Kept" ? standing.records : 0,
          ...(standing.errorMessage === undefined ? {} : { error_message: standing.errorMessage })
        }
      ]
    : []

/** What the results of all chunks say. */
interface ReadChunks {
  readonly roll: Fates.Roll
  readonly pieces: ReadonlyArray<Mending.Piece>
  readonly records: number
  /** Why the identifiers of a chunk have the fate they have, by the chunk. */
  readonly reasons: ReadonlyArray<string>
}

/** The records of all jobs, while they are joined with the input. */
export const recordsName = "records.jsonl"

/** Whether a job that was adopted turned out to be another's. */
const isForeign = (read: Fates.Read): boolean => read.strangers > 0 && read.matched === 0

const readChunks = (options: Options): Effect.Effect<ReadChunks, ResultsCorrupt | StorageError, Needs> =>
  Effect.gen(function* () {
    const { begun, chunks, folder, kind, plan, property, resultOf } = options
    const roll = Fates.roll(plan.unique, { places: begun.join })
    const path = `${folder}/${recordsName}`
    const out = begun.join ? yield* RowWriter.file(path) : undefined
    const pieces: Array<Mending.Piece> = []
    const reasons: Array<string> = []
    let [first, at, records] = [0, 0, 0]
    for (const [index, place] of plan.chunks.entries()) {
      const standing = chunks[index]
      const chunk = { first, count: place.count }
      first += place.count
      reasons.push(reasonOf(standing))
      if (standing?._tag !== "Kept") {
        roll.settle(chunk, standing?._tag === "Failed" ? "failed" : "undecided")
        continue
      }
      const result = resultOf(standing.batchId)
      const read = yield* Fates.readResults(result, {
        kind,
        property,
        roll,
        sent: { first: chunk.first, identifiers: yield* Planning.identifiersOf(folder, place) },
        records: out === undefined ? undefined : { at, write: (bytes) => out.write([bytes]) }
      })
      if (standing.adopted && isForeign(read)) {
        roll.settle(chunk, "undecided")
        reasons[index] = `batch ${standing.batchId} was taken for it and holds other inputs`
        continue
      }
      if (read.anonymous > 0 && read.matched === 0) {
        roll.settle(chunk, "undecided")
        reasons[index] = `the records of batch ${standing.batchId} do not say which input they answer`
      }
      at += read.inflatedBytes
      records += read.records
      const growing = yield* GrowingFile.ofFile(result)
      pieces.push({ ...read, growing, bytes: growing.bytes })
    }
    if (out !== undefined) yield* out.end
    return { roll, pieces, records, reasons }
  }).pipe(Effect.scoped)

const reasonOf = (standing: Ledger.Standing | undefined): string => {
  switch (standing?._tag) {
    case "Failed":
      return standing.errorMessage ?? "its job failed, without a reason"
    case "Lost":
      return standing.detail ?? "the answer to its submit was lost"
    default:
      return ""
  }
}

const batchOf = (standing: Ledger.Standing | undefined): string =>
  standing !== undefined && "batchId" in standing ? standing.batchId : ""

/** The chunk of each identifier: all have the same size but for the last one. */
const chunkAt = ({ chunks }: typeof Ledger.Planned.Type, index: number): number =>
  Math.floor(index / Math.max(1, chunks[0]?.count ?? 1))

interface Places extends ReturnType<typeof pathsOf> {
  readonly aside: (path: string) => string
}

const encoder = new TextEncoder()

/** Writes one line for each input row, and gives how many have which fate. */
const writeRows = (
  options: Options,
  { reasons, roll }: ReadChunks,
  { aside, fates, output, remainder }: Places
): Effect.Effect<Record<Fates.Fate, number>, InputInvalid | StorageError, Needs> =>
  Effect.gen(function* () {
    const { begun, chunks, folder, input, plan, property } = options
    const counts = {
      matched: 0,
      not_found: 0,
      redacted: 0,
      rejected: 0,
      duplicate: 0,
      failed: 0,
      undecided: 0
    }
    const allFates = yield* Storage.appender(aside(fates))
    const rest = yield* Storage.appender(aside(remainder))
    const join = begun.join ? yield* joiner(options, roll, aside(output)) : undefined
    yield* allFates.write(
      encoder.encode(Fates.csvLine(["row", "identifier", "fate", "reason", "batch_id", "duplicate_of"]))
    )
    yield* rest.write(encoder.encode(Fates.csvLine(plan.columns)))
    const rows = Fates.rows({
      ...begun.input,
      name: begun.input.path,
      input,
      folder,
      property,
      roll,
      count: plan.rows,
      reasonOf: (index) => reasons[chunkAt(plan, index)] ?? ""
    })
    yield* InputRows.forEachPortion(rows, (portion) => {
      const lines: Array<string> = []
      const left: Array<string> = []
      for (const { duplicateOf, fate, identifier, index, input: source, reason, row } of portion) {
        counts[fate] += 1
        const isSent = index !== undefined && fate !== "duplicate"
        const batch = isSent ? batchOf(chunks[chunkAt(plan, index)]) : ""
        const of = duplicateOf === undefined ? "" : String(duplicateOf)
        lines.push(Fates.csvLine([String(row), identifier, fate, reason, batch, of]))
        if (fate === "not_found" || fate === "failed") {
          const named = InputRows.named(source)
          left.push(Fates.csvLine(plan.columns.map((name) => named[name] ?? "")))
        }
      }
      return Effect.all(
        [
          allFates.write(encoder.encode(lines.join(""))),
          rest.write(encoder.encode(left.join(""))),
          join === undefined ? Effect.void : Effect.forEach(Chunk.toReadonlyArray(portion), join.write)
        ],
        { discard: true }
      )
    })
    yield* Effect.zipRight(allFates.sync, rest.sync)
    if (join !== undefined) yield* join.end
    return counts
  }).pipe(Effect.scoped)

/** Writes one JSON line for each input row, with its records as they came, compressed. */
const joiner = ({ folder }: Options, roll: Fates.Roll, path: string) =>
  Effect.gen(function* () {
    const records = `${folder}/${recordsName}`
    const source = yield* Storage.open(records, "r")
    const out = yield* RowWriter.file(path)
    const member = yield* Compression.make(out.write, { level: 3 })
    let [held, size] = [new Array<Uint8Array>(), 0]
    const put = (bytes: Uint8Array) => {
      held.push(bytes)
      size += bytes.length
    }
    const flush = Effect.suspend(() => {
      const bytes = Buffer.concat(held)
      held = []
      size = 0
      return member.push(bytes)
    })
    const write = ({ fate, index, input, row }: Fates.RowFate) =>
      Effect.gen(function* () {
        put(
          encoder.encode(
            `{"row":${row},"input":${JSON.stringify(InputRows.named(input))},"fate":"${fate}","record":`
          )
        )
        const places = index === undefined ? [] : roll.placesOf(index)
        const [first, ...more] = yield* Effect.forEach(places, (place) =>
          Storage.readExactly(source, records, place)
        )
        put(first ?? nothing)
        for (const [at, record] of more.entries()) {
          put(at === 0 ? moreRecords : comma)
          put(record)
        }
        put(more.length > 0 ? listEnd : lineEnd)
        if (size > 262_144) yield* flush
      })
    const end = Effect.gen(function* () {
      yield* flush
      yield* member.end
      yield* out.end
    })
    return { write, end }
  })

const nothing = encoder.encode("null")
const moreRecords = encoder.encode(',"more_records":[')
const comma = encoder.encode(",")
const listEnd = encoder.encode("]}\n")
const lineEnd = encoder.encode("}\n")

/** The results of all jobs, one behind the other, as one gzip file. */
const joinResults = (
  pieces: ReadonlyArray<Mending.Piece>,
  path: string
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  pieces.length === 0
    ? Storage.writeFile(path, Gunzip.emptyMember)
    : Effect.asVoid(Mending.mend(path, pieces))

/** Turns the gzip file at this path into the format that is asked for, in its place. */
const converted = (
  format: Options["begun"]["format"],
  path: string
): Effect.Effect<void, Failure, BatchConfig | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const target = `${path}.${format}`
    const open = RowWriter.of(format, { path: target, columns: undefined, spool: path })
    if (open === undefined) return
    const file = yield* GrowingFile.ofFile(path)
    const rows = yield* open
    const proven = yield* Proof.rows({ file, name: path, onInflated: rows.write })
    if (proven.records === 0 && format === "csv") yield* Storage.writeFile(target, new Uint8Array(0))
    else yield* rows.end
    yield* Storage.rename(target, path)
  }).pipe(Effect.scoped)

/** Fails where anything is at one of the places, that belongs to no campaign. */
export const check = (output: string): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.forEach(
    Object.values(pathsOf(output)),
    (path) => Storage.checkDestination(path, { replace: false }),
    {
      discard: true
    }
  )

/** Whether everything is at its place. */
export const areHere = (output: string): Effect.Effect<boolean, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.every(Object.values(pathsOf(output)), (path) =>
      Effect.mapError(fs.exists(path), storageErrorAt(path))
    )
  )

/** The report of a campaign that has ended. */
export const reportOf = (
  output: string
): Effect.Effect<Option.Option<Report>, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { report: path } = pathsOf(output)
    const text = yield* Effect.mapError(fs.readFileString(path), storageErrorAt(path))
    return yield* Schema.decode(Schema.parseJson(Report))(text).pipe(
      Effect.asSome,
      Effect.mapError(
        () => new StorageError({ reason: "Unreadable", path, detail: "it is no report of a campaign" })
      )
    )
  })
