import { HttpClient, HttpClientError, HttpClientRequest } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, FastCheck as fc, Layer, Option, Redacted, Tracer } from "effect"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import { NotAuthorized } from "../../src/model/BatchError.js"
import * as BatchHttp from "../../src/status/BatchHttp.js"
import { link } from "../Arbitraries.js"
import { apiKey, baseUrl, errorOf, play, type Script, script, systemError } from "../Script.js"

describe("api", () => {
  it.effect(
    "asks the API's own host, below the prefix of the base URL, with the key and nothing else of ours",
    () =>
      Effect.gen(function* () {
        const upstream = script([{}])
        yield* use(upstream, ({ api }) => api.get("/batch?limit=1"))
        expect(upstream.seen).toMatchObject([
          {
            method: "GET",
            url: "https://api.test/v1/batch?limit=1",
            headers: { authorization: `Bearer ${apiKey}`, accept: "application/json" }
          }
        ])
        expect(Object.keys(upstream.seen[0]?.headers ?? {}).toSorted()).toEqual(["accept", "authorization"])
      })
  )

  it.effect.each([
    ["https://api.test", "https://api.test/batch"],
    ["https://api.test/", "https://api.test/batch"],
    ["https://api.test/?", "https://api.test/batch"],
    ["http://127.0.0.1:8788/a/b//", "http://127.0.0.1:8788/a/b/batch"]
  ] as const)("joins %s and /batch to %s", ([root, url]) =>
    Effect.gen(function* () {
      const upstream = script([{}])
      yield* use(upstream, ({ api }) => api.get("/batch"), { baseUrl: root })
      expect(upstream.seen.map((request) => request.url)).toEqual([url])
    })
  )

  it.effect("never leaves that host, whatever it is asked for", () =>
    Effect.gen(function* () {
      const upstream = script([{}])
      yield* use(upstream, ({ api }) => Effect.either(api.get("https://elsewhere.test/batch")))
      yield* use(upstream, ({ api }) => Effect.either(api.get("//elsewhere.test/batch")))
      for (const { url } of upstream.seen) expect(new URL(url).host).toBe("api.test")
    })
  )

  it.effect.each([301, 302, 303, 307, 308])("does not follow a %d", (status) =>
    Effect.gen(function* () {
      const upstream = script([{ status, headers: { location: "https://elsewhere.test/batch" } }])
      const response = yield* use(upstream, ({ api }) => api.get("/batch"))
      expect(response.status).toBe(status)
      expect(upstream.seen).toHaveLength(1)
    })
  )

  it.effect("makes no request without a key, and says what to set", () =>
    Effect.gen(function* () {
      const upstream = script([{}])
      const played = yield* play(use(upstream, ({ api }) => api.get("/batch"), { apiKey: undefined }))
      expect(errorOf(played)).toEqual(
        new NotAuthorized({ reason: "InvalidKey", detail: "no key is set; set CRUSTDATA_API_KEY" })
      )
      expect(upstream.seen).toEqual([])
    })
  )

  it.effect("takes part in tracing, without the key and without telling the vendor", () =>
    Effect.gen(function* () {
      const upstream = script([{}])
      const spans = yield* traced(use(upstream, ({ api }) => api.get("/batch")))
      expect(spans.map((span) => span.name)).toEqual(["ours", "http.client GET"])
      expect(JSON.stringify(spans)).not.toContain(apiKey)
      expect(Object.keys(upstream.seen[0]?.headers ?? {}).toSorted()).toEqual(["accept", "authorization"])
    })
  )
})

describe("files", () => {
  it.prop("asks for the link byte for byte, with no header at all", [link], ([{ url }]) => {
    const lawful = url
      .replaceAll("'", "%27")
      .replace(/^HTTPS/u, "https")
      .replace("BUCKET", "bucket")
    const upstream = script([{}])
    Effect.runSync(use(upstream, ({ files }) => files.get(lawful)))
    expect(upstream.seen.map(({ headers, method, url }) => [method, url, headers])).toEqual([
      ["GET", lawful, {}]
    ])
  })

  it.effect("needs no key", () =>
    Effect.gen(function* () {
      const upstream = script([{}])
      yield* use(upstream, ({ files }) => files.get("https://bucket.test/a"), { apiKey: undefined })
      expect(upstream.seen).toHaveLength(1)
    })
  )

  it.effect("does not follow redirects by itself", () =>
    Effect.gen(function* () {
      const upstream = script([{ status: 307, headers: { location: "http://169.254.169.254/" } }])
      const response = yield* use(upstream, ({ files }) => files.get("https://bucket.test/a"))
      expect(response.status).toBe(307)
      expect(upstream.seen).toHaveLength(1)
    })
  )

  it.effect("leaves no trace, here or there", () =>
    Effect.gen(function* () {
      const upstream = script([{}])
      const spans = yield* traced(use(upstream, ({ files }) => files.get("https://bucket.test/a?sig=5ec2e7")))
      expect(spans.map((span) => span.name)).toEqual(["ours"])
      expect(JSON.stringify(spans)).not.toContain("5ec2e7")
      expect(upstream.seen[0]?.headers).toEqual({})
    })
  )
})

