/**
 * A terminal that asks nothing: the parser wants one for prompts, and no command has any. Node's own would load its
 * line editor into every run.
 */
import { Terminal } from "@effect/platform"
import { Effect, Layer } from "effect"

const never = Effect.dieMessage("batchctl asks no questions")

/** In place of the terminal of Node. */
export const layer: Layer.Layer<Terminal.Terminal> = Layer.succeed(Terminal.Terminal, {
  columns: Effect.succeed(80),
  rows: Effect.succeed(24),
  isTTY: Effect.succeed(false),
  readInput: never,
  readLine: never,
  display: () => never
})
