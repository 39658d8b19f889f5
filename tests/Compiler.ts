import { spawn } from "node:child_process"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"

/** What to type-check. */
export interface Project {
  /** Where names in `options` start. */
  readonly folder: string
  /** Paths, with the code of those that are not on the disk. */
  readonly files: Readonly<Record<string, string | true>>
  /** As in a tsconfig.json. */
  readonly options: object
  /** The folder whose faults count, instead of those of `files` alone. */
  readonly within?: string
}

/** How many files were checked, and what is wrong with them. */
export interface Checked {
  readonly checked: number
  readonly faults: ReadonlyArray<string>
}

/**
 * Type-checks projects, one after the other, in one process of its own: what several of them import is parsed once, so their
 * files on the disk must mean the same in all of them.
 */
export const check = async (...projects: ReadonlyArray<Project>): Promise<ReadonlyArray<Checked>> => {
  const script = fileURLToPath(new URL("Compiler.mjs", import.meta.url))
  const compiler = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "inherit"] })
  compiler.stdin.end(JSON.stringify(projects))
  return JSON.parse(await text(compiler.stdout))
}
