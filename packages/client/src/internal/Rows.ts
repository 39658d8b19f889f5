/** The rows of a job, through a Standard Schema, which may take its time. */
import type { BatchId } from "@org/batch-core/Batch"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import type * as Core from "@org/batch-core/BatchError"
import { maskText } from "@org/batch-core/Masking"
import * as Records from "@org/batch-core/Records"
import * as ResultStream from "@org/batch-core/ResultStream"
import { Chunk, Effect, Either, Stream } from "effect"
import { RecordInvalid } from "../BatchError.js"
import type { StandardIssue, StandardSchemaV1 } from "../StandardSchema.js"
import * as Failures from "./Failures.js"

/** How lines become records. */
export interface Reading {
  readonly schema?: StandardSchemaV1 | undefined
  readonly onInvalid?: "fail" | "skip" | ((invalid: RecordInvalid) => void | Promise<void>) | undefined
}

/** The rows of a job, in portions as they come. */
export const ofBatch = (
  batchId: BatchId,
  reading: Reading,
  options: Omit<ResultStream.GetOptions, "format">
): Stream.Stream<unknown, ResultStream.GetError | RecordInvalid, ResultStream.Needs> =>
  Stream.unwrap(
    Effect.map(BatchConfig, ({ transfer }) => {
      const lines = Records.framer(transfer)
      return ResultStream.get(batchId, { ...options, format: "jsonl" }).pipe(
        Stream.map((bytes) => lines.push(bytes)),
        Stream.concat(Stream.sync(() => lines.end())),
        Stream.mapEffect((found) => Effect.promise((signal) => read(found, reading, signal))),
        Stream.flatMap(({ invalid, records }) =>
          invalid === undefined
            ? Stream.fromChunk(records)
            : Stream.concat(Stream.fromChunk(records), Stream.fail(invalid))
        )
      )
    })
  )

type Found = ReadonlyArray<Either.Either<Records.Line, Core.RecordInvalid>>

/** The records of one portion, and the line that ends the stream behind them, if one does. */
interface Portion {
  readonly records: Chunk.Chunk<unknown>
  readonly invalid?: RecordInvalid
}

/** What a schema or `onInvalid` throws is thrown. */
const read = async (
  found: Found,
  { onInvalid = "fail", schema }: Reading,
  signal: AbortSignal
): Promise<Portion> => {
  const records: Array<unknown> = []
  for (const line of found) {
    if (signal.aborted) break
    const record = Either.mapLeft(Either.flatMap(line, Records.decode), (invalid) =>
      Failures.ofRecord(invalid)
    )
    const judged =
      schema === undefined || Either.isLeft(record) || Either.isLeft(line)
        ? record
        : await conform(schema, record.right, line.right)
    if (Either.isRight(judged)) records.push(judged.right)
    else if (onInvalid === "fail") return { records: Chunk.unsafeFromArray(records), invalid: judged.left }
    else if (onInvalid !== "skip") await onInvalid(judged.left)
  }
  return { records: Chunk.unsafeFromArray(records) }
}

/** What the schema makes of a record. */
const conform = async (
  schema: StandardSchemaV1,
  record: Records.Record,
  line: Records.Line
): Promise<Either.Either<unknown, RecordInvalid>> => {
  const result = await schema["~standard"].validate(record)
  if (result.issues === undefined) return Either.right(result.value)
  const issues = result.issues.map(({ message, path }) => ({ message: maskText(message), path }))
  return Either.left(Failures.ofRecord(Records.invalid(line, inWords(issues)), issues))
}

/** The first issue, as the core tells one. */
const inWords = ([first]: ReadonlyArray<StandardIssue>): string => {
  const path = (first?.path ?? []).map((part) => String(typeof part === "object" ? part.key : part))
  return `${path.join(".")}: ${first?.message ?? "the schema refuses it"}`.slice(0, 240)
}
