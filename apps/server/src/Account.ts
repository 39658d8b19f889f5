/**
 * What callers with the same key share: calls that are under way, kept answers, waits, and one throttle. With a key of
 * its own the service has one account; without, each token of a caller is one, and nothing passes between them.
 */
import type { HttpClient, HttpServerRequest } from "@effect/platform"
import * as BatchClient from "@org/batch-core/BatchClient"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import * as BatchHttp from "@org/batch-core/BatchHttp"
import * as SharedWatch from "@org/batch-core/SharedWatch"
import * as StatusCache from "@org/batch-core/StatusCache"
import { Context, Duration, Effect, Layer, RcMap, type Scope } from "effect"
import { bearer } from "./Access.js"
import { Problem } from "./Problem.js"
import { isPassThrough, withKey } from "./Settings.js"

/** What the core needs to work for one key. */
export type Session = BatchClient.BatchClient | BatchConfig | BatchHttp.BatchHttp

/** One key's share of the service. */
export interface Account {
  readonly cache: StatusCache.StatusCache
  readonly watches: SharedWatch.SharedWatch
  readonly session: Context.Context<Session>
}

/** All accounts. */
export class Accounts extends Context.Tag("@org/batch-server/Accounts")<
  Accounts,
  {
    /** The account of whoever sent a request, theirs until the scope is closed. */
    readonly of: (
      request: HttpServerRequest.HttpServerRequest
    ) => Effect.Effect<Account, Problem, Scope.Scope>
  }
>() {}

/** An account that nobody uses is forgotten after this time. */
const idle = "15 minutes"

/** More keys at the same time are refused: whoever makes them up must not fill the memory. */
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
      BatchClient.layer.pipe(
        Layer.provideMerge(BatchHttp.layer),
        Layer.provideMerge(
          Layer.effect(
            BatchConfig,
            Effect.map(BatchConfig, (config) => withKey(config, token))
          )
        )
      )
    )
    const cache = yield* Effect.provide(StatusCache.make, session)
    const shared = Context.add(session, BatchClient.BatchClient, cache.client)
    return { cache, watches: yield* Effect.provide(SharedWatch.make, shared), session: shared }
  })

/** With a key of our own there is one account for all; else they are opened as callers come. */
export const layer: Layer.Layer<Accounts, never, BatchConfig | HttpClient.HttpClient> = Layer.scoped(
  Accounts,
  Effect.gen(function* () {
    if (!isPassThrough(yield* BatchConfig)) {
      const only = Effect.succeed(yield* open(""))
      return { of: () => only }
    }
    const accounts = yield* RcMap.make({ lookup: open, idleTimeToLive: idle, capacity })
    return {
      of: (request) => Effect.mapError(RcMap.get(accounts, bearer(request)), () => tooMany)
    }
  })
)
