/**
 * The completion scripts of `--completions`, for bash, zsh and fish: commands, flags, and the values of flags.
 */
import * as Commands from "../syntax/Commands.js"
import { everywhere } from "../syntax/Flags.js"
import type { Command, Flag, Flags, Valued } from "../syntax/Syntax.js"

/** The script for a shell. */
export const render = (shell: string): string => {
  switch (shell) {
    case "zsh":
      return zsh()
    case "fish":
      return fish()
    default:
      return bash()
  }
}

const entries = (name: Commands.Name): ReadonlyArray<readonly [string, Flag]> => {
  const { flags }: Command = Commands.all[name]
  return Object.entries<Flag>({ ...flags, ...everywhere })
}

const typed = ([name, { short }]: readonly [string, Flag]): ReadonlyArray<string> => [
  ...(short === undefined ? [] : [`-${short}`]),
  `--${name}`
]

/** The words that the arguments of a command can be, where they are known. */
const knownWords = (name: Commands.Name): ReadonlyArray<string> => {
  const { argument }: Command = Commands.all[name]
  return argument?.words?.known ?? []
}

const takesPath = (name: Commands.Name): boolean => {
  const { argument }: Command = Commands.all[name]
  return argument?.path === true
}

/** A text in single quotes, as bash and zsh read them. */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

const bash = (): string => {
  const cases = Commands.names.flatMap((name) => {
    const flags = entries(name)
    const valued = flags.flatMap(([flag, one]) =>
      one.type === "string" ? [`        ${typed([flag, one]).join("|")}) ${bashValues(one)}; return ;;`] : []
    )
    const otherwise = takesPath(name)
      ? 'COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null'
      : knownWords(name).length === 0
        ? ":"
        : `COMPREPLY=($(compgen -W ${quoted(knownWords(name).join(" "))} -- "$cur"))`
    return [
      `    ${name})`,
      '      case "$prev" in',
      ...valued,
      "      esac",
      `      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W ${quoted(flags.flatMap(typed).join(" "))} -- "$cur"))`,
      `      else ${otherwise}; fi ;;`
    ]
  })
  const first = [...Commands.names, "help", "version", ...Object.entries(everywhere).flatMap(typed)].join(" ")
  return `# bash completion for batchctl: source <(batchctl --completions bash)
_batchctl() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="" command="" word
  (( COMP_CWORD > 0 )) && prev="\${COMP_WORDS[COMP_CWORD-1]}"
  # bash takes --flag=value for three words
  if [[ $cur == "=" ]]; then cur=""
  elif [[ $prev == "=" ]]; then prev="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in ${[...Commands.names, "help"].join("|")}) command="$word"; break ;; esac
  done
  COMPREPLY=()
  case "$command" in
${cases.join("\n")}
    help) COMPREPLY=($(compgen -W ${quoted(Commands.names.join(" "))} -- "$cur")) ;;
    *)
      case "$prev" in
${Object.entries<Flag>(everywhere)
  .flatMap(([name, flag]) =>
    flag.type === "string" ? [`        --${name}) ${bashValues(flag)}; return ;;`] : []
  )
  .join("\n")}
      esac
      COMPREPLY=($(compgen -W ${quoted(first)} -- "$cur")) ;;
  esac
}
complete -F _batchctl batchctl`
}

const bashValues = ({ path, values }: Valued): string =>
  values !== undefined
    ? `COMPREPLY=($(compgen -W ${quoted(Object.keys(values).join(" "))} -- "$cur"))`
    : path === true
      ? 'COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null'
      : ":"

const zsh = (): string => `#compdef batchctl
# zsh completion for batchctl: source <(batchctl --completions zsh), or as _batchctl in a folder of $fpath
_batchctl() {
  local context state line curcontext="$curcontext"
  typeset -A opt_args
  _arguments -C \\
${zshFlags(everywhere)
  .map((spec) => `    ${spec} \\`)
  .join("\n")}
    '1: :->command' \\
    '*:: :->rest' && return
  case $state in
    command)
      local -a commands=(
${[
  ...Commands.names.map((name) => [name, Commands.all[name].about] as const),
  ["help", "Help on a command."] as const,
  ["version", "The version."] as const
]
  .map(([name, about]) => `        ${quoted(`${name}:${about.replaceAll(":", String.raw`\:`)}`)}`)
  .join("\n")}
      )
      _describe -t commands command commands ;;
    rest)
      case $words[1] in
${Commands.names
  .map(
    (name) => `        ${name})
          _arguments \\
