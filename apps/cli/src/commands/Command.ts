/**
 * A command: its description and the effect that runs it.
 */
import { Effect } from "effect"
import { type Values, values } from "../syntax/Reading.js"
import type { Flags } from "../syntax/Syntax.js"

/** The effect of a command line, given the words behind the command, which have been checked. */
export type Command<E, R> = (args: ReadonlyArray<string>) => Effect.Effect<void, E, R>

/** A command with the flags of its description, whose values `run` receives, and its arguments. */
export const make =
  <F extends Flags, E, R>(
    description: { readonly flags: F },
    run: (typed: Values<F>) => Effect.Effect<void, E, R>
  ): Command<E, R> =>
  (args) =>
    Effect.suspend(() => run(values(description.flags, args)))
