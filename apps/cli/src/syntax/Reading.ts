/**
 * The command line as it is understood: what to run, what to show, or what is wrong with it. Of a command that is to
 * run every flag and value has been checked here.
 */
import { parseArgs } from "node:util"
import * as Commands from "./Commands.js"
import { everywhere } from "./Flags.js"
import { listed } from "./Listing.js"
import { nearest } from "@org/batch-core/Suggestion"
import type { Command, Flags } from "./Syntax.js"

/** What a command line asks for. */
export type Reading =
  | { readonly _tag: "Version" }
  /** The page of a command, or the overview. */
  | { readonly _tag: "Help"; readonly command: Commands.Name | undefined }
  | { readonly _tag: "Completions"; readonly shell: string }
  | {
      readonly _tag: "Run"
      readonly command: Commands.Name
      /** What stands behind the command, without the flags that go with every command. */
      readonly args: ReadonlyArray<string>
      readonly logLevel: string | undefined
    }
  | Misuse

/** What is wrong with a command line. */
export interface Misuse {
  readonly _tag: "Misuse"
  readonly detail: string
  /** What was typed and what was probably meant, as the words of a command line. */
  readonly meant?: { readonly typed: string; readonly instead: string }
  /** The command whose help tells more. */
  readonly command?: Commands.Name | undefined
}

/** The values of these flags, and the arguments. */
export type Values<F extends Flags> = ReturnType<
  typeof parseArgs<{ args: Array<string>; options: F; allowPositionals: true; strict: true }>
>

/** The values of a command's flags, and its arguments, each of its type. */
export const values = <F extends Flags>(flags: F, args: ReadonlyArray<string>): Values<F> =>
  parseArgs({ args: [...args], options: flags, allowPositionals: true, strict: true })

/** Understands a command line: the words behind the program's name. */
export const read = (argv: ReadonlyArray<string>): Reading => {
  const at = verbAt(argv)
  const verb = at === -1 ? undefined : argv[at]
  const rest = argv.filter((_, index) => index !== at)
  if (verb === "help") return helpOn(rest)
  const command = verb !== undefined && Commands.isName(verb) ? verb : undefined
  const flags: Flags = { ...everywhere, ...(command === undefined ? {} : Commands.all[command].flags) }
  const { positionals, tokens } = parseArgs({
    args: [...rest],
    options: flags,
    allowPositionals: true,
    strict: false,
    tokens: true
  })
  const options = tokens.filter((token) => token.kind === "option")
  const given = (name: keyof typeof everywhere) => options.findLast((token) => token.name === name)
  if (given("help") !== undefined) return { _tag: "Help", command }
  if (given("version") !== undefined || (verb === "version" && rest.length === 0)) return { _tag: "Version" }
  // Behind a flag that is not known, the word may be its value.
  if (verb !== undefined && command === undefined && at === 0) return noCommand(verb)
  const wrong = options.map((token) => problem(token, flags, command)).find((found) => found !== undefined)
  if (wrong !== undefined) return wrong
  if (verb !== undefined && command === undefined) return noCommand(verb)
  const shell = given("completions")?.value
  if (shell !== undefined) return { _tag: "Completions", shell }
  if (command === undefined) {
    return { _tag: "Help", command }
  }
  const logLevel = given("log-level")?.value
  const own = options.filter((token) => !(token.name in everywhere))
  const args = [
    ...own.map(({ name, value }) => (value === undefined ? `--${name}` : `--${name}=${value}`)),
    "--",
    ...positionals
  ]
  return excess(command, positionals) ?? { _tag: "Run", command, args, logLevel }
}

/** The place of the command: the first word that is neither a flag nor the value of one. */
const verbAt = (argv: ReadonlyArray<string>): number =>
  argv.findIndex((word, index) => !word.startsWith("-") && !valued(everywhere).has(argv[index - 1] ?? ""))

/** The words of a command line as the rest takes them: its command in front, `-oFILE` written as two words. */
export const words = (argv: ReadonlyArray<string>): ReadonlyArray<string> => spelledOut(verbFirst(argv))

/** The same command line with its command in front. */
const verbFirst = (argv: ReadonlyArray<string>): ReadonlyArray<string> => {
  const at = verbAt(argv)
  return at < 1 || !Commands.isName(argv[at] ?? "")
    ? argv
    : [...argv.slice(at, at + 1), ...argv.filter((_, index) => index !== at)]
}

/**
 * A command line with `-oFILE`, as curl and gh take it, written as `-o FILE`. Values of other flags, and what stands
 * behind `--`, stay as they are.
 */
const spelledOut = (argv: ReadonlyArray<string>): ReadonlyArray<string> => {
  const isGlued = (word: string) => /^-o./su.test(word)
  if (!argv.some(isGlued)) return argv
  const flagsWithValue = valuedAnywhere()
  const end = argv.includes("--") ? argv.indexOf("--") : argv.length
  return argv.flatMap((word, index) =>
    index < end && isGlued(word) && !flagsWithValue.has(argv[index - 1] ?? "")
      ? ["-o", word.slice(2).replace(/^=/u, "")]
      : [word]
  )
}

