/**
 * Progress as text: the live line of a terminal, and the lines of a log.
 */
import { isTerminal } from "@org/batch-core/Batch"
import type * as BatchPoll from "@org/batch-core/BatchPoll"
import type { Event } from "@org/batch-core/Retrieval"
import { Duration } from "effect"
import { bytes, count, duration, plural } from "../terminal/Humanize.js"
import { eta, type Job, rate } from "./Progress.js"

/** What the terminal can show. */
export interface Look {
  /** Width in characters; a line stays below it. */
  readonly columns: number
  /** Height in lines. */
  readonly rows: number
  readonly unicode: boolean
  readonly color: boolean
}

/** The live lines: one for each batch while there is room, else a summary of all of them. */
export const live = (jobs: ReadonlyArray<Job>, look: Look, now: number): ReadonlyArray<string> => {
  const running = jobs.filter(({ phase }) => phase === "waiting" || phase === "downloading")
  if (jobs.length === 1) return jobs.map((job) => one(job, look, now))
  const head = fit(summary(jobs, now), look)
  return running.length + 2 > look.rows ? [head] : [...running.map((job) => one(job, look, now)), head]
}

const one = (job: Job, look: Look, now: number): string =>
  job.phase === "downloading" ? downloading(job, look, now) : fit(waiting(job, look, now), look)

const fit = (text: string, { columns }: Look): string => text.slice(0, Math.max(1, columns - 1))

const frames = { unicode: "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", ascii: "|/-\\" } as const

const spinner = (look: Look, now: number): string => {
  const signs = look.unicode ? frames.unicode : frames.ascii
  return signs[Math.floor(now / 100) % signs.length] ?? ""
}

const waiting = (job: Job, look: Look, now: number): string =>
  [spinner(look, now), job.id.slice(0, 8), state(job), `  ${duration(now - job.startedAt)}`].join(" ")

const state = ({ batch }: Job): string => {
  if (batch === undefined) return "asking"
  if (batch.resultCount === 0) return batch.status
  return isTerminal(batch.status) || batch.entitiesRequested < batch.resultCount
    ? `${batch.status}, ${plural(batch.resultCount, "row")}`
    : `${batch.status}, ${count(batch.resultCount)} of ${plural(batch.entitiesRequested, "row")}`
}

/** A bar and the segments for which there is room; the least important are dropped first. */
const downloading = (job: Job, look: Look, now: number): string => {
  const speed = rate(job, now)
  const left = eta(job, now)
  const fraction =
    job.totalBytes === undefined || job.totalBytes === 0 ? undefined : job.bytes / job.totalBytes
  const segments = [
    { text: fraction === undefined ? "" : percent(fraction), keep: 5 },
    { text: amount(job), keep: 4 },
    { text: plural(job.records, "row"), keep: 2 },
    { text: speed === undefined ? "" : `${bytes(speed)}/s`, keep: 3 },
    { text: left === undefined ? "" : `eta ${duration(left)}`, keep: 3 },
    { text: job.resumedBytes === 0 ? "" : `${bytes(job.resumedBytes)} were here`, keep: 1 }
  ].filter(({ text }) => text !== "")
  const name = `${job.id.slice(0, 8)} `
  const room = look.columns - 1 - name.length
  const text = [0, 1, 2, 3, 4]
    .map((least) =>
      segments
        .filter(({ keep }) => keep > least)
        .map((segment) => segment.text)
        .join("  ")
    )
    .find((candidate) => candidate.length + 14 <= room)
  if (text === undefined) return fit(`${name}${amount(job)}`, look)
  return `${name}${bar(fraction, Math.min(30, room - text.length - 2), look, now)}  ${text}`
}

const percent = (fraction: number): string => `${Math.floor(Math.min(1, fraction) * 100)}%`.padStart(4)

const amount = ({ bytes: done, totalBytes }: Job): string =>
  totalBytes === undefined ? bytes(done) : `${bytes(done)} of ${bytes(totalBytes)}`

const bar = (fraction: number | undefined, width: number, look: Look, now: number): string => {
  const [full, empty] = look.unicode ? ["█", "░"] : ["#", "."]
  const filled = Math.round(Math.min(1, fraction ?? 0) * width)
  const drawn =
    fraction === undefined
      ? sweep(width, Math.floor(now / 100), full, empty)
      : `${full.repeat(filled)}${empty.repeat(width - filled)}`
  return look.color ? `\u001b[36m${drawn}\u001b[0m` : drawn
}

const sweep = (width: number, step: number, full: string, empty: string): string =>
  Array.from({ length: width }, (_, at) => ((at - step) % width === 0 ? full : empty)).join("")

