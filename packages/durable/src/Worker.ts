/**
 * What carries retrievals and campaigns out: looks at batches that are due, downloads those that are completed, submits
 * what campaigns have planned, makes completion calls and clears up. Any number of processes may run one over the same PostgreSQL; what a dead one held goes to the others
 * within 15 seconds. Closing the scope hands over what is under way in less than five.
 *
 * @example
 * import { NodeContext } from "@effect/platform-node"
 * import { Embedded, Settings, Worker } from "@org/batch-durable"
 * import { Layer } from "effect"
 *
 * const worker = Worker.layer.pipe(
 *   Layer.provide(Embedded.layer("/var/lib/batch/store")),
 *   Layer.provide(Settings.layer({ folder: "/var/lib/batch/retrievals" })),
 *   Layer.provide(NodeContext.layer)
 * )
 */
import { FileSystem, Path } from "@effect/platform"
import type { Event } from "@org/batch-core/Event"
import { LocalMachine } from "@org/batch-core/LocalMachine"
import { localMachine } from "@org/batch-node/LocalMachine"
import { Cause, Deferred, Effect, Layer, Option, Ref, Schedule, Scope } from "effect"
import type { Accounts } from "./Account.js"
import type * as CampaignLedger from "./CampaignLedger.js"
import * as CampaignRun from "./CampaignRun.js"
import * as ChunkRun from "./ChunkRun.js"
import * as Downloads from "./Downloads.js"
import * as Due from "./Due.js"
import { type Sessions, sessions } from "./Gate.js"
import * as Housekeeping from "./Housekeeping.js"
import * as Looks from "./Looks.js"
import * as Notification from "./Notification.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { Settings } from "./Settings.js"
import * as Shift from "./Shift.js"
import * as Step from "./Step.js"
import { campaigns, chunks, downloads, patiently, type Service, Store } from "./Store.js"

/** What a worker needs. */
export type Needs = Store | Settings | Accounts | FileSystem.FileSystem | Path.Path

type Execution = Effect.Effect<void, never, FileSystem.FileSystem | Path.Path>

/** Looks taken at a time in one process. */
const looksAtOnce = 16

/** A worker that runs until the scope is closed. */
export const run: Effect.Effect<void, never, Needs | Scope.Scope> = Effect.gen(function* () {
  const store = yield* Store
  const settings = yield* Settings
  const open = yield* sessions
  const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const needs = <A, E>(effect: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>) =>
    Effect.provideService(Effect.provide(effect, context), LocalMachine, localMachine)
  const { slots, slotsPerAccount } = settings
  const shift = (queue: string, places: Shift.Places, execute: (run: Step.Run) => Execution) =>
    Shift.make(store, {
      queue,
      places,
      slotsPerAccount,
      execute: (job, lost) => needs(execute({ store, settings, sessions: open, job, lost }))
    })
  const fetching = Shift.places(slots)
  const ledgers: CampaignLedger.Known = new Map()
  const rounds = {
    [downloads]: yield* shift(downloads, fetching, download),
    [chunks]: yield* shift(chunks, fetching, (run) => ChunkRun.run(run, ledgers)),
    [campaigns]: yield* shift(campaigns, Shift.places(slots), (run) => CampaignRun.run(run, ledgers)),
    [Due.looks]: yield* looks(store, open)
  }
  yield* Effect.forkScoped(Due.forever(store, rounds))
  yield* Effect.forkScoped(Notification.deliver)
  yield* Effect.forkScoped(Housekeeping.run)
})

/** A worker that runs as long as the layer. */
export const layer: Layer.Layer<never, never, Needs> = Layer.scopedDiscard(run)

/** One job: claimed, carried out, settled. Every other end gives it back to the engine, which hands it out again. */
const download = (run: Step.Run): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { job, lost, sessions, settings, store } = run
    const claimed = yield* patiently(Downloads.claim(store, job, settings.slotsPerAccount))
    if (Option.isNone(claimed)) return
    const held = claimed.value
    const session = yield* sessions.of(held.account)
    const progress = yield* Ref.make<Progress>({ bytes: 0, totalBytes: null, records: 0, written: true })
    const step = Step.run(held, handleOf(store, held, progress), settings).pipe(Effect.provide(session))
    const outcome = yield* Effect.raceFirst(
      step,
      Effect.raceFirst(
        watchRow(store, held, progress),
        Effect.zipRight(Deferred.await(lost), Effect.fail(new Step.Lost()))
      )
    )
    const isSettled = yield* patiently(Downloads.settle(store, held, outcome))
    if (isSettled && outcome._tag === "Done") yield* Step.clear(settings, held.retrieval.retrievalId)
  }).pipe(
    Effect.scoped,
    Effect.catchTag("Lost", () => afterLoss(run)),
    Shift.orGiveBack(run.store, downloads, run.job)
  )

