/**
 * One job of the engine about a campaign: claimed, carried out as long as it is this process's, settled.
 */
import type { FileSystem, Path } from "@effect/platform"
import { Deferred, Effect, Option } from "effect"
import type { Session } from "./Gate.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import * as Shift from "./Shift.js"
import { Lost, type Run } from "./Step.js"
import { patiently } from "./Store.js"

type Needs = FileSystem.FileSystem | Path.Path

/** What is done with a job of a queue. */
export interface Options<H, O> {
  readonly queue: string
  /** Claims the row behind the job; none if there is nothing to do now. */
  readonly claim: Effect.Effect<Option.Option<H>, StoreUnavailable, Needs>
  /** Does what there is to do. */
  readonly carry: (held: H) => Effect.Effect<O, never, Needs | Session>
  /** Ends when what was claimed is another worker's, or was stopped; never otherwise. */
  readonly watch: (held: H) => Effect.Effect<never, Lost>
  readonly settle: (held: H, outcome: O) => Effect.Effect<void, StoreUnavailable>
}

/** Every end but that of being settled gives the job back to the engine, which hands it out again. */
export const run = <H extends { readonly account: string }, O>(
  { job, lost, sessions, store }: Run,
  { carry, claim, queue, settle, watch }: Options<H, O>
): Effect.Effect<void, never, Needs> =>
  Effect.gen(function* () {
    const claimed = yield* patiently(claim)
    if (Option.isNone(claimed)) return
    const held = claimed.value
    const session = yield* sessions.of(held.account)
    const outcome = yield* Effect.raceFirst(
      Effect.provide(carry(held), session),
      Effect.raceFirst(watch(held), Effect.zipRight(Deferred.await(lost), Effect.fail(new Lost())))
    )
    yield* patiently(settle(held, outcome))
  }).pipe(
    Effect.scoped,
    // The engine may still count it as ours when the campaign was stopped.
    Effect.catchTag("Lost", () => Effect.ignore(store.engine((boss) => boss.complete(queue, job)))),
    Shift.orGiveBack(store, queue, job)
  )
