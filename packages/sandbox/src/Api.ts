/**
 * The API: who may ask, how often, for what; and the usage event that comes of it.
 */
import { Clock, Effect, Either, Option } from "effect"
import * as Account from "./Account.js"
import * as Answer from "./Answer.js"
import * as Batches from "./Batches.js"
import * as Endpoint from "./Endpoint.js"
import * as FaultAnswer from "./FaultAnswer.js"
import * as Incoming from "./Incoming.js"
import { badRequest, Problem, toAnswer } from "./Problem.js"
import type { Passage } from "./RateLimit.js"
import * as Seed from "./Seed.js"
import type { Handler } from "./Serve.js"

/** What the API needs. */
export interface Options extends Batches.Options, Account.Options {
  readonly apiKey: string
  readonly rateLimit: Effect.Effect<Passage>
  /** The one that calls of usage events share. */
  readonly usageRateLimit: Effect.Effect<Passage>
}

const apiVersion = "2025-11-01"

/** The handler of the API. Every answer tells the id of its request and, if it got so far, the rate limit. */
export const make = (options: Options): Handler => {
  let requests = 0
  return (incoming, effects) =>
    Effect.suspend(() => {
      const id = Seed.uuid(options.seed, "request", ++requests)
      return (
        FaultAnswer.isUnprocessed(effects)
          ? Effect.succeed(FaultAnswer.gateway)
          : Effect.flatMap(Incoming.received(incoming), (received) => respond(options, received, id))
      ).pipe(Effect.map((answer) => Answer.withHeaders(answer, { "x-request-id": id })))
    })
}

/** A submit that was read is processed to its end and told, even if the peer goes away. */
const respond = (options: Options, incoming: Incoming.Incoming, id: string): Effect.Effect<Answer.Answer> =>
  Effect.gen(function* () {
    const at = yield* Clock.currentTimeMillis
    yield* options.credits.balance
    const limit = Account.isUsage(incoming.path) ? options.usageRateLimit : options.rateLimit
    const passage = yield* limit
    const outcome = yield* admit(options, incoming, passage).pipe(
      Effect.zipRight(route(options, incoming)),
      Effect.either
    )
    yield* tell(options, incoming, id, at, outcome)
    const headers = { ...passage.headers, date: new Date(at).toUTCString() }
    return Answer.withHeaders(answerOf(outcome), headers)
  }).pipe(incoming.method === "POST" ? Effect.uninterruptible : Effect.interruptible)

const answerOf = (outcome: Either.Either<Answer.Answer, Problem>): Answer.Answer =>
  Either.merge(Either.mapLeft(outcome, toAnswer))

const admit = (
  { apiKey }: Options,
  { headers }: Incoming.Incoming,
  { allowed }: Passage
): Effect.Effect<void, Problem> => {
  if (headers.authorization !== `Bearer ${apiKey}`) {
    const what = headers.authorization === undefined ? "Missing" : "Invalid"
    return new Problem({ status: 401, message: `${what} API key in request` })
  }
  return allowed ? Effect.void : new Problem({ status: 429, message: "Rate limit exceeded" })
}

/** Every request of the account becomes a usage event, except those for usage events. */
const tell = (
  { usage }: Options,
  incoming: Incoming.Incoming,
  id: string,
  at: number,
  outcome: Either.Either<Answer.Answer, Problem>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { status } = answerOf(outcome)
    if (usage === undefined || status === 401 || Account.isUsage(incoming.path)) return
    const body = incoming.method === "POST" ? yield* Effect.option(incoming.body) : Option.none()
    const { method, path } = incoming
    yield* usage.record({
      id,
      at,
      surface: "api",
      method,
      endpoint: path,
      status,
      credits: 0,
      results: 0,
      problem: Option.getOrUndefined(Either.getLeft(outcome)),
      request: { incoming, body: Option.getOrUndefined(body) }
    })
  })

const route = (options: Options, incoming: Incoming.Incoming): Effect.Effect<Answer.Answer, Problem> => {
  const { method, path } = incoming
  const endpoint = Endpoint.at(path)
  if (method === "POST" && endpoint !== undefined) return submit(options, endpoint, incoming)
  const read = readable(options, incoming)
  if (read === undefined) return new Problem({ status: 404, message: "No such resource" })
  return method === "GET" ? read : new Problem({ status: 405, message: `${method} is not allowed here` })
}

const readable = (
  options: Options,
  incoming: Incoming.Incoming
): Effect.Effect<Answer.Answer, Problem> | undefined => {
  const [, resource = incoming.path, id = ""] =
    /^(\/batch|\/account\/usage\/events)\/([^/]+)$/.exec(incoming.path) ?? []
  switch (`${resource}${id === "" ? "" : "/{id}"}`) {
    case "/batch":
      return Batches.list(options, incoming)
    case "/batch/{id}":
      return Batches.status(options, id)
    case "/account/usage/events":
      return Effect.zipRight(versioned(incoming), Account.events(options, incoming))
    case "/account/usage/events/{id}":
      return Effect.zipRight(versioned(incoming), Account.event(options, id))
    case "/account/endpoints":
      return Account.endpoints(options)
    case "/account/credits":
    case "/user/credits":
      return Account.credits(options)
    default:
      return undefined
  }
}

const submit = (
  options: Options,
  endpoint: Endpoint.Endpoint,
  incoming: Incoming.Incoming
): Effect.Effect<Answer.Answer, Problem> =>
  options.disabledEndpoints.includes(incoming.path)
    ? new Problem({ status: 403, message: `Your plan does not include ${incoming.path}` })
    : Effect.zipRight(versioned(incoming), Batches.submit(options, endpoint, incoming))

const versioned = ({ headers }: Incoming.Incoming): Effect.Effect<void, Problem> =>
  headers["x-api-version"] === apiVersion
    ? Effect.void
    : badRequest(`The header x-api-version: ${apiVersion} is required`)
