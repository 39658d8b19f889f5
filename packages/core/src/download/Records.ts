/**
 * The rows of a job or of a file as a stream of records, of a type if a schema says so. Those of a job are waited for, come
 * straight from the network, with nothing written to disk, and are verified: a stream that ends without a failure had all
 * of them. What bytes are to records, for bytes that you have already, is here as well; bundles for browsers have that
 * alone.
 *
 * @example
 * import { type Batch, Records } from "@org/batch-core"
 * import { Effect, Schema, Stream } from "effect"
 *
 * const Info = Schema.Struct({ name: Schema.String })
 * const Company = Schema.Struct({ internal_id: Schema.Number, data: Schema.Struct({ basic_info: Info }) })
 *
 * const names = (id: Batch.BatchId) =>
 *   Records.ofBatch(id, { deadline: "30 minutes", schema: Company, onInvalid: "skip" }).pipe(
 *     Stream.map(({ data }) => data.basic_info.name)
 *   )
 *
 * // nothing but the envelope is asked for: `data` is skipped, not parsed
 * const Envelope = Schema.Struct({ original_identifier: Schema.String, internal_id: Schema.Number })
 *
 * const known = Records.ofFile("rows.jsonl.gz", {
 *   schema: Envelope,
 *   onInvalid: (invalid) => Effect.logWarning(invalid.message)
 * }).pipe(Stream.runCount)
 */
import type { FileSystem } from "@effect/platform"
import { Chunk, Effect, Either, Mailbox, Option, type Schema, Stream } from "effect"
import * as GrowingFile from "../disk/GrowingFile.js"
import type { BatchId } from "../model/Batch.js"
import { BatchConfig } from "../model/BatchConfig.js"
import type { RecordInvalid, ResultsCorrupt, StorageError } from "../model/BatchError.js"
import * as Proof from "../proof/Proof.js"
import * as RecordLines from "../records/RecordLines.js"
import type { Record } from "../records/RecordLines.js"
import type * as BatchPoll from "../status/BatchPoll.js"
import { type Emit, silent } from "./Event.js"
import * as ResultStream from "./ResultStream.js"

export * from "../records/RecordLines.js"

/**
 * What is done about a line that is no record, or that the schema refuses: `fail` ends the stream behind the records
 * before it, `skip` leaves it out, and so does an effect, which may fail itself.
 */
export type OnInvalid =
  "fail" | "skip" | ((invalid: RecordInvalid) => Effect.Effect<unknown, unknown, unknown>)

/** What a stream may fail with because of invalid lines; where nothing is said of them, On is all that could be. */
export type InvalidError<On extends OnInvalid> = [OnInvalid] extends [On]
  ? RecordInvalid
  : On extends "skip"
    ? never
    : On extends (invalid: RecordInvalid) => Effect.Effect<unknown, infer E, unknown>
      ? E
      : RecordInvalid

/** What a stream needs because of invalid lines. */
export type InvalidNeeds<On extends OnInvalid> = [OnInvalid] extends [On]
  ? never
  : On extends (invalid: RecordInvalid) => Effect.Effect<unknown, unknown, infer R>
    ? R
    : never

/** How to read records. */
export interface ReadOptions<A = Record, I = unknown, On extends OnInvalid = "fail"> {
  /**
   * What a record is. Default: any JSON object. Where it asks for nothing but scalars of the record itself, such as
   * `original_identifier`, `internal_id` or `match_status`, the rest of the line is skipped, not parsed.
   */
  readonly schema?: Schema.Schema<A, I> | undefined
  /** What is done about an invalid line. Default `fail`. */
  readonly onInvalid?: On | undefined
  /** Told of everything worth showing, in order: polls, bytes, rows, retries. */
  readonly onEvent?: Emit | undefined
}

/** As `ReadOptions`, and how long to wait for the job. */
export interface BatchOptions<A = Record, I = unknown, On extends OnInvalid = "fail"> extends ReadOptions<
  A,
  I,
  On
> {
  /** There is no default: `Infinity` must be said. A number alone counts seconds. */
  readonly deadline: BatchPoll.Deadline
}

