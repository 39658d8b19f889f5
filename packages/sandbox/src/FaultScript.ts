/**
 * The fault script of a running sandbox: the rules in their order, and how much of each was consumed.
 */
import { Effect, Option } from "effect"
import type * as Fault from "./Fault.js"
import type { Incoming } from "./Incoming.js"
import * as Range from "./Range.js"

/** A rule that took a request. */
export interface Claim {
  readonly id: string
  readonly effects: Fault.Effects
}

/** A mutable script of rules. */
export interface FaultScript {
  /** Append rules; those without an id get `fault-1`, `fault-2`, … by their place in the script. */
  readonly append: (rules: ReadonlyArray<Fault.Rule>) => Effect.Effect<ReadonlyArray<string>>
  /** Remove all rules. */
  readonly clear: Effect.Effect<void>
  /** Count the request in every rule it matches, and let the first rule not yet used up take it. */
  readonly claim: (incoming: Incoming) => Effect.Effect<Option.Option<Claim>>
  readonly reports: Effect.Effect<ReadonlyArray<Fault.Report>>
}

interface Live {
  readonly id: string
  readonly rule: Fault.Rule
  readonly path: RegExp | undefined
  readonly times: number
  seen: number
  consumed: number
}

/** Make a script without rules. */
export const make: Effect.Effect<FaultScript> = Effect.sync(() => {
  let live: Array<Live> = []

  const append: FaultScript["append"] = (rules) =>
    Effect.sync(() => {
      const added = rules.map((rule, index) => arm(rule, `fault-${live.length + index + 1}`))
      live = [...live, ...added]
      return added.map(({ id }) => id)
    })

  const claim: FaultScript["claim"] = (incoming) =>
    Effect.sync(() => {
      const matching = live.filter((one) => matches(one, incoming))
      for (const one of matching) one.seen++
      const taker = matching.find((one) => one.seen >= (one.rule.on.nth ?? 1) && one.consumed < one.times)
      if (taker === undefined) return Option.none()
      taker.consumed++
      return Option.some({ id: taker.id, effects: taker.rule.do })
    })

  return {
    append,
    claim,
    clear: Effect.sync(() => {
      live = []
    }),
    reports: Effect.sync(() =>
      live.map(({ consumed, id, times }) => ({
        id,
        consumed,
        expected: times === Infinity ? "forever" : times
      }))
    )
  }
})

const arm = (rule: Fault.Rule, fallback: string): Live => ({
  id: rule.id ?? fallback,
  rule,
  path: rule.on.path === undefined ? undefined : new RegExp(rule.on.path),
  times: rule.times === -1 ? Infinity : (rule.times ?? 1),
  seen: 0,
  consumed: 0
})

const matches = ({ path, rule: { on } }: Live, incoming: Incoming): boolean =>
  on.server === incoming.server &&
  (on.method === undefined || on.method.toUpperCase() === incoming.method) &&
  (path === undefined || path.test(incoming.path)) &&
  (on.rangeFrom === undefined || startsAt(on.rangeFrom, Range.firstByte(incoming.headers.range))) &&
  (on.ifMatch === undefined || on.ifMatch === (incoming.headers["if-match"] !== undefined))

const startsAt = (wanted: number | { readonly atLeast: number }, start: number | undefined): boolean =>
  start !== undefined && (typeof wanted === "number" ? start === wanted : start >= wanted.atLeast)
