/**
 * The flags that several commands share, and those that go with every command.
 */
import type { Format } from "@org/batch-core/Format"
import type { Flags } from "./Syntax.js"

/** The flags that go with every command. */
export const everywhere = {
  help: { type: "boolean", short: "h", about: "Help; after a command, help on that command." },
  version: { type: "boolean", short: "V", about: "The version." },
  completions: {
    type: "string",
    value: "SHELL",
    about: "Print a completion script.",
    values: { bash: "for ~/.bashrc", zsh: "for ~/.zshrc", fish: "for config.fish" }
  },
  "log-level": {
    type: "string",
    value: "LEVEL",
    about: "What is logged on standard error; debug shows every request, answer and pause.",
    values: {
      all: "everything",
      trace: "everything",
      debug: "requests, answers and pauses too",
      info: "the default",
      warning: "warnings and errors",
      error: "errors only",
      fatal: "errors only",
      none: "nothing"
    }
  }
} as const satisfies Flags

const formats = {
  "jsonl.gz": "the bytes as delivered",
  jsonl: "decompressed",
  csv: "a table"
} as const satisfies Readonly<Record<Format, string>>

/** `--json`, of which each command says what it prints. */
export const json = <const Text extends string>(about: Text) => ({ type: "boolean", about }) as const

/** `--quiet`. */
export const quiet = {
  type: "boolean",
  short: "q",
  about: "No progress and no notices on standard error; errors still."
} as const

/** `--timeout` of the commands that wait. */
export const timeout = {
  type: "string",
  value: "DURATION",
  about: "How long to wait, such as 90s, 30m or 2h. Default: 30m. When it passes the job itself goes on."
} as const

/** The output options of `download` and `get`. */
export const output = {
  output: {
    type: "string",
    short: "o",
    value: "PATH",
    path: true,
    about:
      "A file; or a folder (one that exists, or a name that ends in /); or - for JSONL (or CSV) on standard output. Default: ./<batch-id>.jsonl.gz"
  },
  format: {
    type: "string",
    value: "FORMAT",
    values: formats,
    about:
      "jsonl.gz (the bytes as delivered, the default), jsonl or csv; taken from the extension of -o when absent."
  },
  columns: {
    type: "string",
    value: "NAMES",
    about:
      "The columns of csv and their order, as internal_id,data.basic_info.name, with a backslash before a comma or a dot in a name. Default: those of all rows, in the order of their appearance."
  },
  bom: { type: "boolean", about: "Begin csv with a byte order mark, for Excel to take it for UTF-8." },
  parts: { type: "boolean", about: "Keep the part files separate, in the folder that -o names." },
  concurrency: {
    type: "string",
    value: "N",
    integer: true,
    about: "Connections at most, 1 to 64; it starts with few and adapts. Default: 16"
  },
  force: { type: "boolean", about: "Replace an existing destination." },
  "skip-existing": {
    type: "boolean",
    about:
      "An existing destination that its receipt proves to be this batch's, read again, counts as done. Writes a receipt, as --receipt; with --force whatever else is there is replaced."
  },
  "allow-incomplete": {
    type: "boolean",
    about: "Keep a result whose row count disagrees with result_count, with a warning."
  },
  receipt: {
    type: "boolean",
    about:
      "Write <output>.receipt.json beside the output; with --parts <batch-id>.receipt.json in the folder."
  },
  json: json("Print the receipt, one JSON object per batch and line."),
  quiet
} as const satisfies Flags
