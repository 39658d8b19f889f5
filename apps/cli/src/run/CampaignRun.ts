/**
 * Runs a campaign in a terminal or a log: what it is about to cost is shown and confirmed, each job has its lines, and the
 * report ends it.
 */
import * as Campaign from "@org/batch-core/Campaign"
import { CampaignRefused } from "@org/batch-core/BatchError"
import * as Report from "@org/batch-core/Report"
import { Duration, Effect, Option, Schema } from "effect"
import { createInterface } from "node:readline/promises"
import { AlreadyReported } from "../failure/CliError.js"
import * as ExitCode from "../failure/ExitCode.js"
import * as CommandLine from "../terminal/CommandLine.js"
import { count, duration, plural } from "../terminal/Humanize.js"
import { Stderr } from "../terminal/Stderr.js"
import { Stdout } from "../terminal/Stdout.js"
import { unbroken } from "../terminal/Wrap.js"

/** How it talks. */
export interface Talk {
  /** Whether it starts without asking. */
  readonly yes: boolean
  readonly json: boolean
  readonly quiet: boolean
  /** The input as it was named; `-` leaves nobody to ask. */
  readonly input: string | undefined
}

/** Runs a campaign, or goes on with it. */
export const run = (options: Omit<Campaign.Options, "confirm" | "onEvent">, talk: Talk) =>
  told(talk, (shown) => Campaign.run({ ...options, ...shown }))

/** Goes on with a campaign by its name. */
export const resume = (
  name: string,
  options: Omit<Campaign.GoOnOptions, "confirm" | "onEvent">,
  talk: Talk
) => told(talk, (shown) => Campaign.resume(name, { ...options, ...shown }))

const told = <E, R>(
  talk: Talk,
  start: (shown: Pick<Campaign.GoOnOptions, "confirm" | "onEvent">) => Effect.Effect<Campaign.Done, E, R>
) =>
  Effect.gen(function* () {
    const stderr = yield* Stderr
    const stdout = yield* Stdout
    const commandLine = yield* CommandLine.CommandLine
    const say = (text: string) => (talk.quiet ? Effect.void : stderr.line(text))
    let jobs = 0
    const { report, wasFinished } = yield* start({
      confirm: () => confirmed(talk, stderr),
      onEvent: (event) => {
        if (event._tag === "Outlook") jobs = event.outlook.jobs
        const lines = event._tag === "Outlook" ? outlookLines(event.outlook) : lineOf(event, jobs)
        return Effect.forEach(lines, say, { discard: true })
      }
    }).pipe(
      Effect.onInterrupt(() =>
        Effect.zipRight(
          stderr.line("interrupted: nothing is lost, and the jobs go on"),
          stderr.line(`  next   ${unbroken(CommandLine.again(commandLine))}`)
        )
      )
    )
    if (wasFinished) yield* say(`campaign ${report.campaign} was finished before; nothing was asked or sent`)
    yield* Effect.forEach(reportLines(report), say, { discard: true })
    if (talk.json) yield* stdout.json(yield* Effect.orDie(Schema.encode(Report.Report)(report)))
    const { failed, undecided } = report.fates
    if (undecided > 0) {
      yield* say(`  next   ${unbroken(CommandLine.again(commandLine))}  (settles what is undecided)`)
      return yield* new AlreadyReported({ exitCode: ExitCode.unsettled })
    }
    if (failed > 0) {
      const again = CommandLine.again(commandLine, { add: ["--retry-failed"] })
      yield* say(`  next   ${unbroken(again)}  (submits what failed once more)`)
      return yield* new AlreadyReported({ exitCode: ExitCode.jobFailed })
    }
  })

/** Asks whether to start: without a terminal, or where its input is the list, the answer must be on the command line. */
const confirmed = ({ input, yes }: Talk, stderr: Stderr["Type"]): Effect.Effect<boolean, CampaignRefused> => {
  if (yes) return Effect.succeed(true)
  if (process.stdin.isTTY !== true || !stderr.interactive || input === "-") {
    return new CampaignRefused({
      reason: "NotConfirmed",
      detail: "there is nobody to ask here; --yes starts without asking"
    })
  }
  return Effect.acquireUseRelease(
    Effect.sync(() => createInterface({ input: process.stdin, output: process.stderr })),
    (terminal) => Effect.promise((signal) => terminal.question("Start? [y/N] ", { signal })),
    (terminal) => Effect.sync(() => terminal.close())
  ).pipe(Effect.map((answer) => /^y(?:es)?$/iu.test(answer.trim())))
}

