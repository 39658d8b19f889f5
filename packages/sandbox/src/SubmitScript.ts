/**
 * What becomes of submitted jobs: the same for all of them, and what a test wants of some.
 */
import { Effect } from "effect"
import type { SubmitRule, SubmittedSpec } from "./JobSpec.js"

/** A mutable script of rules. */
export interface SubmitScript {
  /** Append rules; each counts the jobs accepted from now on. */
  readonly append: (rules: ReadonlyArray<SubmitRule>) => Effect.Effect<void>
  /** What the next job is to be. Counts it in every rule. */
  readonly next: Effect.Effect<SubmittedSpec>
}

/** Make a script. */
export const make = (every: SubmittedSpec, rules: ReadonlyArray<SubmitRule>): Effect.Effect<SubmitScript> =>
  Effect.sync(() => {
    const live = rules.map(arm)
    return {
      append: (added) =>
        Effect.sync(() => {
          live.push(...added.map(arm))
        }),
      next: Effect.sync(() => {
        for (const one of live) one.seen++
        const wanted = live.filter(({ rule, seen }) => seen === rule.nth)
        return Object.assign({}, every, ...wanted.map(({ rule }) => rule.job))
      })
    }
  })

const arm = (rule: SubmitRule) => ({ rule, seen: 0 })
