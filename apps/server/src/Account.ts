/**
 * Accounts: what callers with the same API key share, namely calls under way, cached statuses, waits, and one throttle.
 * With a key of its own the service has one account for all callers; without, each caller's token is an account of its
 * own, and nothing is shared between different ones.
 */
import type { HttpClient, HttpServerRequest } from "@effect/platform"
import * as BatchClient from "@org/batch-core/BatchClient"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import * as BatchHttp from "@org/batch-core/BatchHttp"
import * as Monotonic from "@org/batch-core/Monotonic"
import * as SharedWatch from "@org/batch-core/SharedWatch"
import * as StatusCache from "@org/batch-core/StatusCache"
import { Context, Duration, Effect, Exit, Layer, Scope } from "effect"
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

/** An unused account is closed after this time, in milliseconds, and looked for so often. */
const idle = Duration.toMillis("15 minutes")
const sweeping = "1 minute"

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
    const config = withKey(yield* BatchConfig, token)
    const http = yield* Effect.provideService(BatchHttp.make, BatchConfig, config)
    const needs = Context.make(BatchConfig, config).pipe(Context.add(BatchHttp.BatchHttp, http))
    const client = yield* Effect.provide(BatchClient.make, needs)
    const cache = yield* StatusCache.make.pipe(
      Effect.provide(Context.add(needs, BatchClient.BatchClient, client))
    )
    const session: Context.Context<Session> = Context.add(needs, BatchClient.BatchClient, cache.client)
    return { cache, watches: yield* Effect.provide(SharedWatch.make, session), session }
  })

/** Runs outside of the caller's context: what it makes would keep the request, and its connection, as long as itself. */
const alone = <A, E, R>(effect: Effect.Effect<A, E, R>, needs: Context.Context<R>): Effect.Effect<A, E> =>
  Effect.mapInputContext(effect, () => needs)

/** An open account. While nobody uses it, it holds nothing of the requests that did: no fiber, timer or context. */
interface Entry {
  readonly account: Account
  readonly scope: Scope.CloseableScope
  /** How many requests hold it. */
  users: number
  /** When it was used last, on the monotonic clock. */
  touched: number
}

/** One account, if the service has a key; else one for each key that callers bring, opened when it is first used. */
export const layer: Layer.Layer<Accounts, never, BatchConfig | HttpClient.HttpClient> = Layer.scoped(
  Accounts,
  Effect.gen(function* () {
    if (!isPassThrough(yield* BatchConfig)) {
      const only = yield* open("")
      return { of: () => Effect.succeed(only), opened: () => only }
    }
    const needs = yield* Effect.context<BatchConfig | HttpClient.HttpClient>()
    const clock = yield* Effect.clock
    const turn = yield* Effect.makeSemaphore(1)
    const entries = new Map<string, Entry>()

    const held = (token: string): Effect.Effect<Entry, Problem> =>
      Effect.gen(function* () {
        const known = entries.get(token)
        if (known !== undefined) return hold(known)
        if (entries.size >= capacity) return yield* tooMany
        const scope = yield* Scope.make()
        const account = yield* alone(open(token), Context.add(needs, Scope.Scope, scope))
        const entry = { account, scope, users: 0, touched: 0 }
        entries.set(token, entry)
        return hold(entry)
      }).pipe(turn.withPermits(1))

    const hold = (entry: Entry): Entry => {
      entry.users += 1
      return entry
    }
    const close = (isOver: (entry: Entry) => boolean): Effect.Effect<void> =>
      Effect.suspend(() =>
        Effect.forEach(
          [...entries],
          ([token, entry]) => {
            if (!isOver(entry)) return Effect.void
            entries.delete(token)
            return Scope.close(entry.scope, Exit.void)
          },
          { discard: true }
        )
      )
    yield* Effect.addFinalizer(() => close(() => true))
    const sweep = close(({ touched, users }) => users === 0 && touched + idle <= Monotonic.unsafeNow(clock))
    yield* Effect.forkScoped(Effect.forever(Effect.delay(Effect.uninterruptible(sweep), sweeping)))

    return {
      of: (request) =>
        Effect.acquireRelease(held(bearer(request)), (entry) =>
          Effect.sync(() => {
            entry.users -= 1
            entry.touched = Monotonic.unsafeNow(clock)
          })
        ).pipe(Effect.map(({ account }) => account)),
      opened: (request) => {
        const entry = entries.get(bearer(request))
        if (entry !== undefined) entry.touched = Monotonic.unsafeNow(clock)
        return entry?.account
      }
    }
  })
)
