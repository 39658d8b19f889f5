/**
 * An `HttpClient` over `node:http` whose request line is the URL's own path and query. Its responses are Node's own streams
 * (`source`), so that whoever reads a large body need not take it through Effect.
 *
 * @example
 * import * as Http from "node:http"
 * import { Either } from "effect"
 * import * as Requests from "./Requests.js"
 *
 * const client = Requests.make(() => Either.right({ agent: Http.globalAgent, options: {} }))
 */
import {
  Cookies,
  Headers,
  HttpClient,
  HttpClientError,
  type HttpClientRequest,
  HttpClientResponse,
  HttpIncomingMessage,
  UrlParams
} from "@effect/platform"
import * as NodeSink from "@effect/platform-node/NodeSink"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Buffers from "@org/batch-core/Buffers"
import { Effect, Either, Inspectable, Option, Stream } from "effect"
import * as Http from "node:http"
import * as Https from "node:https"
import { urlToHttpOptions } from "node:url"
import type { Proxy } from "./Proxies.js"
import * as ProxyAgent from "./ProxyAgent.js"
import * as RequestTarget from "./RequestTarget.js"

/** The way of a request to its host. */
export interface Route {
  readonly agent: Http.Agent
  /** The proxy that passes the request on by itself and may answer in the host's place. */
  readonly forwardedBy?: Proxy | undefined
}

/** A client whose requests take the ways of `routeOf`, or fail with the error that it gives. */
export const make = (
  routeOf: (url: URL, method: string) => Either.Either<Route, Error>
): HttpClient.HttpClient =>
  HttpClient.make((request, url, signal) =>
    Either.match(routeOf(url, request.method), {
      onLeft: (cause) => Effect.fail(failed(request, cause)),
      onRight: (route) =>
        Effect.suspend(() => exchange(request, start(request, url, route, signal))).pipe(
          Effect.filterOrElse(
            ({ statusCode }) => route.forwardedBy === undefined || statusCode !== 407,
            (source) => {
              source.destroy()
              const { forwardedBy = { name: "" } } = route
              return Effect.fail(failed(request, ProxyAgent.refused(forwardedBy, source)))
            }
          ),
          Effect.map((source) => new Response(request, source))
        )
    })
  )

const failed = (
  request: HttpClientRequest.HttpClientRequest,
  cause: unknown,
  reason: "Transport" | "Encode" = "Transport"
): HttpClientError.RequestError => new HttpClientError.RequestError({ request, reason, cause })

const start = (
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  { agent, forwardedBy }: Route,
  signal: AbortSignal
): Http.ClientRequest => {
  const { headers, method } = request
  const path = targetOf(request, url)
  const common = { agent, method, signal, maxHeaderSize: ProxyAgent.maxHeaderSize }
  const started =
    forwardedBy === undefined
      ? (url.protocol === "https:" ? Https : Http).request({
          ...urlToHttpOptions(url),
          path,
          headers,
          ...common
        })
      : (forwardedBy.protocol === "https:" ? Https : Http).request({
          ...common,
          host: forwardedBy.host,
          port: forwardedBy.port,
          auth: urlToHttpOptions(url).auth,
          path: `http://${url.host}${path}`,
          headers: { ...headers, host: url.host, ...ProxyAgent.authorization(forwardedBy) }
        })
  // One that comes after the response would end the process; whoever reads the body gets it from there.
  return started.on("error", () => undefined)
}

/** Only parameters that the request has beside its URL make it necessary to write it anew. */
const targetOf = ({ url: text, urlParams }: HttpClientRequest.HttpClientRequest, url: URL): string =>
  urlParams.length === 0 && URL.canParse(text) ? RequestTarget.of(text) : `${url.pathname}${url.search}`

