/**
 * Traces, when `OTEL_EXPORTER_OTLP_ENDPOINT` says where they go. Without it nothing is traced, which makes every
 * request cheaper. Spans hold no link, key, header or query string; requests to file hosts have none.
 */
import { FetchHttpClient, HttpMiddleware } from "@effect/platform"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import { maskJson } from "@org/batch-core/Masking"
import { Effect, Layer, Option, Tracer } from "effect"
import { ServerSettings } from "./Settings.js"

/** Anything may be in these. */
const hidden = /^(?:http\.(?:request|response)\.header\.|url\.query$)/u

/** Spans without what callers and the API would not want to be seen. */
const discreet = (tracer: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    context: tracer.context,
    span: (...args) => {
      const span = tracer.span(...args)
      const note = span.attribute.bind(span)
      return Object.assign(span, {
        attribute: (key: string, value: unknown) => {
          if (!hidden.test(key)) note(key, maskJson(value))
        }
      })
    }
  })

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
        Layer.unwrapScoped(
          Effect.map(
            OtlpTracer.make({ url: `${endpoint}/v1/traces`, resource: { serviceName: "batch-server" } }),
            (tracer) => Layer.setTracer(discreet(tracer))
          )
        ).pipe(Layer.provide(OtlpSerialization.layerJson), Layer.provide(FetchHttpClient.layer))
    })
  )
)
