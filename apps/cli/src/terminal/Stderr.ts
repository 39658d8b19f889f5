/**
 * Standard error, for messages and progress: lines that stay, and under them at most one live line, redrawn in place.
 */
import { Context, Effect, Layer } from "effect"
import { isatty } from "node:tty"
import { Redactor } from "./Redactor.js"

/** Standard error. Writing never fails: a run does not depend on who reads its messages. */
export interface Service {
  /** Whether a live line can be drawn: a terminal that can redraw, and no CI that logs it. */
  readonly interactive: boolean
  readonly color: boolean
  readonly unicode: boolean
  /** Width of the terminal in characters. */
  readonly columns: Effect.Effect<number>
  /** Prints a line that stays. */
  readonly line: (text: string) => Effect.Effect<void>
  /** Prints a line from outside of effects, such as from a logger. */
  readonly unsafeLine: (text: string) => void
  /** Redraws the live line; the text must fit into the width of the terminal. */
  readonly live: (text: string) => Effect.Effect<void>
  /** Erases the live line. */
  readonly clear: Effect.Effect<void>
}

/** Standard error. */
export class Stderr extends Context.Tag("@org/batch-cli/Stderr")<Stderr, Service>() {}

/** The stream to write to, such as `process.stderr`. */
export interface Terminal {
  readonly isTTY?: boolean | undefined
  /** Width in characters; 0 on a terminal that does not know it. */
  readonly columns?: number | undefined
  readonly write: (text: string) => unknown
}

const set = (value: string | undefined): boolean => value !== undefined && value !== ""

/** Standard error over a terminal or a log, told apart by `isTTY`, `CI`, `TERM` and `NO_COLOR`. */
export const make = (
  terminal: Terminal,
  env: Readonly<Record<string, string | undefined>>
): Effect.Effect<Service> =>
  Effect.sync(() => {
    const interactive = terminal.isTTY === true && !set(env["CI"]) && env["TERM"] !== "dumb"
    const width = () => Math.max(20, terminal.columns || 80)
    const erase = "\r\u001b[2K"
    let drawn = false
    const unsafeLine = (text: string): void => {
      terminal.write(`${drawn ? erase : ""}${text}\n`)
      drawn = false
    }
    return {
      interactive,
      color: interactive && !set(env["NO_COLOR"]),
      unicode: /utf-?8/iu.test(env["LC_ALL"] ?? env["LC_CTYPE"] ?? env["LANG"] ?? ""),
      columns: Effect.sync(width),
      line: (text) => Effect.sync(() => unsafeLine(text)),
      unsafeLine,
      live: (text) =>
        Effect.sync(() => {
          if (!interactive) return
          terminal.write(`${erase}${text}`)
          drawn = true
        }),
      clear: Effect.sync(() => {
        if (drawn) terminal.write(erase)
        drawn = false
      })
    }
  })

/**
 * The process's own standard error, opened at the first write: many a run writes nothing, and opening costs start-up.
 */
export const layer: Layer.Layer<Stderr, never, Redactor> = Layer.effect(
  Stderr,
  Effect.flatMap(Redactor, ({ redact }) => {
    const open = (): NodeJS.WriteStream => {
      if (process.stderr.listenerCount("error") === 0) process.stderr.on("error", () => undefined)
      return process.stderr
    }
    return make(
      {
        isTTY: isatty(2),
        get columns() {
          return open().columns
        },
        write: (text) => open().write(redact(text))
      },
      process.env
    )
  })
)
