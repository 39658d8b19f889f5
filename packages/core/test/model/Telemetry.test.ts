import { expect, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import * as BatchPoll from "../../src/status/BatchPoll.js"
import * as Script from "../Script.js"

/** Everything that is counted, by name and labels. */
const counted = Effect.map(
  Metric.snapshot,
  (pairs) =>
    new Map(
      pairs.flatMap(({ metricKey: { name, tags }, metricState }) =>
        name.startsWith("batch_") && "count" in metricState
          ? [
              [
                [name, ...tags.map(({ key, value }) => `${key}=${value}`)].join(" "),
                Number(metricState.count)
              ]
            ]
          : []
      )
    )
)

it.effect("counts requests by outcome, retries and polls", () =>
  Effect.gen(function* () {
    const script = Script.script([
      { status: 503 },
      { fails: Script.systemError("ECONNRESET") },
      {},
      { hangs: "head" },
      Script.completed
    ])
    const before = yield* counted
    yield* Script.play(BatchPoll.await(Script.batchId, { deadline: "1 hour" })).pipe(
      Effect.provide(Script.upstream(script))
    )
    const after = yield* counted
    const grown = [...after].flatMap(([name, value]) => {
      const growth = value - (before.get(name) ?? 0)
      return growth === 0 ? [] : [[name, growth]]
    })
    expect(Object.fromEntries(grown)).toEqual({
      "batch_api_requests_total outcome=503": 1,
      "batch_api_requests_total outcome=network": 1,
      "batch_api_requests_total outcome=200": 2,
      "batch_api_requests_total outcome=timeout": 1,
      batch_polls_total: 2
    })
  })
)
