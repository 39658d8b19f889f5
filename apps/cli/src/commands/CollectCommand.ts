/**
 * `batchctl collect`: every completed job of the account that is not in a folder yet.
 */
import { type Batch, linksEndAt } from "@org/batch-core/Batch"
import type { Outcome } from "@org/batch-core/Collection"
import * as Format from "@org/batch-core/Format"
import * as JobKind from "@org/batch-core/JobKind"
import { Receipt } from "@org/batch-core/Receipt"
import { DateTime, Effect, Either, Option, Schema, Stream } from "effect"
import { AlreadyReported } from "../failure/CliError.js"
import * as ExitCode from "../failure/ExitCode.js"
import * as Report from "../failure/Report.js"
import { misused } from "../options/Inputs.js"
import * as ProgressReporter from "../progress/ProgressReporter.js"
import * as DeliveryText from "../run/DeliveryText.js"
import * as JobText from "../run/JobText.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as Commands from "../syntax/Commands.js"
import type { Values } from "../syntax/Reading.js"
import { count, plural } from "../terminal/Humanize.js"
import { Stdout } from "../terminal/Stdout.js"
import * as Command from "./Command.js"

type Typed = Values<typeof Commands.collect.flags>["values"]

const run = Effect.fn("CollectCommand.run")(function* (typed: Typed) {
  const folder = typed.output
  if (folder === undefined || folder === "" || folder === "-") {
    return yield* misused("collect writes into a folder: give one with -o")
  }
  const core = yield* Effect.promise(() => import("@org/batch-core/Collection"))
  const since = typed.since === undefined ? undefined : yield* sinceOf(typed.since, core.parseSince)
  const reporter = yield* ProgressReporter.make({ ids: [], quiet: typed.quiet === true })
  const collected = core.run({
    folder,
    since,
    kind: JobKind.named(typed.kind ?? ""),
    format: Format.all.find((format) => format === typed.format),
    dryRun: typed["dry-run"] === true,
    onDue: (batch) => warnOf(batch, reporter.say),
    onEvent: reporter.onEvent
  })
  const outcomes: Array<Outcome> = []
  const codes = new Map<string, number>()
  yield* Stream.runForEach(collected, (outcome) =>
    Effect.gen(function* () {
      outcomes.push(outcome)
      yield* reporter.ended(outcome.batch.batchId, outcome._tag === "Failed" ? "failed" : "done")
      codes.set(outcome.batch.batchId, yield* tell(outcome, typed))
    })
  ).pipe(Effect.provide(CoreLayer.layer))
  yield* reporter.say(`${summary(outcomes)} in ${folder}`)
  const [first] = outcomes
    .filter(({ _tag }) => _tag === "Failed")
    .toSorted((a, b) => core.order(a.batch, b.batch))
  if (first !== undefined) {
    return yield* new AlreadyReported({ exitCode: codes.get(first.batch.batchId) ?? ExitCode.bug })
  }
}, Effect.scoped)

const sinceOf = (
  text: string,
  parse: (text: string, now: DateTime.Utc) => Either.Either<DateTime.Utc, string>
) =>
  Effect.flatMap(DateTime.now, (now) =>
    Either.mapLeft(parse(text, now), (detail) => misused(`--since ${detail}`))
  )

const day = 86_400_000

/** Links that die within a day are told. */
const warnOf = (batch: Batch, say: (text: string) => Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(DateTime.now, (now) => {
    const left = Option.map(linksEndAt(batch), (end) => DateTime.distance(now, end))
    return Option.exists(left, (millis) => millis < day)
      ? say(`warning: ${batch.batchId} its links ${JobText.dying(batch, DateTime.toEpochMillis(now))}`)
      : Effect.void
  })

/** Prints what became of a job, and gives its exit code. */
const tell = (outcome: Outcome, { json = false }: Typed) =>
  Effect.gen(function* () {
    const stdout = yield* Stdout
    const { batch } = outcome
    switch (outcome._tag) {
      case "Failed":
        return yield* Report.failure(outcome.error, { batchId: batch.batchId, last: batch })
      case "Due": {
        const now = DateTime.toEpochMillis(yield* DateTime.now)
        yield* json
          ? stdout.json(due(outcome))
          : stdout.line(
              `${batch.batchId} ${JobText.kind(batch)}, ${plural(batch.resultCount, "row")}, links ${JobText.dying(batch, now)}: would be downloaded to ${outcome.output}`
            )
        return ExitCode.ok
      }
      case "Present":
      case "Delivered": {
        const skipped = outcome._tag === "Present"
        const { receipt } = outcome
        if (json) {
          const encoded = yield* Effect.orDie(Schema.encode(Receipt)(receipt))
          yield* stdout.json(skipped ? { ...encoded, skipped } : encoded)
        } else if (!skipped) {
          yield* stdout.line(`${batch.batchId} ${DeliveryText.summary(receipt)} in ${receipt.output}`)
        }
        return ExitCode.ok
      }
    }
  })

/** What would be downloaded, in the API's own names where it has one. */
const due = ({ batch, output }: Outcome & { readonly _tag: "Due" }) => {
  const text = Option.map(DateTime.formatIso)
  return {
    batch_id: batch.batchId,
    entity: batch.entity,
    action: batch.action,
    result_count: batch.resultCount,
    completed_at: Option.getOrNull(text(batch.completedAt)),
    links_end_at: Option.getOrNull(text(linksEndAt(batch))),
    output
  }
}

const summary = (outcomes: ReadonlyArray<Outcome>): string => {
  const of = (tag: Outcome["_tag"]) => outcomes.filter(({ _tag }) => _tag === tag).length
  const dead = outcomes.filter(
    (outcome) => outcome._tag === "Failed" && outcome.error._tag === "ResultsUnavailable"
  ).length
  const parts = [
    [of("Due"), "to download"],
    [of("Delivered"), "downloaded"],
    [of("Present"), "here already"],
    [dead, "dead"],
    [of("Failed") - dead, "failed"]
  ] as const
  const told = parts.filter(([number]) => number > 0).map(([number, what]) => `${count(number)} ${what}`)
  return `${plural(outcomes.length, "completed job")}${told.length === 0 ? "" : `: ${told.join(", ")}`}`
}

/** `batchctl collect` */
export const command = Command.make(Commands.collect, ({ values }) => run(values))
