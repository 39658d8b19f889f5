/**
 * The service that keeps retrievals, at `BATCH_SERVER_URL`: its answers as its own JSON, of which only what is shown is
 * read here.
 */
import {
  type FileSystem,
  HttpBody,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse
} from "@effect/platform"
import { maskText } from "@org/batch-core/Masking"
import * as Network from "@org/batch-node/Network"
import { Duration, Effect, Layer, Option, Redacted, Schedule, Schema } from "effect"
import { ServiceError, SettingsError, UsageError } from "../failure/CliError.js"
import * as Settings from "../settings/Settings.js"
import { Redactor } from "../terminal/Redactor.js"
import type { Stderr } from "../terminal/Stderr.js"

/** A retrieval as the service tells it; whatever else it says is kept. */
export const Retrieval = Schema.Struct(
  {
    retrieval_id: Schema.String,
    state: Schema.String,
    batch_id: Schema.String,
    destination: Schema.Struct({
      type: Schema.String,
      path: Schema.optional(Schema.String),
      bucket: Schema.optional(Schema.String),
      key: Schema.optional(Schema.String)
    }),
    format: Schema.String,
    attempt: Schema.Number,
    progress: Schema.Struct({
      status: Schema.NullOr(Schema.String),
      result_count: Schema.Number,
      bytes: Schema.Number,
      total_bytes: Schema.NullOr(Schema.Number),
      records: Schema.Number
    }),
    error: Schema.NullOr(Schema.Struct({ type: Schema.String, message: Schema.String })),
    created_at: Schema.DateTimeUtc,
    updated_at: Schema.DateTimeUtc,
    next_look_at: Schema.NullOr(Schema.DateTimeUtc)
  },
  { key: Schema.String, value: Schema.Unknown }
)

/** A retrieval as the service tells it. */
export type Retrieval = typeof Retrieval.Type

/** The JSON that the service has told. */
export const toJson = (one: Retrieval): Effect.Effect<unknown> => Effect.orDie(Schema.encode(Retrieval)(one))

/** A page of retrievals. */
export const Page = Schema.Struct({
  retrievals: Schema.Array(Retrieval),
  next_cursor: Schema.NullOr(Schema.String),
  has_more: Schema.Boolean
})

/** A request below the root of the service. */
export interface Request {
  readonly method: "GET" | "POST" | "DELETE"
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  /** Whether twice is as good as once, so that it is tried again. */
  readonly repeatable: boolean
}

/** Asks the service. */
export interface Service {
  readonly ask: <A, I>(schema: Schema.Schema<A, I>, request: Request) => Effect.Effect<A, ServiceError>
}

const attemptTimeout = Duration.seconds(30)

const longestPause = Duration.seconds(20)

/** What the service answers in place of what was asked for. */
const Refusal = Schema.Struct({ error: Schema.Struct({ type: Schema.String, message: Schema.String }) })

/** What a server is that answers, but not as the service does. */
const foreign = (url: URL, status: number, detail: string) =>
  new ServiceError({
    type: "MalformedResponse",
    detail: `what is at ${url.host} is no batch service with retrievals: ${detail}`,
    status: Option.some(status),
    retryAfterSeconds: Option.none()
  })

const secondsOf = ({ headers }: HttpClientResponse.HttpClientResponse): Option.Option<number> => {
  const seconds = headers["retry-after"]
  return seconds !== undefined && /^\d{1,6}$/u.test(seconds) ? Option.some(Number(seconds)) : Option.none()
}

const refusalOf = (url: URL, response: HttpClientResponse.HttpClientResponse) =>
  Effect.flatMap(Effect.option(response.json), (body) => {
    const { status } = response
    const told = Option.flatMap(body, Schema.decodeUnknownOption(Refusal))
    const isKnown = Option.isSome(told) && (status !== 404 || told.value.error.type === "RetrievalNotFound")
    if (!isKnown && status < 500 && status !== 429) return foreign(url, status, `it answers ${status}`)
    const { message, type } = Option.match(told, {
      onNone: () => ({ type: "ServiceUnavailable", message: `the service answers ${status}` }),
      onSome: ({ error }) => error
    })
    return new ServiceError({
      type,
      detail: maskText(message),
      status: Option.some(status),
      retryAfterSeconds: secondsOf(response)
    })
  })

interface Answer {
  readonly status: number
  readonly body: unknown
}