const summary = (jobs: ReadonlyArray<Job>, now: number): string => {
  const phases = (["done", "failed", "waiting", "downloading"] as const).flatMap((phase) => {
    const number = jobs.filter((job) => job.phase === phase).length
    return number === 0 ? [] : [`${number} ${phase}`]
  })
  const started = jobs.filter((job) => job.phase === "downloading")
  const done = started.reduce((sum, job) => sum + job.bytes, 0)
  const speed = started.reduce((sum, job) => sum + (rate(job, now) ?? 0), 0)
  const rows = jobs.reduce((sum, job) => sum + job.records, 0)
  return [
    `${jobs.length} batches: ${phases.join(", ")}`,
    ...(rows === 0 ? [] : [plural(rows, "row")]),
    ...(started.length === 0 ? [] : [bytes(done), `${bytes(speed)}/s`]),
    duration(now - Math.min(...jobs.map((job) => job.startedAt)))
  ].join("  ")
}

/**
 * The log line for an event, or `undefined` if it changes nothing worth a line. `before` is the progress before the
 * event.
 */
export const change = (before: Job, event: Event, now: number): string | undefined => {
  const line = (text: string): string => `${before.id} ${text}`
  switch (event._tag) {
    case "Status":
      return before.batch?.status === event.batch.status
        ? undefined
        : line(
            `${state({ ...before, batch: event.batch })}${before.batch === undefined ? "" : ` after ${duration(now - before.startedAt)}`}`
          )
    case "Planned":
      return event.source === "none" ? notice(before, event) : line(`fetching ${plural(event.files, "file")}`)
    default:
      return notice(before, event)
  }
}

/** The line for an event that is printed on a terminal too, above the live line. */
export const notice = (job: Job, event: Event): string | undefined => {
  switch (event._tag) {
    case "Notice":
      return event.notice._tag === "RequestFailed"
        ? `${job.id} still waiting: ${reasonOf(job, event.notice.error)}`
        : `${job.id} has the unknown status ${JSON.stringify(event.notice.status)}, taken for a running one`
    case "Planned":
      return event.source === "none" ? `${job.id} the result is empty: 0 rows, nothing to fetch` : undefined
    case "Retrying":
      return `${job.id} ${event.file}: ${event.detail}; trying again in ${duration(Duration.toMillis(event.delay))}`
    case "NotDurable":
      return `warning: ${job.id} the file system of ${event.path} cannot sync (${event.code}): what is not on the disk yet is lost when the power fails`
    case "LinkRefreshed":
      return event.detail === undefined
        ? `${job.id} the download link had expired; a fresh one is in use`
        : `${job.id} the download link was of no use (${event.detail}); a fresh one is in use`
    case "Settling":
      return `${job.id} is completed, but ${settling(event)}; asking again in ${duration(Duration.toMillis(event.delay))}`
    case "Restarted":
      return `${job.id} starting over: ${event.detail}`
    case "ColumnsAbsent":
      return `warning: ${job.id} no row has the column${event.columns.length === 1 ? "" : "s"} ${event.columns.join(", ")}`
    case "LongCells":
      return `warning: ${job.id} ${plural(event.cells, "cell")} beyond the 32,767 characters that Excel takes; the longest has ${count(event.characters)}, in row ${count(event.row)} of ${event.column}`
    case "Incomplete":
      return `warning: ${job.id} has ${plural(event.records, "row")} where ${count(event.resultCount)} were announced; kept, as --allow-incomplete says`
    default:
      return undefined
  }
}

const settling = ({ cause, detail }: Event & { readonly _tag: "Settling" }): string => {
  switch (cause) {
    case "NoLink":
      return detail
    case "Missing":
      return `its results are not there yet (${detail})`
    case "RowCount":
      return `its rows are not as many as it says (${detail})`
  }
}

/** The log line of a heartbeat: the progress so far, for a log in which nothing else has happened. */
export const heartbeat = (jobs: ReadonlyArray<Job>, now: number): string => {
  const [job] = jobs
  if (job === undefined || jobs.length > 1) return summary(jobs, now)
  const speed = rate(job, now)
  return job.phase === "downloading"
    ? `${job.id} ${amount(job)}, ${plural(job.records, "row")}${speed === undefined ? "" : `, ${bytes(speed)}/s`}`
    : `${job.id} ${state(job)} after ${duration(now - job.startedAt)}`
}

/** Why a request brought no answer; the line begins with the batch id, so it is not named again. */
const reasonOf = ({ id }: Job, error: BatchPoll.Excuse): string =>
  error._tag === "BatchNotFound"
    ? "the API answered HTTP 404, which may be a stray answer"
    : error.message.replaceAll(id, "it")
