/**
 * Server-Sent Events of a job: `status` for each change, `end` last. The id of an event encodes the state that the caller
 * has seen, so a caller that reconnects with `Last-Event-ID` is sent only what is new.
 */
import { HttpServerResponse } from "@effect/platform"
import { type Batch, isTerminal } from "@org/batch-core/Batch"
import { Chunk, Effect, Option, Schedule, type Scope, Stream } from "effect"
import { waitForFirstChunk } from "./FirstChunk.js"
import * as JobBody from "./JobBody.js"
import * as Metrics from "./Metrics.js"

/** The interval of comment lines, which keep proxies from closing the connection as idle. */
const heartbeat = "15 seconds"

/** The first block of a stream: a client whose connection is lost reconnects after 3 s. */
const comeBack = "retry: 3000\n\n"

/** The id of a `status` event: what changes while a job runs. */
const idOf = ({ entitiesFulfilled, resultCount, status }: Batch): string =>
  `${status}:${resultCount}:${entitiesFulfilled}`

/** The id of the `end` event. */
const endOf = (batch: Batch): string => `${idOf(batch)}:end`

const event = (name: string, id: string, batch: Batch): string =>
  `id: ${id}\nevent: ${name}\ndata: ${JobBody.text(batch)}\n\n`

/** The events of a job; the first one is left out if `lastId` says that the caller has seen it. */
const events = <E>(batches: Stream.Stream<Batch, E>, lastId: string | undefined): Stream.Stream<string, E> =>
  batches.pipe(
    Stream.changesWith((before, after) => idOf(before) === idOf(after)),
    Stream.map((batch) => [
      ...(idOf(batch) === lastId ? [] : [event("status", idOf(batch), batch)]),
      ...(isTerminal(batch.status) ? [event("end", endOf(batch), batch)] : [])
    ]),
    Stream.flattenIterables
  )

/** The first one would come at once. */
const beats = Stream.repeatEffectWithSchedule(Effect.succeed(":\n\n"), Schedule.spaced(heartbeat)).pipe(
  Stream.drop(1)
)

/** The response to a client that has seen the end: 204 tells it not to reconnect (HTML standard, server-sent events). */
const nothingNew = HttpServerResponse.empty({ status: 204 })

/**
 * The response that streams a job's events until the job has ended, or until `cut` completes. Waits for the first state,
 * and fails if there is none.
 */
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
