/**
 * A command line that cannot be understood, as text and as JSON, without the program: it tells the same as `FailureText` of a
 * `UsageError`.
 */
import { maskText } from "@org/batch-core/MaskText"
import type { Misuse } from "../syntax/Reading.js"
import { command } from "../terminal/CommandLine.js"
import { unbroken } from "../terminal/Wrap.js"

/** The lines for standard error: what is wrong, and the command line that was probably meant, or the help. */
export const lines = (misuse: Misuse, argv: ReadonlyArray<string>): ReadonlyArray<string> => [
  `error: ${maskText(misuse.detail)}`,
  `  next   ${unbroken(hint(misuse, argv))}`
]

/** The object that `--json` prints. */
export const json = (misuse: Misuse, argv: ReadonlyArray<string>): unknown => ({
  error: {
    type: "UsageError",
    message: maskText(misuse.detail),
    detail: maskText(misuse.detail),
    hint: hint(misuse, argv)
  }
})

const hint = ({ command: verb, meant }: Misuse, argv: ReadonlyArray<string>): string =>
  meant === undefined
    ? command(...(verb === undefined ? [] : [verb]), "--help")
    : command(...argv.map((word) => corrected(word, meant)))

const corrected = (
  word: string,
  { instead, typed }: { readonly typed: string; readonly instead: string }
): string =>
  word === typed || word.startsWith(`${typed}=`)
    ? word.replace(typed, instead)
    : word.endsWith(`=${typed}`)
      ? `${word.slice(0, -typed.length)}${instead}`
      : word
