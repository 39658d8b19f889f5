/**
 * Standard output: the data that was asked for and nothing else.
 */
import { StorageError } from "@org/batch-core/BatchError"
import { Context, Effect, Layer, Predicate } from "effect"
import { Censor } from "./Censor.js"
import { OutputClosed } from "../failure/CliError.js"
import { Screen } from "./Screen.js"

/** What writing can fail with: the reader has gone, or the disk behind a redirection is full. */
export type OutputError = OutputClosed | StorageError

/** Standard output. An effect ends when the bytes have been handed to the system, so a slow reader slows us. */
export interface Service {
  readonly line: (text: string) => Effect.Effect<void, OutputError>
  readonly bytes: (chunk: Uint8Array) => Effect.Effect<void, OutputError>
  /** One JSON object on one line. */
  readonly json: (value: unknown) => Effect.Effect<void, OutputError>
}

/** Standard output. */
export class Output extends Context.Tag("@org/batch-cli/Output")<Output, Service>() {}

/** Output to a stream of Node, such as `process.stdout`. A live line on the same terminal makes way. */
export const make = (
  stream: NodeJS.WritableStream,
  { clean, screen }: { readonly screen: Screen["Type"]; readonly clean: (text: string) => string }
): Service => {
  const write = (chunk: string | Uint8Array): Effect.Effect<void, OutputError> =>
    Effect.zipRight(
      screen.clear,
      Effect.async<void, OutputError>((resume) => {
        stream.write(chunk, (error) => resume(error ? Effect.fail(failure(error)) : Effect.void))
      })
    )
  stream.on("error", () => undefined)
  return {
    line: (text) => write(`${clean(text)}\n`),
    bytes: write,
    json: (value) => write(`${clean(JSON.stringify(value))}\n`)
  }
}

/** The process's own standard output. */
export const layer: Layer.Layer<Output, never, Censor | Screen> = Layer.effect(
  Output,
  Effect.gen(function* () {
    const { clean } = yield* Censor
    return make(process.stdout, { screen: yield* Screen, clean })
  })
)

const failure = (error: Error): OutputError => {
  const code = Predicate.hasProperty(error, "code") ? String(error.code) : ""
  if (["EPIPE", "ERR_STREAM_DESTROYED", "ECONNRESET"].includes(code)) return new OutputClosed()
  return new StorageError({
    reason: code === "ENOSPC" ? "NoSpace" : "Unwritable",
    path: "standard output",
    detail: code === "" ? error.message : code
  })
}
