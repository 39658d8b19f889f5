/**
 * What needs nothing but the description of the command line, and is answered before the program is loaded: `--version`,
 * `--help`, `--completions`, and a command line that cannot be understood.
 */
import * as ExitCode from "./failure/ExitCode.js"
import * as MisuseText from "./failure/MisuseText.js"
import * as Completions from "./manual/Completions.js"
import * as HelpPage from "./manual/HelpPage.js"
import type { Name } from "./syntax/Commands.js"
import { read, words } from "./syntax/Reading.js"
import { wantsJson } from "./terminal/CommandLine.js"
import * as Message from "./terminal/Message.js"

/** The version of this package, which the bundler puts in. */
declare const BATCHCTL_VERSION: string

/** Answers if there is no need for the program; else returns the command that it is needed for. */
export const answer = async (typed: ReadonlyArray<string>): Promise<Name | undefined> => {
  const argv = words(typed)
  const reading = read(argv)
  switch (reading._tag) {
    case "Version":
      await print(BATCHCTL_VERSION)
      return undefined
    case "Help":
      await print(HelpPage.render(reading.command, { version: BATCHCTL_VERSION, look: look() }))
      return undefined
    case "Completions":
      await print(Completions.render(reading.shell))
      return undefined
    case "Misuse":
      process.exitCode = ExitCode.usage
      complain(MisuseText.lines(reading, argv))
      if (wantsJson({ argv })) await print(JSON.stringify(MisuseText.json(reading, argv)))
      return undefined
    case "Run":
      return reading.command
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

/** Writes to standard error; whether anybody reads it does not matter. */
const complain = (lines: ReadonlyArray<string>): void => {
  const { env, stderr } = process
  const columns = Message.isInteractive(stderr, env) ? Message.widthOf(stderr) : undefined
  stderr.on("error", () => undefined).write(lines.map((line) => `${Message.of(line, columns)}\n`).join(""))
}

/** A reader that has gone away is no failure; a disk that is full is. */
const print = (text: string): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") {
        process.exitCode = ExitCode.local
        process.stderr.write(`error: standard output: cannot be written (${error.code})\n`)
      }
      resolve()
    })
    process.stdout.write(`${text}\n`, () => resolve())
  })
