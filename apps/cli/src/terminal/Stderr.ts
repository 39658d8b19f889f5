/**
 * Standard error, for messages and progress: lines that stay, and under them live lines, redrawn in place.
 */
import { Context, Effect, Layer } from "effect"
import { isatty } from "node:tty"
import * as Message from "./Message.js"
import { Redactor } from "./Redactor.js"

/** Standard error. Writing never fails: a run does not depend on who reads its messages. */
export interface Service {
  /** Whether a live line can be drawn: a terminal that can redraw, and no CI that logs it. */
  readonly interactive: boolean
  readonly color: boolean
  readonly unicode: boolean
  /** Width of the terminal in characters. */
  readonly columns: Effect.Effect<number>
  /** Height of the terminal in lines. */
  readonly rows: Effect.Effect<number>
  /** Prints a line that stays; on a terminal it is wrapped between words. */
  readonly line: (text: string) => Effect.Effect<void>
  /** Prints a line from outside of effects, such as from a logger. */
  readonly unsafeLine: (text: string) => void
  /** Redraws the live lines; each must fit into the width of the terminal. */
  readonly live: (...lines: ReadonlyArray<string>) => Effect.Effect<void>
  /** Erases the live lines. */
  readonly clear: Effect.Effect<void>
}

/** Standard error. */
export class Stderr extends Context.Tag("@org/batch-cli/Stderr")<Stderr, Service>() {}

/** The stream to write to, such as `process.stderr`. */
export interface Terminal {
  readonly isTTY?: boolean | undefined
  /** Width in characters; 0 on a terminal that does not know it. */
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  readonly write: (text: string) => unknown
}

/** Standard error over a terminal or a log, told apart by `isTTY`, `CI`, `TERM` and `NO_COLOR`. */
export const make = (
  terminal: Terminal,
  env: Readonly<Record<string, string | undefined>>
): Effect.Effect<Service> =>
  Effect.sync(() => {
    const interactive = Message.isInteractive(terminal, env)
    const width = () => Message.widthOf(terminal)
    let drawn = 0
    /** Erases what is drawn, from the last line up, and leaves the cursor where the first was. */
    const erase = (): string => {
      const codes = "\r\u001b[2K" + "\u001b[1A\u001b[2K".repeat(Math.max(0, drawn - 1))
      drawn = 0
      return codes
    }
    const unsafeLine = (text: string): void => {
      const message = Message.of(text, interactive ? width() : undefined)
      terminal.write(`${drawn > 0 ? erase() : ""}${message}\n`)
    }
    return {
      interactive,
      color: interactive && !env["NO_COLOR"],
      unicode: /utf-?8/iu.test(env["LC_ALL"] ?? env["LC_CTYPE"] ?? env["LANG"] ?? ""),
      columns: Effect.sync(width),
      rows: Effect.sync(() => Math.max(2, terminal.rows || 24)),
      line: (text) => Effect.sync(() => unsafeLine(text)),
      unsafeLine,
      live: (...lines) =>
        Effect.sync(() => {
          if (!interactive) return
          terminal.write(`${erase()}${lines.join("\n")}`)
          drawn = lines.length
        }),
      clear: Effect.sync(() => {
        if (drawn > 0) terminal.write(erase())
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
        get rows() {
          return open().rows
        },
        write: (text) => open().write(redact(text))
      },
      process.env
    )
  })
)
