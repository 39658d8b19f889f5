/**
 * Signals: which one came, and a limit to how long leaving may take. A second one ends the process at once.
 */
import * as ExitCode from "./failure/ExitCode.js"

const codes = { SIGINT: ExitCode.interrupted, SIGTERM: ExitCode.terminated } as const

/** Leaving gracefully may take this long, in milliseconds. */
const patience = 800

/** Notes the first signal; the answer is its exit code, or `undefined` while there was none. */
export const watch = (target: NodeJS.Process): (() => number | undefined) => {
  let received: number | undefined
  const note = (signal: keyof typeof codes) => () => {
    received ??= codes[signal]
    setTimeout(() => target.exit(received), patience).unref()
  }
  target.once("SIGINT", note("SIGINT"))
  target.once("SIGTERM", note("SIGTERM"))
  return () => received
}
