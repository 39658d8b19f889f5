/**
 * What the API tells of the account: its usage events, its entitlements, its balance.
 */
import { Effect } from "effect"
import * as Answer from "./Answer.js"
import type { Credits } from "./Credits.js"
import * as Endpoint from "./Endpoint.js"
import type { Incoming } from "./Incoming.js"
import { badRequest, Problem } from "./Problem.js"
import type { Kept, Usage } from "./Usage.js"

/** What the account consists of. */
export interface Options {
  readonly credits: Credits
  /** `undefined` for an account that has no usage events. */
  readonly usage: Usage | undefined
  /** Requests a minute over all paths. */
  readonly tokenLimitRpm: number | null
  /** Paths of submits that the plan does not cover. */
  readonly disabledEndpoints: ReadonlyArray<string>
}

/** Whether a path is one of usage events, which have a rate limit of their own. */
export const isUsage = (path: string): boolean =>
  path === "/account/usage/events" || path.startsWith("/account/usage/events/")

/** Usage events, newest first. */
export const events = (options: Options, { query }: Incoming): Effect.Effect<Answer.Answer, Problem> =>
  Effect.gen(function* () {
    const parameters = new URLSearchParams(query)
    const limit = Number(parameters.get("limit") ?? 50)
    if (!Number.isInteger(limit) || limit < 1 || limit > 500) {
      return yield* badRequest("`limit` must be an integer, between 1 and 500")
    }
    const matches = yield* filter(parameters)
    const matching = (yield* visible(options)).filter(matches)
    const cursor = parameters.get("cursor")
    const at = matching.findIndex(({ entry }) => entry.id === cursor)
    if (cursor !== null && at < 0) return yield* badRequest("Unknown cursor")
    const rest = matching.slice(at + 1)
    const page = rest.slice(0, limit).map(({ event }) => event)
    const hasMore = rest.length > page.length
    return Answer.json(200, {
      events: page,
      next_cursor: hasMore ? page.at(-1)?.event_id : null,
      has_more: hasMore
    })
  })

/** One usage event with its request. */
export const event = (options: Options, id: string): Effect.Effect<Answer.Answer, Problem> =>
  Effect.gen(function* () {
    const kept = (yield* visible(options)).find(({ entry }) => entry.id === id)
    return kept === undefined
      ? yield* new Problem({ status: 404, message: `Usage event ${id} not found` })
      : Answer.json(200, options.usage?.detail(kept))
  })

/** What the key may call, and how often. */
export const endpoints = ({ disabledEndpoints, tokenLimitRpm }: Options): Effect.Effect<Answer.Answer> =>
  Effect.succeed(
    Answer.json(200, {
      api_version: "2025-11-01",
      token_limit_rpm: tokenLimitRpm,
      endpoints: Endpoint.paths.map((path) => ({
        path,
        category: "batch",
        status: disabledEndpoints.includes(path) ? "disabled" : "enabled",
        effective_rate_limit_rpm: tokenLimitRpm
      }))
    })
  )

/** The balance. */
export const credits = (options: Options): Effect.Effect<Answer.Answer> =>
  Effect.map(options.credits.balance, (credits) => Answer.json(200, { credits }))

const visible = ({ usage }: Options): Effect.Effect<ReadonlyArray<Kept>, Problem> =>
  usage === undefined ? new Problem({ status: 404, message: "No such resource" }) : usage.visible

const filter = (parameters: URLSearchParams): Effect.Effect<(kept: Kept) => boolean, Problem> =>
  Effect.gen(function* () {
    const start = yield* time(parameters, "start")
    const end = yield* time(parameters, "end")
    const paths = list(parameters, "endpoints")
    const statuses = list(parameters, "status")
    return ({ entry }) =>
      entry.at >= (start ?? -Infinity) &&
      entry.at <= (end ?? Infinity) &&
      (paths?.includes(entry.endpoint) ?? true) &&
      (statuses?.includes(String(entry.status)) ?? true)
  })

const time = (parameters: URLSearchParams, name: string): Effect.Effect<number | undefined, Problem> => {
  const text = parameters.get(name)
  if (text === null) return Effect.succeed(undefined)
  const millis = Date.parse(text)
  return Number.isNaN(millis) ? badRequest(`\`${name}\` must be a date`) : Effect.succeed(millis)
}

const list = (parameters: URLSearchParams, name: string): ReadonlyArray<string> | undefined =>
  parameters
    .get(name)
    ?.split(",")
    .map((part) => part.trim())
