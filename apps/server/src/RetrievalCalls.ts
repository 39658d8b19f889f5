/**
 * The calls of `/retrievals`: they hand batches over, look at what was handed over, stop it and try it again; and the
 * vendor's hints.
 */
import { type HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { BatchId } from "@org/batch-core/Batch"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { Retrieval, RetrievalError, type Retrievals } from "@org/batch-durable"
import { Effect, Option, Schema, type Scope } from "effect"
import type * as Events from "./Events.js"
import * as JobBody from "./JobBody.js"
import { fromRetrievalError, invalid, type Problem } from "./Problem.js"
import * as RequestBody from "./RequestBody.js"
import * as Stored from "./RetrievalStore.js"
import { accountOf, RetrievalStore } from "./RetrievalStore.js"
import type { Shutdown } from "./Shutdown.js"
import * as StoredList from "./StoredList.js"

/** The answer to a call. */
type Answer<R = never> = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  Problem,
  RetrievalStore | BatchConfig | R
>

interface ById {
  readonly path: { readonly retrieval_id: string }
  readonly request: HttpServerRequest.HttpServerRequest
}

const told = <A, R>(
  effect: Effect.Effect<A, Parameters<typeof fromRetrievalError>[0], R>
): Effect.Effect<A, Problem, R> => Effect.mapError(effect, (error) => fromRetrievalError(error))

const encode = Schema.encodeSync(Retrieval.Retrieval)

const text = (retrieval: Retrieval.Retrieval): string => JSON.stringify(encode(retrieval))

const answer = (retrieval: Retrieval.Retrieval, status = 200): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setStatus(JobBody.json(text(retrieval)), status)

const decodeRequest = Schema.decodeUnknown(Retrieval.Request, { onExcessProperty: "error" })

/** Hands a batch over: 202, or 200 where that has been done before. */
export const create = (request: HttpServerRequest.HttpServerRequest): Answer =>
  Effect.gen(function* () {
    const wanted = yield* Effect.mapError(decodeRequest(yield* RequestBody.json(request)), invalid)
    const { open } = yield* RetrievalStore
    const { id, key } = yield* accountOf(request)
    const { created, retrieval } = yield* told((yield* open).retrievals.enqueue(id, wanted, { key }))
    return HttpServerResponse.setHeader(
      answer(retrieval, created ? 202 : 200),
      "location",
      `/retrievals/${retrieval.retrievalId}`
    )
  })

const Query = Schema.Struct({
  state: Schema.optional(Retrieval.State),
  batch_id: Schema.optional(BatchId),
  ...StoredList.query
})

const decodeQuery = Schema.decodeUnknown(Query)

const nothing: Retrievals.Page = { retrievals: [], nextCursor: Option.none() }

/** A page of the caller's retrievals, newest first. */
export const list = (request: HttpServerRequest.HttpServerRequest, query: unknown): Answer =>
  Effect.gen(function* () {
    const { batch_id: batchId, ...rest } = yield* Effect.mapError(decodeQuery(query), invalid)
    const { id } = yield* accountOf(request)
    const found = yield* Effect.flatMap(RetrievalStore, ({ existing }) => existing)
    const { nextCursor, retrievals } = yield* Option.match(found, {
      onNone: () => Effect.succeed(nothing),
      onSome: ({ retrievals }) => told(retrievals.list(id, { ...rest, batchId }))
    })
    const items = retrievals.map((retrieval) => encode(retrieval))
    return StoredList.page("retrievals", items, nextCursor)
  })

/** A call about one retrieval, which is not there where there is no store. */
const withOne = <A, R>(
  { path: { retrieval_id: id }, request }: ById,
  use: (store: Retrievals.Service, account: string, id: string) => Effect.Effect<A, Problem, R>
): Effect.Effect<A, Problem, R | RetrievalStore | BatchConfig> => {
  const absent = fromRetrievalError(new RetrievalError.RetrievalNotFound({ retrievalId: id }))
  return Stored.withOne(request, absent, (opened, account) => use(opened.retrievals, account, id))
}

/** The retrieval as it is. */
export const show = (request: ById): Answer =>
  withOne(request, (store, account, id) =>
    Effect.map(told(store.get(account, id)), (retrieval) => answer(retrieval))
  )

/** Stops it. */
export const cancel = (request: ById): Answer =>
  withOne(request, (store, account, id) =>
    Effect.map(told(store.cancel(account, id)), (retrieval) => answer(retrieval))
  )

/** Begins it anew. */
export const retry = (request: ById): Answer =>
  withOne(request, (store, account, id) =>
    Effect.map(told(store.retry(account, id)), (retrieval) => answer(retrieval, 202))
  )

const ofRetrieval: Events.Subject<Retrieval.Retrieval> = {
  event: "retrieval",
  idOf: ({ attempt, nextLookAt, progress, state, updatedAt }) =>
    [attempt, state, progress.bytes, updatedAt.epochMillis, nextLookAt?.epochMillis].join(":"),
  hasEnded: ({ state }) => Retrieval.isEnded(state),
  text
}

/** Whatever happens to it, until its end. */
export const events = (request: ById): Answer<Scope.Scope | Shutdown> =>
  withOne(request, (store, account, id) =>
    Stored.events(request.request, ofRetrieval, store.watch(account, id))
  )

const Hint = Schema.parseJson(Schema.Struct({ batch_id: BatchId }))

const decodeHint = Schema.decodeOption(Hint)

const heard = HttpServerResponse.empty({ status: 202 })

/** Takes a hint that a batch has changed. Nobody proves who sends it, so it says nothing but that, and is told nothing. */
export const hint = (request: HttpServerRequest.HttpServerRequest): Answer =>
  Effect.gen(function* () {
    const body = decodeHint(yield* RequestBody.text(request))
    const { hint: follow } = yield* RetrievalStore
    if (Option.isSome(body)) yield* follow(body.value.batch_id)
    return heard
  })
