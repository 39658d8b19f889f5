/**
 * The batch id arguments of a command, validated before any request.
 */
import { Args } from "@effect/cli"
import { BatchId } from "@org/batch-core/Batch"
import { Array, Effect, Either, Option, ParseResult, Schema } from "effect"
import { UsageError } from "../failure/CliError.js"

/** The argument `<batch-id>...`. */
export const args = Args.text({ name: "batch-id" }).pipe(
  Args.withDescription("The id of a batch job, a UUID; several are carried to their end side by side."),
  Args.repeated
)

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

/** The parser takes a flag that it does not know for an argument. */
export const unknownFlag = (word: string): UsageError =>
  new UsageError({
    detail: `${word} is no flag of this command, or its value is missing`,
    hint: Option.none(),
    batchId: Option.none()
  })

const parseOne = (word: string): Either.Either<BatchId, UsageError> =>
  word.startsWith("-")
    ? Either.left(unknownFlag(word))
    : Schema.decodeEither(BatchId)(word).pipe(
        Either.mapLeft(
          (error) =>
            new UsageError({
              detail:
                ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message ?? `${word} is no batch id`,
              hint: Option.some("batchctl list shows the batches of this key"),
              batchId: Option.some(word)
            })
        )
      )
