/**
 * What an answer of the API means: a value, or a failure with the knowledge whether another try may help.
 *
 * | answer | meaning | tried again |
 * | --- | --- | --- |
 * | 2xx that decodes | the value | |
 * | 2xx that does not | `MalformedResponse`, with its words if it is an error all the same | once |
 * | 204 | `MalformedResponse` | yes |
 * | 3xx | `MalformedResponse`: the key must not follow to another place | no |
 * | 401, 402, 403 | `NotAuthorized` | no |
 * | 429 | `RateLimited` | yes, obeying the server's hint; not if the hint is absurd |
 * | 408, 425, 5xx but for 501 and 505 | `ApiUnavailable` | yes, obeying the server's hint |
 * | those and 429, with a hint beyond our patience | `RateLimited` | no |
 * | 407, which is a proxy's | `ApiUnavailable` | no |
 * | other 4xx | `RequestRejected` | no |
 * | 501, 505 | `ApiUnavailable` | no |
 *
 * @example
 * import { Schema } from "effect"
 * import * as ApiResponse from "./ApiResponse.js"
 * import { JsonObject } from "../model/Masking.js"
 *
 * const value = (answer: ApiResponse.ApiResponse) =>
 *   ApiResponse.interpret(answer, Schema.typeSchema(JsonObject), ApiResponse.refused)
 */
import type { Headers, HttpClientError } from "@effect/platform"
import {
  Clock,
  Duration,
  Effect,
  identity,
  Option,
  ParseResult,
  Predicate,
  type Redacted,
  Schema
} from "effect"
import {
  type ApiError,
  ApiUnavailable,
  MalformedResponse,
  NotAuthorized,
  RateLimited,
  RequestRejected
} from "../model/BatchError.js"
import * as DurationText from "../model/DurationText.js"
import * as BatchHttp from "./BatchHttp.js"
import * as RetryPolicy from "../retry/RetryPolicy.js"
import { JsonObject, maskJson, maskText } from "../model/Masking.js"

/** An answer with its whole body. */
export interface ApiResponse {
  readonly status: number
  readonly headers: Headers.Headers
  readonly text: string
}

/** A failed attempt at a call. */
export type Failure<E = never> = RetryPolicy.Failure<E | ApiError>

/**
 * Decodes a 2xx; anything else becomes a failure. `refusal` says what a 4xx means for this call, and `clean` takes
 * the key out of what a failure shows, in case the peer echoes it.
 */
export const interpret = <A, E>(
  answer: ApiResponse,
  schema: Schema.Schema<A, JsonObject>,
  refusal: (answer: ApiResponse) => E | ApiError,
  clean: (text: string) => string = identity
): Effect.Effect<A, Failure<E>> =>
  answer.status >= 200 && answer.status < 300
    ? Schema.decodeUnknown(Schema.parseJson(schema))(answer.text).pipe(
        Effect.mapError((error) => malformed(answer, excerpt(clean(describe(answer, error)))))
      )
    : Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.fail(fault({ ...answer, text: clean(answer.text) }, refusal, now))
      )

const fault = <E>(
  answer: ApiResponse,
  refusal: (answer: ApiResponse) => E | ApiError,
  now: number
): Failure<E> => {
  const { status } = answer
  const hint = RetryPolicy.retryAfter(status, answer.headers, now)
  const limited = (attempts: number, retryAfter: Duration.Duration) =>
    new RateLimited({ retryAfter, attempts, requestId: requestId(answer.headers) })
  if (status === 429) {
    const isAbsurd = RetryPolicy.isAbsurd(status, answer.headers, now)
    return { retry: isAbsurd ? "Never" : "Throttled", hint, error: limited }
  }
  if (status === 407) return final(refusedByProxy(answer))
  if (status >= 500 || RetryPolicy.isRetryableStatus(status)) {
    const detail = `it answered HTTP ${status}${Option.match(said(answer), { onNone: () => "", onSome: (text) => `: ${text}` })}`
    return {
      retry: RetryPolicy.isRetryableStatus(status) ? "Transient" : "Never",
      hint,
      error: (attempts, delay, beyond) =>
        beyond
          ? limited(attempts, delay)
          : new ApiUnavailable({
              reason: "Server",
              status: Option.some(status),
              attempts,
              detail,
              retryAfter: hint,
              requestId: requestId(answer.headers)
            })
    }
  }
  if (status >= 400) return final(refusal(answer))
  const target = answer.headers["location"]
  const host = target !== undefined && URL.canParse(target) ? ` to ${new URL(target).origin}` : ""
  return final(
    new MalformedResponse({
      status: Option.some(status),
      detail: `HTTP ${status} redirects${host}; is the base URL right?`,
      requestId: requestId(answer.headers)
    })
  )
}

const refusedByProxy = (answer: ApiResponse): ApiUnavailable => {
  const words = Option.match(said(answer), { onNone: () => "", onSome: (text) => `: ${text}` })
  return new ApiUnavailable({
    reason: "Network",
    status: Option.some(answer.status),
    attempts: 1,
    detail: `the proxy refuses (HTTP ${answer.status})${words}`,
    lasting: true,
    remedy: BatchHttp.remedyOf("EPROXYREFUSED")
  })
}

/** The id by which the vendor knows the request of an answer, if it has one that is fit to be printed. */
export const requestId = (headers: Headers.Headers): Option.Option<string> =>
  Option.filter(Option.fromNullable(headers["x-request-id"]), (id) => /^[\w.:~+/=-]{1,256}$/u.test(id))

