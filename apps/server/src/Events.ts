/**
 * Server-Sent Events of a job: `status` for each change, `end` last, and trouble as comments. The id of an event encodes
 * the state that the caller has seen, so a caller that reconnects with `Last-Event-ID` is sent only what is new.
 */
import { HttpServerResponse } from "@effect/platform"
import { type Batch, isKnown, isTerminal } from "@org/batch-core/Batch"
import type { BatchError } from "@org/batch-core/BatchError"
import type { Excuse } from "@org/batch-core/BatchPoll"
import { maskText } from "@org/batch-core/Masking"
import { Chunk, Effect, Either, Fiber, Option, Schedule, type Scope, Stream } from "effect"
import { createHash } from "node:crypto"
import * as JobBody from "./JobBody.js"
import * as Metrics from "./Metrics.js"

/** The interval of comment lines, which keep proxies from closing the connection as idle. */
const heartbeat = "15 seconds"

/** The first block of a stream: a client whose connection is lost reconnects after 3 s. */
const comeBack = "retry: 3000\n\n"

/** The last block of a stream that ends before its job: whoever comes back gets the same answer, so a minute will do. */
const later = "retry: 60000\n\n"

/** How long the response waits for a first state, by which a job that does not exist is told by a status: at once, to people. */
const patience = "500 millis"

/** The id of a `status` event: what changes while a job runs. A state that we do not know is the upstream's own text. */
const idOf = ({ entitiesFulfilled, resultCount, status }: Batch): string => {
  const state = isKnown(status) ? status : createHash("sha256").update(status).digest("hex").slice(0, 16)
  return `${state}:${resultCount}:${entitiesFulfilled}`
}

/** The id of the `end` event. */
const endOf = (batch: Batch): string => `${idOf(batch)}:end`

const event = (name: string, id: string, batch: Batch): string =>
  `id: ${id}\nevent: ${name}\ndata: ${JobBody.text(batch)}\n\n`

/** A comment of one line. */
const comment = (error: BatchError): string =>
  `: ${maskText(`${error._tag}: ${error.message}`).replace(/[\s\p{Cc}]+/gu, " ")}\n\n`

/** What happens to a job: its states, and requests that failed. */
export type News<E> = Stream.Stream<Either.Either<Batch, Excuse>, E>

/** The events and comments of a job; an event is left out if `lastId`, or the one before, says that the caller has seen it. */
const events = <E extends BatchError>(news: News<E>, lastId: string | undefined): Stream.Stream<string> =>
  news.pipe(
    Stream.mapAccum(lastId, (seen, latest) =>
      Either.match(latest, {
        onLeft: (error) => [seen, [comment(error)]],
        onRight: (batch) => [
          idOf(batch),
          [
            ...(idOf(batch) === seen ? [] : [event("status", idOf(batch), batch)]),
            ...(isTerminal(batch.status) ? [event("end", endOf(batch), batch)] : [])
          ]
        ]
      })
    ),
    Stream.flattenIterables,
    Stream.catchAll((error) => Stream.make(comment(error), later))
  )

/** The first one would come at once. */
const beats = Stream.repeatEffectWithSchedule(Effect.succeed(":\n\n"), Schedule.spaced(heartbeat)).pipe(
  Stream.drop(1)
)

/** The response to a client that has seen the end: 204 tells it not to reconnect (HTML standard, server-sent events). */
const nothingNew = HttpServerResponse.empty({ status: 204 })

/**
 * The response that streams a job's events until the job has ended, or until `cut` completes. It comes at once: what is
 * known by then may still be told by a status, a failure as one of `E`.
 */
export const respond = <E extends BatchError>(
  news: News<E>,
  options: { readonly lastId: string | undefined; readonly cut: Effect.Effect<void> }
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, Scope.Scope> =>
  Effect.gen(function* () {
    const pull = yield* Stream.toPull(news)
    const first = yield* Effect.forkScoped(pull)
    const head = yield* Fiber.join(first).pipe(
      Effect.catchAll(Option.match({ onNone: () => Effect.succeed(Chunk.empty()), onSome: Effect.fail })),
      Effect.timeoutTo({ duration: patience, onSuccess: Chunk.head, onTimeout: Option.none })
    )
    const seen = Option.flatMap(head, Either.getRight)
    if (Option.exists(seen, (batch) => endOf(batch) === options.lastId)) return nothingNew
    yield* Metrics.whileOpen("events")
    const all = Stream.repeatEffectChunkOption(Effect.suspend(nextOf(first, pull)))
    return HttpServerResponse.stream(
      Stream.make(comeBack).pipe(
        Stream.concat(Stream.merge(events(all, options.lastId), beats, { haltStrategy: "left" })),
        Stream.interruptWhen(options.cut),
        Stream.encodeText
      ),
      {
        contentType: "text/event-stream",
        headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
      }
    )
  })

/** What was pulled ahead, and then the rest, piece by piece. */
const nextOf = <A, E>(first: Fiber.Fiber<A, E>, pull: Effect.Effect<A, E>): (() => Effect.Effect<A, E>) => {
  let isFirst = true
  return () => {
    const next = isFirst ? Fiber.join(first) : pull
    isFirst = false
    return next
  }
}
