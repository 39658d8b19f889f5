/**
 * Tracing to the OTLP collector of `OTEL_EXPORTER_OTLP_ENDPOINT`. Without that it is off, which makes every request
 * cheaper. Spans hold no link, key, header or query string; requests to file hosts have no spans.
 */
import { FetchHttpClient, HttpMiddleware } from "@effect/platform"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import { maskJson } from "@org/batch-core/Masking"
import { Effect, Layer, Option, Redacted, Tracer } from "effect"
import { ServerSettings } from "./Settings.js"
import { version } from "./Version.js"

/** Attributes that are left out, since there may be secrets in them. */
const hidden = /^(?:http\.(?:request|response)\.header\.|url\.query$)/u

/** Effect's attributes where they are not those of OpenTelemetry's conventions for HTTP. */
const conventional = (
  key: string,
  value: unknown,
  kind: Tracer.SpanKind
): ReadonlyArray<readonly [string, unknown]> => {
  if (key === "server.address" && URL.canParse(String(value))) {
    const { hostname, port, protocol } = new URL(String(value))
    return [
      [key, hostname],
      ["server.port", port === "" ? (protocol === "https:" ? 443 : 80) : Number(port)]
    ]
  }
  if (key === "http.route") return [[key, String(value).replace(/:(\w+)/gu, "{$1}")]]
  const isError = key === "http.response.status_code" && Number(value) >= (kind === "server" ? 500 : 400)
  return isError
    ? [
        [key, value],
        ["error.type", String(value)]
      ]
    : [[key, value]]
}

/** A tracer whose spans leave these attributes out and mask links and keys in the others. */
const discreet = (tracer: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    context: tracer.context,
    span: (name, parent, context, links, startTime, kind, options) => {
      const span = tracer.span(
        name.replace(/^http\.client /u, ""),
        parent,
        context,
        links,
        startTime,
        kind,
        options
      )
      const note = span.attribute.bind(span)
      return Object.assign(span, {
        attribute: (key: string, value: unknown) => {
          if (hidden.test(key)) return
          for (const [told, it] of conventional(key, value, kind)) note(told, maskJson(it))
        }
      })
    }
  })

/** The tracer, if a collector is set; else tracing is off. */
export const layer: Layer.Layer<never, never, ServerSettings> = Layer.unwrapEffect(
  Effect.map(ServerSettings, ({ otlp, otlpHeaders }) =>
    Option.match(otlp, {
      onNone: () =>
        Layer.merge(
          Layer.setTracerEnabled(false),
          Layer.locallyScoped(HttpMiddleware.currentTracerDisabledWhen, () => true)
        ),
      onSome: (endpoint) =>
        Layer.unwrapScoped(
          Effect.map(
            OtlpTracer.make({
              url: `${endpoint}/v1/traces`,
              headers: Redacted.value(otlpHeaders),
              resource: { serviceName: "batch-server", serviceVersion: version }
            }),
            (tracer) => Layer.setTracer(discreet(tracer))
          )
        ).pipe(Layer.provide(OtlpSerialization.layerJson), Layer.provide(FetchHttpClient.layer))
    })
  )
)