/** A download that was stopped leaves nothing; one that another worker goes on with leaves it what has arrived. */
const afterLoss = ({ job, settings, store }: Step.Run): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Effect.ignore(
      Effect.timeout(Housekeeping.clearIfCancelled(store, settings, job.data.id), "5 seconds")
    )
    // The engine may still count it as ours when the row was lost by a cancellation.
    yield* Effect.ignore(store.engine((boss) => boss.complete(downloads, job)))
  })

interface Progress {
  readonly bytes: number
  readonly totalBytes: number | null
  readonly records: number
  readonly written: boolean
}

const handleOf = (store: Service, held: Downloads.Held, progress: Ref.Ref<Progress>): Step.Handle => {
  const orLost = <A>(owned: Effect.Effect<boolean, StoreUnavailable>, value: A) =>
    Effect.flatMap(patiently(owned), (mine) => (mine ? Effect.succeed(value) : Effect.fail(new Step.Lost())))
  return {
    onEvent: (event: Event) =>
      event._tag === "Progress"
        ? Ref.set(progress, {
            bytes: event.bytes,
            totalBytes: event.totalBytes ?? null,
            records: event.records,
            written: false
          })
        : Effect.void,
    note: (note) =>
      orLost(Downloads.write(store, held, "publishing = $3::jsonb", [JSON.stringify(note)]), undefined),
    still: orLost(Downloads.isMine(store, held), undefined)
  }
}

/** How often a download looks whether it is still this process's: one that is stopped ends within a second. */
const watchEvery = "400 millis"

/** Writes the progress every other time, and so sees that the download was stopped or is another worker's. */
const watchRow = (
  store: Service,
  held: Downloads.Held,
  progress: Ref.Ref<Progress>
): Effect.Effect<never, Step.Lost> =>
  Effect.gen(function* () {
    const rounds = yield* Ref.make(0)
    const look = Effect.gen(function* () {
      const isTurn = (yield* Ref.getAndUpdate(rounds, (round) => round + 1)) % 2 === 0
      const { bytes, records, totalBytes, written } = yield* Ref.getAndUpdate(progress, (known) => ({
        ...known,
        written: known.written || isTurn
      }))
      const mine = yield* written || !isTurn
        ? Downloads.isMine(store, held)
        : Downloads.write(
            store,
            held,
            "bytes = $3, total_bytes = $4, records = $5, seq = seq + 1, updated_at = clock_timestamp()",
            [bytes, totalBytes, records]
          )
      if (!mine) return yield* new Step.Lost()
    })
    return yield* look.pipe(
      Effect.catchTag("StoreUnavailable", () => Effect.void),
      Effect.repeat(Schedule.spaced(watchEvery)),
      Effect.zipRight(Effect.never)
    )
  })

/** Gives what takes looks that are due, and keeps those under way from being taken by others. */
const looks = (
  store: Service,
  open: Sessions
): Effect.Effect<Effect.Effect<number, StoreUnavailable>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const underWay = new Set<Looks.Look>()
    const round = Effect.gen(function* () {
      const free = looksAtOnce - underWay.size
      if (free <= 0) return 0
      const claimed = yield* Looks.claim(store, free)
      for (const look of claimed) {
        underWay.add(look)
        yield* Looks.take(store, open, look).pipe(
          Effect.catchAllDefect((defect) =>
            Effect.logError(`a look at batch ${look.batchId}`, Cause.die(defect))
          ),
          Effect.ensuring(Effect.sync(() => underWay.delete(look))),
          Effect.forkScoped
        )
      }
      return claimed.length
    })
    const extend = Effect.suspend(() =>
      underWay.size === 0 ? Effect.succeed(0) : Effect.as(Looks.extend(store, [...underWay]), 0)
    )
    yield* Effect.forkScoped(Shift.forever(extend, Shift.touchEvery))
    return Effect.provideService(round, Scope.Scope, yield* Effect.scope)
  })
