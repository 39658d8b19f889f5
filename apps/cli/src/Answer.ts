/**
 * The questions that need nothing but the description of the command line, and are answered before the program is
 * loaded: `--version`, `--help` and `--completions`.
 */
import { read } from "./syntax/Reading.js"

/** The version of this package, which the bundler puts in. */
declare const BATCHCTL_VERSION: string

/** Answers on standard output if it is such a question, and returns whether it was. */
export const answer = async (argv: ReadonlyArray<string>): Promise<boolean> => {
  const reading = read(argv)
  switch (reading._tag) {
    case "Version":
      await print(BATCHCTL_VERSION)
      return true
    case "Help": {
      const { render } = await import("./manual/HelpPage.js")
      await print(render(reading.command, { version: BATCHCTL_VERSION, look: look() }))
      return true
    }
    case "Completions": {
      const { render } = await import("./manual/Completions.js")
      await print(render(reading.shell))
      return true
    }
    default:
      return false
  }
}

/** Help is read, not scanned: longer lines than this are no help. */
const widest = 100

const look = () => {
  const { columns, isTTY } = process.stdout
  const width = isTTY ? columns : Number(process.env["COLUMNS"])
  return {
    columns: Math.min(widest, Math.max(20, width || 80)),
    color: isTTY && !process.env["NO_COLOR"] && !process.env["CI"] && process.env["TERM"] !== "dumb"
  }
}

const local = 9

/** A reader that has gone away is no failure; a disk that is full is. */
const print = (text: string): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") {
        process.exitCode = local
        process.stderr.write(`error: standard output: cannot be written (${error.code})\n`)
      }
      resolve()
    })
    process.stdout.write(`${text}\n`, () => resolve())
  })
