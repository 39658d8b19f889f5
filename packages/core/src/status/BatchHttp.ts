/**
 * The two hardened clients that everything goes through: `api` carries the key and talks to the API's own host
 * only; `files` is anonymous and untraced and talks to the storage that a link names. Neither follows a redirect.
 *
 * @example
 * import { Effect } from "effect"
 * import { BatchHttp } from "@org/batch-core"
 *
 * const program = Effect.gen(function* () {
 *   const { api } = yield* BatchHttp.BatchHttp
 *   const response = yield* api.get("/batch?limit=1")
 *   return response.status
 * })
 */
import { HttpClient, HttpClientError, HttpClientRequest } from "@effect/platform"
import { Context, Effect, Layer, Option, Predicate, Redacted } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import { NotAuthorized } from "../model/BatchError.js"
import { maskText, scrub } from "../model/Masking.js"

/** The client for the API and the client for the files. */
export interface Service {
  /** Relative to the base URL, with the key. Fails with `NotAuthorized` before any request when there is no key. */
  readonly api: HttpClient.HttpClient.With<HttpClientError.HttpClientError | NotAuthorized>
  /** Whatever URL it is given, byte for byte, with no header of ours that could identify the account. */
  readonly files: HttpClient.HttpClient
}

/** The client for the API and the client for the files. */
export class BatchHttp extends Context.Tag("@org/batch-core/BatchHttp")<BatchHttp, Service>() {}

/**
 * Makes both by hardening the client that the application chose. On Node choose one over `node:http`: `Network.layer`
 * of `@org/batch-node`, or `NodeHttpClient.layer`.
 */
export const make: Effect.Effect<Service, never, BatchConfig | HttpClient.HttpClient> = Effect.gen(
  function* () {
    const config = yield* BatchConfig
    const client = (yield* HttpClient.HttpClient).pipe(HttpClient.withTracerPropagation(false))
    const authorize = (request: HttpClientRequest.HttpClientRequest) =>
      Option.match(config.apiKey, {
        onNone: () =>
          Effect.fail(
            new NotAuthorized({ reason: "InvalidKey", detail: "no key is set; set CRUSTDATA_API_KEY" })
          ),
        onSome: (key) => Effect.succeed(HttpClientRequest.bearerToken(request, key))
      })
    return {
      api: client.pipe(
        HttpClient.mapRequest(HttpClientRequest.prependUrl(config.baseUrl)),
        HttpClient.mapRequest(HttpClientRequest.acceptJson),
        HttpClient.mapRequestEffect(authorize)
      ),
      files: client.pipe(HttpClient.withTracerDisabledWhen(() => true))
    }
  }
)

/** Both clients, over the application's `HttpClient`. */
export const layer: Layer.Layer<BatchHttp, never, BatchConfig | HttpClient.HttpClient> = Layer.effect(
  BatchHttp,
  make
)

/** Why a connection failed, in words, without the URL; and whether it is worth another try. */
export interface NetworkFailure {
  readonly detail: string
  readonly retryable: boolean
}

const meanings: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was closed",
  ENOTFOUND: "the host name is unknown",
  EAI_AGAIN: "the host name could not be looked up",
  ETIMEDOUT: "the connection timed out",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  HPE_INVALID_CONSTANT: "the peer does not speak HTTP",
  HPE_HEADER_OVERFLOW: "the headers of the answer are longer than 64 KiB",
  EPRIVATE: "it is on a private address, where no link may lead",
  EPROTO: "the TLS handshake failed"
}

/** Why a request failed: the host and the system's reason. Certificate faults and unusable URLs are final. */
export const explain = (
  error: HttpClientError.HttpClientError,
  options?: {
    readonly secret?: Redacted.Redacted<string> | undefined
  }
): NetworkFailure => {
  const host = URL.canParse(error.request.url) ? new URL(error.request.url).host : "the host"
  if (error._tag === "RequestError" && error.reason === "InvalidUrl") {
    return { detail: "the URL cannot be used", retryable: false }
  }
  const code = codeOf(error.cause)
  const reason = Option.match(code, {
    onNone: () => maskText(Predicate.isError(error.cause) ? error.cause.message : "the connection failed"),
    onSome: (known) =>
      known.startsWith("EPROXY") && Predicate.isError(error.cause)
        ? maskText(error.cause.message)
        : `${meanings[known] ?? "the connection failed"} (${known})`
  })
  return {
    detail: `${host}: ${options?.secret === undefined ? reason : scrub(reason, options.secret)}`,
    retryable: !Option.exists(code, (known) => /CERT|UNABLE_TO_|HPE_|EPRIVATE/u.test(known))
  }
}

const codeOf = (cause: unknown, depth = 5): Option.Option<string> =>
  Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code)
    ? Option.some(cause.code)
    : depth > 0 && Predicate.hasProperty(cause, "cause")
      ? codeOf(cause.cause, depth - 1)
      : Option.none()
