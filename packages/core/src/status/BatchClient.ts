/**
 * The vendor's calls. Here, once, JSON becomes the model and HTTP becomes an error; here, once, requests are retried.
 *
 * @example
 * import { type Effect, Stream } from "effect"
 * import { BatchClient } from "@org/batch-core"
 *
 * const running = BatchClient.list({ status: "processing" }).pipe(
 *   Stream.map((batch) => batch.batchId),
 *   Stream.runCollect
 * )
 *
 * // a call of your own that waits its turn and is tried again like the client's
 * const polite = <A, E>(call: Effect.Effect<A, E>) => call.pipe(BatchClient.retry)
 */
import {
  type HttpClient,
  type HttpClientError,
  HttpClientRequest,
  HttpIncomingMessage,
  UrlParams
} from "@effect/platform"
import {
  Array,
  Context,
  Duration,
  Effect,
  HashSet,
  identity,
  Layer,
  Option,
  Redacted,
  Schema,
  Stream
} from "effect"
import * as ApiResponse from "./ApiResponse.js"
import { type Batch, type BatchId, FromJson, isSameId, unreadable } from "../model/Batch.js"
import { BatchConfig } from "../model/BatchConfig.js"
import {
  type ApiError,
  BatchNotFound,
  MalformedResponse,
  type NotAuthorized,
  RateLimited,
  type StatusError
} from "../model/BatchError.js"
import { BatchHttp, explain, layer as httpLayer } from "./BatchHttp.js"
import * as ResponseText from "./ResponseText.js"
import * as RetryPolicy from "../retry/RetryPolicy.js"
import { JsonObject, maskText, scrub, scrubJson, SecretJson } from "../model/Masking.js"
import * as Telemetry from "../model/Telemetry.js"
import * as Throttle from "../retry/Throttle.js"

/** Which jobs to list. */
export interface ListOptions {
  /** Only jobs in this state. */
  readonly status?: string | undefined
  /** Jobs a page, 1 to 100; the API's own default is 20. */
  readonly limit?: number | undefined
  /** Where to go on: the `nextCursor` of the page before. */
  readonly cursor?: string | undefined
}

/** How to ask for a job. */
export interface StatusOptions {
  /**
   * Asks once, whatever comes, and sparingly in trouble: for those who ask again and again by a pace of their own, as
   * `BatchPoll` does. Default: retries as the settings say.
   */
  readonly once?: boolean | undefined
  /**
   * The last answer that the caller knows: where answers are shared (`StatusCache`), a newer one that somebody else got
   * a moment ago will do. Default: it is asked now.
   */
  readonly known?: Batch | undefined
}

/** One page of the account's jobs, newest first; items carry no links. */
export interface Page {
  readonly jobs: ReadonlyArray<Batch>
  /** Where to go on, if there is more. */
  readonly nextCursor: Option.Option<string>
  /** Whether the API says that there is more, but not where. */
  readonly isCut: boolean
  /** The answer as it came. */
  readonly raw: Redacted.Redacted<JsonObject>
}

/** The calls of the API. */
export interface Service {
  /** `GET /batch/{batch_id}`: the job as it is now. */
  readonly status: (batchId: BatchId, options?: StatusOptions) => Effect.Effect<Batch, StatusError>
  /** `GET /batch`: one page of the account's jobs. */
  readonly page: (options?: ListOptions) => Effect.Effect<Page, ApiError>
  /** The gate, the limiter and the retry budget of all calls of this account; `retry` puts calls of your own on them. */
  readonly throttle: Throttle.Throttle
}

/** The calls of the API. */
export class BatchClient extends Context.Tag("@org/batch-core/BatchClient")<BatchClient, Service>() {}

/** `GET /batch/{batch_id}`: the job as it is now. */
export const status = (batchId: BatchId): Effect.Effect<Batch, StatusError, BatchClient> =>
  Effect.flatMap(BatchClient, (client) => client.status(batchId))

/**
 * A call of your own, tried again as the client's calls are, on the same gate, limiter and retry budget. What its failures
 * are worth is for `RetryPolicy.judge` to say; those that `while` does not hold for end it at once. Fails with its own
 * last failure, and with `RateLimited` while the API wants no calls of this account at all. Only for calls that may be
 * made twice.
 */
