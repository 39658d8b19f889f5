/**
 * The rate of one account's requests to the API, held by all processes together: a row says when the next request may go
 * out (GCRA), is moved on by each, and is postponed by a refusal. Answers teach the rate.
 */
import { HttpClient, type HttpClientResponse } from "@effect/platform"
import * as BatchClient from "@org/batch-core/BatchClient"
import type { BatchConfig } from "@org/batch-core/BatchConfig"
import { BatchHttp } from "@org/batch-core/BatchHttp"
import { Context, Duration, Effect, FiberRef, Option, RcMap, type Redacted, type Scope } from "effect"
import { Accounts } from "./Account.js"
import { figure } from "./Rows.js"
import * as Secrets from "./Secrets.js"
import { Settings } from "./Settings.js"
import { patiently, Store } from "./Store.js"

/** A request that was paid for before its call. */
const prepaid = FiberRef.unsafeMake<{ left: number }>({ left: 0 })

/** Runs a call, whose first request the gate has let pass already. */
export const withPrepaid = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.locally(call, prepaid, { left: 1 }))

/** A little less than what is allowed: windows of others open at other moments than ours. */
const margin = 1.05

/** What an answer says of the pace that is allowed, in milliseconds between requests, and until when there is none. */
export interface Lesson {
  readonly intervalMs: number | undefined
  readonly closedMs: number
}

const seconds = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/u.test(text.trim()) ? Number(text) : undefined

/** The pause after a refusal that names none, in milliseconds. */
const refusalMs = 30_000

/** A day: a longer pause is none. */
const longestMs = 86_400_000

/** Reads `x-ratelimit-*` and `Retry-After` of an answer. A limit counts for a minute, unless its window is longer. */
export const lesson = (status: number, headers: Readonly<Record<string, string | undefined>>): Lesson => {
  const limit = seconds(headers["x-ratelimit-limit"])
  const remaining = seconds(headers["x-ratelimit-remaining"])
  const reset = seconds(headers["x-ratelimit-reset"])
  const isKnown = reset !== undefined && remaining !== undefined && reset * 1000 <= longestMs
  const rest = isKnown && remaining > 0 ? (reset * 1000) / remaining : 0
  const even = limit === undefined || limit === 0 ? 0 : 60_000 / limit
  const interval = Math.max(rest, even)
  const asked = seconds(headers["retry-after"]) ?? (isKnown ? reset : undefined) ?? refusalMs / 1000
  const refused = status === 429 ? Math.min(asked * 1000, longestMs) : 0
  return {
    intervalMs: limit === undefined || interval === 0 ? undefined : interval * margin,
    closedMs: Math.max(refused, isKnown && remaining === 0 ? reset * 1000 : 0)
  }
}

/** The core's client for one account, behind its gate. */
export type Session = BatchClient.BatchClient | BatchConfig | BatchHttp

/** The sessions of the accounts that are in use. */
export interface Sessions {
  readonly of: (account: string) => Effect.Effect<Context.Context<Session>, never, Scope.Scope>
}

/** Sessions that are opened when they are first used, and closed when they have not been for a while. */
export const sessions: Effect.Effect<Sessions, never, Store | Settings | Accounts | Scope.Scope> = Effect.gen(
  function* () {
    const store = yield* Store
    const settings = yield* Settings
    const accounts = yield* Accounts
    const lookup = (account: string) =>
      Effect.gen(function* () {
        const key = settings.passThrough ? yield* keyOf(account) : Option.none()
        const session = yield* accounts.open(account, key)
        const http = Context.get(session, BatchHttp)
        const gated = Context.add(session, BatchHttp, { ...http, api: gate(account)(http.api) })
        const client = yield* Effect.provide(BatchClient.make, gated)
        return Context.add(gated, BatchClient.BatchClient, {
          ...client,
          // The turn is waited for before the job is noted as sent: a long pause is no answer that was lost.
          submit: (request, options) =>
            Effect.zipRight(enter(account), withPrepaid(client.submit(request, options)))
        })
      })
    const keyOf = (account: string) =>
      Effect.map(
        patiently(store.query("SELECT sealed_key FROM batch.account WHERE account = $1", [account])),
        ([row]) => {
          const sealed = row?.["sealed_key"]
          return sealed instanceof Uint8Array
            ? Option.flatMap(settings.secret, (secret) => Secrets.open(secret, account, sealed))
            : Option.none<Redacted.Redacted<string>>()
        }
      )

    /** Waits for a turn of one's own: the row moves on before the pause, so that nobody asks twice. */
    const enter = (account: string) =>
      Effect.gen(function* () {
        const paid = yield* FiberRef.get(prepaid)
        if (paid.left > 0) return void (paid.left -= 1)
        const [row] = yield* patiently(
          store.query(
            `UPDATE batch.gate SET tat = greatest(tat, clock_timestamp() - burst_ms * interval '1 ms')
                + interval_ms * interval '1 ms'
              WHERE account = $1
              RETURNING extract(epoch FROM tat - interval_ms * interval '1 ms' - clock_timestamp())::float8 AS wait`,
            [account]
          )
        )
        yield* Effect.sleep(Duration.seconds(Math.max(0, figure(row?.["wait"]))))
      })

    const taught = new Map<string, number>()
    const learn = (account: string, answer: HttpClientResponse.HttpClientResponse) =>
      Effect.gen(function* () {
        const { closedMs, intervalMs } = lesson(answer.status, answer.headers)
        const known = taught.get(account)
        const isNews =
          intervalMs !== undefined && (known === undefined || Math.abs(intervalMs / known - 1) > 0.1)
        if (!isNews && closedMs === 0) return
        if (isNews) taught.set(account, intervalMs)
        yield* (
          store
            .query(
              `UPDATE batch.gate SET interval_ms = coalesce($2::float8, interval_ms),
              tat = greatest(tat, clock_timestamp() + $3::float8 * interval '1 ms') WHERE account = $1`,
              [account, isNews ? intervalMs : null, closedMs]
            )
            // The next answer teaches it again.
            .pipe(Effect.catchAll(() => Effect.sync(() => void taught.delete(account))))
        )
      })

    const gate =
      (account: string) =>
      <E>(client: HttpClient.HttpClient.With<E>): HttpClient.HttpClient.With<E> =>
        HttpClient.transform(client, (answer) =>
          enter(account).pipe(
            Effect.zipRight(answer),
            Effect.tap((response) => learn(account, response))
          )
        )

    const open = yield* RcMap.make({ lookup, idleTimeToLive: "15 minutes" })
    return { of: (account) => RcMap.get(open, account) }
  }
)
