/**
 * The batch id arguments of a command, validated before any request.
 */
import { BatchId } from "@org/batch-core/Batch"
import { Array, Effect, Either, Option, ParseResult, Schema } from "effect"
import { UsageError } from "../failure/CliError.js"

/** One or more distinct ids. */
export type Ids = Array.NonEmptyReadonlyArray<BatchId>

/** Validates the ids and removes duplicates, whatever their case. */
export const parse = (words: ReadonlyArray<string>): Effect.Effect<Ids, UsageError> =>
  Effect.gen(function* () {
    const ids = yield* Effect.forEach(words, parseOne)
    const distinct = Array.dedupeWith(ids, (a, b) => a.toLowerCase() === b.toLowerCase())
    return Array.isNonEmptyReadonlyArray(distinct)
      ? distinct
      : yield* new UsageError({
          detail: "no batch id is given",
          hint: Option.some("batchctl list shows the batches of this key"),
          batchId: Option.none()
        })
  })

const parseOne = (word: string): Either.Either<BatchId, UsageError> =>
  Either.mapLeft(
    Schema.decodeEither(BatchId)(word),
    (error) =>
      new UsageError({
        detail: ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message ?? `${word} is no batch id`,
        hint: Option.some("batchctl list shows the batches of this key"),
        batchId: Option.some(word)
      })
  )
