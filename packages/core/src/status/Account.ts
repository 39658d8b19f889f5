/**
 * The free calls about the account: what it has used, what its plan includes, and its credits. Their answers are read
 * tolerantly: what is missing or odd is none, since nothing but a look depends on it.
 *
 * @example
 * import { Effect } from "effect"
 * import { BatchClient } from "@org/batch-core"
 *
 * const balance = Effect.flatMap(BatchClient.BatchClient, ({ account }) => account.credits)
 */
import { HttpClientRequest, UrlParams } from "@effect/platform"
import { type DateTime, Effect, Option, Predicate, Schema } from "effect"
import * as ApiCalls from "./ApiCalls.js"
import * as ApiResponse from "./ApiResponse.js"
import type { ApiError } from "../model/BatchError.js"
import * as JobFields from "../model/JobFields.js"
import { JsonObject } from "../model/Masking.js"

/** One request that the account made, as the vendor noted it. */
export interface UsageEvent {
  /** The `X-Request-Id` of its answer. */
  readonly id: string
  /** When it was made. */
  readonly at: Option.Option<DateTime.Utc>
  /** The path that was asked: `/batch/company/enrich`. */
  readonly endpoint: string
  /** The HTTP status of the answer. */
  readonly status: Option.Option<number>
  readonly creditsUsed: Option.Option<number>
  /** Where it came from: `api`, … ; `batch` for what a job has cost. */
  readonly surface: Option.Option<string>
  /** How many records it brought. */
  readonly results: Option.Option<number>
}

/** One request, with what was sent. */
export interface UsageDetail extends UsageEvent {
  /** The body as it was sent, if the vendor kept it. */
  readonly body: Option.Option<unknown>
}

/** Which events. */
export interface UsageOptions {
  /** From when on. */
  readonly start?: DateTime.Utc | undefined
  /** 1 to 500, default 50 of the API. */
  readonly limit?: number | undefined
  /** Only this path. */
  readonly endpoint?: string | undefined
  readonly cursor?: string | undefined
}

/** Events, newest first. */
export interface UsagePage {
  readonly events: ReadonlyArray<UsageEvent>
  readonly nextCursor: Option.Option<string>
}

/** What the key may do. */
export interface Entitlements {
  /** Requests a minute of this key over all paths, if there is a ceiling. */
  readonly requestsPerMinute: Option.Option<number>
  /** By path (`/batch/company/enrich`), whether the plan includes it. */
  readonly enabled: ReadonlyMap<string, boolean>
}

/** The calls. They share 60 requests a minute with each other, and cost no credits. */
export interface Account {
  /** `GET /user/credits`: the balance, which may be fractional; none if the answer does not say it. */
  readonly credits: Effect.Effect<Option.Option<number>, ApiError>
  /** `GET /account/endpoints`: what the plan includes. */
  readonly entitlements: Effect.Effect<Entitlements, ApiError>
  /** `GET /account/usage/events`: the requests of the account, about 10 s after their answers. */
  readonly usage: (options?: UsageOptions) => Effect.Effect<UsagePage, ApiError>
  /** `GET /account/usage/events/{id}`: one request, with what was sent; none while it is not known. */
  readonly usageOf: (requestId: string) => Effect.Effect<Option.Option<UsageDetail>, ApiError>
  /** `GET` of any path, for whoever passes the API's own JSON on. */
  readonly get: (
    path: string,
    parameters?: ReadonlyArray<readonly [string, string]>
  ) => Effect.Effect<ApiCalls.Answer<JsonObject>, ApiError>
}

const longestAnswer = 16 * 1024 * 1024

const Json = Schema.typeSchema(JsonObject)

/** The calls of one key. */
export const make = (calls: ApiCalls.ApiCalls): Account => {
  const ask = (path: string, parameters: UrlParams.Input = []) =>
    calls.get(
      HttpClientRequest.get(path, {
        urlParams: UrlParams.fromInput(parameters),
        headers: ApiCalls.version
      }),
      { maxBytes: longestAnswer, schema: Json, refusal: ApiResponse.refused }
    )
  return {
    get: ask,
    credits: Effect.map(ask("/user/credits"), ({ value }) => number(value["credits"])),
    entitlements: Effect.map(ask("/account/endpoints"), ({ value }) => ({
      requestsPerMinute: number(value["token_limit_rpm"]),
      enabled: new Map(
        objects(value["endpoints"]).flatMap((endpoint) =>
          Predicate.isString(endpoint["path"]) && Predicate.isString(endpoint["status"])
            ? [[endpoint["path"], endpoint["status"] !== "disabled"] as const]
            : []
        )
      )
    })),
    usage: ({ cursor, endpoint, limit, start } = {}) =>
      Effect.map(
        ask("/account/usage/events", {
          limit,
          cursor,
          endpoints: endpoint,
          start: start === undefined ? undefined : iso(start)
        }),
        ({ value }) => ({
          events: objects(value["events"] ?? value["data"]).map(eventOf),
          nextCursor: Option.filter(text(value["next_cursor"]), () => value["has_more"] !== false)
        })
      ),
    usageOf: (requestId) =>
      ask(`/account/usage/events/${encodeURIComponent(requestId)}`).pipe(
        Effect.map(({ value }) => Option.some(detailOf(value))),
        Effect.catchIf(
          (error) => error._tag === "RequestRejected" && error.status === 404,
          () => Effect.succeedNone
        )
      )
  }
}

const iso = (at: DateTime.Utc): string => new Date(at.epochMillis).toISOString()

const number = (value: unknown): Option.Option<number> => {
  const read = Predicate.isString(value) && value.trim() !== "" ? Number(value) : value
  return Predicate.isNumber(read) && Number.isFinite(read) ? Option.some(read) : Option.none()
}

const text = (value: unknown): Option.Option<string> =>
  Option.liftPredicate(value, (known): known is string => Predicate.isString(known) && known !== "")

const objects = (value: unknown): ReadonlyArray<JsonObject> =>
  Array.isArray(value) ? value.filter(Predicate.isRecord) : []

const eventOf = (json: JsonObject): UsageEvent => ({
  id: Option.getOrElse(text(json["event_id"] ?? json["request_id"]), () => ""),
  at: Option.flatMap(text(json["ts"] ?? json["created_at"]), JobFields.instant),
  endpoint: Option.getOrElse(text(json["endpoint"] ?? json["path"]), () => ""),
  status: number(json["status"] ?? json["status_code"]),
  creditsUsed: number(json["credits_used"]),
  surface: text(json["client_surface"]),
  results: number(json["results"])
})

const detailOf = (json: JsonObject): UsageDetail => {
  const { request } = json
  const body = Predicate.hasProperty(request, "body") ? request.body : undefined
  return { ...eventOf(json), body: Option.fromNullable(body) }
}
