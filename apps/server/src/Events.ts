/**
 * A job's changes as Server-Sent Events: `status` for each, `end` last. The id of an event says what the caller has
 * seen, so one that comes back after a lost connection is told only what is new.
 */
import { HttpServerResponse } from "@effect/platform"
import { type Batch, isTerminal } from "@org/batch-core/Batch"
import { Chunk, Effect, Option, Schedule, type Scope, Stream } from "effect"
import { waitForFirstChunk } from "./FirstChunk.js"
import * as JobBody from "./JobBody.js"
import * as Metrics from "./Metrics.js"

/** A comment line goes out so often, so that nobody on the way takes the connection for dead. */
const heartbeat = "15 seconds"

/** How soon a caller whose connection is lost comes back. */
const comeBack = "retry: 3000\n\n"

/** What an event's id says of a job. */
const idOf = ({ entitiesFulfilled, resultCount, status }: Batch): string =>
  `${status}:${resultCount}:${entitiesFulfilled}`

/** What the last event's id says. */
const endOf = (batch: Batch): string => `${idOf(batch)}:end`

const event = (name: string, id: string, batch: Batch): string =>
  `id: ${id}\nevent: ${name}\ndata: ${JobBody.text(batch)}\n\n`

/** The events of a job, from what a caller with `lastId` has not seen on. */
const events = <E>(batches: Stream.Stream<Batch, E>, lastId: string | undefined): Stream.Stream<string, E> =>
  batches.pipe(
    Stream.changesWith((before, after) => idOf(before) === idOf(after)),
    Stream.map((batch) => [
      ...(idOf(batch) === lastId ? [] : [event("status", idOf(batch), batch)]),
      ...(isTerminal(batch.status) ? [event("end", endOf(batch), batch)] : [])
    ]),
    Stream.flattenIterables
  )

const beats = Stream.repeatEffectWithSchedule(Effect.succeed(":\n\n"), Schedule.spaced(heartbeat)).pipe(
  Stream.drop(1)
)

/** What is left of an event stream when its reader has seen the end: 204 tells it not to come back. */
const nothingNew = HttpServerResponse.empty({ status: 204 })

/** The answer that follows a job until it has ended, or until `cut`. Fails if nothing is known of the job. */
export const respond = <E>(
  batches: Stream.Stream<Batch, E>,
  options: { readonly lastId: string | undefined; readonly cut: Effect.Effect<void> }
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, Scope.Scope> =>
  Effect.gen(function* () {
    const { head, stream } = yield* waitForFirstChunk(batches)
    if (Option.exists(Chunk.head(head), (batch) => endOf(batch) === options.lastId)) return nothingNew
    yield* Metrics.whileOpen("events")
    return HttpServerResponse.stream(
      Stream.make(comeBack).pipe(
        Stream.concat(Stream.merge(events(stream, options.lastId), beats, { haltStrategy: "left" })),
        Stream.interruptWhen(options.cut),
        Stream.encodeText
      ),
      {
        contentType: "text/event-stream",
        headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
      }
    )
  })
