/**
 * The calls of `/campaigns`: they take lists in, look at what becomes of them, stop it and try it again.
 */
import { type HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import type { BatchError } from "@org/batch-core/BatchError"
import { Campaign, type Campaigns, RetrievalError } from "@org/batch-durable"
import { Effect, Option, Schema, type Scope } from "effect"
import * as CampaignFiles from "./CampaignFiles.js"
import * as CampaignForm from "./CampaignForm.js"
import * as Cors from "./Cors.js"
import type * as Events from "./Events.js"
import * as JobBody from "./JobBody.js"
import { fromError, fromRetrievalError, invalid, Problem } from "./Problem.js"
import * as Stored from "./RetrievalStore.js"
import { accountOf, RetrievalStore } from "./RetrievalStore.js"
import { ServerSettings } from "./Settings.js"
import type { Shutdown } from "./Shutdown.js"
import * as StoredList from "./StoredList.js"
import { keyOf } from "./Submissions.js"

/** The answer to a call. */
type Answer<R = never> = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  Problem,
  RetrievalStore | BatchConfig | R
>

interface ById {
  readonly path: { readonly campaign_id: string }
  readonly request: HttpServerRequest.HttpServerRequest
}

type Failure = Parameters<typeof fromRetrievalError>[0] | Extract<BatchError, Campaigns.BeginError>

const problemOf = (error: Failure): Problem => {
  switch (error._tag) {
    case "InputInvalid":
    case "RequestInvalid":
    case "StorageError":
      return fromError(error)
    default:
      return fromRetrievalError(error)
  }
}

const told = <A, R>(effect: Effect.Effect<A, Failure, R>): Effect.Effect<A, Problem, R> =>
  Effect.mapError(effect, problemOf)

const encode = Schema.encodeSync(Campaign.Campaign)

const text = (campaign: Campaign.Campaign): string => JSON.stringify(encode(campaign))

const answer = (campaign: Campaign.Campaign, status = 200): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setStatus(JobBody.json(text(campaign)), status)

/**
 * Refuses pages of other origins what costs credits: a browser asks nobody before it sends a form or plain text for them,
 * and a service without tokens knows its callers by where they are only.
 */
const checkOrigin = ({
  headers
}: HttpServerRequest.HttpServerRequest): Effect.Effect<void, Problem, ServerSettings> =>
  Effect.gen(function* () {
    const { origin } = headers
    const { corsOrigins } = yield* ServerSettings
    const isOwn = origin === undefined || (URL.canParse(origin) && new URL(origin).host === headers["host"])
    if (!isOwn && !Cors.isAllowed(corsOrigins, origin)) {
      return yield* new Problem({
        status: 403,
        type: "NotAuthorized",
        message: "pages of other origins may not start what costs credits: CORS_ORIGINS may name them"
      })
    }
  })

/** Begins a campaign with a list: 202, or 200 where that has been done before. */
export const create = (request: HttpServerRequest.HttpServerRequest): Answer<ServerSettings> =>
  Effect.gen(function* () {
    yield* checkOrigin(request)
    const idempotencyKey = Option.getOrUndefined(yield* keyOf(request))
    const { campaigns } = yield* Effect.flatMap(RetrievalStore, ({ open }) => open)
    const { received, request: wanted } = yield* CampaignForm.read(request, (name, bytes) =>
      Effect.catchTag(campaigns.receive(name, bytes), "StorageError", (error) => fromError(error))
    )
    const { id, key } = yield* accountOf(request)
    const { campaign, created } = yield* told(campaigns.begin(id, wanted, received, { key, idempotencyKey }))
    return HttpServerResponse.setHeader(
      answer(campaign, created ? 202 : 200),
      "location",
      `/campaigns/${campaign.campaignId}`
    )
  }).pipe(Effect.scoped)

const Query = Schema.Struct({
  state: Schema.optional(Campaign.State),
  ...StoredList.query
})

const decodeQuery = Schema.decodeUnknown(Query)

const nothing: Campaigns.Page = { campaigns: [], nextCursor: Option.none() }

/** A page of the caller's campaigns, newest first. */
export const list = (request: HttpServerRequest.HttpServerRequest, query: unknown): Answer =>
  Effect.gen(function* () {
    const options = yield* Effect.mapError(decodeQuery(query), invalid)
    const { id } = yield* accountOf(request)
    const found = yield* Effect.flatMap(RetrievalStore, ({ existing }) => existing)
    const { campaigns, nextCursor } = yield* Option.match(found, {
      onNone: () => Effect.succeed(nothing),
      onSome: (store) => told(store.campaigns.list(id, options))
    })
    const items = campaigns.map((campaign) => encode(campaign))
    return StoredList.page("campaigns", items, nextCursor)
  })

/** A call about one campaign, which is not there where there is no store. */
const withOne = <A, R>(
  { path: { campaign_id: id }, request }: ById,
  use: (campaigns: Campaigns.Service, account: string, id: string) => Effect.Effect<A, Problem, R>
): Effect.Effect<A, Problem, R | RetrievalStore | BatchConfig> => {
  const absent = fromRetrievalError(new RetrievalError.CampaignNotFound({ campaignId: id }))
  return Stored.withOne(request, absent, (opened, account) => use(opened.campaigns, account, id))
}

/** The campaign as it is. */
export const show = (request: ById): Answer =>
  withOne(request, (campaigns, account, id) =>
    Effect.map(told(campaigns.get(account, id)), (campaign) => answer(campaign))
  )

/** Stops it. */
export const cancel = (request: ById): Answer =>
  withOne(request, (campaigns, account, id) =>
    Effect.map(told(campaigns.cancel(account, id)), (campaign) => answer(campaign))
  )

const decodeLimits = Schema.decodeUnknown(CampaignForm.Limits)

/** Goes on with it, and submits what failed again. */
export const retry = (request: ById & { readonly urlParams: unknown }): Answer<ServerSettings> =>
  Effect.gen(function* () {
    yield* checkOrigin(request.request)
    const limits = yield* Effect.mapError(decodeLimits(request.urlParams), invalid)
    const { max_active: maxActive, max_credits: maxCredits } = limits
    return yield* withOne(request, (campaigns, account, id) =>
      Effect.map(told(campaigns.retry(account, id, { maxActive, maxCredits })), (campaign) =>
        answer(campaign, 202)
      )
    )
  })

const ofCampaign: Events.Subject<Campaign.Campaign> = {
  event: "campaign",
  idOf: ({ attempt, progress, state, updatedAt }) =>
    [attempt, state, progress.jobs.fetched, updatedAt.epochMillis].join(":"),
  hasEnded: ({ state }) => Campaign.isEnded(state),
  text
}

/** Whatever happens to it, until its end. */
export const events = (request: ById): Answer<Scope.Scope | Shutdown> =>
  withOne(request, (campaigns, account, id) =>
    Stored.events(request.request, ofCampaign, campaigns.watch(account, id))
  )

/** Files of what came of a campaign. */
const file =
  (send: (outcome: Campaigns.Outcome) => CampaignFiles.Sent) =>
  (request: ById): Answer<CampaignFiles.Needs> =>
    withOne(request, (campaigns, account, id) => Effect.flatMap(told(campaigns.outcome(account, id)), send))

/** The joined result. */
export const results = file(CampaignFiles.results)

/** What became of each row. */
export const fates = file(CampaignFiles.fates)

/** The rows that are worth submitting again. */
export const remainder = file(CampaignFiles.remainder)
