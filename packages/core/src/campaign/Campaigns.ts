/**
 * The campaigns of a folder, as their ledgers have them.
 *
 * @example
 * import * as Campaigns from "./Campaigns.js"
 *
 * const program = Campaigns.all("state/campaigns")
 */
import { FileSystem, Path } from "@effect/platform"
import { Array, DateTime, Effect, Option, Order, Schema } from "effect"
import { type StorageError, storageErrorAt } from "../model/BatchError.js"
import { ledgerName } from "./Definition.js"
import * as Ledger from "./Ledger.js"

/** The jobs that ledgers claim: those of other campaigns, and of single submits in the folder `submits` beside theirs. */
export const claims = (
  folder: string,
  except = ""
): Effect.Effect<ReadonlySet<string>, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const names = (place: string) => Effect.orElseSucceed(fs.readDirectory(place), (): Array<string> => [])
    const submits = paths.join(paths.dirname(folder), "submits")
    const files = [
      ...(yield* names(folder))
        .filter((name) => name !== except)
        .map((name) => paths.join(folder, name, ledgerName)),
      ...(yield* names(submits))
        .filter((name) => name.endsWith(".jsonl"))
        .map((name) => paths.join(submits, name))
    ]
    const found = yield* Effect.forEach(files, (file) => Effect.option(Ledger.entries(file)))
    return new Set(
      Array.getSomes(found)
        .flatMap(Ledger.claimedBy)
        .map((id) => id.toLowerCase())
    )
  })

/** A campaign of this machine, as its ledger has it. */
export interface Summary {
  readonly campaign: string
  readonly kind: string
  readonly input: string
  readonly output: string
  readonly startedAt: DateTime.Utc
  readonly rows: number
  readonly jobs: number
  /** Jobs whose results are here, that failed, and of which it is not known whether they were accepted. */
  readonly kept: number
  readonly failed: number
  readonly undecided: number
  readonly isFinished: boolean
}

/** The campaigns below a folder, newest first. Those whose ledgers cannot be read are left out. */
export const all = (
  folder: string
): Effect.Effect<ReadonlyArray<Summary>, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    if (!(yield* Effect.mapError(fs.exists(folder), storageErrorAt(folder)))) return []
    const names = yield* Effect.mapError(fs.readDirectory(folder), storageErrorAt(folder))
    const found = yield* Effect.forEach(
      names.filter((name) => !name.startsWith(".")),
      (name) => Effect.option(Ledger.entries(paths.join(folder, name, ledgerName)))
    )
    const summaries = Array.filterMap(Array.getSomes(found), (entries) => summaryOf(Ledger.stateOf(entries)))
    return Array.sortWith(summaries, ({ startedAt }) => -DateTime.toEpochMillis(startedAt), Order.number)
  })

const summaryOf = ({ begun, chunks, isFinished, plan }: Ledger.State): Option.Option<Summary> =>
  Option.map(begun, ({ at, campaign, input, kind, output }) => {
    const having = (tag: Ledger.Standing["_tag"]) => chunks.filter(({ _tag }) => _tag === tag).length
    return {
      campaign,
      kind,
      input: input.path,
      output,
      startedAt: at,
      rows: Option.match(plan, { onNone: () => 0, onSome: ({ rows }) => rows }),
      jobs: chunks.length,
      kept: having("Kept"),
      failed: having("Failed"),
      undecided: having("Lost"),
      isFinished
    }
  })

/** The encoded form of a summary, for `batchctl runs --json`. */
export const SummaryJson = Schema.Struct({
  campaign: Schema.String,
  kind: Schema.String,
  input: Schema.String,
  output: Schema.String,
  startedAt: Schema.propertySignature(Schema.DateTimeUtc).pipe(Schema.fromKey("started_at")),
  rows: Schema.Int,
  jobs: Schema.Int,
  kept: Schema.Int,
  failed: Schema.Int,
  undecided: Schema.Int,
  isFinished: Schema.propertySignature(Schema.Boolean).pipe(Schema.fromKey("finished"))
})
