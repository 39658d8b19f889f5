/**
 * Accounts: what callers with the same API key share, namely calls under way, cached statuses, waits, and one throttle.
 * With a key of its own the service has one account for all callers; without, each caller's token is an account of its
 * own, and nothing is shared between different ones.
 */
import type { HttpClient, HttpServerRequest } from "@effect/platform"
import * as BatchClient from "@org/batch-core/BatchClient"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import type * as BatchHttp from "@org/batch-core/BatchHttp"
import * as Monotonic from "@org/batch-core/Monotonic"
import * as SharedWatch from "@org/batch-core/SharedWatch"
import * as StatusCache from "@org/batch-core/StatusCache"
import { Context, Duration, Effect, Layer, RcMap, Runtime, type Scope } from "effect"
import { bearer, type Sent } from "./Access.js"
import { Problem } from "./Problem.js"
import { isPassThrough, withKey } from "./Settings.js"

/** The services of the core that are made for one API key. */
export type Session = BatchClient.BatchClient | BatchConfig | BatchHttp.BatchHttp

/** What requests with one API key share. */
export interface Account {
  /** Statuses that are final, or that several callers ask for at the same time. */
  readonly cache: StatusCache.Service
  /** One poll loop for each job, however many callers wait for it. */
  readonly watches: SharedWatch.Service
  readonly session: Context.Context<Session>
}

/** The accounts that are in use. */
export class Accounts extends Context.Tag("@org/batch-server/Accounts")<
  Accounts,
  {
    /** The account of a request's caller, held open until the scope is closed. Fails with 429 if there are too many. */
    readonly of: (
      request: HttpServerRequest.HttpServerRequest
    ) => Effect.Effect<Account, Problem, Scope.Scope>
    /** The account of a request's caller, if it is open already; it counts as used, but is not held. */
    readonly opened: (request: Sent) => Account | undefined
  }
>() {}

/** An unused account is closed after this time. */
const idle = "15 minutes"

/** The most accounts at a time: a caller that makes up keys must not fill the memory. */
const capacity = 1000

const tooMany = new Problem({
  status: 429,
  type: "RateLimited",
  message: "too many keys are in use at this service: try again later",
  retryAfter: Duration.minutes(1)
})

const open = (token: string) =>
  Effect.gen(function* () {
    const session = yield* Layer.build(
      BatchClient.layerOver(
        Layer.effect(
          BatchConfig,
          Effect.map(BatchConfig, (config) => withKey(config, token))
        )
      )
    )
    const cache = yield* Effect.provide(StatusCache.make, session)
    const shared = Context.add(session, BatchClient.BatchClient, cache.client)
    return { cache, watches: yield* Effect.provide(SharedWatch.make, shared), session: shared }
  })

/** An open account, and when it was last kept from being closed. */
interface Entry {
  readonly account: Account
  touched: number
}

/** How often an account that is used without being held is kept from being closed, in milliseconds. */
const touching = Duration.toMillis("1 minute")

/** One account, if the service has a key; else one for each key that callers bring, opened when it is first used. */
export const layer: Layer.Layer<Accounts, never, BatchConfig | HttpClient.HttpClient> = Layer.scoped(
  Accounts,
  Effect.gen(function* () {
    if (!isPassThrough(yield* BatchConfig)) {
      const only = yield* open("")
      return { of: () => Effect.succeed(only), opened: () => only }
    }
    const clock = yield* Effect.clock
    const entries = new Map<string, Entry>()
    const lookup = (token: string) =>
      Effect.tap(open(token), (account) =>
        Effect.acquireRelease(
          Effect.sync(() => entries.set(token, { account, touched: Monotonic.unsafeNow(clock) })),
          () => Effect.sync(() => entries.delete(token))
        )
      )
    const accounts = yield* RcMap.make({ lookup, idleTimeToLive: idle, capacity })
    const run = Runtime.runSync(yield* Effect.runtime<never>())
    return {
      of: (request) => Effect.mapError(RcMap.get(accounts, bearer(request)), () => tooMany),
      opened: (request) => {
        const token = bearer(request)
        const entry = entries.get(token)
        const now = Monotonic.unsafeNow(clock)
        if (entry !== undefined && now - entry.touched > touching) {
          entry.touched = now
          run(RcMap.touch(accounts, token))
        }
        return entry?.account
      }
    }
  })
)
