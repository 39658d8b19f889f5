/**
 * SIGKILL before each call that a campaign makes to write, sync, rename, link or remove a file, before each entry of its
 * ledger, and before each write of its main thread, which are those to the network; at every other point a power cut, too,
 * after which the ledger has only what was synced. Two minutes later, when a submit that was lost can be told from one that
 * was never sent, the same command must end well, with no input submitted twice and no job forgotten.
 *
 * BATCH_TEST_CALLS: which calls, separated by commas, such as `files:rename,main:write`. Default: all.
 */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  canTrace,
  cutPower,
  faultsAfter,
  killed,
  notice,
  type Point,
  there,
  type There
} from "../test/KilledCampaign.js"

const all: ReadonlyArray<Omit<Point, "when">> = [
  { of: "ledger", call: "write" },
  { of: "main", call: "write" },
  { of: "main", call: "writev" },
  ...["fsync", "pwrite64", "rename", "link", "unlink"].map((call) => ({ of: "files" as const, call }))
]

const wanted = process.env["BATCH_TEST_CALLS"]?.split(",")
const sweeps = all.filter(({ call, of }) => wanted === undefined || wanted.includes(`${of}:${call}`))

/** A world in which a campaign was killed. */
interface Dead {
  readonly here: There
  readonly point: string
}

const sweep = (one: Omit<Point, "when">) =>
  Effect.gen(function* () {
    const dead: Array<Dead> = []
    for (let when = 1; ; when++) {
      const here = yield* there()
      const trace = yield* killed(here, { ...one, when })
      if (trace === undefined) return dead
      if (when % 2 === 0) cutPower(here, trace)
      dead.push({ here, point: `${one.of} ${one.call} ${when}` })
    }
  })

it.scopedLive("killed at any point, a campaign submits nothing twice and forgets no job", (context) =>
  Effect.gen(function* () {
    if (!canTrace()) return context.skip(notice)
    const swept = yield* Effect.forEach(sweeps, sweep, { concurrency: 2 })
    expect(swept.map(({ length }) => length > 0)).toEqual(sweeps.map(() => true))
    yield* Effect.sleep("125 seconds")
    const judged = yield* Effect.forEach(
      swept.flat(),
      ({ here, point }) => Effect.map(faultsAfter(here), (faults) => ({ point, faults })),
      { concurrency: 2 }
    )
    yield* Effect.log(
      `${judged.length} points: ${sweeps.map(({ call, of }, at) => `${of} ${call} ${swept[at]?.length}`).join(", ")}`
    )
    expect(judged.filter(({ faults }) => faults.length > 0)).toEqual([])
  })
)
