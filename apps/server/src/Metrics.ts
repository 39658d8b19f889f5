/**
 * What the service counts, beside what the core counts.
 */
import { Effect, Metric, MetricBoundaries } from "effect"

/** Requests by `route`, `method` and `status`. */
export const requests = Metric.counter("batch_server_requests_total", {
  description: "Requests answered.",
  incremental: true
})

/** How long they took, their bodies included, by `route`. */
export const duration = Metric.histogram(
  "batch_server_request_duration_seconds",
  MetricBoundaries.fromIterable([0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300]),
  "Seconds from a request to the end of its answer."
)

/** Streams of results and events that are open, by `kind`. */
export const openStreams = Metric.gauge("batch_server_open_streams", {
  description: "Streams of results and events that are open."
})

/** Streams of results by `outcome`: `complete`, `broken` off by us, or `abandoned` by the caller. */
export const results = Metric.counter("batch_server_results_total", {
  description: "Streams of results that have ended.",
  incremental: true
})

/** Counts a stream as open until the scope is closed. */
export const whileOpen = (kind: "results" | "events") => {
  const gauge = Metric.tagged(openStreams, "kind", kind)
  return Effect.acquireRelease(Metric.modify(gauge, 1), () => Metric.modify(gauge, -1))
}
