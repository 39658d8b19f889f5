/**
 * Tracing to the OTLP collector of `OTEL_EXPORTER_OTLP_ENDPOINT`. Without that it is off, which makes every request
 * cheaper. Spans hold no link, key, header or query string; requests to file hosts have no spans.
 */
import { FetchHttpClient, HttpMiddleware } from "@effect/platform"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import { maskJson } from "@org/batch-core/Masking"
import { Effect, Layer, Option, Tracer } from "effect"
import { ServerSettings } from "./Settings.js"

/** Attributes that are left out, since there may be secrets in them. */
const hidden = /^(?:http\.(?:request|response)\.header\.|url\.query$)/u

/** A tracer whose spans leave these attributes out and mask links and keys in the others. */
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

/** The tracer, if a collector is set; else tracing is off. */
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
