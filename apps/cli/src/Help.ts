/**
 * The pages of `--help`, from the commands' descriptors: usage, arguments, flags, examples. Loaded only for `--help`.
 */
import { CliConfig, CommandDescriptor, type HelpDoc, type Span } from "@effect/cli"
import { HashMap, Option } from "effect"

/** The commands to describe, and the command line that asks for help. */
export interface Subject {
  readonly commands: HashMap.HashMap<string, CommandDescriptor.Command<unknown>>
  readonly summary: string
  readonly version: string
  readonly argv: ReadonlyArray<string>
}

/** The page of the command that the arguments name, or else the overview of all commands. */
export const render = (subject: Subject): string => {
  const [verb = ""] = subject.argv.filter((word) => HashMap.has(subject.commands, word))
  return Option.match(HashMap.get(subject.commands, verb), {
    onNone: () => overview(subject),
    onSome: (descriptor) => page(verb, descriptor)
  }).join("\n")
}

const order = ["get", "status", "wait", "download", "list", "verify", "doctor", "sandbox", "demo"]

const overview = ({ commands, summary, version }: Subject): ReadonlyArray<string> => [
  `batchctl ${version}: ${summary}`,
  "",
  "Usage: batchctl <command> [flags]",
  ...section(
    "Commands",
    order.flatMap((name) =>
      Option.toArray(HashMap.get(commands, name)).map((command) => [name, description(command)] as const)
    )
  ),
  ...section("Flags", [
    ["-h, --help", "Help; after a command, help on that command."],
    ["--version", "The version."],
    ["--completions SHELL", "A completion script for bash, zsh or fish."],
    ["--log-level LEVEL", "What is logged on standard error: debug, info, warning, error or none."]
  ]),
  ...section("Settings, from the environment or from KEY=value lines in ~/.config/batchctl/config", [
    ["CRUSTDATA_API_KEY", "The API key. It is never taken from a flag and never shown."],
    ["CRUSTDATA_BASE_URL", "Root of the API; https://api.crustdata.com unless told otherwise."],
    ["HTTPS_PROXY, NO_PROXY, …", "As everywhere, for the API and the files alike; NODE_EXTRA_CA_CERTS too."]
  ]),
  ...section("Exit codes", [
    ["0", "done, complete and verified"],
    ["1", "a bug in batchctl"],
    ["2", "usage: bad flag, bad id, bad setting"],
    ["3", "not allowed: no key, or the API refuses it"],
    ["4", "the job itself failed"],
    ["5", "the job is still running"],
    ["6", "the network or the API did not serve us"],
    ["7", "results missing, expired, changed, corrupt or incomplete"],
    ["8", "no such batch"],
    ["9", "local trouble: disk, permission, destination exists"],
    ["130, 143", "interrupted"]
  ]),
  "",
  "Start with `batchctl demo`: it needs no key."
]

const page = (verb: string, descriptor: CommandDescriptor.Command<unknown>): ReadonlyArray<string> => [
  description(descriptor),
  "",
  `Usage: batchctl ${verb} ${usage[verb] ?? "[flags]"}`,
  ...section("Arguments", definitions(descriptor, "ARGUMENTS")),
  ...section("Flags", definitions(descriptor, "OPTIONS")),
  ...(examples[verb] === undefined ? [] : ["", "Examples", ...examples[verb].map((line) => `  ${line}`)])
]

const usage: Readonly<Record<string, string>> = {
  status: "<batch-id>... [flags]",
  wait: "<batch-id>... [flags]",
  download: "<batch-id>... [flags]",
  get: "<batch-id>... [flags]",
  verify: "<file>... [flags]"
}

const id = "01234567-89ab-4cde-8f01-23456789abcd"