/** The flags that are followed by a value, as they are typed. */
export const valued = (flags: Flags): ReadonlySet<string> =>
  new Set(
    Object.entries(flags).flatMap(([name, { short, type }]) =>
      type === "string" ? [`--${name}`, ...(short === undefined ? [] : [`-${short}`])] : []
    )
  )

/** The flags of any command that are followed by a value. */
export const valuedAnywhere = (): ReadonlySet<string> =>
  new Set(
    [everywhere, ...Commands.names.map((name) => Commands.all[name].flags)].flatMap((flags) => [
      ...valued(flags)
    ])
  )

const helpOn = ([word, ...others]: ReadonlyArray<string>): Reading => {
  if (word === undefined || others.length > 0 || word.startsWith("-"))
    return { _tag: "Help", command: undefined }
  return Commands.isName(word) ? { _tag: "Help", command: word } : noCommand(word)
}

const noCommand = (typed: string): Misuse => {
  const instead = nearest(typed, [...Commands.names, "help", "version"])
  return {
    _tag: "Misuse",
    detail: `${typed} is no command of batchctl${asking(instead)}`,
    ...meant(typed, instead)
  }
}

interface Option {
  readonly name: string
  readonly rawName: string
  readonly value: string | undefined
  readonly inlineValue: boolean | undefined
}

/** What is wrong with a flag, if anything is. */
const problem = (option: Option, flags: Flags, command: Commands.Name | undefined): Misuse | undefined => {
  const { inlineValue, name, rawName, value } = option
  const wrong = (detail: string, instead?: string): Misuse => ({
    _tag: "Misuse",
    detail,
    command,
    ...meant(value ?? "", instead)
  })
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined
  if (flag === undefined) return noFlag(rawName, flags, command)
  if (flag.type === "boolean")
    return value === undefined
      ? undefined
      : wrong(`${rawName} takes no value, but has ${JSON.stringify(value)}`)
  if (value === undefined) return wrong(`${rawName} needs a value: ${rawName} ${flag.value}`)
  if (inlineValue === false && /^-./u.test(value))
    return wrong(
      `${rawName} needs a value before ${value}; one that begins with a dash is written --${name}=${value}`
    )
  if (flag.integer === true && !/^-?\d+$/u.test(value)) return wrong(`${rawName} ${value} is no whole number`)
  return flag.values === undefined || flag.open === true || Object.hasOwn(flag.values, value)
    ? undefined
    : noValue(option, value, Object.keys(flag.values), wrong)
}

const noFlag = (typed: string, flags: Flags, command: Commands.Name | undefined): Misuse => {
  const known = Object.entries(flags).flatMap(([name, { short }]) => [
    `--${name}`,
    ...(short ? [`-${short}`] : [])
  ])
  const instead = typed.length < 4 ? undefined : nearest(typed, known)
  return {
    _tag: "Misuse",
    detail: `${typed} is no flag of ${command === undefined ? "batchctl" : `batchctl ${command}`}${asking(instead)}`,
    command,
    ...meant(typed, instead)
  }
}

const noValue = (
  { rawName }: Option,
  value: string,
  known: ReadonlyArray<string>,
  wrong: (detail: string, instead?: string) => Misuse
): Misuse => {
  const instead = nearest(value, known)
  return wrong(
    `${rawName} ${value} is not available: there are ${listed(known, "and")}${asking(instead)}`,
    instead
  )
}

/** Arguments that a command does not take. */
const excess = (command: Commands.Name, positionals: ReadonlyArray<string>): Misuse | undefined => {
  const { argument }: Command = Commands.all[command]
  if (argument?.path === true && positionals.length === 0)
    return { _tag: "Misuse", detail: `batchctl ${command} needs a ${argument.term}`, command }
  const { count = 1 } = argument?.words ?? {}
  if (argument?.words !== undefined && positionals.length < count)
    return { _tag: "Misuse", detail: `batchctl ${command} needs ${argument.term}`, command }
  const extra = argument === undefined ? positionals[0] : argument.repeated ? undefined : positionals[count]
  if (extra === undefined) return undefined
  const takes = argument === undefined ? "no argument" : `${count === 1 ? "one " : ""}${argument.term}`
  return { _tag: "Misuse", detail: `batchctl ${command} takes ${takes}, but there is ${extra}`, command }
}

const meant = (typed: string, instead: string | undefined): Pick<Misuse, "meant"> =>
  instead === undefined ? {} : { meant: { typed, instead } }

const asking = (instead: string | undefined): string =>
  instead === undefined ? "" : `; did you mean ${instead}?`

/** The flag of a command line whose values are open and of which the value is none that is known. */
export const open = (
  argv: ReadonlyArray<string>
): { readonly flag: string; readonly value: string; readonly known: ReadonlyArray<string> } | undefined => {
  const reading = read(argv)
  if (reading._tag !== "Run") return undefined
  const { flags }: Command = Commands.all[reading.command]
  return Object.entries(flags).flatMap(([name, flag]) => {
    const [, value] = reading.args.find((word) => word.startsWith(`--${name}=`))?.split("=") ?? []
    const known = flag.type === "string" && flag.open === true ? Object.keys(flag.values ?? {}) : []
    return value === undefined || known.length === 0 || known.includes(value)
      ? []
      : [{ flag: `--${name}`, value, known }]
  })[0]
}