${zshFlags(Object.fromEntries(entries(name)))
  .map((spec) => `            ${spec} \\`)
  .join("\n")}
            ${takesPath(name) ? "'*:file:_files'" : `'*: :${zshWords(name)}'`} ;;`
  )
  .join("\n")}
        help) local -a commands=(${Commands.names.join(" ")}); _describe -t commands command commands ;;
      esac ;;
  esac
}
if [[ $funcstack[1] == _batchctl ]]; then _batchctl "$@"; else compdef _batchctl batchctl; fi`

const zshWords = (name: Commands.Name): string => {
  const words = knownWords(name)
  return words.length === 0 ? "" : `(${words.join(" ")})`
}

/** The flags as `_arguments` reads them. */
const zshFlags = (flags: Flags): ReadonlyArray<string> =>
  Object.entries(flags).map(([name, flag]) => {
    const { short } = flag
    const about = flag.about.replace(/[[\]:\\]/gu, String.raw`\$&`)
    const value = flag.type === "boolean" ? "" : `:${flag.value}:${zshValues(flag)}`
    const equals = flag.type === "boolean" ? "" : "="
    const many = flag.type === "string" && flag.multiple === true ? "*" : ""
    return short === undefined
      ? quoted(`${many}--${name}${equals}[${about}]${value}`)
      : `${quoted(`(-${short} --${name})`)}{-${short},--${name}}${quoted(`[${about}]${value}`)}`
  })

const zshValues = ({ path, values }: Valued): string =>
  values === undefined
    ? path === true
      ? "_files"
      : ""
    : `((${Object.entries(values)
        .map(([value, about]) => String.raw`${value}\:"${about.replaceAll(":", String.raw`\:`)}"`)
        .join(" ")}))`

const fish = (): string =>
  [
    "# fish completion for batchctl: batchctl --completions fish | source",
    "complete -c batchctl -f",
    ...[
      ...Commands.names.map((name) => [name, Commands.all[name].about] as const),
      ["help", "Help on a command."] as const,
      ["version", "The version."] as const
    ].map(
      ([name, about]) => `complete -c batchctl -n __fish_use_subcommand -a ${name} -d ${fishQuoted(about)}`
    ),
    `complete -c batchctl -n '__fish_seen_subcommand_from help' -a ${fishQuoted(Commands.names.join(" "))}`,
    ...Object.entries<Flag>(everywhere).map((flag) => fishFlag("", flag)),
    ...Commands.names.flatMap((name) => {
      const { flags }: Command = Commands.all[name]
      const condition = ` -n '__fish_seen_subcommand_from ${name}'`
      return [
        ...Object.entries(flags).map((flag) => fishFlag(condition, flag)),
        ...(takesPath(name) ? [`complete -c batchctl${condition} -F`] : []),
        ...(knownWords(name).length === 0
          ? []
          : [`complete -c batchctl${condition} -a ${fishQuoted(knownWords(name).join(" "))}`])
      ]
    })
  ].join("\n")

const fishFlag = (condition: string, [name, flag]: readonly [string, Flag]): string => {
  const short = flag.short === undefined ? "" : ` -s ${flag.short}`
  return `complete -c batchctl${condition}${short} -l ${name}${flag.type === "boolean" ? "" : fishValues(flag)} -d ${fishQuoted(flag.about)}`
}

const fishValues = ({ path, values }: Valued): string =>
  values === undefined
    ? path === true
      ? " -r -F"
      : " -x"
    : ` -x -a ${fishQuoted(
        Object.entries(values)
          .map(([value, about]) => String.raw`${value}\t"${about}"`)
          .join(" ")
      )}`

const fishQuoted = (text: string): string =>
  `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`
