/**
 * Standard error: talk for people. At most one live line, redrawn in place, and lines above it that stay.
 */
import { Context, Effect, Layer } from "effect"
import { isatty } from "node:tty"
import { Redactor } from "./Redactor.js"

/** Standard error. Writing never fails: if nobody listens, nobody is told. */
export interface Service {
  /** Whether a live line makes sense: a terminal that can redraw, and nobody logs it. */
  readonly interactive: boolean
  readonly color: boolean
  readonly unicode: boolean
  /** Width of the terminal in characters. */
  readonly columns: Effect.Effect<number>
  /** A line that stays. */
  readonly line: (text: string) => Effect.Effect<void>
  /** The same for callers outside of effects, such as a logger. */
  readonly unsafeLine: (text: string) => void
  /** Redraws the live line; the text must fit into the width of the terminal. */
  readonly live: (text: string) => Effect.Effect<void>
  /** Removes the live line. */
  readonly clear: Effect.Effect<void>
}

/** Standard error. */
export class Stderr extends Context.Tag("@org/batch-cli/Stderr")<Stderr, Service>() {}

/** What is known of the terminal. */
export interface Terminal {
  readonly isTTY?: boolean | undefined
  /** 0 on a terminal that does not know its width. */
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

/** The process's own standard error, opened when there is something to say: many a run says nothing. */
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
