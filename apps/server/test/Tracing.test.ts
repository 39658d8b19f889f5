import { expect, it } from "@effect/vitest"
import { Sandbox } from "@org/batch-sandbox"
import { Effect, type Scope } from "effect"
import { createServer, type IncomingHttpHeaders } from "node:http"
import { spawnedService } from "./Spawned.js"

const secrets = {
  token: "token-of-this-test",
  query: "query-of-this-test",
  header: "header-of-this-test",
  key: "key-of-this-test"
}

it.scopedLive("spans tell of a request and of the call it caused, and of nothing that is secret", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ apiKey: secrets.key })
    const id = yield* sandbox.createJob({ records: 3, pendingMs: 0, processingMs: 0 })
    const { collected, endpoint } = yield* collector
    const service = yield* spawnedService({
      CRUSTDATA_BASE_URL: sandbox.baseUrl,
      CRUSTDATA_API_KEY: secrets.key,
      BATCH_SERVER_TOKENS: secrets.token,
      OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/`,
      OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=key%20of%20the%20collector, x-tenant=a=b"
    })
    const [traceId, spanId] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"]
    const ask = (path: string) =>
      Effect.promise(async () => {
        const headers = {
          authorization: `Bearer ${secrets.token}`,
          traceparent: `00-${traceId}-${spanId}-01`,
          "x-of-somebody": secrets.header
        }
        const response = await fetch(`${service.url}${path}`, { headers })
        return { status: response.status, body: await response.text() }
      })
    const job = yield* ask(`/batch/${id}?of=${secrets.query}`)
    expect((yield* ask(`/batch/${id}/results?wait=1s&of=${secrets.query}`)).status).toBe(200)
    expect((yield* ask(`/batch?cursor=${secrets.query}`)).status).toBe(400)
    yield* service.kill("SIGTERM")
    expect(yield* service.code).toBe(143)

    const spans = collected.flatMap(({ path, body }) => {
      expect(path).toBe("/v1/traces")
      const { resourceSpans }: Traces = JSON.parse(body)
      return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
    })
    const chain = (last: Span): ReadonlyArray<string> => {
      const parent = spans.find((span) => span.spanId === last.parentSpanId)
      return parent === undefined ? [last.name] : [...chain(parent), last.name]
    }
    const calls = spans.filter(({ kind }) => kind === kinds.client)
    expect(calls.map(chain)).toEqual([
      ["GET /batch/{batch_id}", "BatchClient.status", "GET"],
      ["GET /batch", "BatchClient.page", "GET"]
    ])
    const requests = spans.filter(({ kind }) => kind === kinds.server)
    expect(requests.map((span) => [span.traceId, span.parentSpanId])).toEqual(
      requests.map(() => [traceId, spanId])
    )
    expect(requests.map(pathOf)).toEqual([`/batch/${id}`, `/batch/${id}/results`, "/batch"])

    expect(requests.map(({ attributes }) => ofHttp(attributes))).toEqual([
      { "http.request.method": "GET", "http.response.status_code": 200, "http.route": "/batch/{batch_id}" },
      {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/batch/{batch_id}/results"
      },
      { "http.request.method": "GET", "http.response.status_code": 400, "http.route": "/batch" }
    ])
    const { hostname, port } = new URL(sandbox.baseUrl)
    for (const { attributes } of calls) {
      expect(attributes).toContainEqual({ key: "server.address", value: { stringValue: hostname } })
      expect(attributes).toContainEqual({ key: "server.port", value: { intValue: Number(port) } })
    }
    expect(calls.map(({ attributes }) => ofHttp(attributes))).toEqual([
      { "http.request.method": "GET", "http.response.status_code": 200 },
      { "http.request.method": "GET", "http.response.status_code": 400, "error.type": "400" }
    ])
    for (const { headers } of collected) {
      expect(headers).toMatchObject({ "x-api-key": "key of the collector", "x-tenant": "a=b" })
    }
    const lines = (yield* service.printed).split("\n").filter((line) => line.includes('"path"'))
    expect(lines).toHaveLength(3)
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ trace_id: traceId, request_id: expect.any(String) })

    const told = JSON.stringify(collected.map(({ body }) => body))
    const signatures = [...job.body.matchAll(/X-Amz-Signature=([0-9a-f]+)/gu)].map(([, it = ""]) => it)
    expect(signatures).not.toEqual([])
    for (const secret of [...Object.values(secrets), ...signatures]) expect(told).not.toContain(secret)

    const upstream = yield* sandbox.requests
    expect(new Set(upstream.map(({ server }) => server))).toEqual(new Set(["api", "storage"]))
    for (const { headers } of upstream) {
      expect(
        Object.keys(headers).filter((name) => /^(?:traceparent|tracestate|b3|x-b3-.*)$/u.test(name))
      ).toEqual([])
    }
  })
)

const kinds = { server: 2, client: 3 }

interface Span {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: ReadonlyArray<{
    readonly key: string
    readonly value: { readonly stringValue?: string; readonly intValue?: number }
  }>
}

interface Traces {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }>
  }>
}

const pathOf = ({ attributes }: Span): string | undefined =>
  attributes.find(({ key }) => key === "url.path")?.value.stringValue

/** What OpenTelemetry's conventions for HTTP name, of a request and its answer. */
const ofHttp = (attributes: Span["attributes"]) =>
  Object.fromEntries(
    attributes
      .filter(({ key }) =>
        /^(?:http\.(?:request\.method|response\.status_code|route)|error\.type)$/u.test(key)
      )
      .map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)])
  )

interface Collector {
  readonly endpoint: string
  readonly collected: ReadonlyArray<{
    readonly path: string | undefined
    readonly headers: IncomingHttpHeaders
    readonly body: string
  }>
}

/** Takes whatever is sent to it. */
const collector: Effect.Effect<Collector, never, Scope.Scope> = Effect.gen(function* () {
  const collected: Array<Collector["collected"][number]> = []
  const server = yield* Effect.acquireRelease(
    Effect.sync(() =>
      createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
        request.on("end", () => {
          collected.push({ path: request.url, headers: request.headers, body })
          response.setHeader("content-type", "application/json").end("{}")
        })
      })
    ),
    (listening) => Effect.sync(() => listening.close().closeAllConnections())
  )
  const port = yield* Effect.async<number>((resume) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
  return { endpoint: `http://127.0.0.1:${port}`, collected }
})
