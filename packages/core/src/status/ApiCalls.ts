/**
 * How a call of the API is made: over the hardened client, on one throttle, with the answer read and judged. What is asked
 * for may be asked for twice; what starts something is sent again only where it provably was not accepted.
 *
 * @example
 * import { HttpClientRequest } from "@effect/platform"
 * import { Effect, Schema } from "effect"
 * import * as ApiCalls from "./ApiCalls.js"
 * import * as ApiResponse from "./ApiResponse.js"
 * import { JsonObject } from "../model/Masking.js"
 *
 * const program = Effect.gen(function* () {
 *   const calls = yield* ApiCalls.make
 *   return yield* calls.get(HttpClientRequest.get("/user/credits"), {
 *     maxBytes: 65_536,
 *     schema: Schema.typeSchema(JsonObject),
 *     refusal: ApiResponse.refused
 *   })
 * })
 */
import { Headers, type HttpClientError, HttpClientRequest, HttpIncomingMessage } from "@effect/platform"
import { DateTime, Duration, Effect, identity, Option, type Schema } from "effect"
import * as ApiResponse from "./ApiResponse.js"
import { BatchConfig } from "../model/BatchConfig.js"
import { type ApiError, type NotAuthorized, RateLimited } from "../model/BatchError.js"
import { BatchHttp, explain } from "./BatchHttp.js"
import { type JsonObject, maskText, scrub, scrubJson } from "../model/Masking.js"
import * as ResponseText from "./ResponseText.js"
import * as RetryPolicy from "../retry/RetryPolicy.js"
import * as Telemetry from "../model/Telemetry.js"
import * as Throttle from "../retry/Throttle.js"

/** An answer that was read. */
export interface Answer<A> {
  readonly value: A
  /** The id by which the vendor knows the request. */
  readonly requestId: Option.Option<string>
  /** When the server answered, by its own clock. */
  readonly date: Option.Option<DateTime.Utc>
}

/** How to read an answer. */
export interface ReadOptions<A> {
  /** The longest answer that is read, in bytes. */
  readonly maxBytes: number
  readonly schema: Schema.Schema<A, JsonObject>
}

/** How to ask. */
export interface GetOptions<A, E> extends ReadOptions<A> {
  /** What a 4xx means for this call. */
  readonly refusal: (answer: ApiResponse.ApiResponse) => E | ApiError
  /** Asks once, whatever comes, and sparingly in trouble. Default: retries as the settings say. */
  readonly once?: boolean | undefined
}

/** What is known of a request whose answer was lost. */
export interface Lost {
  readonly sentAt: DateTime.Utc
  readonly requestId: Option.Option<string>
  /** What came in place of an answer. */
  readonly detail: string
}

/** How to start something. */
export interface PostOptions<A, E> extends ReadOptions<A> {
  /** The failure of a request that may have been accepted, and whose answer was lost. */
  readonly unknown: (lost: Lost) => E
  /** Done right before each time that it is sent; where it fails, nothing is. */
  readonly onSend?: Effect.Effect<void, E> | undefined
}

/** The calls of one key, on one throttle. */
export interface ApiCalls {
  readonly throttle: Throttle.Throttle
  /** Asks for something, again and again where that may help. */
  readonly get: <A, E>(
    request: HttpClientRequest.HttpClientRequest,
    options: GetOptions<A, E>
  ) => Effect.Effect<Answer<A>, E | ApiError>
  /**
   * Sends JSON that starts something. A 429 and a connection that was never opened are tried again; a redirect and a 4xx
   * are refusals; anything else but an answer that can be read may have been accepted, and is `unknown`.
   */
  readonly post: <A, E>(
    path: string,
    body: JsonObject,
    options: PostOptions<A, E>
  ) => Effect.Effect<Answer<A>, E | ApiError>
}

/** The version of the API that is spoken here: what starts a job must name it, and what tells of the account. */
export const version = { "x-api-version": "2025-11-01" } as const

/** Characters of a body that are logged. */
const longestShown = 4096

/** How long an account is shut, at most, before it is tried whether the API means it. */
const longestRefusal = Duration.minutes(15)

const countRequest = (outcome: string) => Telemetry.count(Telemetry.apiRequests, "outcome", outcome)

/** Nobody waits at the gate when the API has asked for a longer pause than we make. */
export const unlessRefused = <A, E, R>(
  throttle: Throttle.Throttle,
  call: Effect.Effect<A, E, R>
): Effect.Effect<A, E | RateLimited, R> =>
  Effect.gen(function* () {
    const refused = yield* throttle.refused
    if (Option.isSome(refused)) return yield* new RateLimited({ retryAfter: refused.value, attempts: 0 })
    return yield* call
  })

