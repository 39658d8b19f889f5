/**
 * What is counted while the package works, as metrics of Effect: whoever exports those exports these. Names and units
 * follow Prometheus; no label holds an id, a host or a link. And what is logged at the debug level.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Telemetry } from "@org/batch-core"
 *
 * const bytesSoFar = Effect.map(Metric.value(Telemetry.bytes), ({ count }) => count)
 */
import { Effect, FiberRef, LogLevel, Metric } from "effect"

/** Requests to the API, every try counted, by `outcome`: the HTTP status, `network` or `timeout`. */
export const apiRequests = Metric.counter("batch_api_requests_total", {
  description: "Requests to the batch API, every try counted.",
  incremental: true
})

/** Answered status requests of waits. */
export const polls = Metric.counter("batch_polls_total", {
  description: "Answered status requests of waits.",
  incremental: true
})

/** Compressed bytes of results that came and were believed. */
export const bytes = Metric.counter("batch_result_bytes_total", {
  description: "Compressed bytes of results fetched.",
  incremental: true
})

/** Tries after a failure, by `of`: `api` or `files`. */
export const retries = Metric.counter("batch_retries_total", {
  description: "Requests tried again after a failure.",
  incremental: true
})

/** Fresh links that were asked for because others had died. */
export const linkRefreshes = Metric.counter("batch_link_refreshes_total", {
  description: "Fresh download links asked for.",
  incremental: true
})

/** Adds one to a counter, under `label` = `value`. */
export const count = (
  counter: Metric.Metric.Counter<number>,
  label: string,
  value: string
): Effect.Effect<void> => Metric.increment(Metric.tagged(counter, label, value))

/** Logs at the debug level; the text is made only if it is wanted. */
export const debug = (text: () => string): Effect.Effect<void> =>
  Effect.flatMap(FiberRef.get(FiberRef.currentMinimumLogLevel), (least) =>
    LogLevel.lessThanEqual(least, LogLevel.Debug) ? Effect.logDebug(text()) : Effect.void
  )
