/**
 * Server-Sent Events of a job or a retrieval: one for each change, `end` last, and trouble as comments. The id of an event
 * encodes the state that the caller has seen, so a caller that reconnects with `Last-Event-ID` is sent only what is new.
 */
import { HttpServerResponse } from "@effect/platform"
import { type Batch, isKnown, isTerminal } from "@org/batch-core/Batch"
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

/** What a stream tells of. */
export interface Subject<A> {
  /** The name of the event that tells of a change. */
  readonly event: string
  /** What changes until the end, as the id of an event: one line. */
  readonly idOf: (state: A) => string
  readonly hasEnded: (state: A) => boolean
  /** The data of an event: one line. */
  readonly text: (state: A) => string
}

/** A job. A status that we do not know is the upstream's own text. */
export const ofJob: Subject<Batch> = {
  event: "status",
  idOf: ({ entitiesFulfilled, resultCount, status }) => {
    const state = isKnown(status) ? status : createHash("sha256").update(status).digest("hex").slice(0, 16)
    return `${state}:${resultCount}:${entitiesFulfilled}`
  },
  hasEnded: ({ status }) => isTerminal(status),
  text: JobBody.text
}

/** A failure, as it is told in a comment. */
interface Trouble {
  readonly _tag: string
  readonly message: string
}

/** A comment of one line. */
const comment = (error: Trouble): string =>
  `: ${maskText(`${error._tag}: ${error.message}`).replace(/[\s\p{Cc}]+/gu, " ")}\n\n`

/** What happens: states, and requests that failed. */
export type News<A, E> = Stream.Stream<Either.Either<A, Trouble>, E>

/** The events and comments of a subject; an event is left out if `lastId`, or the one before, says that the caller has seen it. */
const events = <A, E extends Trouble>(
  subject: Subject<A>,
  news: News<A, E>,
  lastId: string | undefined
): Stream.Stream<string> => {
  const event = (name: string, id: string, state: A): string =>
    `id: ${id}\nevent: ${name}\ndata: ${subject.text(state)}\n\n`
  return news.pipe(
    Stream.mapAccum(lastId, (seen, latest) =>
      Either.match(latest, {
        onLeft: (error) => [seen, [comment(error)]],
        onRight: (state) => {
          const id = subject.idOf(state)
          return [
            id,
            [
              ...(id === seen ? [] : [event(subject.event, id, state)]),
              ...(subject.hasEnded(state) ? [event("end", endOf(id), state)] : [])
            ]
          ]
        }
      })
    ),
    Stream.flattenIterables,
    Stream.catchAll((error) => Stream.make(comment(error), later))
  )
}

/** The id of the `end` event. */
const endOf = (id: string): string => `${id}:end`

/** The first one would come at once. */
const beats = Stream.repeatEffectWithSchedule(Effect.succeed(":\n\n"), Schedule.spaced(heartbeat)).pipe(
  Stream.drop(1)
)

/** The response to a client that has seen the end: 204 tells it not to reconnect (HTML standard, server-sent events). */
const nothingNew = HttpServerResponse.empty({ status: 204 })

/**
 * The response that streams events until the subject has ended, or until `cut` completes. It comes at once: what is known
 * by then may still be told by a status, a failure as one of `E`.
 */
export const respond = <A, E extends Trouble>(
  subject: Subject<A>,
  news: News<A, E>,
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
    if (Option.exists(seen, (state) => endOf(subject.idOf(state)) === options.lastId)) return nothingNew
    yield* Metrics.whileOpen("events")
    const all = Stream.repeatEffectChunkOption(Effect.suspend(nextOf(first, pull)))
    return HttpServerResponse.stream(
      Stream.make(comeBack).pipe(
        Stream.concat(Stream.merge(events(subject, all, options.lastId), beats, { haltStrategy: "left" })),
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
