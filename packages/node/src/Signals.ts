/**
 * The exit code of a process that SIGINT or SIGTERM ends, and a limit to how long its graceful end may take. The first
 * signal is only noted: `NodeRuntime.runMain` interrupts the work. A second signal ends the process at once.
 *
 * @example
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Signals } from "@org/batch-node"
 * import { Effect, Exit } from "effect"
 *
 * const signalled = Signals.watch(process, { patience: "800 millis" })
 *
 * NodeRuntime.runMain(Effect.never, {
 *   teardown: (exit, onExit) => onExit(signalled() ?? (Exit.isSuccess(exit) ? 0 : 1))
 * })
 */
import { Duration } from "effect"

/** What a shell reports of a process that a signal has ended: 128 and the number of the signal. */
export const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const

/** The part of a process that is watched; `process` itself is one. */
export interface Target {
  readonly on: (signal: keyof typeof exitCodes, listener: () => void) => unknown
  readonly exit: (code: number) => unknown
}

/** How long leaving may take. */
export interface Options {
  /** After the first signal the process is ended once this has passed; without it there is no limit. */
  readonly patience?: Duration.DurationInput | undefined
}

/**
 * Listens from now on; the answer is the exit code of the first signal, or `undefined` while there was none. Call it
 * before the runtime starts, so that no signal of the start is missed.
 */
export const watch = (target: Target, { patience }: Options = {}): (() => number | undefined) => {
  let received: number | undefined
  const note = (code: number) => () => {
    // Process 1 of a container has no default action for signals, so the second one is answered here.
    if (received !== undefined) target.exit(code)
    else if (patience !== undefined) setTimeout(() => target.exit(code), Duration.toMillis(patience)).unref()
    received ??= code
  }
  target.on("SIGINT", note(exitCodes.SIGINT))
  target.on("SIGTERM", note(exitCodes.SIGTERM))
  return () => received
}
