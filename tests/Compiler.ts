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

/** Type-checks in a process of its own: the number of files, and what is wrong with them. */
export const check = async (
  project: Project
): Promise<{ readonly checked: number; readonly faults: ReadonlyArray<string> }> => {
  const script = fileURLToPath(new URL("Compiler.mjs", import.meta.url))
  const compiler = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "inherit"] })
  compiler.stdin.end(JSON.stringify(project))
  return JSON.parse(await text(compiler.stdout))
}
