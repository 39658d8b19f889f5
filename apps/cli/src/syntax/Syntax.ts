/**
 * The vocabulary in which the command line is described. Plain data: the parser, the help, the man page and the
 * completions are all made from it, and none of them needs more than this.
 */

/** A flag without a value, such as `--json`. */
export interface Switch {
  readonly type: "boolean"
  /** The letter behind a single dash. */
  readonly short?: string
  readonly about: string
}

/** A flag with a value, such as `--timeout 2h`. */
export interface Valued {
  readonly type: "string"
  /** The letter behind a single dash. */
  readonly short?: string
  readonly about: string
  /** What stands for the value in a help page, such as `PATH`. */
  readonly value: string
  /** The values that there are, each with its meaning. */
  readonly values?: Readonly<Record<string, string>>
  /** Whether others than `values` are passed on all the same: the list is the vendor's, and may grow. */
  readonly open?: boolean
  /** Whether it may be given several times, which adds up; else the last one counts. */
  readonly multiple?: boolean
  /** Whether the value is a whole number. */
  readonly integer?: boolean
  /** Whether the value is the path of a file or a folder. */
  readonly path?: boolean
}

/** A flag of a command. */
export type Flag = Switch | Valued

/** Flags by their long names, without the dashes. */
export type Flags = Readonly<Record<string, Flag>>

/** The positional argument of a command. */
export interface Argument {
  /** As it stands in a usage line, such as `<batch-id>...`. */
  readonly term: string
  readonly about: string
  /** Whether there may be several. */
  readonly repeated: boolean
  /** Whether it is the path of a file. */
  readonly path: boolean
  /** Where it is always the same number of words: how many, and those that there are. */
  readonly words?: { readonly count: number; readonly known: ReadonlyArray<string> }
}

/** A further section of a command's help page. */
export interface Section {
  readonly title: string
  readonly rows: ReadonlyArray<readonly [term: string, text: string]>
}

/** A command line to show, and what it does. */
export interface Example {
  readonly line: string
  readonly does: string
}

/** The groups of the overview, in its order. */
export const groups = { main: "Main commands", look: "Look at jobs and files", tools: "Tools" } as const

/** A command: all that anybody is told of it. */
export interface Command {
  readonly group: keyof typeof groups
  readonly about: string
  readonly argument?: Argument
  readonly flags: Flags
  readonly section?: Section
  /** The first one stands in the overview. */
  readonly examples: readonly [Example, ...ReadonlyArray<Example>]
}
