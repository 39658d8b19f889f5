/**
 * The handlers of `Api`: each calls the core and makes a response of what comes.
 */
import { HttpApiBuilder, type HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { type Batch, BatchId } from "@org/batch-core/Batch"
import { BatchClient } from "@org/batch-core/BatchClient"
import type { BatchError } from "@org/batch-core/BatchError"
import {
  Context,
  Duration,
  Effect,
  Either,
  Layer,
  Option,
  ParseResult,
  Schema,
  type Scope,
  Stream
} from "effect"
import * as AccountCalls from "./AccountCalls.js"
import { type Account, Accounts } from "./Account.js"
import { Api } from "./Api.js"
import * as CampaignCalls from "./CampaignCalls.js"
import * as Events from "./Events.js"
import * as JobBody from "./JobBody.js"
import { fromError, Problem } from "./Problem.js"
import * as Prometheus from "./Prometheus.js"
import * as Readiness from "./Readiness.js"
import * as RetrievalCalls from "./RetrievalCalls.js"
import * as RetrievalMetrics from "./RetrievalMetrics.js"
import * as Results from "./Results.js"
import { Shutdown } from "./Shutdown.js"
import { Submissions } from "./Submissions.js"
import * as WaitParameter from "./WaitParameter.js"

interface ById {
  readonly path: { readonly batch_id: string }
  readonly request: HttpServerRequest.HttpServerRequest
}

const told = <A, R>(effect: Effect.Effect<A, BatchError, R>): Effect.Effect<A, Problem, R> =>
  Effect.mapError(effect, fromError)

const decodeId = Schema.decodeEither(BatchId)

const idOf = ({ path }: ById): Either.Either<BatchId, Problem> =>
  Either.mapLeft(decodeId(path.batch_id), (error) => {
    const message = ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message ?? error.message
    return new Problem({ status: 400, type: "RequestRejected", message })
  })

/** The part of a handler that comes after its account and batch id are known. */
type Use<A, E, R> = (account: Account, id: BatchId) => Effect.Effect<A, E, R>

const withBatch =
  (accounts: Context.Tag.Service<Accounts>) =>
  <A, E, R>(request: ById, use: Use<A, E, R>): Effect.Effect<A, E | Problem, R | Scope.Scope> =>
    Effect.flatMap(accounts.of(request.request), (account) =>
      Effect.flatMap(idOf(request), (id) => use(account, id))
    )

/**
 * The job from the cache, if its state is final; else its state after `wait`, which a shutdown ends with 503. A timeout of
 * zero asks once.
 */
const waiting = (
  { cache }: Account,
  id: BatchId,
  timeout: Duration.Duration,
  wait: Account["watches"]["wait"],
  isFresh: boolean
): Effect.Effect<Batch, Problem, Shutdown> =>
  Effect.gen(function* () {
    const known = isFresh ? Option.none() : yield* cache.kept(id)
    if (Option.isSome(known)) return known.value
    if (Duration.isZero(timeout)) return yield* told((isFresh ? cache.client : cache).status(id))
    const { started } = yield* Shutdown
    return yield* Effect.raceFirst(told(wait(id, timeout)), Effect.zipRight(started, draining))
  })

/** Whether a caller wants no kept answer. */
const wantsFresh = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  /\bno-cache\b/iu.test(headers["cache-control"] ?? "")

/** What still waits for a job when the shutdown starts. */
const draining = new Problem({
  status: 503,
  type: "Draining",
  message: "this service is about to end, the job goes on: ask again in a moment",
  retryAfter: Duration.seconds(5)
})

const batches = HttpApiBuilder.group(Api, "batches", (handlers) =>
  Effect.map(Accounts, (accounts) => {
    const forBatch = withBatch(accounts)
    return handlers
      .handle("list", ({ request, urlParams }) =>
        Effect.gen(function* () {
          const { session } = yield* accounts.of(request)
          const options = yield* JobBody.listOptions(urlParams)
          return JobBody.page(yield* told(Context.get(session, BatchClient).page(options)))
        })
      )
      .handle("status", (request) =>
        forBatch(request, ({ cache }, id) => {
          const { status } = wantsFresh(request.request) ? cache.client : cache
          return Effect.map(told(status(id)), JobBody.response)
        })
      )
      .handle("wait", (request) =>
        forBatch(request, (account, id) =>
          Effect.gen(function* () {
            const timeout = yield* WaitParameter.parse("timeout", request.urlParams.timeout, "60 seconds")
            const fresh = wantsFresh(request.request)
            return JobBody.response(yield* waiting(account, id, timeout, account.watches.wait, fresh))
          })
        )
      )
      .handleRaw("events", (request) =>
        forBatch(request, ({ cache, watches }, id) =>
          Effect.gen(function* () {
            const lastId = request.request.headers["last-event-id"]
            const known = wantsFresh(request.request) ? Option.none() : yield* cache.kept(id)
            const news = Option.match(known, {
              onNone: () => watches.follow(id),
              onSome: (batch) => Stream.succeed(Either.right(batch))
            })
            return yield* told(Events.respond(Events.ofJob, news, { lastId, cut: (yield* Shutdown).started }))
          })
        )
      )
      .handleRaw("results", (request) =>
        forBatch(request, (account, id) =>
          Effect.gen(function* () {
            const form = yield* Results.negotiate(request.request, request.urlParams.columns)
            const timeout = yield* WaitParameter.parse("wait", request.urlParams.wait, 0)
            const batch = yield* waiting(
              account,
              id,
              timeout,
              account.watches.end,
              wantsFresh(request.request)
            )
            return yield* Effect.provide(
              Results.respond(batch, form, account.cache.forget(id)),
              account.session
            )
          })
        )
      )
  })
)

const submits = HttpApiBuilder.group(Api, "submits", (handlers) =>
  Effect.map(Submissions, ({ submit }) =>
    handlers
      .handleRaw("company/enrich", ({ request }) => submit("company/enrich", request))
      .handleRaw("company/search", ({ request }) => submit("company/search", request))
      .handleRaw("company/search-live", ({ request }) => submit("company/search-live", request))
      .handleRaw("person/enrich", ({ request }) => submit("person/enrich", request))
      .handleRaw("person/enrich-live", ({ request }) => submit("person/enrich-live", request))
      .handleRaw("person/search", ({ request }) => submit("person/search", request))
      .handleRaw("person/search-live", ({ request }) => submit("person/search-live", request))
      .handleRaw("person/contact-enrich", ({ request }) => submit("person/contact-enrich", request))
      .handleRaw("person/identify", ({ request }) => submit("person/identify", request))
      .handleRaw("person/verify", ({ request }) => submit("person/verify", request))
      .handleRaw("job/search", ({ request }) => submit("job/search", request))
      .handleRaw("social-post/enrich-live", ({ request }) => submit("social-post/enrich-live", request))
  )
)

const account = HttpApiBuilder.group(Api, "account", (handlers) =>
  handlers
    .handleRaw("credits", ({ request }) => AccountCalls.pass(request))
    .handleRaw("endpoints", ({ request }) => AccountCalls.pass(request))
    .handleRaw("usage", ({ request }) => AccountCalls.pass(request))
    .handleRaw("otherAccountCall", ({ request }) => AccountCalls.pass(request))
)

const retrievals = HttpApiBuilder.group(Api, "retrievals", (handlers) =>
  handlers
    .handleRaw("handOver", ({ request }) => RetrievalCalls.create(request))
    .handle("retrievals", ({ request, urlParams }) => RetrievalCalls.list(request, urlParams))
    .handle("retrieval", (request) => RetrievalCalls.show(request))
    .handleRaw("retrievalEvents", (request) => RetrievalCalls.events(request))
    .handle("stop", (request) => RetrievalCalls.cancel(request))
    .handle("retry", (request) => RetrievalCalls.retry(request))
)

const campaigns = HttpApiBuilder.group(Api, "campaigns", (handlers) =>
  handlers
    .handleRaw("handIn", ({ request }) => CampaignCalls.create(request))
    .handle("campaigns", ({ request, urlParams }) => CampaignCalls.list(request, urlParams))
    .handle("campaign", (request) => CampaignCalls.show(request))
    .handleRaw("campaignEvents", (request) => CampaignCalls.events(request))
    .handleRaw("campaignResults", (request) => CampaignCalls.results(request))
    .handleRaw("fates", (request) => CampaignCalls.fates(request))
    .handleRaw("remainder", (request) => CampaignCalls.remainder(request))
    .handle("stopCampaign", (request) => CampaignCalls.cancel(request))
    .handle("retryCampaign", (request) => CampaignCalls.retry(request))
)

const webhooks = HttpApiBuilder.group(Api, "webhooks", (handlers) =>
  handlers.handleRaw("hint", ({ request }) => RetrievalCalls.hint(request))
)

const operations = HttpApiBuilder.group(Api, "operations", (handlers) =>
  handlers
    .handle("health", () => Readiness.health)
    .handleRaw("ready", () =>
      Effect.flatMap(Readiness.Readiness, ({ check }) =>
        Effect.match(check, {
          onSuccess: (state) => HttpServerResponse.unsafeJson(state),
          onFailure: (state) => HttpServerResponse.unsafeJson(state, { status: 503 })
        })
      )
    )
)

const metrics = HttpApiBuilder.group(Api, "metrics", (handlers) =>
  handlers.handle("metrics", () =>
    Effect.zipWith(Prometheus.text, RetrievalMetrics.text, (ours, ofStore) => ours + ofStore)
  )
)

/** The handlers of all groups of `Api`. */
export const layer = Layer.mergeAll(
  batches,
  submits,
  account,
  retrievals,
  campaigns,
  webhooks,
  operations,
  metrics
)
