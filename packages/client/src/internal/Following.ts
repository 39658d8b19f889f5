/** Follows the events of something at the service until its end, over connections that break. */
import { BatchError } from "../BatchError.js"
import type { Subject } from "./Refusals.js"
import * as ServerSentEvents from "./ServerSentEvents.js"
import { isPassing, pause, type Service } from "./Service.js"
import { Watchdog } from "./Watchdog.js"

/** Milliseconds of silence after which a stream of events counts as broken; the service says something each 15 s. */
const silence = 60_000

/** Connections that may fail in a row, which with their pauses is about five minutes. */
const patience = 12

const longestPause = 30_000

/** What to follow. */
export interface Options<A> {
  /** Of its events. */
  readonly path: string
  readonly subject: Subject
  /** Reads the data of an event. */
  readonly read: (data: string) => A
  readonly signal: AbortSignal | undefined
}

/** It as it is, then at every change, and last when it has ended. */
export async function* follow<A>(
  service: Service,
  { path, read, signal, subject }: Options<A>
): AsyncGenerator<A, void, undefined> {
  let [seen, lastId, failures, wait]: [string, string | undefined, number, number] = ["", undefined, 0, 1000]
  for (;;) {
    const quiet = new Watchdog(silence)
    try {
      const response = await service.open({
        method: "GET",
        path,
        headers: {
          accept: "text/event-stream",
          ...(lastId === undefined ? {} : { "last-event-id": lastId })
        },
        subject,
        signal: signal === undefined ? quiet.signal : AbortSignal.any([signal, quiet.signal]),
        repeatable: seen === ""
      })
      if (response.status === 204 || response.body === null) return
      const events = ServerSentEvents.read(response.body, {
        onBytes: () => quiet.touch(),
        onRetry: (milliseconds) => (wait = Math.min(milliseconds, longestPause))
      })
      for await (const event of events) {
        failures = 0
        lastId = event.id ?? lastId
        if (event.data !== seen) yield read((seen = event.data))
        if (event.name === "end") return
        signal?.throwIfAborted()
      }
    } catch (error) {
      signal?.throwIfAborted()
      const failure = error instanceof BatchError ? error : service.unreachable(error, failures + 1)
      if (seen === "" || failures >= patience || !isPassing(failure)) throw failure
    } finally {
      quiet.end()
    }
    await pause(Math.min(longestPause, wait * 2 ** failures++), signal)
  }
}
