/**
 * `batchctl list`: the account's jobs, newest first.
 */
import { Command, Options } from "@effect/cli"
import { type Batch, toJson } from "@org/batch-core/Batch"
import * as BatchClient from "@org/batch-core/BatchClient"
import { Clock, Effect, Option, Stream } from "effect"
import { UsageError } from "../failure/CliError.js"
import * as JobText from "../run/JobText.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import { ago, count, table } from "../terminal/Humanize.js"
import { Stderr } from "../terminal/Stderr.js"
import { Stdout } from "../terminal/Stdout.js"

const defaultLimit = 20
const largestPage = 100

const options = {
  status: Options.text("status").pipe(
    Options.withDescription("Only jobs in this state: pending, processing, completed or failed."),
    Options.optional
  ),
  limit: Options.integer("limit").pipe(
    Options.withDescription(`Jobs at most; ${defaultLimit} unless told otherwise.`),
    Options.optional
  ),
  all: Options.boolean("all").pipe(Options.withDescription("All jobs of the account.")),
  json: Options.boolean("json").pipe(Options.withDescription("Print the API's own JSON, one job per line."))
}

/** The parsed flags. */
interface Request {
  readonly status: Option.Option<string>
  readonly limit: Option.Option<number>
  readonly all: boolean
  readonly json: boolean
}

const limitOf = (request: Request): Effect.Effect<number, UsageError> => {
  const limit = Option.getOrElse(request.limit, () => defaultLimit)
  const detail =
    request.all && Option.isSome(request.limit)
      ? "--all and --limit exclude each other"
      : limit < 1
        ? `--limit ${limit} must be at least 1`
        : undefined
  return detail === undefined
    ? Effect.succeed(request.all ? Number.POSITIVE_INFINITY : limit)
    : new UsageError({ detail, hint: Option.none(), batchId: Option.none() })
}

const row = (batch: Batch, now: number): ReadonlyArray<string> => [
  batch.batchId,
  batch.status,
  JobText.kind(batch),
  count(batch.resultCount),
  `${count(batch.entitiesFulfilled)}/${count(batch.entitiesRequested)}`,
  ago(batch.createdAt, now)
]

const headings = ["BATCH ID", "STATUS", "JOB", "ROWS", "FOUND", "CREATED"]

const more = (shown: number): string =>
  `${shown} shown, there are more: --limit ${Math.min(shown * 5, largestPage)} shows more of them, --all shows all`

const run = Effect.fn("ListCommand.run")(function* (request: Request) {
  const limit = yield* limitOf(request)
  const stdout = yield* Stdout
  const print = (batch: Batch) => stdout.json(toJson(batch))
  // One job more than is shown tells whether there are more.
  const jobs = BatchClient.list({
    status: Option.getOrUndefined(request.status),
    limit: Math.min(limit + 1, largestPage)
  }).pipe(
    Stream.zipWithIndex,
    Stream.takeUntil(([, index]) => index === limit)
  )
  const shown = jobs.pipe(
    Stream.tap(([batch, index]) => (request.json && index < limit ? print(batch) : Effect.void)),
    Stream.map(([batch]) => batch)
  )
  const all: Array<Batch> = []
  yield* Stream.runForEach(shown, (batch) => Effect.sync(() => all.push(batch))).pipe(
    Effect.provide(CoreLayer.layer),
    // What came is shown, too, where the rest of the list cannot be had.
    Effect.tapError(() => Effect.when(printTable(all), () => !request.json && all.length > 0))
  )
  if (!request.json) yield* printTable(all.slice(0, limit))
  if (all.length > limit) yield* (yield* Stderr).line(more(limit))
})

const printTable = (jobs: ReadonlyArray<Batch>) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const rows = table(
      headings,
      jobs.map((batch) => row(batch, now))
    )
    if (jobs.length > 0) return yield* (yield* Stdout).line(rows.join("\n"))
    yield* (yield* Stderr).line("no batches")
  })

/** `batchctl list` */
export const command = Command.make("list", options, run).pipe(
  Command.withDescription("List the account's batch jobs, newest first.")
)