export const retry = <A, E, R>(
  call: Effect.Effect<A, E, R>,
  options: { readonly while?: ((error: E) => boolean) | undefined } = {}
): Effect.Effect<A, E | RateLimited, R | BatchClient | BatchConfig> =>
  Effect.gen(function* () {
    const { throttle } = yield* BatchClient
    const { retry } = yield* BatchConfig
    return yield* unlessRefused(
      throttle,
      RetryPolicy.run(RetryPolicy.judged(call, options), { retry, throttle })
    )
  })

/** Nobody waits at the gate when the API has asked for a longer pause than we make. */
const unlessRefused = <A, E, R>(
  throttle: Throttle.Throttle,
  call: Effect.Effect<A, E, R>
): Effect.Effect<A, E | RateLimited, R> =>
  Effect.gen(function* () {
    const refused = yield* throttle.refused
    if (Option.isSome(refused)) return yield* new RateLimited({ retryAfter: refused.value, attempts: 0 })
    return yield* call
  })

/**
 * All jobs of the account, newest first; pages are asked for as the stream is read. `limit` is the size of a page. A job
 * that new ones have pushed to the next page meanwhile comes once.
 */
export const list = (options: ListOptions = {}): Stream.Stream<Batch, ApiError, BatchClient> =>
  Stream.paginateEffect(
    { current: options, known: HashSet.make(options.cursor ?? "") },
    ({ current, known }) =>
      Effect.flatMap(BatchClient, (client) => client.page(current)).pipe(
        Effect.filterOrFail(
          (page) => !Option.exists(page.nextCursor, (cursor) => HashSet.has(known, cursor)),
          () => unlistable("the pages of the list go in circles")
        ),
        Effect.map((page) => [
          page,
          Option.map(page.nextCursor, (cursor) => ({
            current: { ...current, cursor },
            known: HashSet.add(known, cursor)
          }))
        ])
      )
  ).pipe(
    Stream.flatMap((page) => Stream.concat(Stream.fromIterable(page.jobs), page.isCut ? cut : Stream.empty)),
    Stream.mapAccum(HashSet.empty<BatchId>(), (listed, batch) => [
      HashSet.add(listed, batch.batchId),
      Option.liftPredicate(batch, ({ batchId }) => !HashSet.has(listed, batchId))
    ]),
    Stream.filterMap((batch) => batch)
  )

const unlistable = (detail: string): MalformedResponse =>
  new MalformedResponse({ status: Option.none(), detail })

/** The end of a list that is not whole. */
const cut = Stream.fail(
  unlistable("the list says that there is more, but has no next_cursor that leads there")
)

/** The longest answers that are read, in bytes: a job with some two thousand links, a page of a hundred jobs. */
const longest = { status: 1024 * 1024, page: 8 * 1024 * 1024 }

/** Characters of a body that are logged. */
const longestShown = 4096

/** How long an account is shut, at most, before it is tried whether the API means it. */
const longestRefusal = Duration.minutes(15)

const countRequest = (outcome: string) => Telemetry.count(Telemetry.apiRequests, "outcome", outcome)

