/**
 * The metrics of the service; the core has its own.
 */
import { Effect, Metric, MetricBoundaries, MetricLabel } from "effect"

/** Counter of answered requests, by `route`, `method` and `status`. */
export const requests = Metric.counter("batch_server_requests_total", {
  description: "Requests answered.",
  incremental: true
})

/** Histogram of seconds from a request to the end of its response body, by `route`. */
export const duration = Metric.histogram(
  "batch_server_request_duration_seconds",
  MetricBoundaries.fromIterable([0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300]),
  "Seconds from a request to the end of its answer."
)

/** The labels and the duration of a request. */
interface Request {
  readonly route: string
  readonly method: string
  readonly status: number
  readonly seconds: number
}

const labelled = new Map<string, (seconds: number) => void>()

/** The counter and the histogram of requests with the same labels. Looking metrics up by labels is slow, so it is done once. */
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

/** Counts a request once its response has ended. */
export const count = (request: Request): void => {
  const key = `${request.route} ${request.method} ${request.status}`
  const counters = labelled.get(key) ?? countersOf(request)
  labelled.set(key, counters)
  counters(request.seconds)
}

/** Gauge of open response streams, by `kind`: `results` or `events`. */
export const openStreams = Metric.gauge("batch_server_open_streams", {
  description: "Streams of results and events that are open."
})

/** Counter of ended streams of results, by `outcome`: `complete`, `broken` off by a failure, or `abandoned` by the caller. */
export const results = Metric.counter("batch_server_results_total", {
  description: "Streams of results that have ended.",
  incremental: true
})

const openOf = {
  results: Metric.tagged(openStreams, "kind", "results"),
  events: Metric.tagged(openStreams, "kind", "events")
}

/** How many streams of a kind are open. */
export const openNow = (kind: keyof typeof openOf): number => openOf[kind].unsafeValue([]).value

/** Counts a stream in `openStreams` until the scope is closed. */
export const whileOpen = (kind: keyof typeof openOf) =>
  Effect.acquireRelease(Metric.modify(openOf[kind], 1), () => Metric.modify(openOf[kind], -1))
