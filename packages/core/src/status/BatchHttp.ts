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
import { type Headers, HttpClient, HttpClientError, HttpClientRequest } from "@effect/platform"
import { Context, Effect, Layer, Option, Predicate, Redacted } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import { NotAuthorized } from "../model/BatchError.js"
import * as DurationText from "../model/DurationText.js"
import { maskText, scrub } from "../model/Masking.js"
import * as Telemetry from "../model/Telemetry.js"
import * as Monotonic from "../retry/Monotonic.js"
import * as Throttle from "../retry/Throttle.js"

/** The client for the API and the client for the files, with what all downloads share. */
export interface Service {
  /** Relative to the base URL, with the key. Fails with `NotAuthorized` before any request when there is no key. */
  readonly api: HttpClient.HttpClient.With<HttpClientError.HttpClientError | NotAuthorized>
  /** Whatever URL it is given, byte for byte, with no header of ours that could identify the account. */
  readonly files: HttpClient.HttpClient
  /** Gate and retry budget for the file host: all downloads share them, and no call of the API does. */
  readonly fileThrottle: Throttle.Throttle
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
    const bare = HttpClient.withTracerPropagation(yield* HttpClient.HttpClient, false)
    const client = logged(bare, config.apiKey)
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
      files: client.pipe(HttpClient.withTracerDisabledWhen(() => true)),
      fileThrottle: yield* Throttle.make(config.retry)
    }
  }
)

/** Logs requests and answers at the debug level: the key, and what signs a link, are masked. */
const logged = (
  client: HttpClient.HttpClient,
  key: Option.Option<Redacted.Redacted<string>>
): HttpClient.HttpClient => {
  const clean = (text: string) =>
    Option.match(key, { onNone: () => maskText(text), onSome: (secret) => scrub(maskText(text), secret) })
  const shown = (headers: Headers.Headers) =>
    Object.entries(headers)
      .map(([name, value]) => `\n  ${name}: ${secretHeader.test(name) ? "***" : clean(value)}`)
      .join("")
  return HttpClient.transform(client, (answer, request) =>
    Effect.gen(function* () {
      const startedAt = yield* Monotonic.now
      const tell = (what: (time: string) => string) =>
        Effect.flatMap(Monotonic.now, (now) =>
          Telemetry.debug(() => `< ${what(DurationText.format(now - startedAt))}`)
        )
      yield* Telemetry.debug(() => `> ${request.method} ${clean(request.url)}${shown(request.headers)}`)
      return yield* answer.pipe(
        Effect.tap(({ headers, status }) => tell((time) => `${status} in ${time}${shown(headers)}`)),
        Effect.tapError((error) => tell((time) => `nothing in ${time}: ${clean(explain(error).detail)}`))
      )
    })
  )
}

const secretHeader = /authorization|cookie|security-token/iu

/** Both clients, over the application's `HttpClient`. */
export const layer: Layer.Layer<BatchHttp, never, BatchConfig | HttpClient.HttpClient> = Layer.effect(
  BatchHttp,
  make
)

/** Why a connection failed, in words, without the URL. */
export interface NetworkFailure {
  readonly detail: string
  /** Whether it is worth another try. */
  readonly retryable: boolean
  /** Whether it will not heal by itself. */
  readonly lasting: boolean
  /** What may mend it, if we know. */
  readonly remedy: Option.Option<string>
  /** Whether a connection that was there broke off, as one does that was kept open too long. */
  readonly broken: boolean
  /** Whether no connection was ever opened, so that the request provably reached nobody. */
  readonly unsent: boolean
}

const meanings: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was closed",
  ENOTFOUND: "the host name is unknown",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host",
  ERR_SSL_WRONG_VERSION_NUMBER: "the peer does not speak TLS",
  EAI_AGAIN: "the host name could not be looked up",
  ETIMEDOUT: "the connection timed out",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  HPE_INVALID_CONSTANT: "the peer does not speak HTTP",
  HPE_HEADER_OVERFLOW: "the headers of the answer are longer than 64 KiB",
  EPRIVATE: "it is on a private address, where no link may lead",
  EPROTO: "the TLS handshake failed"
}

const certificate = /CERT|UNABLE_TO_|SELF_SIGNED/u

const untrusted = "its certificate is not trusted"

