import { describe, expect, it } from "@effect/vitest"
import { Effect, Metric, MetricBoundaries } from "effect"
import * as Prometheus from "../src/Prometheus.js"
import { parse } from "./Exposition.js"

const read = Effect.map(Prometheus.text, parse)

describe("Prometheus.text", () => {
  it.effect("counters and gauges by their labels, with what has a meaning in them escaped", () =>
    Effect.gen(function* () {
      const counter = Metric.counter("batch_test_total", { description: "Two\nlines.", incremental: true })
      const gauge = Metric.gauge("batch_test_level")
      yield* Metric.incrementBy(Metric.tagged(counter, "of", `a"b\\c\nd`), 3)
      yield* Metric.incrementBy(Metric.tagged(counter, "of", "plain"), 4)
      yield* Metric.set(gauge, -1.5)
      const families = yield* read
      expect(families.get("batch_test_total")?.type).toBe("counter")
      expect([...(families.get("batch_test_total")?.samples ?? [])]).toEqual(
        expect.arrayContaining([
          [String.raw`batch_test_total{of="a\"b\\c\nd"}`, 3],
          [`batch_test_total{of="plain"}`, 4]
        ])
      )
      expect(families.get("batch_test_level")).toEqual({
        type: "gauge",
        samples: new Map([["batch_test_level", -1.5]])
      })
      expect(yield* Prometheus.text).toContain(
        "# HELP batch_test_total Two lines.\n# TYPE batch_test_total counter\n"
      )
    })
  )

  it.effect("histograms in buckets that include the smaller ones, and end with all", () =>
    Effect.gen(function* () {
      const histogram = Metric.histogram("batch_test_seconds", MetricBoundaries.fromIterable([0.1, 1]))
      yield* Effect.forEach([0.05, 0.5, 0.5, 7], (value) => Metric.update(histogram, value))
      const families = yield* read
      expect(families.get("batch_test_seconds")).toEqual({
        type: "histogram",
        samples: new Map([
          [`batch_test_seconds_bucket{le="0.1"}`, 1],
          [`batch_test_seconds_bucket{le="1"}`, 3],
          [`batch_test_seconds_bucket{le="+Inf"}`, 4],
          ["batch_test_seconds_sum", 8.05],
          ["batch_test_seconds_count", 4]
        ])
      })
    })
  )

  it.effect("nothing of anybody else, and what the process uses", () =>
    Effect.gen(function* () {
      yield* Metric.increment(Metric.counter("effect_fiber_test"))
      const families = yield* read
      expect([...families.keys()].filter((name) => !/^(?:batch|process)_/u.test(name))).toEqual([])
      const [memory = 0] = families.get("process_resident_memory_bytes")?.samples.values() ?? []
      expect(memory).toBeGreaterThan(10_000_000)
    })
  )
})
