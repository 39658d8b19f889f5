/**
 * What the service counts, beside what the core counts.
 */
import { Effect, Metric, MetricBoundaries, MetricLabel } from "effect"

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

/** What is counted of one request. */
interface Request {
  readonly route: string
  readonly method: string
  readonly status: number
  readonly seconds: number
}

const labelled = new Map<string, (seconds: number) => void>()

/** The counters for requests of one kind: metrics of Effect are looked up by their labels once, not for each request. */
const countersOf = ({ method, route, status }: Request): ((seconds: number) => void) => {
  const counted = Metric.taggedWithLabels(requests, [
    MetricLabel.make("route", route),
    MetricLabel.make("method", method),
    MetricLabel.make("status", String(status))
  ])
  const timed = Metric.tagged(duration, "route", route)
  return (seconds) => {
    counted.unsafeUpdate(1, [])
    timed.unsafeUpdate(seconds, [])
  }
}

/** Counts a request that has ended. */
export const count = (request: Request): void => {
  const key = `${request.route} ${request.method} ${request.status}`
  const counters = labelled.get(key) ?? countersOf(request)
  labelled.set(key, counters)
  counters(request.seconds)
}

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
