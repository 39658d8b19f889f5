/**
 * How many connections the file host bears: begins with a few, adds one after every healthy second that gained,
 * halves when the host says that it is overloaded, and replaces a connection that is much slower than the others.
 *
 * @example
 * import { Effect } from "effect"
 * import * as Connections from "./Connections.js"
 * import * as Condition from "../disk/Condition.js"
 *
 * const program = Effect.gen(function* () {
 *   const changed = yield* Condition.make
 *   const connections = yield* Connections.make({ initial: 4, most: 16, changed })
 *   const connection = yield* connections.open
 *   yield* connection.refused
 *   return yield* connections.allowed // 2
 * })
 */
import { Effect, Ref, type Scope } from "effect"
import type * as Condition from "../disk/Condition.js"

/** A connection while it fetches a run. */
export interface Connection {
  /** Counts bytes that came. */
  readonly received: (bytes: number) => void
  /** Whether it is so much slower than the others that another one should go on in its place. */
  readonly isReplaced: () => boolean
  /**
   * Notes that the host says it is overloaded, which halves how many connections may be open. What was asked for before
   * the last halving says nothing new, so a burst of refusals halves once.
   */
  readonly refused: Effect.Effect<void>
}

/** The connections of one retrieval. */
export interface Connections {
  /** How many may be open. */
  readonly allowed: Effect.Effect<number>
  /** Registers a connection for as long as the scope is open. */
  readonly open: Effect.Effect<Connection, never, Scope.Scope>
}

interface Gauge extends Connection {
  replaced: boolean
  /** Bytes in this window, and in how many windows in a row it was much slower than the others. */
  window: number
  slow: number
  age: number
}

const windowLength = "1 second"

/** A connection is slow below this share of the median of the others. */
const slowShare = 0.2

/** For so many windows in a row it must be slow before it is replaced. */
const slowWindows = 5

/** A window has gained if it brought this much more than the best one before the last addition. */
const gain = 1.05

/** Allows `initial` connections at first, `most` at most, and watches them every second until the scope is closed. */
export const make = (options: {
  readonly initial: number
  readonly most: number
  /** Told when more are allowed. */
  readonly changed: Condition.Condition
}): Effect.Effect<Connections, never, Scope.Scope> =>
  Effect.gen(function* () {
    const allowed = yield* Ref.make(Math.min(options.initial, options.most))
    const gauges = new Set<Gauge>()
    let best = 0
    let halvings = 0
    let healthy = true

    const watch = Effect.gen(function* () {
      const bytes = [...gauges].reduce((sum, gauge) => sum + gauge.window, 0)
      const busy = gauges.size >= (yield* Ref.get(allowed))
      yield* replaceSlow(gauges)
      if (healthy && busy && bytes > best * gain) {
        best = bytes
        yield* Ref.update(allowed, (count) => Math.min(options.most, count + 1))
        yield* options.changed.notify
      }
      healthy = true
    })
    const halve = Effect.suspend(() => {
      best = 0
      halvings += 1
      return Ref.update(allowed, (count) => Math.max(1, Math.floor(count / 2)))
    })
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.sleep(windowLength), watch)))

    return {
      allowed: Ref.get(allowed),
      open: Effect.acquireRelease(
        Effect.sync(() => {
          const era = halvings
          const gauge: Gauge = {
            replaced: false,
            refused: Effect.suspend(() => {
              healthy = false
              return era === halvings ? halve : Effect.void
            }),
            isReplaced: () => gauge.replaced,
            window: 0,
            slow: 0,
            age: 0,
            received: (bytes) => {
              gauge.window += bytes
            }
          }
          gauges.add(gauge)
          return gauge
        }),
        (gauge) => Effect.sync(() => gauges.delete(gauge))
      )
    }
  })

/** Marks connections that are much slower than the others, and begins the next window of all. */
const replaceSlow = (gauges: ReadonlySet<Gauge>): Effect.Effect<void> =>
  Effect.sync(() => {
    const rates = [...gauges].map((gauge) => gauge.window).toSorted((a, b) => a - b)
    const median = rates[Math.floor(rates.length / 2)] ?? 0
    for (const gauge of gauges) {
      gauge.age += 1
      gauge.slow = gauges.size > 2 && gauge.age > 1 && gauge.window < median * slowShare ? gauge.slow + 1 : 0
      gauge.window = 0
      gauge.replaced = gauge.slow >= slowWindows
    }
  })