const examples: Readonly<Record<string, ReadonlyArray<string>>> = {
  get: [
    `batchctl get ${id}                     # ./<batch-id>.jsonl.gz`,
    `batchctl get ${id} -o rows.jsonl       # decompressed`,
    `batchctl get ${id} -o rows.csv         # a table`,
    `batchctl get ${id} -o rows.csv --columns internal_id,data.basic_info.name`,
    `batchctl get ${id} -o - | jq .data     # rows on standard output, verified first`,
    `batchctl get ${id} -o out/ --receipt   # into a folder, with the proof beside it`
  ],
  download: [`batchctl download ${id} -o out/ --json`],
  status: [
    `batchctl status ${id}`,
    `batchctl status ${id} --json | jq -r .status`,
    `batchctl status ${id} --exit-status --json && batchctl download ${id}`
  ],
  wait: [`batchctl wait ${id} --timeout 2h && echo done`],
  list: ["batchctl list --status processing", "batchctl list --all --json | jq -r .batch_id"],
  verify: ["batchctl verify rows.jsonl.gz", "batchctl verify out/ --quiet && echo sound"],
  sandbox: ["batchctl sandbox", "batchctl sandbox --port 0"],
  demo: ["batchctl demo", "batchctl demo --records 50"]
}

const section = (
  title: string,
  rows: ReadonlyArray<readonly [term: string, text: string]>
): ReadonlyArray<string> => {
  const width = Math.max(...rows.map(([term]) => term.length))
  return rows.length === 0
    ? []
    : ["", title, ...rows.map(([term, text]) => `  ${term.padEnd(width)}  ${text}`)]
}

const config = CliConfig.make({ showBuiltIns: false })

const flatten = (doc: HelpDoc.HelpDoc): ReadonlyArray<HelpDoc.HelpDoc> =>
  doc._tag === "Sequence" ? [...flatten(doc.left), ...flatten(doc.right)] : doc._tag === "Empty" ? [] : [doc]

const plain = (span: Span.Span): string =>
  span._tag === "Sequence"
    ? plain(span.left) + plain(span.right)
    : typeof span.value === "string"
      ? span.value
      : plain(span.value)

const paragraphs = (doc: HelpDoc.HelpDoc): ReadonlyArray<string> =>
  flatten(doc).flatMap((part) => (part._tag === "Paragraph" ? [plain(part.value)] : []))

const under = (
  descriptor: CommandDescriptor.Command<unknown>,
  header: string
): ReadonlyArray<HelpDoc.HelpDoc> => {
  const docs = flatten(CommandDescriptor.getHelp(descriptor, config))
  const from = docs.findIndex((doc) => doc._tag === "Header" && plain(doc.value) === header) + 1
  const rest = from === 0 ? [] : docs.slice(from)
  const to = rest.findIndex((doc) => doc._tag === "Header")
  return to === -1 ? rest : rest.slice(0, to)
}

const description = (descriptor: CommandDescriptor.Command<unknown>): string =>
  under(descriptor, "DESCRIPTION").flatMap(paragraphs).join(" ")

/** Sentences that the parser adds to every flag and that carry no information. */
const filler =
  /^(?:A user-defined piece of text\.|A true or false value\.|An integer\.|This setting is optional\.|This argument may be repeated zero or more times\.)$/u

const definitions = (
  descriptor: CommandDescriptor.Command<unknown>,
  header: string
): ReadonlyArray<readonly [string, string]> =>
  under(descriptor, header).flatMap((doc) =>
    doc._tag === "DescriptionList"
      ? doc.definitions.map(([term, text]) => [name(plain(term)), meaning(text)] as const)
      : []
  )

const name = (term: string): string =>
  term
    .replace(/^\((.*)\)$/u, "$1")
    .replace(/ (?:text|integer)$/u, (type) =>
      type.toUpperCase().replace("TEXT", "VALUE").replace("INTEGER", "N")
    )

const meaning = (doc: HelpDoc.HelpDoc): string =>
  paragraphs(doc)
    .filter((text) => !filler.test(text))
    .map((text) => text.replace("This setting is optional. Defaults to:", "Default:"))
    .join(" ")
