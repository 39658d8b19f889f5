/**
 * A step that cannot be aborted, and does not believe that it was taken over: it publishes, writes and settles as if the
 * download were still its own, and tells how many rows each of its late writes has changed.
 */
import { Effect, Fiber, Option } from "effect"
import * as Downloads from "../src/Downloads.js"
import * as Step from "../src/Step.js"
import { patiently, Store } from "../src/Store.js"

export { clear, Lost, stageOf } from "../src/Step.js"

const tell = (late: string, changed: boolean) =>
  Effect.sync(() => void process.stdout.write(`${JSON.stringify({ late, rows: changed ? 1 : 0 })}\n`))

/** As `Step.run`, with a pause before it publishes. */
export const run: typeof Step.run = (held, handle, settings) =>
  Effect.gen(function* () {
    const store = Option.getOrThrow(yield* Effect.serviceOption(Store))
    const heedless = (what: string, effect: Effect.Effect<void, Step.Lost>) =>
      Effect.catchTag(effect, "Lost", () => tell(what, false))
    const heedlessly = {
      ...handle,
      note: (note: Downloads.Note) =>
        Effect.zipRight(Effect.sleep("2 seconds"), heedless("note", handle.note(note))),
      still: heedless("still", handle.still)
    }
    // Nobody aborts it; what it aborts of itself, as it does when its lock is gone, is aborted.
    const work = yield* Effect.forkDaemon(Effect.interruptible(Step.run(held, heedlessly, settings)))
    const outcome = yield* Fiber.join(work)
    if (!(yield* patiently(Downloads.isMine(store, held)))) {
      yield* tell(`progress`, yield* patiently(Downloads.write(store, held, "bytes = 1", [])))
      yield* tell(`settle ${outcome._tag}`, yield* patiently(Downloads.settle(store, held, outcome)))
    }
    return outcome
  }).pipe(Effect.uninterruptible)
