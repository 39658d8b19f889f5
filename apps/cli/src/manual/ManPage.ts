/**
 * The man page, in the macros of man(7), from the same descriptions as the help.
 */
import * as Commands from "../syntax/Commands.js"
import { everywhere } from "../syntax/Flags.js"
import { type Command, type Flags, groups } from "../syntax/Syntax.js"
import { wrap } from "../terminal/Wrap.js"

/** The text of `batchctl.1`; `date` is when it was made, as 2025-11-20. */
export const render = (version: string, date: string): string =>
  [
    `.TH BATCHCTL 1 "${date}" "batchctl ${version}" "User Commands"`,
    ".SH NAME",
    text(`batchctl - ${Commands.summary.replace(/^F/u, "f").replace(/\.$/u, "")}`),
    ".SH SYNOPSIS",
    ".B batchctl",
    ".I command",
    "[\\fIflags\\fR]",
    ".SH DESCRIPTION",
    text(
      "batchctl waits for jobs of the Crustdata Batch API and downloads their results. The same command again goes on where an interrupted one ended. A file appears under its name only when it is complete and verified. Data goes to standard output, talk to standard error."
    ),
    ".SH COMMANDS",
    ...Object.entries(groups).flatMap(([group, title]) => [
      `.SS ${text(title)}`,
      ...Commands.names.filter((name) => Commands.all[name].group === group).flatMap(command)
    ]),
    ".SH OPTIONS",
    text("These go with every command."),
    ...options(everywhere),
    ".SH EXIT STATUS",
    ...list(Object.entries(Commands.exitCodes)),
    ".SH ENVIRONMENT",
    text(
      `Settings come from a flag, from the environment, or from KEY=value lines in ${Commands.profileFile}, in this order.`
    ),
    ...list(Object.entries(Commands.environment)),
    ".SH FILES",
    ...list([[Commands.profileFile, "The profile file; below XDG_CONFIG_HOME if that is set."]]),
    ".SH EXAMPLES",
    ...Commands.names.flatMap((name) =>
      Commands.all[name].examples.flatMap(({ does, line }, index) => [
        ...(index === 0 && name === Commands.names[0] ? [] : [".PP"]),
        `${text(does.replace(/^./u, (first) => first.toUpperCase()))}:`,
        ".PP",
        ".nf",
        ".RS",
        escaped(line),
        ".RE",
        ".fi"
      ])
    ),
    ""
  ].join("\n")

const command = (name: Commands.Name): ReadonlyArray<string> => {
  const { about, argument, flags, section: extra }: Command = Commands.all[name]
  return [
    ".TP",
    `.B batchctl ${name}${argument === undefined ? "" : ` ${text(argument.term)}`}`,
    text(about),
    ".RS",
    ...(extra === undefined ? [] : [`${text(`${extra.title}:`)}`, ...list(extra.rows)]),
    ...options(flags),
    ".RE"
  ]
}

const options = (flags: Flags): ReadonlyArray<string> =>
  Object.entries(flags).flatMap(([name, flag]) => {
    const long = `\\fB${text(`--${name}`)}\\fR`
    const short = flag.short === undefined ? "" : `\\fB${text(`-${flag.short}`)}\\fR, `
    return [
      ".TP",
      `${short}${long}${flag.type === "boolean" ? "" : ` \\fI${flag.value}\\fR`}`,
      text(flag.about)
    ]
  })

const list = (rows: ReadonlyArray<readonly [string, string]>): ReadonlyArray<string> =>
  rows.flatMap(([term, about]) => [".TP", `.B ${text(term)}`, text(about)])

const longestLine = 79

/** Lines of text: what roff would take for its own is escaped, and what is not ASCII is named. */
const text = (words: string): string =>
  wrap(escaped(words), longestLine)
    .map((line) => line.replace(/^(?=[.'])/u, String.raw`\&`))
    .join("\n")

const escaped = (words: string): string =>
  words
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("~", "\\(ti")
    .replaceAll("`", "\\(ga")
    .replaceAll("…", "...")
