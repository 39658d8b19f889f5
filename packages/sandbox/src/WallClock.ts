/**
 * The sandbox reads the clock of whoever starts it, so that a test with a `TestClock` moves jobs, links and limits. What has to do with
 * sockets and files runs on the clock on the wall all the same.
 */
import { Clock, Effect } from "effect"

const wall = Clock.make()

/** Run with real time. */
export const use: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Effect.withClock(wall)