/** The calls over the hardened `api` client, with a throttle of their own: make one for each key. */
export const make: Effect.Effect<ApiCalls, never, BatchConfig | BatchHttp> = Effect.gen(function* () {
  const { apiKey, poll, retry } = yield* BatchConfig
  const { api } = yield* BatchHttp
  const throttle = yield* Throttle.make(retry)
  const secret = Option.getOrUndefined(apiKey)
  const clean = (text: string) => (secret === undefined ? text : scrub(text, secret))
  const cleanJson = secret === undefined ? identity : scrubJson(secret)

  const broken = (error: HttpClientError.HttpClientError) =>
    Effect.zipRight(countRequest("network"), Effect.fail(ApiResponse.unreachable(error, secret)))

  // Whether the last request was answered: only then is there a connection that was kept open, and may be found closed.
  let isWarm = false

  const send = (
    request: HttpClientRequest.HttpClientRequest,
    maxBytes: number
  ): Effect.Effect<ApiResponse.ApiResponse, HttpClientError.HttpClientError | NotAuthorized> =>
    api.execute(request).pipe(
      Effect.flatMap((response) =>
        Effect.map(response.arrayBuffer, (bytes) => {
          const text = ResponseText.decode(new Uint8Array(bytes), response.headers, maxBytes)
          isWarm = true
          return { status: response.status, headers: response.headers, text: cleanJson(text) }
        })
      ),
      Effect.tap(({ headers, text }) =>
        Effect.zipRight(
          traced(headers),
          Telemetry.debug(() => `  ${maskText(clean(text).slice(0, longestShown))}`)
        )
      ),
      HttpIncomingMessage.withMaxBodySize(Option.some(maxBytes))
    )

  const attempt = (
    request: HttpClientRequest.HttpClientRequest,
    maxBytes: number
  ): Effect.Effect<ApiResponse.ApiResponse, ApiResponse.Failure> =>
    send(request, maxBytes).pipe(
      Effect.catchIf(
        (error) =>
          isWarm && request.method === "GET" && error._tag === "RequestError" && explain(error).broken,
        () => {
          isWarm = false
          return Effect.zipRight(countRequest("network"), send(request, maxBytes))
        }
      ),
      Effect.catchTags({
        NotAuthorized: (error) => Effect.fail(ApiResponse.final(error)),
        RequestError: broken,
        ResponseError: (error) =>
          ApiResponse.isTooLong(error)
            ? Effect.zipRight(
                countRequest(String(error.response.status)),
                Effect.fail(ApiResponse.tooLong(error.response, maxBytes))
              )
            : broken(error)
      }),
      Effect.timeoutTo({
        duration: retry.attemptTimeout,
        onSuccess: (answer) => Effect.zipRight(countRequest(String(answer.status)), Effect.succeed(answer)),
        onTimeout: () =>
          Effect.zipRight(countRequest("timeout"), Effect.fail(ApiResponse.timedOut(retry.attemptTimeout)))
      }),
      Effect.flatten,
      Effect.tap((answer) => throttle.observe(answer.headers))
    )

  /** Shuts the account while the API asks for a longer pause than we make. */
  const shutting = <A, E>(run: Effect.Effect<A, E>): Effect.Effect<A, E | RateLimited> =>
    unlessRefused(throttle, run).pipe(
      Effect.tapError((error) =>
        error instanceof RateLimited && Duration.greaterThan(error.retryAfter, retry.maxRetryAfter)
          ? throttle.refuse(Duration.min(error.retryAfter, Duration.min(poll.maxHint, longestRefusal)))
          : Effect.void
      )
    )

  const get: ApiCalls["get"] = (request, { maxBytes, once = false, refusal, schema }) => {
    const answered = Effect.flatMap(attempt(request, maxBytes), (answer) =>
      Effect.map(ApiResponse.interpret(answer, schema, refusal, clean), read(answer))
    )
    return shutting(
      once
        ? throttle.sparingly(RetryPolicy.run(answered, { retry, throttle, limit: 0 }))
        : RetryPolicy.run(answered, { retry, throttle })
    )
  }

  const post = <A, E>(
    path: string,
    body: JsonObject,
    { maxBytes, onSend = Effect.void, schema, unknown }: PostOptions<A, E>
  ): Effect.Effect<Answer<A>, E | ApiError> => {
    const request = HttpClientRequest.post(path).pipe(
      HttpClientRequest.setHeaders(version),
      HttpClientRequest.bodyUnsafeJson(body)
    )
    const once = Effect.gen(function* () {
      yield* Effect.mapError(onSend, (error): ApiResponse.Failure<E> => ApiResponse.final(error))
      const sentAt = yield* DateTime.now
      const lost = (failure: ApiResponse.Failure): ApiResponse.Failure<E> => {
        const error = failure.error(1, Duration.zero, false)
        const detail = maskText("detail" in error ? error.detail : error.message)
        return ApiResponse.final(unknown({ sentAt, detail, requestId: error.requestId }))
      }
      const answer = yield* Effect.mapError(attempt(request, maxBytes), (failure): ApiResponse.Failure<E> =>
        failure.unsent === true || failure.error(1, Duration.zero, false)._tag === "NotAuthorized"
          ? failure
          : lost(failure)
      )
      return yield* ApiResponse.interpret(answer, schema, ApiResponse.refused, clean).pipe(
        Effect.map(read(answer)),
        Effect.mapError((failure): ApiResponse.Failure<E> =>
          isRefusal(answer.status) ? failure : lost(failure)
        )
      )
    })
    return shutting(RetryPolicy.run(once, { retry, throttle }))
  }

  return { throttle, get, post }
})

/** Whether a status says that nothing was accepted: whoever is seen elsewhere (303), or was too slow, may have been taken. */
const isRefusal = (status: number): boolean =>
  (status >= 300 && status < 500 && ![303, 408, 425].includes(status)) || status === 501 || status === 505

const traced = (headers: Headers.Headers): Effect.Effect<void> =>
  Option.match(ApiResponse.requestId(headers), {
    onNone: () => Effect.void,
    onSome: (id) => Effect.annotateCurrentSpan("upstream.request_id", id)
  })

const read =
  ({ headers }: ApiResponse.ApiResponse) =>
  <A>(value: A): Answer<A> => ({
    value,
    requestId: ApiResponse.requestId(headers),
    date: Option.flatMap(Option.fromNullable(headers["date"]), (text) => DateTime.make(Date.parse(text)))
  })
