/**
 * The jobs of one queue of the engine that this process holds: taken as there are places, kept alive, and handed over when
 * the scope is closed.
 */
import { Cause, Deferred, type Duration, Effect, Exit, Fiber, Schedule, type Scope } from "effect"
import type * as Queue from "./Queue.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { affected, patiently, type Service } from "./Store.js"

/** How often the engine is told that a job is alive; it takes it away after ten seconds of silence. */
export const touchEvery = "3 seconds"

/** How long the handing over of one job may take when the process ends. */
const handOver = "4 seconds"

/** Places for jobs in this process. */
export interface Places {
  readonly most: number
  taken: number
}

/** So many free places. */
export const places = (most: number): Places => ({ most, taken: 0 })

/** What is done with the jobs of a queue. */
export interface Options {
  readonly queue: string
  /** Jobs at a time in this process, which several queues may share. */
  readonly places: Places
  /** Jobs at a time of one account, in all processes together. */
  readonly slotsPerAccount: number
  /** Carries a job out and settles it. `lost` completes when it is another worker's. */
  readonly execute: (job: Queue.Fetched, lost: Deferred.Deferred<void>) => Effect.Effect<void>
}

/** A job under way: `lost` interrupts it without a word to the engine. */
interface Holding {
  readonly job: Queue.Fetched
  readonly fiber: Fiber.RuntimeFiber<void>
  readonly lost: Deferred.Deferred<void>
}

/**
 * Gives what takes the jobs of a queue for which it is time, as many as there are places, and says how many it has taken.
 * Closing the scope hands over what is under way.
 */
export const make = (
  store: Service,
  options: Options
): Effect.Effect<Effect.Effect<number, StoreUnavailable>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const held = new Map<string, Holding>()
    yield* Effect.addFinalizer(() =>
      Effect.forEach([...held.values()], ({ fiber }) => Fiber.interrupt(fiber), {
        concurrency: "unbounded",
        discard: true
      })
    )
    yield* Effect.forkScoped(forever(Effect.as(heartbeat(store, options.queue, held), 0), touchEvery))
    return fetch(store, options, held)
  })

/** A round of work: nothing was done where the database is away, or there is a bug, which is logged. */
export const attempted = (round: Effect.Effect<number, StoreUnavailable>): Effect.Effect<number> =>
  round.pipe(
    Effect.catchAllDefect((defect) => Effect.as(Effect.logError("a worker's round", Cause.die(defect)), 0)),
    Effect.catchTag("StoreUnavailable", () => Effect.succeed(0))
  )

/** Repeats a round of work; without a pause while there is more. */
export const forever = (
  round: Effect.Effect<number, StoreUnavailable>,
  every: Duration.DurationInput
): Effect.Effect<void> =>
  attempted(round).pipe(
    Effect.flatMap((done) => (done > 0 ? Effect.void : Effect.sleep(every))),
    Effect.repeat(Schedule.forever),
    Effect.asVoid
  )

const fetch = (
  store: Service,
  { execute, places, queue, slotsPerAccount }: Options,
  held: Map<string, Holding>
): Effect.Effect<number, StoreUnavailable> =>
  Effect.gen(function* () {
    const free = places.most - places.taken
    if (free <= 0) return 0
    places.taken += free
    const jobs = yield* store
      .engine((boss) =>
        boss.fetch<Queue.Job>(queue, {
          batchSize: free,
          includeMetadata: true,
          groupConcurrency: slotsPerAccount
        })
      )
      .pipe(
        Effect.onExit(
          Exit.match({
            onFailure: () => Effect.sync(() => void (places.taken -= free)),
            onSuccess: ({ length }) => Effect.sync(() => void (places.taken -= free - length))
          })
        )
      )
    for (const job of jobs) {
      // One that was taken away may come again while what was done for it before is not at its end.
      const key = `${job.id} ${job.retryCount}`
      const lost = yield* Deferred.make<void>()
      const fiber = yield* execute(job, lost).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            held.delete(key)
            places.taken -= 1
          })
        ),
        // What is claimed is always noted, but what is noted can be interrupted.
        Effect.interruptible,
        Effect.forkDaemon
      )
      held.set(key, { job, fiber, lost })
    }
    return jobs.length
  }).pipe(Effect.uninterruptible)

/** Tells the engine that all are alive; what it no longer counts as ours is another worker's. */
const heartbeat = (
  store: Service,
  queue: string,
  held: ReadonlyMap<string, Holding>
): Effect.Effect<void, StoreUnavailable> =>
  Effect.gen(function* () {
    const all = [...held.values()]
    if (all.length === 0) return
    const touch = (some: ReadonlyArray<Holding>) =>
      Effect.map(
        store.engine((boss) =>
          boss.touch(
            queue,
            some.map(({ job }) => job)
          )
        ),
        affected
      )
    if ((yield* touch(all)) === all.length) return
    for (const one of all) {
      if ((yield* touch([one])) === 0) yield* Deferred.succeed(one.lost, undefined)
    }
  })

/** Every end of a job but that of being settled gives it back to the engine, which hands it out again. */
export const orGiveBack =
  (store: Service, queue: string, job: Queue.Fetched) =>
  <E, R>(execution: Effect.Effect<void, E, R>): Effect.Effect<void, never, R> =>
    execution.pipe(
      Effect.onExit((exit) =>
        Exit.isSuccess(exit)
          ? Effect.void
          : Effect.zipRight(
              Effect.logDebug(`a job of the queue ${queue} is handed over`, exit.cause),
              patiently(store.engine((boss) => boss.fail(queue, job, { message: "handed over" }))).pipe(
                Effect.interruptible,
                Effect.timeout(handOver),
                Effect.ignore
              )
            )
      ),
      Effect.catchAllCause(() => Effect.void)
    )
