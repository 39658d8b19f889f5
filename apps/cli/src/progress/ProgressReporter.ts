/**
 * Prints progress to standard error: a live line on a terminal; in a log a line for each change and a heartbeat every
 * minute.
 */
import type { Batch, BatchId } from "@org/batch-core/Batch"
import * as Monotonic from "@org/batch-core/Monotonic"
import type { Event } from "@org/batch-core/Retrieval"
import { Duration, Effect, Option, Ref, Schedule, type Scope } from "effect"
import { Stderr } from "../terminal/Stderr.js"
import * as Progress from "./Progress.js"
import * as ProgressLine from "./ProgressLine.js"

/** Receives the events of the batches and prints their progress. */
export interface ProgressReporter {
  /** Takes an event of a batch. */
  readonly onEvent: (id: BatchId) => (event: Event) => Effect.Effect<void>
  /** Takes the end of a batch. */
  readonly ended: (id: BatchId, phase: "done" | "failed") => Effect.Effect<void>
  /** Prints a line, unless `--quiet` was given. */
  readonly say: (text: string) => Effect.Effect<void>
  /** The last status that the API gave for a batch, for the message when it fails. */
  readonly last: (id: BatchId) => Effect.Effect<Batch | undefined>
}

const redrawEvery = Duration.millis(100)
const noticeEvery = 60_000
const heartbeatEvery = Duration.minutes(1)

type Jobs = ReadonlyMap<BatchId, Progress.Job>

/** Makes a reporter, whose live line or heartbeat goes on until the scope is closed. */
export const make = Effect.fn("ProgressReporter.make")(function* (options: {
  readonly ids: ReadonlyArray<BatchId>
  readonly quiet: boolean
}): Effect.fn.Return<ProgressReporter, never, Stderr | Scope.Scope> {
  const stderr = yield* Stderr
  const startedAt = yield* Monotonic.now
  const jobs = yield* Ref.make<Jobs>(new Map(options.ids.map((id) => [id, Progress.start(id, startedAt)])))
  const say = (text: string) => (options.quiet ? Effect.void : stderr.line(text))
  if (!options.quiet) {
    yield* Effect.addFinalizer(() => stderr.clear)
    yield* Effect.forkScoped(stderr.interactive ? redraw(stderr, jobs) : beat(stderr, jobs))
  }

  // The first notice of a kind comes at once, then one a minute, with how often it was.
  const told = new Map<string, { at: number; times: number }>()
  const sparing = (event: Event, text: string, now: number): string | undefined => {
    const kind = kindOf(event)
    if (kind === undefined) return text
    const entry = told.get(kind)
    if (entry !== undefined && now < entry.at + noticeEvery) {
      entry.times += 1
      return undefined
    }
    told.set(kind, { at: now, times: 0 })
    return entry === undefined || entry.times === 0
      ? text
      : `${text} (${entry.times} more since the last notice)`
  }

  const update = (id: BatchId, change: (job: Progress.Job, now: number) => Progress.Job) =>
    Effect.flatMap(Monotonic.now, (now) =>
      Ref.modify(jobs, (all) => {
        const before = all.get(id) ?? Progress.start(id, now)
        return [{ before, now }, new Map([...all, [id, change(before, now)]])]
      })
    )

  return {
    onEvent: (id) => (event) =>
      Effect.flatMap(
        update(id, (job, now) => Progress.apply(job, event, now)),
        ({ before, now }) => {
          const line = stderr.interactive
            ? ProgressLine.notice(before, event)
            : ProgressLine.change(before, event, now)
          const text = line === undefined ? undefined : sparing(event, line, now)
          return text === undefined ? Effect.void : say(text)
        }
      ),
    ended: (id, phase) => Effect.asVoid(update(id, (job, now) => Progress.end(job, phase, now))),
    say,
    last: (id) => Effect.map(Ref.get(jobs), (all) => all.get(id)?.batch)
  }
})

/** The kind of a notice that may come again and again; the figures in a text do not make a kind. */
const kindOf = (event: Event): string | undefined => {
  switch (event._tag) {
    case "Notice": {
      if (event.notice._tag !== "RequestFailed") return undefined
      const { error } = event.notice
      return error._tag === "ApiUnavailable"
        ? `${error.reason} ${Option.getOrElse(error.status, () => "")}`
        : error._tag
    }
    case "LinkRefreshed":
    case "Retrying":
      return `${event._tag} ${event.detail?.replaceAll(/\d+/gu, "")}`
    case "Settling":
      return `${event._tag} ${event.cause}`
    default:
      return undefined
  }
}

const redraw = (stderr: Stderr["Type"], jobs: Ref.Ref<Jobs>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const all = [...(yield* Ref.get(jobs)).values()]
    const look = {
      columns: yield* stderr.columns,
      rows: yield* stderr.rows,
      unicode: stderr.unicode,
      color: stderr.color
    }
    const over = all.every((job) => job.phase === "done" || job.phase === "failed")
    if (!over) yield* stderr.live(...ProgressLine.live(all, look, yield* Monotonic.now))
  }).pipe(Effect.repeat(Schedule.spaced(redrawEvery)), Effect.asVoid)

const beat = (stderr: Stderr["Type"], jobs: Ref.Ref<Jobs>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const now = yield* Monotonic.now
    const busy = [...(yield* Ref.get(jobs)).values()].filter(
      ({ phase }) => phase !== "done" && phase !== "failed"
    )
    if (busy.length > 0) yield* stderr.line(ProgressLine.heartbeat(busy, now))
  }).pipe(Effect.schedule(Schedule.spaced(heartbeatEvery)), Effect.asVoid)
