/** What the core tells, to whoever listens. */
import type * as Core from "@org/batch-core/Event"
import { Duration, Effect, Match } from "effect"
import type { Event, Listeners } from "../Event.js"
import * as Failures from "./Failures.js"
import * as Plain from "./Plain.js"

/** Tells the listeners, and waits for them. What they throw is a defect, which the call rejects with. */
export const emitOf =
  ({ onEvent, onProgress, onStatus }: Listeners): Core.Emit =>
  (event) =>
    Effect.suspend(() => {
      const told = plain(event)
      return Effect.all(
        [
          tell(onEvent, told),
          told._tag === "Progress" ? tell(onProgress, told) : Effect.void,
          told._tag === "Status" ? tell(onStatus, told.batch) : Effect.void
        ],
        { discard: true }
      )
    })

const tell = <A>(listener: ((value: A) => void | Promise<void>) | undefined, value: A): Effect.Effect<void> =>
  Effect.suspend(() => {
    const answer = listener?.(value)
    return answer === undefined ? Effect.void : Effect.promise(() => answer)
  })

const plain = (event: Core.Event): Event =>
  Match.value(event).pipe(
    Match.withReturnType<Event>(),
    Match.tags({
      Status: (status) => ({ ...status, batch: Plain.batch(status.batch) }),
      Planned: (planned) => ({ ...planned, batch: Plain.batch(planned.batch) }),
      Notice: ({ notice }) =>
        notice._tag === "RequestFailed" ? { ...notice, error: Failures.of(notice.error) } : notice,
      Retrying: ({ delay, ...retrying }) => ({ ...retrying, delaySeconds: Duration.toSeconds(delay) }),
      Settling: ({ delay, ...settling }) => ({ ...settling, delaySeconds: Duration.toSeconds(delay) }),
      LinkRefreshed: ({ _tag, detail }) => ({ _tag, detail })
    }),
    Match.orElse((other) => other)
  )