/** Sends the body; gives the response as soon as its headers are here. */
const exchange = (
  request: HttpClientRequest.HttpClientRequest,
  started: Http.ClientRequest
): Effect.Effect<Http.IncomingMessage, HttpClientError.RequestError> => {
  const { body } = request
  const answered = (send: () => void) =>
    Effect.async<Http.IncomingMessage, HttpClientError.RequestError>((resume) => {
      started
        .on("error", (cause) => resume(Effect.fail(failed(request, cause))))
        .once("upgrade", (response) => resume(Effect.succeed(response)))
        .once("response", (response) => resume(Effect.succeed(releasing(response))))
      send()
    })
  const streamed = <E>(bytes: Stream.Stream<Uint8Array, E>) =>
    bytes.pipe(
      Stream.mapError((cause) => failed(request, cause, "Encode")),
      Stream.run(
        NodeSink.fromWritable(
          () => started,
          (cause) => failed(request, cause)
        )
      ),
      Effect.zipRight(
        answered(() => undefined),
        { concurrent: true }
      )
    )
  switch (body._tag) {
    case "Empty":
      return answered(() => started.end())
    case "Uint8Array":
    case "Raw":
      return answered(() => started.end(body.body))
    case "Stream":
      return streamed(body.stream)
    case "FormData": {
      const form = new globalThis.Response(body.formData)
      form.headers.forEach((value, name) => started.setHeader(name, value))
      const bytes = Stream.fromReadableStream(
        () => form.body ?? new ReadableStream<Uint8Array>(),
        (cause) => cause
      )
      return streamed(bytes)
    }
  }
}

/**
 * Frees what is read from the socket, once Node's parser has copied the body out of it. Left to the garbage collector, it
 * makes that walk the whole heap several times a second while a large body comes.
 */
const releasing = (response: Http.IncomingMessage): Http.IncomingMessage => {
  const { socket } = response
  const release = (bytes: Uint8Array) => process.nextTick(Buffers.release, bytes)
  const stop = () => socket.off("data", release)
  socket.on("data", release)
  return response.once("end", stop).once("close", stop)
}

/** A response, over the stream of Node. */
class Response extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly request: HttpClientRequest.HttpClientRequest
  /** What Blocks of core reads. */
  readonly source: Http.IncomingMessage
  private cached: Effect.Effect<string, HttpClientError.ResponseError> | undefined

  constructor(request: HttpClientRequest.HttpClientRequest, source: Http.IncomingMessage) {
    super()
    this.request = request
    this.source = source
  }

  get status(): number {
    return this.source.statusCode ?? 0
  }

  get headers(): Headers.Headers {
    return Headers.fromInput(this.source.headers)
  }

  get cookies(): Cookies.Cookies {
    return Cookies.fromSetCookie(this.source.headers["set-cookie"] ?? [])
  }

  get remoteAddress(): Option.Option<string> {
    return Option.fromNullable(this.source.socket.remoteAddress)
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError.ResponseError> {
    return NodeStream.fromReadable(() => this.source, this.onFailure)
  }

  get text(): Effect.Effect<string, HttpClientError.ResponseError> {
    this.cached ??= Effect.runSync(
      Effect.cached(
        Effect.flatMap(HttpIncomingMessage.MaxBodySize, (maxBytes) =>
          NodeStream.toString(() => this.source, {
            onFailure: this.onFailure,
            maxBytes: Option.getOrUndefined(maxBytes)
          })
        )
      )
    )
    return this.cached
  }

  get json(): Effect.Effect<unknown, HttpClientError.ResponseError> {
    return Effect.tryMap(this.text, {
      try: (text): unknown => (text === "" ? null : JSON.parse(text)),
      catch: this.onFailure
    })
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, HttpClientError.ResponseError> {
    return Effect.map(this.text, (text) => UrlParams.fromInput(new URLSearchParams(text)))
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpClientError.ResponseError> {
    return Effect.flatMap(HttpIncomingMessage.MaxBodySize, (maxBytes) =>
      Effect.map(
        NodeStream.toUint8Array(() => this.source, {
          onFailure: this.onFailure,
          maxBytes: Option.getOrUndefined(maxBytes)
        }),
        (bytes) => Uint8Array.from(bytes).buffer
      )
    )
  }

  get formData(): Effect.Effect<FormData, HttpClientError.ResponseError> {
    return Effect.flatMap(this.arrayBuffer, (bytes) =>
      Effect.tryPromise({
        try: () =>
          new globalThis.Response(bytes, {
            headers: { "content-type": this.source.headers["content-type"] ?? "" }
          }).formData(),
        catch: this.onFailure
      })
    )
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }

  private readonly onFailure = (cause: unknown): HttpClientError.ResponseError =>
    new HttpClientError.ResponseError({ request: this.request, response: this, reason: "Decode", cause })
}
