/**
 * The command line that was typed, and the command lines that repeat or resume it.
 */
import { Context } from "effect"

/** The command line of this run. */
export interface CommandLine {
  /** The arguments, without `node` and the script. */
  readonly argv: ReadonlyArray<string>
  /** Whether a bug is printed with its stack (`BATCH_DEBUG`). */
  readonly debug: boolean
  /** The flags that are followed by a value, such as `-o`; asked for only when a command line is repeated. */
  readonly valued: () => ReadonlySet<string>
}

/** The command line of this run. */
export const CommandLine = /* @__PURE__ */ Context.GenericTag<CommandLine>("@org/batch-cli/CommandLine")

/** What to change in a command line that is repeated. */
export interface Changes {
  /** Another command with the same flags. */
  readonly verb?: string | undefined
  /** Other batches in place of those that were given. */
  readonly ids?: ReadonlyArray<string> | undefined
  /** Flags that are left out, with their values. */
  readonly without?: ReadonlyArray<string> | undefined
  /** Further flags. */
  readonly add?: ReadonlyArray<string> | undefined
}

/** Whether `--json` was typed. Asked of the words, since failures must obey it even where parsing has failed. */
export const wantsJson = ({ argv }: Pick<CommandLine, "argv">): boolean => argv.includes("--json")

/** The value of a flag that was typed under one of its names. */
export const valueOf = (
  { argv }: Pick<CommandLine, "argv">,
  names: ReadonlyArray<string>
): string | undefined => {
  const at = argv.findIndex((word) => names.includes(word.replace(/=.*$/su, "")))
  const word = argv[at] ?? ""
  return word.includes("=") ? word.replace(/^[^=]*=/su, "") : at === -1 ? undefined : argv[at + 1]
}

/** The command that repeats this one, with some changes; ready to be pasted into a shell. */
export const again = (
  { argv, valued }: Pick<CommandLine, "argv" | "valued">,
  changes: Changes = {}
): string => {
  const flagsWithValue = valued()
  const [verb = "--help", ...words] = argv
  const left = changes.without ?? []
  const isValueOf = (flag: string): boolean => left.includes(flag) && flagsWithValue.has(flag)
  const rest = words.filter(
    (word, index) => !left.includes(word.replace(/=.*$/su, "")) && !isValueOf(words[index - 1] ?? "")
  )
  const isPositional = (word: string, index: number): boolean =>
    (!word.startsWith("-") || word === "-") && !flagsWithValue.has(rest[index - 1] ?? "")
  const flags = rest.filter((word, index) => !isPositional(word, index))
  const ids = rest.filter(isPositional)
  const added = (changes.add ?? []).filter((flag) => !flags.includes(flag))
  return command(changes.verb ?? verb, ...(changes.ids ?? ids), ...flags, ...added)
}

/** A command line of batchctl, its words quoted for a shell. */
export const command = (...words: ReadonlyArray<string>): string =>
  ["batchctl", ...words].map(quoted).join(" ")

/** A word as a shell takes it for one. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
