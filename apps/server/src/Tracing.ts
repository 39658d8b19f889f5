/**
 * Traces, when `OTEL_EXPORTER_OTLP_ENDPOINT` says where they go. Without it nothing is traced, which makes every
 * request cheaper. Spans hold no link, key or query string; requests to file hosts have none.
 */
import { FetchHttpClient, HttpMiddleware } from "@effect/platform"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import { Effect, Layer, Option } from "effect"
import { ServerSettings } from "./Settings.js"

/** What is traced, and where traces go. */
export const layer: Layer.Layer<never, never, ServerSettings> = Layer.unwrapEffect(
  Effect.map(ServerSettings, ({ otlp }) =>
    Option.match(otlp, {
      onNone: () =>
        Layer.merge(
          Layer.setTracerEnabled(false),
          Layer.locallyScoped(HttpMiddleware.currentTracerDisabledWhen, () => true)
        ),
      onSome: (endpoint) =>
        OtlpTracer.layer({
          url: `${endpoint}/v1/traces`,
          resource: { serviceName: "batch-server" }
        }).pipe(Layer.provide(OtlpSerialization.layerJson), Layer.provide(FetchHttpClient.layer))
    })
  )
)
