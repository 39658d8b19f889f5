/**
 * SIGKILL before every other entry of the ledger, one after the other: each run adds two, or finds out what has become of a
 * submit, and is killed before the next. All other calls: `test-durable`.
 */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { canTrace, cutPower, faultsAfter, killed, notice, there } from "./KilledCampaign.js"

it.scopedLive(
  "killed before entries of its ledger, a campaign submits nothing twice and forgets no job",
  (context) =>
    Effect.gen(function* () {
      if (!canTrace()) return context.skip(notice)
      const here = yield* there([300, 20])
      // Results come late, so that nothing is on its way to the API when an entry about them is written.
      yield* here.sandbox.script({ on: { server: "storage" }, times: -1, do: { delay: { ms: 700 } } })
      let kills = 0
      for (; kills < 30;) {
        // A run that goes on proves again what is here, with an entry for each job, so the last ones are let add more than two.
        const trace = yield* killed(here, { of: "ledger", call: "write", when: Math.max(3, kills - 2) })
        if (trace === undefined) break
        kills += 1
        if (kills % 2 === 0) cutPower(here, trace)
      }
      expect(kills).toBeGreaterThanOrEqual(4)
      expect(yield* faultsAfter(here)).toEqual([])
    })
)
