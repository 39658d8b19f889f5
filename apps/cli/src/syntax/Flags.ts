/**
 * The flags that several commands share, and those that go with every command.
 */
import type { Format } from "@org/batch-core/Format"
import * as JobKind from "@org/batch-core/JobKind"
import type { Flags, Valued } from "./Syntax.js"

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

const separated = "separated by commas; may be given several times."

const inputAbouts = {
  domain: ["LIST", `Domains, as acme.com,example.org: ${separated}`],
  email: ["LIST", `Email addresses, ${separated}`],
  id: ["LIST", `Ids, ${separated}`],
  text: ["NAME", "A name, which may hold commas; given several times it adds up."],
  url: ["LIST", `URLs, ${separated}`]
} as const satisfies Readonly<Record<JobKind.IdentifierType, readonly [value: string, about: string]>>

/** A property of a request as a flag: with dashes. */
export const dashed = (property: string): string => property.replaceAll("_", "-")

/** A flag for each property that holds identifiers, of all kinds of job. */
export const identifiers: Readonly<Record<string, Valued & { readonly multiple: true }>> = Object.fromEntries(
  JobKind.all
    .flatMap((kind) => kind.identifiers)
    .map(({ name, type }) => {
      const [value, about] = inputAbouts[type]
      return [dashed(name), { type: "string", multiple: true, value, about }]
    })
)

/** A list of inputs in a file. */
export const list = {
  input: {
    type: "string",
    value: "FILE",
    path: true,
    about: "A list of inputs: a table, JSON lines, or one input a line; - is standard input."
  },
  column: {
    type: "string",
    value: "NAME",
    about: "The column of --input, or the field, that holds the inputs; plain lines have none."
  },
  as: {
    type: "string",
    value: "PROPERTY",
    about: "What the inputs of --input are, where the kind takes several, such as domains."
  },
  "input-format": {
    type: "string",
    value: "FORMAT",
    values: {
      csv: "a table with a header, separated by commas",
      tsv: "a table with a header, separated by tabs",
      jsonl: "a JSON object a line",
      lines: "an input a line"
    },
    about: "csv, tsv, jsonl or lines; taken from the extension of --input when absent, else lines."
  }
} as const satisfies Flags

/** What else a request holds. */
export const request = {
  fields: {
    type: "string",
    multiple: true,
    value: "LIST",
    about: "The fields of a record that are wanted, separated by commas. Default: the API's own choice."
  },
  "max-results": { type: "string", value: "N", integer: true, about: "Records of a search, at most." },
  "chunk-size": { type: "string", value: "N", integer: true, about: "Rows of a part file, 10 to 1,000." },
  "webhook-url": { type: "string", value: "URL", about: "What the API calls when the job has ended." }
} as const satisfies Flags
