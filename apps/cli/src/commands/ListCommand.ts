/**
 * `batchctl list`: the account's jobs, newest first.
 */
import { type Batch, toJson } from "@org/batch-core/Batch"
import * as BatchClient from "@org/batch-core/BatchClient"
import { Array, Clock, Effect, Option, Stream } from "effect"
import { UsageError } from "../failure/CliError.js"
import * as JobText from "../run/JobText.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as Commands from "../syntax/Commands.js"
import { ago, type Column, count, table } from "../terminal/Humanize.js"
import { Stderr } from "../terminal/Stderr.js"
import { Stdout } from "../terminal/Stdout.js"
import * as Command from "./Command.js"

const defaultLimit = 20
const largestPage = 100

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

interface Field extends Column {
  readonly of: (batch: Batch, now: number) => string
}

const id: Field = { heading: "BATCH ID", of: ({ batchId }) => batchId }
const shortId: Field = { heading: "BATCH", of: ({ batchId }) => batchId.slice(0, 8) }
const status: Field = { heading: "STATUS", of: (batch) => batch.status }
const job: Field = { heading: "JOB", of: JobText.kind }
const rows: Field = { heading: "ROWS", right: true, of: ({ resultCount }) => count(resultCount) }
const found: Field = {
  heading: "FOUND",
  right: true,
  of: ({ entitiesFulfilled, entitiesRequested }) => `${count(entitiesFulfilled)}/${count(entitiesRequested)}`
}
const left: Field = {
  heading: "LINKS",
  right: true,
  of: (batch, now) => JobText.linksLeft(batch, now)
}
const created: Field = { heading: "CREATED", right: true, of: ({ createdAt }, now) => ago(createdAt, now) }

/** From the widest to the narrowest: the whole id, which is what the next command needs, goes last. */
const forms = [
  [id, status, job, rows, found, left, created],
  [id, status, rows, found, left, created],
  [id, status, rows, left, created],
  [id, status, rows, left],
  [id, status, rows],
  [shortId, status, rows, created],
  [shortId, status, rows],
  [shortId, status]
] as const

const tableOf = (jobs: ReadonlyArray<Batch>, now: number, columns: number): ReadonlyArray<string> => {
  const isAnyCompleted = jobs.some((batch) => left.of(batch, now) !== "")
  const shown = forms.map((fields) => fields.filter((field) => field !== left || isAnyCompleted))
  const tables = shown.map((fields) =>
    table(
      fields,
      jobs.map((batch) => fields.map(({ of }) => of(batch, now)))
    )
  )
  const fitting = tables.find((lines) => lines.every((line) => line.length <= columns))
  return fitting ?? tables.at(-1) ?? []
}

const colors: Readonly<Record<string, string>> = {
  completed: "32",
  failed: "31",
  processing: "36",
  pending: "33"
}

/** The status of a job in its colour, where it stands behind the id. */
const colored = (line: string, { status: word }: Batch): string => {
  const code = colors[word]
  return code === undefined ? line : line.replace(` ${word}`, ` \u001b[${code}m${word}\u001b[0m`)
}

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
    const stdout = yield* Stdout
    const columns = Option.getOrElse(stdout.columns, () => Number.POSITIVE_INFINITY)
    const [headings = "", ...lines] = tableOf(jobs, now, columns)
    const shown = stdout.color ? Array.zipWith(lines, jobs, colored) : lines
    if (jobs.length > 0) return yield* stdout.line([headings, ...shown].join("\n"))
    yield* (yield* Stderr).line("no batches")
  })

/** `batchctl list` */
export const command = Command.make(Commands.list, ({ values }) =>
  run({
    status: Option.fromNullable(values.status),
    limit: Option.map(Option.fromNullable(values.limit), Number),
    all: values.all === true,
    json: values.json === true
  })
)
