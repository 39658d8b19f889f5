#!/usr/bin/env node
/**
 * The binary. It loads the program only if there is something to run.
 */
import { answer } from "./Answer.js"
import { loader } from "./CodeCache.js"

/** The file of the program, which the bundler puts in. */
declare const BATCHCTL_PROGRAM: string

const run = async (): Promise<void> => {
  if (!(await answer(process.argv.slice(2))))
    loader(import.meta.dirname, process.env)(`./${BATCHCTL_PROGRAM}`)
}

void run()