/** The calls over the hardened `api` client, with a throttle of their own: make one for each key. */
export const make: Effect.Effect<Service, never, BatchConfig | BatchHttp> = Effect.gen(function* () {
  const { apiKey, poll, retry } = yield* BatchConfig
  const { api } = yield* BatchHttp
  const throttle = yield* Throttle.make(retry)
  const secret = Option.getOrUndefined(apiKey)
  const clean = (text: string) => (secret === undefined ? text : scrub(text, secret))
  const cleanJson = secret === undefined ? identity : scrubJson(secret)

  const lost = (error: HttpClientError.HttpClientError) =>
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
      Effect.tap(({ text }) => Telemetry.debug(() => `  ${maskText(clean(text).slice(0, longestShown))}`)),
      HttpIncomingMessage.withMaxBodySize(Option.some(maxBytes))
    )

  const attempt = (
    request: HttpClientRequest.HttpClientRequest,
    maxBytes: number
  ): Effect.Effect<ApiResponse.ApiResponse, ApiResponse.Failure> =>
    send(request, maxBytes).pipe(
      Effect.catchIf(
        (error) => isWarm && error._tag === "RequestError" && explain(error).broken,
        () => {
          isWarm = false
          return Effect.zipRight(countRequest("network"), send(request, maxBytes))
        }
      ),
      Effect.catchTags({
        NotAuthorized: (error) => Effect.fail(ApiResponse.final(error)),
        RequestError: lost,
        ResponseError: (error) =>
          ApiResponse.isTooLong(error)
            ? Effect.zipRight(
                countRequest(String(error.response.status)),
                Effect.fail(ApiResponse.tooLong(error.response.status, maxBytes))
              )
            : lost(error)
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

  const call = <A, E>(
    request: HttpClientRequest.HttpClientRequest,
    maxBytes: number,
    schema: Schema.Schema<A, JsonObject>,
    refusal: (answer: ApiResponse.ApiResponse) => E | ApiError,
    { once = false }: StatusOptions = {}
  ): Effect.Effect<A, E | ApiError> => {
    const answered = Effect.flatMap(attempt(request, maxBytes), (answer) =>
      ApiResponse.interpret(answer, schema, refusal, clean)
    )
    const run = once
      ? throttle.sparingly(RetryPolicy.run(answered, { retry, throttle, limit: 0 }))
      : RetryPolicy.run(answered, { retry, throttle })
    return unlessRefused(throttle, run).pipe(
      Effect.tapError((error) =>
        error instanceof RateLimited && Duration.greaterThan(error.retryAfter, retry.maxRetryAfter)
          ? throttle.refuse(Duration.min(error.retryAfter, Duration.min(poll.maxHint, longestRefusal)))
          : Effect.void
      )
    )
  }

  const told = new Set<string>()

  /** Says once what could not be read of the answers. */
  const note = (batch: Batch): Effect.Effect<void> =>
    Effect.forEach(
      unreadable(batch).filter((name) => !told.has(name)),
      (name) => {
        told.add(name)
        return Effect.logDebug(`${name} of batch ${batch.batchId} cannot be read, and is taken for absent`)
      },
      { discard: true }
    )

  return {
    throttle,
    status: Effect.fn("BatchClient.status")((batchId: BatchId, options?: StatusOptions) =>
      call(
        HttpClientRequest.get(`/batch/${batchId}`),
        longest.status,
        ofBatch(batchId),
        (answer) =>
          answer.status === 404
            ? new BatchNotFound({ batchId, detail: ApiResponse.said(answer) })
            : ApiResponse.refused(answer),
        options
      ).pipe(Effect.tap(note))
    ),
    page: Effect.fn("BatchClient.page")((options: ListOptions = {}) =>
      Effect.map(
        call(
          HttpClientRequest.get("/batch", { urlParams: UrlParams.fromInput({ ...options }) }),
          longest.page,
          PageFromJson,
          ApiResponse.refused
        ),
        toPage
      ).pipe(Effect.tap((page) => Effect.forEach(page.jobs, note, { discard: true })))
    )
  }
})

/** The calls of the API. */
export const layer: Layer.Layer<BatchClient, never, BatchConfig | BatchHttp> = Layer.effect(BatchClient, make)

/**
 * Settings, hardened HTTP and calls in one, over the `HttpClient` of the application:
 * `BatchClient.layerOver(BatchConfig.layerConfig())`.
 */
export const layerOver = <E, R>(
  config: Layer.Layer<BatchConfig, E, R>
): Layer.Layer<BatchClient | BatchConfig | BatchHttp, E, R | HttpClient.HttpClient> =>
  layer.pipe(Layer.provideMerge(httpLayer), Layer.provideMerge(config))

/** An answer about another batch is not an answer. */
const ofBatch = (batchId: BatchId): Schema.Schema<Batch, JsonObject> =>
  FromJson.pipe(
    Schema.filter(
      (batch) =>
        isSameId(batch.batchId, batchId) || `the answer is about batch ${batch.batchId}, not ${batchId}`
    )
  )

const PageJson = Schema.Struct({
  jobs: Schema.Array(Schema.Unknown),
  next_cursor: Schema.optional(Schema.Unknown),
  has_more: Schema.optional(Schema.Unknown),
  raw: SecretJson
})

const decodeJob = Schema.decodeUnknownOption(FromJson)

const PageFromJson = Schema.compose(
  Schema.transform(JsonObject, Schema.Unknown, {
    strict: true,
    decode: (json) => ({ ...json, raw: json }),
    encode: () => ({})
  }),
  PageJson,
  { strict: false }
)

/** An item that is no job, such as one with a strange id, spoils no page: it stands in the raw answer only. */
const toPage = ({ has_more, jobs, next_cursor, raw }: typeof PageJson.Type): Page => {
  const cursor = Option.liftPredicate(String(next_cursor ?? ""), (text) => text !== "")
  return {
    jobs: Array.filterMap(jobs, (item) => decodeJob(item)),
    nextCursor: Option.filter(cursor, () => has_more !== false),
    isCut: has_more === true && Option.isNone(cursor),
    raw
  }
}
