/**
 * The exit code of a process that SIGINT or SIGTERM ends, and a limit to how long its graceful end may take. The first
 * signal is only noted: `NodeRuntime.runMain` interrupts the work. A second signal ends the process at once.
 *
 * @example
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Signals } from "@org/batch-node"
 * import { Effect, Exit } from "effect"
 *
 * const signalled = Signals.watch(process, { gracePeriod: "800 millis" })
 *
 * NodeRuntime.runMain(Effect.never, {
 *   teardown: (exit, onExit) => onExit(signalled() ?? (Exit.isSuccess(exit) ? 0 : 1))
 * })
 */
import { Duration } from "effect"

/** The exit codes by signal: 128 plus its number, as shells report it. */
export const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const

/** The part of a process that is used; `process` is one. */
export interface Target {
  readonly on: (signal: keyof typeof exitCodes, listener: () => void) => unknown
  readonly exit: (code: number) => unknown
}

/** Options of `watch`. */
export interface Options {
  /** How long the graceful end may take, from the first signal; then the process exits. No limit if absent. */
  readonly gracePeriod?: Duration.DurationInput | undefined
  /** Told when the grace period is over, just before the process exits. */
  readonly onOverdue?: ((signal: keyof typeof exitCodes) => void) | undefined
}

/**
 * Listens for both signals; returns a function that gives the exit code of the first one, or `undefined` before it.
 * Call it before the program starts, so that no signal is missed.
 */
export const watch = (target: Target, options: Options = {}): (() => number | undefined) => {
  const { gracePeriod, onOverdue } = options
  let received: number | undefined
  const note = (signal: keyof typeof exitCodes) => () => {
    const code = exitCodes[signal]
    // Process 1 of a container has no default action for signals, so the second one is answered here.
    if (received !== undefined) target.exit(code)
    if (received !== undefined || gracePeriod === undefined) {
      received ??= code
      return
    }
    received = code
    const overdue = () => {
      onOverdue?.(signal)
      target.exit(code)
    }
    // Node's own timer: Effect's would have to be waited for by a fiber, which is just what may hang.
    setTimeout(overdue, Duration.toMillis(gracePeriod)).unref()
  }
  target.on("SIGINT", note("SIGINT"))
  target.on("SIGTERM", note("SIGTERM"))
  return () => received
}
