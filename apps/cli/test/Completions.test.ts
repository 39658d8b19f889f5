/** The completion scripts, asked by the shells themselves; skipped where a shell is not installed. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { lines, type World, world } from "./Batchctl.js"

const isThere = (shell: string): boolean => spawnSync(shell, ["--version"]).status === 0

/** What is typed, and some of what is offered then. */
const questions = [
  ["batchctl ", ["get", "list", "verify", "help"]],
  ["batchctl get --format ", ["csv", "jsonl", "jsonl.gz"]],
  ["batchctl list --status ", ["completed", "failed", "pending", "processing"]],
  ["batchctl wait --ti", ["--timeout"]],
  ["batchctl help ver", ["verify"]],
  ["batchctl verify rows.j", ["rows.jsonl"]],
  ["batchctl get -o rows.j", ["rows.jsonl"]],
  ["batchctl --completions ", ["bash", "fish", "zsh"]]
] as const

const shells = {
  bash: (typed: string) => `
source <(batchctl --completions bash)
read -ra COMP_WORDS <<< ${JSON.stringify(typed)}; [[ ${JSON.stringify(typed)} == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _batchctl; printf '%s\\n' "\${COMPREPLY[@]}"`,
  // A shell in a terminal of its own, in which the tabulator is pressed until what is expected stands there.
  zsh: (typed: string, offered: ReadonlyArray<string>) => `
zmodload zsh/zpty; setopt extendedglob; zpty z zsh -f -i
text=""
until-there() {
  local word more tries=0
  for word; do
    while [[ $text != *$word* ]] && (( tries++ < 600 )); do
      zpty -r -t z more && text+=\${more//$'\\e['[0-9;?]#[A-Za-z]/} || sleep 0.05
    done
  done
}
zpty -w z "PS1=; autoload -Uz compinit; compinit -u -D; source <(batchctl --completions zsh); setopt no_beep; LISTMAX=1000; print REA''DY"
until-there READY
text=""
zpty -w -n z ${JSON.stringify(typed)}$'\\t\\t'
until-there ${offered.join(" ")}
print -r -- "$text"`,
  fish: (typed: string) => `batchctl --completions fish | source; complete -C ${JSON.stringify(typed)}`
} as const

const ask = (
  { folder, shell: bash }: World,
  shell: keyof typeof shells,
  typed: string,
  offered: ReadonlyArray<string>
) => {
  writeFileSync(join(folder, "rows.jsonl"), "")
  writeFileSync(join(folder, "batchctl"), `#!/bin/sh\nexec $B "$@"\n`, { mode: 0o755 })
  const [flag, env] = { bash: ["--norc", {}], zsh: ["-f", {}], fish: ["--no-config", { LANG: "C.UTF-8" }] }[
    shell
  ]
  writeFileSync(join(folder, "question"), shells[shell](typed, offered))
  return bash(`PATH=$PWD:$PATH timeout 60 ${shell} ${String(flag)} ./question`, {
    env: { ...Object(env), TERM: "xterm" }
  })
}

describe.each(["bash", "zsh", "fish"] as const)("%s", (shell) => {
  it("is installed", (context) => {
    context.skip(!isThere(shell), `${shell} is not installed: its completions are not asked`)
    expect(isThere(shell)).toBe(true)
  })

  it.scopedLive.skipIf(!isThere(shell))("offers commands, flags, values and files", () =>
    Effect.gen(function* () {
      const made = yield* world()
      for (const [typed, offered] of questions) {
        const { stderr, stdout } = yield* ask(made, shell, typed, offered)
        for (const word of offered)
          expect(stdout, `${typed}: ${stderr}`).toMatch(
            new RegExp(`(?<![\\w-])${word.replaceAll(".", "\\.")}(?![\\w-])`, "u")
          )
      }
      const { stdout } = yield* ask(made, shell, "batchctl get --format ", ["jsonl.gz"])
      expect(stdout).not.toContain("parquet")
      if (shell !== "zsh") expect(lines(stdout)).toHaveLength(3)
    })
  )
})
