#!/usr/bin/env node
/**
 * The binary. It loads the program only if there is something to run.
 */
import { join } from "node:path"
import { answer } from "./Answer.js"
import * as CodeCache from "./CodeCache.js"
import type { Name } from "./syntax/Commands.js"

/** The file of the program, which the bundler puts in. */
declare const BATCHCTL_PROGRAM: string

/**
 * A list of any length passes through a campaign. What is left of it lives just long enough to be taken for long-lived, so V8 is
 * to clear up before that has become as much as it would let it.
 */
const flagsOf = (command: Name): string => (command === "run" ? "--heap-growing-percent=40" : "")

const run = async (): Promise<void> => {
  const command = await answer(process.argv.slice(2))
  if (command === undefined) return
  const filename = join(import.meta.dirname, BATCHCTL_PROGRAM)
  CodeCache.run({ filename, command, flags: flagsOf(command), env: process.env })
}

void run()
