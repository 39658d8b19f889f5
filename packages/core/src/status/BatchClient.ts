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
import { type HttpClient, HttpClientRequest, UrlParams } from "@effect/platform"
import {
  Array,
  Context,
  type DateTime,
  Effect,
  HashSet,
  Layer,
  Option,
  Predicate,
  type Redacted,
  Schema,
  Stream
} from "effect"
import * as Account from "./Account.js"
import * as ApiCalls from "./ApiCalls.js"
import * as ApiResponse from "./ApiResponse.js"
import { Batch, type BatchId, FromJson, isSameId, unreadable } from "../model/Batch.js"
import { BatchConfig } from "../model/BatchConfig.js"
import {
  type ApiError,
  BatchNotFound,
  MalformedResponse,
  type RateLimited,
  RequestRejected,
  type StatusError,
  type SubmitError,
  SubmitUnknown
} from "../model/BatchError.js"
import { type BatchHttp, layer as httpLayer } from "./BatchHttp.js"
import { JsonObject, SecretJson } from "../model/Masking.js"
import * as RetryPolicy from "../retry/RetryPolicy.js"
import { inputs, type SubmitRequest } from "../model/SubmitRequest.js"
import { nearest } from "../model/Suggestion.js"
import type * as Throttle from "../retry/Throttle.js"

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
  /** When the server answered, by its own clock. */
  readonly date: Option.Option<DateTime.Utc>
  /** The answer as it came. */
  readonly raw: Redacted.Redacted<JsonObject>
}

/** How to start a job. */
export interface SubmitOptions<E = never> {
  /** Done right before each time that it is sent, for whoever notes it; where it fails, nothing is sent. */
  readonly onSend?: Effect.Effect<void, E> | undefined
}

/** The calls of the API. */
export interface Service {
  /** `GET /batch/{batch_id}`: the job as it is now. */
  readonly status: (batchId: BatchId, options?: StatusOptions) => Effect.Effect<Batch, StatusError>
  /** `GET /batch`: one page of the account's jobs. */
  readonly page: (options?: ListOptions) => Effect.Effect<Page, ApiError>
  /**
   * `POST /batch/…`: starts a job, and gives it as it was accepted. Sent again only where it provably was not accepted: a
   * 429, a connection that was never opened. An answer that is lost is `SubmitUnknown`.
   */
  readonly submit: <E = never>(
    request: SubmitRequest,
    options?: SubmitOptions<E>
  ) => Effect.Effect<Batch, SubmitError | E>
  /** The free calls about the account: usage, entitlements, credits. */
  readonly account: Account.Account
  /** The gate, the limiter and the retry budget of all calls of this account; `retry` puts calls of your own on them. */
  readonly throttle: Throttle.Throttle
}

/** The calls of the API. */
export class BatchClient extends Context.Tag("@org/batch-core/BatchClient")<BatchClient, Service>() {}

/** `GET /batch/{batch_id}`: the job as it is now. */
export const status = (batchId: BatchId): Effect.Effect<Batch, StatusError, BatchClient> =>
  Effect.flatMap(BatchClient, (client) => client.status(batchId))

/**
 * `POST /batch/…`: starts a job, and gives it as it was accepted. Sent again only where it provably was not accepted: a 429,
 * a connection that was never opened. An answer that is lost is `SubmitUnknown`: `Settlement.submit` settles it.
 */
export const submit = (request: SubmitRequest): Effect.Effect<Batch, SubmitError, BatchClient> =>
  Effect.flatMap(BatchClient, (client) => client.submit(request))

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
    return yield* ApiCalls.unlessRefused(
      throttle,
      RetryPolicy.run(RetryPolicy.judged(call, options), { retry, throttle })
    )
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

/** The calls over the hardened `api` client, with a throttle of their own: make one for each key. */
export const make: Effect.Effect<Service, never, BatchConfig | BatchHttp> = Effect.gen(function* () {
  const calls = yield* ApiCalls.make
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
    throttle: calls.throttle,
    account: Account.make(calls),
    status: Effect.fn("BatchClient.status")((batchId: BatchId, options?: StatusOptions) =>
      calls
        .get(HttpClientRequest.get(`/batch/${batchId}`), {
          maxBytes: longest.status,
          schema: ofBatch(batchId),
          refusal: (answer) =>
            answer.status === 404
              ? new BatchNotFound({
                  batchId,
                  detail: ApiResponse.said(answer),
                  requestId: ApiResponse.requestId(answer.headers)
                })
              : ApiResponse.refused(answer),
          once: options?.once
        })
        .pipe(Effect.map(answered), Effect.tap(note))
    ),
    page: Effect.fn("BatchClient.page")((options: ListOptions = {}) =>
      calls
        .get(HttpClientRequest.get("/batch", { urlParams: UrlParams.fromInput({ ...options }) }), {
          maxBytes: longest.page,
          schema: PageFromJson,
          refusal: ApiResponse.refused
        })
        .pipe(
          Effect.map(toPage),
          Effect.tap((page) => Effect.forEach(page.jobs, note, { discard: true }))
        )
    ),
    submit: <E = never>(request: SubmitRequest, options: SubmitOptions<E> = {}) =>
      calls
        .post<Batch, SubmitUnknown | E>(`/batch/${request.kind.path}`, request.body, {
          maxBytes: longest.status,
          schema: Submitted,
          onSend: options.onSend,
          unknown: ({ detail, requestId, sentAt }) =>
            new SubmitUnknown({
              kind: request.kind.name,
              count: inputs(request),
              sentAt,
              requestId,
              detail
            })
        })
        .pipe(Effect.map(answered), Effect.mapError(advised), Effect.withSpan("BatchClient.submit"))
  }
})

const answered = ({ requestId, value }: ApiCalls.Answer<Batch>): Batch => new Batch({ ...value, requestId })

/** A refusal that lists the fields there are says as well which of them was meant. */
const advised = <E>(error: E): E | RequestRejected => {
  if (!(error instanceof RequestRejected) || Option.isNone(error.metadata)) return error
  const { value } = error.metadata
  const available = Predicate.hasProperty(value, "available_fields") ? value.available_fields : undefined
  if (!Array.isArray(available)) return error
  const names = available.filter(Predicate.isString)
  const wrong = (error.detail.match(/[\w.]{2,}/gu) ?? []).filter((word) => !names.includes(word))
  const hints = wrong.flatMap((word) => {
    const near = nearest(word, names)
    return near === undefined ? [] : [`${near} instead of ${word}`]
  })
  const hint = hints.length === 0 ? "" : `; did you mean ${hints.join(", ")}?`
  return new RequestRejected({ ...error, detail: `${error.detail}${hint}` })
}

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

/** The answer to a submit: whatever else it says, its `batch_id` counts. */
const Submitted: Schema.Schema<Batch, JsonObject> = Schema.compose(
  Schema.transform(JsonObject, JsonObject, {
    strict: true,
    decode: (json) => ({ status: "pending", ...json }),
    encode: (json) => json
  }),
  FromJson
)

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
const toPage = ({ date, value }: ApiCalls.Answer<typeof PageJson.Type>): Page => {
  const { has_more, jobs, next_cursor, raw } = value
  const cursor = Option.liftPredicate(String(next_cursor ?? ""), (text) => text !== "")
  return {
    jobs: Array.filterMap(jobs, (item) => decodeJob(item)),
    nextCursor: Option.filter(cursor, () => has_more !== false),
    isCut: has_more === true && Option.isNone(cursor),
    date,
    raw
  }
}
