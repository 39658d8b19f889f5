/**
 * What it is time for: one statement tells of all queues of the engine and of the looks, since what takes their work costs
 * several times that and mostly finds none.
 */
import { Effect } from "effect"
import * as AccountRow from "./AccountRow.js"
import * as Looks from "./Looks.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import * as Shift from "./Shift.js"
import { queues, type Service } from "./Store.js"

/** Looks at batches, which are no queue of the engine. */
export const looks = "look"

const kinds = [...queues, looks] as const

/** What takes the work of each kind, and says how much it has taken. */
export type Rounds = Readonly<Record<(typeof kinds)[number], Effect.Effect<number, StoreUnavailable>>>

const jobs = (queue: string) => `EXISTS (SELECT 1 FROM batch_queue.job WHERE name = '${queue}'
  AND state < 'active' AND NOT blocked AND start_after <= now()) AS ${queue}`

const statement = `SELECT ${queues.map(jobs).join(", ")},
  EXISTS (SELECT 1 FROM ${Looks.passing}) AS ${looks}`

/** Takes what it is time for, for ever; where there is nothing it waits as long as a look may be late. A kind that cannot be taken keeps no other from it. */
export const forever = (store: Service, rounds: Rounds): Effect.Effect<void> =>
  Shift.forever(
    Effect.gen(function* () {
      const [due] = yield* store.query(statement)
      const taken = yield* Effect.forEach(
        kinds.filter((kind) => due?.[kind] === true),
        (kind) => Shift.attempted(rounds[kind]),
        { concurrency: "unbounded" }
      )
      return taken.reduce((sum, count) => sum + count, 0)
    }),
    AccountRow.lateness
  )