const outlookLines = (outlook: Campaign.Outlook): ReadonlyArray<string> => {
  const {
    activeJobs,
    balance,
    creditsAtMost,
    duplicates,
    expected,
    jobs,
    jobsLeft,
    kind,
    rejected,
    rows,
    unique
  } = outlook
  const cost = Option.match(creditsAtMost, {
    onNone: () => `no price of ${kind.name} is published`,
    onSome: (most) => `at most ${count(most)} credits`
  })
  const has = Option.match(balance, {
    onNone: () => "the balance could not be read",
    onSome: (credits) => `the account has ${count(credits)}`
  })
  const left =
    jobsLeft === jobs ? plural(jobs, "job") : `${count(jobsLeft)} of ${plural(jobs, "job")} to submit`
  const time = Option.match(expected, {
    onNone: () => "",
    onSome: (one) => `, about ${duration(Duration.toMillis(one))} by the last such jobs`
  })
  return [
    `${outlook.isResumed ? "going on with" : ""} campaign ${outlook.campaign}: ${kind.name}, ${plural(rows, "row")}`.trim(),
    `  ${plural(unique, "unique input")} in ${left}${time}; ${plural(duplicates, "duplicate")}, ${count(rejected)} rejected`,
    ...(jobsLeft === 0 ? [] : [`  ${cost}; ${has}`]),
    ...Option.match(activeJobs, {
      onNone: () => [],
      onSome: (active) =>
        active > 0 && jobsLeft > 0
          ? [`  ${plural(active, "job")} of the account ${active === 1 ? "is" : "are"} active already`]
          : []
    })
  ]
}

const lineOf = (
  event: Exclude<Campaign.Event, { readonly _tag: "Outlook" }>,
  jobs: number
): ReadonlyArray<string> => {
  const job = "chunk" in event ? `job ${event.chunk + 1} of ${jobs}` : ""
  switch (event._tag) {
    case "Submitted":
      return [`${job}: ${event.adopted ? "found, it was accepted" : "submitted"}, batch ${event.batchId}`]
    case "Held":
      return [`${job}: waits ${duration(Duration.toMillis(event.delay))}, since ${event.error.message}`]
    case "Lost":
      return [`${job}: its answer was lost (${event.detail}); it is looked for, and not sent again`]
    case "Undecided":
      return [`${job}: not known whether it was accepted: ${event.detail}`]
    case "Ended": {
      const { entitiesFulfilled, entitiesRequested, errorMessage, status } = event.batch
      const why = Option.match(errorMessage, { onNone: () => "", onSome: (words) => `: ${words}` })
      return [
        `${job}: ${status}${status === "completed" ? `, ${count(entitiesFulfilled)} of ${count(entitiesRequested)} found` : why}`
      ]
    }
    case "Kept":
      return [`${job}: ${plural(event.records, "record")} here, verified`]
    case "Stopping":
      return [`no more is submitted, since ${event.error.message}; what runs is brought to its end`]
    case "Joining":
      return ["joining the results"]
    case "Job":
      return []
  }
}

/** The fates in figures. */
export const fatesInWords = ({ fates, rows }: Report.Report): string =>
  `${plural(rows, "row")}: ${Object.entries(fates)
    .filter(([, number]) => number > 0)
    .map(([fate, number]) => `${count(number)} ${fate.replace("_", " ")}`)
    .join(", ")}`

const reportLines = (report: Report.Report): ReadonlyArray<string> => {
  const { campaign, credits, output, records } = report
  const spent = credits.spent === null ? "" : `, ${count(credits.spent)} credits spent`
  return [
    `campaign ${campaign}: ${fatesInWords(report)}`,
    `  ${plural(records, "record")}${spent}: ${output}`
  ]
}
