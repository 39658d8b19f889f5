/**
 * Completion calls: what the outbox holds is sent to its URL until it is settled by a 2xx, for a day; then it is dead,
 * until it is redriven. A call may come more than once, always under the same `webhook-id`.
 *
 * @example
 * import { Notification } from "@org/batch-durable"
 * import { Effect } from "effect"
 *
 * const redriveAll = (account: string) =>
 *   Effect.flatMap(Notification.deadLetters(account), (letters) =>
 *     Effect.forEach(letters, ({ id }) => Notification.redrive(account, id))
 *   )
 */
import { maskText } from "@org/batch-core/Masking"
import { Cause, Clock, Duration, Effect, Option, Schedule } from "effect"
import { request as httpRequest } from "node:http"
import { request as httpsRequest } from "node:https"
import { isIP } from "node:net"
import type { Reach } from "./Reach.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { figure, text } from "./Rows.js"
import { Settings } from "./Settings.js"
import * as Signature from "./Signature.js"
import { patiently, type Service, Store } from "./Store.js"

/** The pauses after each call that was not settled: the fast ones, then hourly, for a day in all. */
export const schedule: ReadonlyArray<Duration.Duration> = [
  Duration.seconds(5),
  Duration.seconds(30),
  Duration.minutes(2),
  Duration.minutes(10),
  Duration.minutes(30),
  ...Array.from({ length: 23 }, () => Duration.hours(1))
]

/** A call that was given up. */
export interface DeadLetter {
  /** Its `webhook-id`. */
  readonly id: string
  readonly retrievalId: string
  /** Without its query, in which a secret may be. */
  readonly url: string
  readonly attempts: number
  /** What came of the last one. */
  readonly detail: string
}

/** The calls of an account that were given up, newest first, at most 100. */
export const deadLetters = (
  account: string
): Effect.Effect<ReadonlyArray<DeadLetter>, StoreUnavailable, Store> =>
  Effect.flatMap(Store, (store) =>
    Effect.map(
      store.query(
        `SELECT id, retrieval_id, url, attempts, detail FROM batch.notification
          WHERE account = $1 AND state = 'dead' ORDER BY created_at DESC LIMIT 100`,
        [account]
      ),
      (rows) =>
        rows.map((row) => ({
          id: text(row["id"]),
          retrievalId: text(row["retrieval_id"]),
          url: maskText(text(row["url"])),
          attempts: figure(row["attempts"]),
          detail: text(row["detail"])
        }))
    )
  )

/** Makes a call that was given up due at once, with a day before it again; false if there is none. */
export const redrive = (account: string, id: string): Effect.Effect<boolean, StoreUnavailable, Store> =>
  Effect.flatMap(Store, (store) =>
    Effect.map(
      store.query(
        `UPDATE batch.notification SET state = 'pending', attempts = 0, next_at = clock_timestamp()
          WHERE account = $1 AND id::text = $2 AND state = 'dead' RETURNING id`,
        [account, id]
      ),
      (rows) => rows.length > 0
    )
  )

interface Call {
  readonly id: string
  readonly url: string
  readonly body: string
  readonly attempts: number
}

/** How long a call may take. */
const patience = Duration.seconds(15)

/** Longer than a call may take: then another process may make it. */
const lease = "30 seconds"

/** Calls made at a time in one process. */
const atOnce = 8

/** Makes the calls that are due, for ever. */
export const deliver: Effect.Effect<never, never, Store | Settings> = Effect.gen(function* () {
  const store = yield* Store
  const settings = yield* Settings
  const round = Effect.gen(function* () {
    const calls = yield* claim(store)
    yield* Effect.forEach(calls, (call) => make(store, settings, call), {
      concurrency: atOnce,
      discard: true
    })
    return calls.length
  })
  return yield* Option.isNone(settings.webhookSecret)
    ? Effect.never
    : round.pipe(
        Effect.catchAllDefect((defect) =>
          Effect.as(Effect.logError("completion calls", Cause.die(defect)), 0)
        ),
        Effect.catchTag("StoreUnavailable", () => Effect.succeed(0)),
        Effect.flatMap((made) => (made === 0 ? Effect.sleep("1 second") : Effect.void)),
        Effect.repeat(Schedule.forever),
        Effect.zipRight(Effect.never)
      )
})

const claim = (store: Service): Effect.Effect<ReadonlyArray<Call>, StoreUnavailable> =>
  Effect.map(
    store.query(
      `UPDATE batch.notification SET attempts = attempts + 1, next_at = clock_timestamp() + interval '${lease}'
        WHERE id IN (SELECT id FROM batch.notification WHERE state = 'pending' AND next_at <= now()
          ORDER BY next_at LIMIT ${atOnce} FOR UPDATE SKIP LOCKED) RETURNING id, url, body, attempts`
    ),
    (rows) =>
      rows.map((row) => ({
        id: text(row["id"]),
        url: text(row["url"]),
        body: text(row["body"]),
        attempts: figure(row["attempts"])
      }))
  )

const make = (store: Service, { reach, webhookSecret }: Settings["Type"], call: Call) =>
  Effect.gen(function* () {
    const timestamp = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const signed = Option.map(webhookSecret, (secret) => Signature.headers(secret, { ...call, timestamp }))
    const answer = yield* post(
      call,
      Option.getOrElse(signed, () => ({})),
      reach
    ).pipe(
      Effect.timeoutTo({
        duration: patience,
        onSuccess: (said) => said,
        onTimeout: () => `no answer in ${Duration.toSeconds(patience)} seconds`
      })
    )
    const isSettled = /^HTTP 2\d\d$/u.test(answer)
    const pause = schedule[call.attempts - 1]
    const state = isSettled ? "delivered" : pause === undefined ? "dead" : "pending"
    if (state === "dead") yield* Effect.logWarning(`completion call ${call.id} was given up: ${answer}`)
    yield* patiently(
      store.query(
        `UPDATE batch.notification SET state = $2, detail = $3,
          next_at = clock_timestamp() + $4::float8 * interval '1 ms' WHERE id = $1 AND attempts = $5`,
        [call.id, state, answer, Duration.toMillis(pause ?? Duration.zero), call.attempts]
      )
    )
  })

/** What came of a call, in a few words. Redirects are not followed. */
const post = (
  { body, url }: Call,
  headers: Readonly<Record<string, string>>,
  reach: Reach
): Effect.Effect<string> =>
  Effect.async<string>((resume, signal) => {
    const target = new URL(url)
    const host = target.hostname.replace(/^\[|\]$/gu, "")
    if (isIP(host) !== 0 && !reach.allows(host)) {
      return resume(Effect.succeed(`${host} is not a public address`))
    }
    const request = target.protocol === "https:" ? httpsRequest : httpRequest
    const sent = request(
      target,
      {
        method: "POST",
        agent: false,
        lookup: reach.lookup,
        signal,
        headers: {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
          "user-agent": "batch-retriever",
          ...headers
        }
      },
      (answer) => {
        answer.on("error", () => undefined).resume()
        resume(Effect.succeed(`HTTP ${answer.statusCode ?? 0}`))
        answer.once("end", () => sent.destroy())
      }
    )
    sent.on("error", (error) => resume(Effect.succeed(maskText(error.message) || "the connection failed")))
    sent.end(body)
  })