/** What may mend a failure that will not heal by itself, by its code. */
const remedies: ReadonlyArray<readonly [RegExp, string]> = [
  [/^CERT_(?:HAS_EXPIRED|NOT_YET_VALID)$/u, "is the date of this machine right?"],
  [/ALTNAME/u, "is the host name right, and no proxy or portal in the way?"],
  [certificate, "if the network has a CA of its own, name its file in NODE_EXTRA_CA_CERTS"],
  [/^ERR_SSL_WRONG_VERSION_NUMBER$/u, "is it https:// that is spoken at this address?"],
  [
    /^ENOTFOUND$/u,
    "check the host name (CRUSTDATA_BASE_URL); if only a proxy is reached from here, set HTTPS_PROXY"
  ],
  [
    /^EPROXYREFUSED$/u,
    "check the user and the password in HTTPS_PROXY, or list the host in NO_PROXY if it is reached without a proxy"
  ],
  [
    /^EPROXYUNREACHABLE$/u,
    "check the address in HTTPS_PROXY, or list the host in NO_PROXY if it is reached without a proxy"
  ]
]

/** A proxy that is there and cannot reach the host at the moment: what an edge's 502 is. */
const passing = /\b5\d\d\b/u

/**
 * Why a request failed: the host and the system's reason. Certificate faults and unusable URLs are not worth another
 * try. What a proxy does is told in the words of who met it, since the host has no part in it.
 */
export const explain = (
  error: HttpClientError.HttpClientError,
  options?: {
    readonly secret?: Redacted.Redacted<string> | undefined
  }
): NetworkFailure => {
  const host = URL.canParse(error.request.url) ? new URL(error.request.url).host : "the host"
  if (error._tag === "RequestError" && error.reason === "InvalidUrl") {
    const detail = "the URL cannot be used"
    return { detail, retryable: false, lasting: true, remedy: Option.none(), broken: false, unsent: true }
  }
  const { code, syscall, words } = systemErrorOf(error.cause)
  const isProxy = code.startsWith("EPROXY")
  const reason = isProxy || code === "" ? maskText(words) : `${meaningOf(code)} (${code})`
  const clean = options?.secret === undefined ? reason : scrub(reason, options.secret)
  const retryable = !/CERT|UNABLE_TO_|SELF_SIGNED|HPE_|EPRIVATE/u.test(code)
  const heals = code === "EPROXYREFUSED" && passing.test(words)
  const remedy = Option.filter(remedyOf(code), () => !heals)
  return {
    detail: isProxy ? clean : `${host}: ${clean}`,
    retryable,
    lasting: !retryable || Option.isSome(remedy),
    remedy,
    broken: code === "ECONNRESET" || code === "EPIPE",
    unsent:
      error._tag === "RequestError" &&
      (syscall === "connect" ||
        syscall.startsWith("getaddrinfo") ||
        isProxy ||
        /^ECONNREFUSED$|^E(?:HOST|NET)UNREACH$|^ENOTFOUND$|^EAI_|CERT|UNABLE_TO_|SELF_SIGNED/u.test(code))
  }
}

/** What may mend a failure with this code, if it will not heal by itself. */
export const remedyOf = (code: string): Option.Option<string> =>
  Option.fromNullable(remedies.find(([pattern]) => pattern.test(code))?.[1])

const meaningOf = (code: string): string =>
  meanings[code] ?? (certificate.test(code) ? untrusted : "the connection failed")

/** The system's code of a failure and the call that failed, empty if it has none, and its words. */
const systemErrorOf = (cause: unknown, depth = 5): typeof none => {
  if (Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code)) {
    // Several addresses were tried, and none could be connected to.
    const isAggregate = Predicate.hasProperty(cause, "errors")
    const syscall = Predicate.hasProperty(cause, "syscall")
      ? String(cause.syscall)
      : isAggregate
        ? "connect"
        : ""
    return { code: cause.code, syscall, words: wordsOf(cause) }
  }
  const deeper =
    depth > 0 && Predicate.hasProperty(cause, "cause") ? systemErrorOf(cause.cause, depth - 1) : none
  return deeper.code === "" ? { ...none, words: wordsOf(cause) } : deeper
}

const none = { code: "", syscall: "", words: "" }

const wordsOf = (cause: unknown): string =>
  Predicate.isError(cause) && cause.message !== "" ? cause.message : "the connection failed"
