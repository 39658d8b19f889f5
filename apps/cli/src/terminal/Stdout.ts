/**
 * Standard output, for data only: rows, tables, JSON. Messages go to standard error.
 */
import { StorageError } from "@org/batch-core/BatchError"
import { Context, Effect, Layer, Option, Predicate, Schema } from "effect"
import { Redactor } from "./Redactor.js"
import { Stderr } from "./Stderr.js"
import { restored, wrap } from "./Wrap.js"

/** The reader of standard output has closed it. Not a failure: it has what it wanted. */
export class StdoutClosed extends Schema.TaggedError<StdoutClosed>()("StdoutClosed", {}) {}

/** Errors of a write: the reader has closed the pipe, or the disk behind a redirection is full. */
export type StdoutError = StdoutClosed | StorageError

/**
 * Standard output. An effect ends when the bytes have been handed to the system, so that a slow reader slows the
 * writer.
 */
export interface Service {
  /** Width in characters, if it is a terminal. */
  readonly columns: Option.Option<number>
  readonly color: boolean
  /** Prints a line, as it is. */
  readonly line: (text: string) => Effect.Effect<void, StdoutError>
  /** Prints lines of talk; on a terminal each is wrapped between words, what follows indented by `hang`. */
  readonly text: (lines: ReadonlyArray<string>, hang?: number) => Effect.Effect<void, StdoutError>
  readonly bytes: (chunk: Uint8Array) => Effect.Effect<void, StdoutError>
  /** Prints a value as one line of JSON. */
  readonly json: (value: unknown) => Effect.Effect<void, StdoutError>
}

/** Standard output. */
export class Stdout extends Context.Tag("@org/batch-cli/Stdout")<Stdout, Service>() {}

/** Standard output over a stream of Node. The live line is erased before a write: both may share a terminal. */
export const make = (
  stream: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number },
  {
    env,
    redact,
    stderr
  }: {
    readonly stderr: Stderr["Type"]
    readonly redact: (text: string) => string
    readonly env: Readonly<Record<string, string | undefined>>
  }
): Service => {
  const write = (chunk: string | Uint8Array): Effect.Effect<void, StdoutError> =>
    Effect.zipRight(
      stderr.clear,
      Effect.async<void, StdoutError>((resume) => {
        stream.write(chunk, (error) => resume(error ? Effect.fail(failure(error)) : Effect.void))
      })
    )
  // The callback of `write` has the error too; without a listener the stream would end the process with it.
  stream.on("error", () => undefined)
  const isTerminal = stream.isTTY === true && env["TERM"] !== "dumb"
  const width = Math.max(20, stream.columns || 80)
  return {
    columns: isTerminal ? Option.some(width) : Option.none(),
    color: isTerminal && !env["NO_COLOR"] && !env["CI"],
    text: (lines, hang = 2) =>
      write(
        redact(
          `${lines.flatMap((line) => (isTerminal ? wrap(line, width, hang) : [restored(line)])).join("\n")}\n`
        )
      ),
    line: (text) => write(`${redact(text)}\n`),
    bytes: write,
    json: (value) => write(`${redact(JSON.stringify(value))}\n`)
  }
}

/** The process's own standard output. */
export const layer: Layer.Layer<Stdout, never, Redactor | Stderr> = Layer.effect(
  Stdout,
  Effect.gen(function* () {
    const { redact } = yield* Redactor
    return make(process.stdout, { stderr: yield* Stderr, redact, env: process.env })
  })
)

const failure = (error: Error): StdoutError => {
  const code = Predicate.hasProperty(error, "code") ? String(error.code) : ""
  if (["EPIPE", "ERR_STREAM_DESTROYED", "ECONNRESET"].includes(code)) return new StdoutClosed()
  return new StorageError({
    reason: code === "ENOSPC" ? "NoSpace" : "Unwritable",
    path: "standard output",
    detail: code === "" ? error.message : code
  })
}