const answerOf = (
  url: URL,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<Answer, ServiceError | HttpClientError.ResponseError> =>
  response.status >= 200 && response.status < 300
    ? Effect.map(response.json, (body) => ({ body, status: response.status }))
    : Effect.flatMap(refusalOf(url, response), Effect.fail)

const unreachable = (url: URL, detail: string) =>
  new ServiceError({
    type: "ServiceUnavailable",
    detail: `the service at ${url.host} cannot be reached: ${maskText(detail)}`,
    status: Option.none(),
    retryAfterSeconds: Option.none()
  })

const reasonOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : cause instanceof Error
      ? cause.message
      : String(cause)

/** Whether the same request may succeed a little later. */
export const isPassing = ({ status }: ServiceError): boolean =>
  Option.match(status, { onNone: () => true, onSome: (code) => code === 429 || code >= 500 })

const again = Schedule.exponential("250 millis").pipe(
  Schedule.intersect(Schedule.recurs(3)),
  Schedule.whileInput((error: ServiceError) => isPassing(error)),
  Schedule.passthrough,
  Schedule.modifyDelay((error, delay) =>
    Option.match(error.retryAfterSeconds, {
      onNone: () => delay,
      onSome: (seconds) => Duration.seconds(seconds)
    })
  )
)

const make = (url: URL, token: Option.Option<string>, client: HttpClient.HttpClient): Service => {
  const asked = ({ body, method, path, query = {} }: Request) => {
    const at = new URL(url)
    at.pathname = `${at.pathname.replace(/\/+$/u, "")}/${path}`
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) at.searchParams.set(name, value)
    }
    return HttpClientRequest.make(method)(at.href, {
      acceptJson: true,
      ...(body === undefined ? {} : { body: HttpBody.unsafeJson(body) }),
      headers: Option.match(token, {
        onNone: () => ({}),
        onSome: (one) => ({ authorization: `Bearer ${one}` })
      })
    })
  }
  const once = <A, I>(schema: Schema.Schema<A, I>, request: Request) =>
    client.execute(asked(request)).pipe(
      Effect.flatMap((response) => answerOf(url, response)),
      Effect.timeoutFail({
        duration: attemptTimeout,
        onTimeout: () => unreachable(url, "no answer in time")
      }),
      Effect.catchTags({
        RequestError: ({ cause, description }) => unreachable(url, description ?? reasonOf(cause)),
        ResponseError: ({ cause, reason, response }) =>
          reason === "Decode"
            ? foreign(url, response.status, "its answer is no JSON")
            : unreachable(url, reasonOf(cause))
      }),
      Effect.flatMap(({ body, status }) =>
        Effect.mapError(Schema.decodeUnknown(schema)(body), () =>
          foreign(url, status, "its answer is no retrieval")
        )
      )
    )
  return {
    ask: (schema, request) =>
      request.repeatable
        ? Effect.retry(once(schema, request), {
            schedule: again,
            while: ({ retryAfterSeconds }) =>
              !Option.exists(retryAfterSeconds, (seconds) => seconds > Duration.toSeconds(longestPause))
          })
        : once(schema, request)
  }
}

const addressOf = (text: string): Effect.Effect<URL, SettingsError> => {
  const refuse = (detail: string) => new SettingsError({ setting: "BATCH_SERVER_URL", detail })
  if (!URL.canParse(text))
    return refuse("it is no URL; the address of a service is such as http://127.0.0.1:8787")
  const url = new URL(text)
  if (!/^https?:$/u.test(url.protocol)) return refuse("it must begin with http:// or https://")
  if (url.username !== "" || url.password !== "") return refuse("the token goes into BATCH_SERVER_TOKEN")
  return url.search !== "" || url.hash !== ""
    ? refuse("it must have no query and no fragment")
    : Effect.succeed(url)
}

/** Gives an effect the service that the settings name. */
export const withService = <A, E, R>(
  use: (service: Service) => Effect.Effect<A, E, R>
): Effect.Effect<
  A,
  E | SettingsError | UsageError,
  R | Settings.Environment | FileSystem.FileSystem | Stderr | Redactor
> =>
  Effect.gen(function* () {
    const { variables } = yield* Settings.sourced
    const address = variables.get("BATCH_SERVER_URL")?.value
    if (address === undefined) {
      return yield* new UsageError({
        detail: "BATCH_SERVER_URL is not set: it is the address of the service that keeps retrievals",
        hint: Option.none(),
        batchId: Option.none()
      })
    }
    const url = yield* addressOf(address)
    const token = Option.fromNullable(variables.get("BATCH_SERVER_TOKEN")?.value)
    if (Option.exists(token, (text) => !/^[\x21-\x7e]+$/u.test(text))) {
      return yield* new SettingsError({
        setting: "BATCH_SERVER_TOKEN",
        detail: "it has characters that no token has"
      })
    }
    const redactor = yield* Redactor
    if (Option.isSome(token)) yield* redactor.add(Redacted.make(token.value))
    const environment = yield* Settings.Environment
    const network = Layer.mapError(
      Network.layer({ variables: environment.variables, baseUrl: url.href }),
      ({ detail, setting }) => new SettingsError({ setting, detail })
    )
    return yield* Effect.scoped(
      Effect.flatMap(Layer.build(network), (context) =>
        Effect.flatMap(Effect.provide(HttpClient.HttpClient, context), (client) =>
          use(make(url, token, HttpClient.withTracerPropagation(client, false)))
        )
      )
    )
  })