/** The failure that a 4xx is where it has no meaning of its own for a call. */
export const refused = (answer: ApiResponse): NotAuthorized | RequestRejected => {
  const detail = Option.getOrElse(said(answer), () => `HTTP ${answer.status}`)
  const fromApi = Option.isSome(Option.flatMap(body(answer), wordsOf))
  const reason = ({ 401: "InvalidKey", 402: "InsufficientCredits", 403: "NotOnPlan" } as const)[answer.status]
  return reason === undefined
    ? new RequestRejected({
        status: answer.status,
        detail,
        metadata: Option.map(metadata(answer), maskJson),
        requestId: requestId(answer.headers)
      })
    : new NotAuthorized({ reason, detail, fromApi, requestId: requestId(answer.headers) })
}

/** A failure that no retry can mend. */
export const final = <E>(error: E): RetryPolicy.Failure<E> => ({
  retry: "Never",
  hint: Option.none(),
  error: () => error
})

/** The failed attempt whose connection broke before the answer was whole: `ApiUnavailable` of reason `Network`. */
export const unreachable = (
  error: HttpClientError.HttpClientError,
  secret?: Redacted.Redacted<string> | undefined
): Failure => {
  const { detail, lasting, remedy, retryable, unsent } = BatchHttp.explain(error, { secret })
  return {
    unsent,
    retry: retryable ? "Transient" : "Never",
    hint: Option.none(),
    error: (attempts) =>
      new ApiUnavailable({
        reason: "Network",
        status: Option.none(),
        attempts,
        detail,
        lasting,
        remedy,
        requestId: error._tag === "ResponseError" ? requestId(error.response.headers) : Option.none()
      })
  }
}

/** The failed attempt that took longer than it may: `ApiUnavailable` of reason `Timeout`. */
export const timedOut = (limit: Duration.Duration): Failure => ({
  retry: "Timeout",
  hint: Option.none(),
  error: (attempts) =>
    new ApiUnavailable({
      reason: "Timeout",
      status: Option.none(),
      attempts,
      detail: `no complete answer within ${DurationText.format(limit)}`
    })
})

/** Whether reading an answer was given up because it was longer than it may be. */
export const isTooLong = ({ cause, reason }: HttpClientError.ResponseError): boolean =>
  reason === "Decode" && Predicate.isError(cause) && cause.message === "maxBytes exceeded"

/** The failed attempt whose answer was longer than it may be: the next one would be, too. */
export const tooLong = (
  { headers, status }: { readonly headers: Headers.Headers; readonly status: number },
  maxBytes: number
): Failure =>
  final(
    new MalformedResponse({
      requestId: requestId(headers),
      status: Option.some(status),
      detail: `HTTP ${status} with a body of more than ${maxBytes / 1_048_576} MiB`
    })
  )

const malformed = ({ headers, status }: ApiResponse, detail: string): Failure => ({
  retry: RetryPolicy.isRetryableStatus(status) ? "Transient" : "Once",
  hint: Option.none(),
  error: () => new MalformedResponse({ status: Option.some(status), detail, requestId: requestId(headers) })
})

const describe = (answer: ApiResponse, error: ParseResult.ParseError): string => {
  const text = answer.text.trimStart()
  if (text === "") return `HTTP ${answer.status} with an empty body`
  if (text.startsWith("<")) return `HTTP ${answer.status} with a web page instead of JSON`
  const json = body(answer)
  if (Option.isNone(json)) return `HTTP ${answer.status} with a body that is no JSON object`
  const words = Option.filter(said(answer), () => "error" in json.value)
  if (Option.isSome(words)) return `HTTP ${answer.status} with an error: ${words.value}`
  const issue = ParseResult.ArrayFormatter.formatErrorSync(error)[0]
  const at = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.map(String).join(".")}: `
  return `HTTP ${answer.status}, ${at}${issue?.message ?? "unreadable"}`
}

/** Bodies of errors are documented for 402 only; take `{"error":{"message"}}`, `{"message"}`, `{"detail"}`, text. */
const ErrorBody = Schema.parseJson(JsonObject)

const body = (answer: ApiResponse): Option.Option<JsonObject> => Schema.decodeOption(ErrorBody)(answer.text)

const inner = (json: JsonObject): unknown => json["error"] ?? json

const metadata = (answer: ApiResponse): Option.Option<unknown> =>
  body(answer).pipe(
    Option.map(inner),
    Option.filter(Predicate.hasProperty("metadata")),
    Option.flatMapNullable((error) => error.metadata)
  )

/** What the API says of an error, in one line, if it says anything. */
export const said = (answer: ApiResponse): Option.Option<string> =>
  Option.flatMap(body(answer), wordsOf).pipe(
    Option.orElse(() => (/^\s*(<|$)/u.test(answer.text) ? Option.none() : Option.some(answer.text))),
    Option.map(excerpt)
  )

/** The words in a body of the API's own shape. */
const wordsOf = (json: JsonObject): Option.Option<string> => {
  const error = inner(json)
  return Predicate.isString(error)
    ? Option.some(error)
    : Option.firstSomeOf(["message", "detail", "type"].map((name) => textField(error, name)))
}

const textField = (value: unknown, name: string): Option.Option<string> =>
  Predicate.hasProperty(value, name) && Predicate.isString(value[name]) && value[name] !== ""
    ? Option.some(value[name])
    : Option.none()

const excerpt = (text: string): string => {
  const line = maskText(text)
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim()
  return line.length > 300 ? `${line.slice(0, 299)}…` : line
}
