/**
 * The pages of `--help`: the overview, and a page for each command.
 */
import * as Commands from "../syntax/Commands.js"
import { everywhere } from "../syntax/Flags.js"
import { type Command, type Example, type Flags, groups } from "../syntax/Syntax.js"
import { definitions, wrap } from "../terminal/Wrap.js"

/** What the page is shown on. */
export interface Look {
  /** Width in characters. */
  readonly columns: number
  /** Whether headings may be bold. */
  readonly color: boolean
}

/** The page of a command, or the overview of all. */
export const render = (
  command: Commands.Name | undefined,
  { look, version }: { readonly look: Look; readonly version: string }
): string => (command === undefined ? overview(version, look) : page(command, look)).join("\n")

const overview = (version: string, look: Look): ReadonlyArray<string> => [
  ...wrap(`batchctl ${version}: ${Commands.summary}`, look.columns),
  "",
  ...wrap("Usage: batchctl <command> [flags]", look.columns, 7),
  ...Object.entries(groups).flatMap(([group, title]) =>
    section(
      title,
      Commands.names
        .filter((name) => Commands.all[name].group === group)
        .map((name) => [name, Commands.all[name].about] as const),
      look
    )
  ),
  ...section("Flags", [...rows(everywhere), ["help COMMAND, version", "The same as commands."]], look),
  ...examples(
    Commands.names.map((name) => Commands.all[name].examples[0]),
    look
  ),
  ...section(
    `Settings, from the environment or from KEY=value lines in ${Commands.profileFile}`,
    Object.entries(Commands.environment),
    look
  ),
  ...section("Exit codes", Object.entries(Commands.exitCodes), look),
  "",
  ...wrap(
    "Start with `batchctl demo`: it needs no key. `batchctl help COMMAND` tells the rest.",
    look.columns
  )
]

const page = (name: Commands.Name, look: Look): ReadonlyArray<string> => {
  const command: Command = Commands.all[name]
  const { about, argument } = command
  return [
    ...wrap(about, look.columns),
    "",
    ...wrap(`Usage: ${usage(name)}`, look.columns, 7),
    ...section("Arguments", argument === undefined ? [] : [[argument.term, argument.about]], look),
    ...(command.section === undefined ? [] : section(command.section.title, command.section.rows, look)),
    ...section("Flags", rows(command.flags), look),
    ...section("Flags of every command", rows(everywhere), look),
    ...examples(command.examples, look)
  ]
}

/** How a command is typed: `batchctl get <batch-id>... [flags]`. */
export const usage = (name: Commands.Name): string => {
  const { argument }: Command = Commands.all[name]
  return ["batchctl", name, ...(argument === undefined ? [] : [argument.term]), "[flags]"].join(" ")
}

/** The flags as they are typed, with their meanings. */
export const rows = (flags: Flags): ReadonlyArray<readonly [term: string, text: string]> =>
  Object.entries(flags).map(([name, flag]) => {
    const long = flag.type === "boolean" ? `--${name}` : `--${name} ${flag.value}`
    return [flag.short === undefined ? long : `-${flag.short}, ${long}`, flag.about]
  })

const section = (
  title: string,
  entries: ReadonlyArray<readonly [term: string, text: string]>,
  look: Look
): ReadonlyArray<string> =>
  entries.length === 0 ? [] : ["", ...heading(title, look), ...definitions(entries, look.columns)]

const heading = (title: string, { color, columns }: Look): ReadonlyArray<string> =>
  wrap(title, columns).map((line) => (color ? `\u001b[1m${line}\u001b[0m` : line))

/** What an example does stands behind it where there is room, else above it; a long one goes on behind a backslash. */
const examples = (all: ReadonlyArray<Example>, look: Look): ReadonlyArray<string> => {
  const fitting = all.filter(({ does, line }) => line.length + does.length + 6 <= look.columns)
  const width = Math.max(0, ...fitting.map(({ line }) => line.length))
  const isBeside = fitting.length === all.length
  const lines = all.flatMap(({ does, line }) =>
    isBeside && width + does.length + 6 <= look.columns
      ? [`  ${line.padEnd(width)}  # ${does}`]
      : [...wrap(`  # ${does}`, look.columns, 4), ...continued(line, look.columns)]
  )
  return ["", ...heading("Examples", look), ...lines]
}

const continued = (line: string, columns: number): ReadonlyArray<string> => {
  const lines = wrap(`  ${line}`, columns - 2, 2).map((part) => `  ${part.trimStart()}`)
  return lines.map((part, index) => (index === lines.length - 1 ? part : `${part} \\`))
}