describe("explain", () => {
  it.each([
    ["ECONNREFUSED", "connection refused (ECONNREFUSED)", true],
    ["ECONNRESET", "the connection was reset (ECONNRESET)", true],
    ["EPIPE", "the connection was closed (EPIPE)", true],
    ["ENOTFOUND", "the host name is unknown (ENOTFOUND)", true],
    ["EAI_AGAIN", "the host name could not be looked up (EAI_AGAIN)", true],
    ["ETIMEDOUT", "the connection timed out (ETIMEDOUT)", true],
    ["EHOSTUNREACH", "the host cannot be reached (EHOSTUNREACH)", true],
    ["ENETUNREACH", "the network cannot be reached (ENETUNREACH)", true],
    ["EPROTO", "the TLS handshake failed (EPROTO)", true],
    ["UND_ERR_SOCKET", "the connection failed (UND_ERR_SOCKET)", true],
    ["CERT_HAS_EXPIRED", "its certificate has expired (CERT_HAS_EXPIRED)", false],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "its certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)", false],
    ["SELF_SIGNED_CERT_IN_CHAIN", "its certificate is not trusted (SELF_SIGNED_CERT_IN_CHAIN)", false],
    [
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "its certificate is not trusted (UNABLE_TO_VERIFY_LEAF_SIGNATURE)",
      false
    ],
    [
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "its certificate is for another host (ERR_TLS_CERT_ALTNAME_INVALID)",
      false
    ],
    ["HPE_INVALID_CONSTANT", "the peer does not speak HTTP (HPE_INVALID_CONSTANT)", false]
  ])("%s is %j; retryable: %s", (code, reason, retryable) => {
    const explained = { detail: `bucket.test: ${reason}`, retryable }
    expect(BatchHttp.explain(failed(systemError(code)))).toMatchObject(explained)
    expect(BatchHttp.explain(failed(new Error("fetch failed", { cause: systemError(code) })))).toMatchObject(
      explained
    )
  })

  it("tells of a proxy as of itself, never as of the host", () => {
    const refused = BatchHttp.explain(
      failed(systemError("EPROXYREFUSED", "the proxy p.test:3128 answered HTTP 407"))
    )
    expect(refused).toMatchObject({ detail: "the proxy p.test:3128 answered HTTP 407", lasting: true })
    const passing = BatchHttp.explain(
      failed(systemError("EPROXYREFUSED", "the proxy p.test:3128 answered HTTP 503"))
    )
    expect(passing).toMatchObject({ lasting: false, remedy: Option.none() })
  })

  it("takes an unusable URL for final, and does not show it", () => {
    const request = HttpClientRequest.get("https://bucket.test:99999/a?sig=5ec2e7")
    const error = new HttpClientError.RequestError({ request, reason: "InvalidUrl" })
    expect(BatchHttp.explain(error)).toMatchObject({ detail: "the URL cannot be used", retryable: false })
  })

  it("bears a cause that is its own cause", () => {
    const loop = new Error("round and round")
    loop.cause = loop
    expect(BatchHttp.explain(failed(loop))).toMatchObject({
      detail: "bucket.test: round and round",
      retryable: true
    })
  })

  it.each([[undefined], [null], ["text"], [{ code: 7 }]])("bears the cause %j", (cause) => {
    expect(BatchHttp.explain(failed(cause))).toMatchObject({
      detail: "bucket.test: the connection failed",
      retryable: true
    })
  })

  it.prop("shows neither the query nor the key", [link, fc.string()], ([{ secret, url }, words]) => {
    const cause = new Error(`${words} ${url} Bearer ${apiKey}`)
    const { detail } = BatchHttp.explain(failed(cause, url), { secret: Redacted.make(apiKey) })
    expect(detail).not.toContain(secret)
    expect(detail).not.toContain(apiKey)
  })
})

const failed = (cause: unknown, url = "https://bucket.test/a?sig=5ec2e7") =>
  new HttpClientError.RequestError({ request: HttpClientRequest.get(url), reason: "Transport", cause })

const use = <A, E>(
  upstream: Script,
  f: (http: BatchHttp.Service) => Effect.Effect<A, E>,
  options: BatchConfig.Options = {}
) =>
  Effect.flatMap(BatchHttp.BatchHttp, f).pipe(
    Effect.provide(BatchHttp.layer),
    Effect.provideService(HttpClient.HttpClient, upstream.client),
    Effect.provide(Layer.orDie(BatchConfig.layer({ baseUrl, apiKey: Redacted.make(apiKey), ...options })))
  )

interface SeenSpan {
  readonly name: string
  readonly attributes: Record<string, unknown>
}

/** Runs it inside a span and gives all spans that were made. */
const traced = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const spans: Array<SeenSpan> = []
    const tracer = Tracer.make({
      span: (name, parent, context, links, startTime, kind) => {
        const attributes: Record<string, unknown> = {}
        spans.push({ name, attributes })
        return {
          _tag: "Span",
          name,
          parent,
          context,
          links,
          kind,
          spanId: `span-${spans.length}`,
          traceId: "trace",
          sampled: true,
          status: { _tag: "Started", startTime },
          attributes: new Map(),
          attribute: (key, value) => {
            attributes[key] = value
          },
          event: (event, _, more) => {
            attributes[`event ${event}`] = more
          },
          addLinks: () => undefined,
          end: (_, exit) => {
            attributes["failure"] = Exit.isFailure(exit) ? String(exit.cause) : undefined
          }
        }
      },
      context: (f) => f()
    })
    yield* effect.pipe(Effect.withSpan("ours"), Effect.withTracer(tracer), Effect.exit)
    return spans
  })
