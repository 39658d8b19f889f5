/** A terminal of its own for a run of the binary, and what stands on its screen in the end. */
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import type { Outcome, World } from "./Batchctl.js"

/** Whether there is a program that makes terminals: `script` of util-linux. */
export const available = /util-linux/.test(
  spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? ""
)

/** How to run on a terminal. */
export interface Settings {
  readonly columns: number
  readonly rows?: number
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Runs a shell command line, in which `$B` is the binary, on a terminal of this size. */
export const onTerminal = (
  { shell }: World,
  line: string,
  { columns, env, rows = 24 }: Settings
): Effect.Effect<Outcome> =>
  shell('script -qec "$LINE" /dev/null', {
    env: {
      TERM: "xterm-256color",
      LANG: "C.UTF-8",
      CI: undefined,
      ...env,
      LINE: `stty cols ${columns} rows ${rows}; ${line}`
    }
  })

/** The lines that stand on the screen when all is written, with ␛ before the codes of colours; none is longer than was allowed. */
export const screen = (text: string, columns: number): ReadonlyArray<string> => {
  const lines = [""]
  let row = 0
  for (const [part] of visible(text).matchAll(/\r|\n|␛\[2K|␛\[1A|␛\[[\d;]*m|[^\r\n␛]+/gu)) {
    if (part === "\n") row += 1
    else if (part === "␛[1A") row = Math.max(0, row - 1)
    else if (part === "␛[2K") lines[row] = ""
    else if (part !== "\r") lines[row] = `${lines[row] ?? ""}${part}`
    lines[row] ??= ""
  }
  const broken = lines.filter((line) => !/^(?:export |batchctl )/u.test(line) && bare(line).length > columns)
  if (broken.length > 0) throw new Error(`${columns} columns are too few for\n${broken.join("\n")}`)
  return lines
}

/** A line without its colours. */
export const bare = (line: string): string => visible(line).replaceAll(/␛\[[\d;]*m/gu, "")

const visible = (text: string): string => text.replaceAll("\u001b", "␛")