/** The records of a job, once it is completed. A reader that stops ends the transfer; one that pauses pauses it. */
export const ofBatch = <const On extends OnInvalid, A = Record, I = unknown>(
  batchId: BatchId,
  options: BatchOptions<A, I, On>
): Stream.Stream<A, ResultStream.GetError | InvalidError<On>, ResultStream.Needs | InvalidNeeds<On>> =>
  Stream.unwrap(
    Effect.map(BatchConfig, ({ transfer }) => {
      const { deadline, onEvent } = options
      const lines = RecordLines.framer(transfer)
      const read = readerOf(options)
      return ResultStream.get(batchId, { deadline, onEvent, format: "jsonl" }).pipe(
        Stream.map((bytes) => read(lines.push(bytes))),
        Stream.concat(Stream.sync(() => read(lines.end()))),
        settled(options)
      )
    })
  )

/**
 * The records of a file of JSON lines, gzip or not: its content says which. It is proven down to the last gzip trailer
 * while it is read; whether it is still what was delivered is for `Verification.verify` to say.
 */
export const ofFile = <const On extends OnInvalid, A = Record, I = unknown>(
  path: string,
  options: ReadOptions<A, I, On> = {}
): Stream.Stream<
  A,
  ResultsCorrupt | StorageError | InvalidError<On>,
  BatchConfig | FileSystem.FileSystem | InvalidNeeds<On>
> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const { transfer } = yield* BatchConfig
      const { onEvent = silent } = options
      const lines = RecordLines.framer(transfer)
      const read = readerOf(options)
      const output = yield* Mailbox.make<Found<A>, ResultsCorrupt | StorageError>(1)
      const pump = Effect.gen(function* () {
        const file = yield* GrowingFile.ofFile(path)
        const totalBytes = file.bytes
        let records = 0
        const tell = (bytes: number) =>
          onEvent({ _tag: "Progress", bytes, totalBytes, resumedBytes: 0, records })
        yield* Proof.rows({
          file,
          name: path,
          mayBeEmpty: true,
          onRows: (more, bytes) => {
            records += more
            return tell(bytes)
          },
          onInflated: (chunks) =>
            Effect.forEach(chunks, (chunk) => output.offer(read(lines.push(chunk))), { discard: true })
        })
        yield* output.offer(read(lines.end()))
        yield* tell(totalBytes)
      })
      yield* Effect.forkScoped(Mailbox.into(pump, output))
      return settled(options)(Mailbox.toStream(output))
    })
  )

/** Lines of one portion, as records or as why they are none. */
type Found<A> = ReadonlyArray<Either.Either<A, RecordInvalid>>

type Read<A> = (lines: Found<RecordLines.Line>) => Found<A>

function readerOf<A, I>(options: { readonly schema?: Schema.Schema<A, I> | undefined }): Read<A>
function readerOf({
  schema
}: {
  readonly schema?: Schema.Schema<unknown, unknown> | undefined
}): Read<unknown> {
  const decode = schema === undefined ? RecordLines.decode : RecordLines.decoder(schema)
  return (lines) => lines.map(Either.flatMap(decode))
}

/** The records among what was found, and of the rest what `onInvalid` makes of it. */
const settled =
  <On extends OnInvalid>(options: { readonly onInvalid?: On | undefined }) =>
  <A, E, R>(
    portions: Stream.Stream<Found<A>, E, R>
  ): Stream.Stream<A, E | InvalidError<On>, R | InvalidNeeds<On>> => {
    const handle = handlerOf(options)
    return Stream.flatMap(portions, (found) => {
      const records = Chunk.unsafeFromArray(
        found.flatMap((line) => (Either.isRight(line) ? [line.right] : []))
      )
      if (records.length === found.length) return Stream.fromChunk(records)
      return Stream.fromIterable(found).pipe(
        Stream.mapEffect(
          Either.match({
            onLeft: (invalid) => Effect.as(handle(invalid), Option.none<A>()),
            onRight: (record: A) => Effect.succeedSome(record)
          })
        ),
        Stream.filterMap((record) => record)
      )
    })
  }

type Handler<On extends OnInvalid> = (
  invalid: RecordInvalid
) => Effect.Effect<unknown, InvalidError<On>, InvalidNeeds<On>>

function handlerOf<On extends OnInvalid>(options: { readonly onInvalid?: On | undefined }): Handler<On>
function handlerOf({
  onInvalid = "fail"
}: {
  readonly onInvalid?: OnInvalid | undefined
}): (invalid: RecordInvalid) => Effect.Effect<unknown, unknown, unknown> {
  if (onInvalid === "skip") return () => Effect.void
  return onInvalid === "fail" ? (invalid) => Effect.fail(invalid) : onInvalid
}
