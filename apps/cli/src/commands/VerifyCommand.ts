/**
 * `batchctl verify`: reads results again, offline, and compares them with their receipts.
 */
import * as Format from "@org/batch-core/Format"
import * as Receipt from "@org/batch-core/Receipt"
import type * as Verification from "@org/batch-core/Verification"
import { Effect, Option, Schema } from "effect"
import { AlreadyReported } from "../failure/CliError.js"
import * as ExitCode from "../failure/ExitCode.js"
import * as Report from "../failure/Report.js"
import * as Settings from "../settings/Settings.js"
import * as Commands from "../syntax/Commands.js"
import { bytes, count, plural } from "../terminal/Humanize.js"
import { Stdout, type StdoutError } from "../terminal/Stdout.js"
import * as Command from "./Command.js"

/** The parsed flags and arguments. */
interface Request {
  readonly files: ReadonlyArray<string>
  readonly json: boolean
  readonly quiet: boolean
}

const text = ({ receipt, ...found }: Verification.Verification): ReadonlyArray<string> => [
  `file       ${found.file}${receipt === undefined ? "" : parts(receipt)}`,
  `rows       ${count(found.records)}`,
  `bytes      ${count(found.bytes)} (${bytes(found.bytes)})`,
  `sha256     ${found.sha256}`,
  ...(receipt === undefined
    ? [
        "receipt    none",
        `checked    structure, and that every ${isTable(found.file) ? "row" : "line"} can be read`,
        "not known  whose rows these are, and whether they are all and as delivered"
      ]
    : [
        `receipt    batch ${receipt.batchId}, ${plural(receipt.resultCount, "row")} announced`,
        `verified   bytes, rows and sha256 agree with the receipt${receipt.complete ? "" : ", which is of an incomplete result"}`
      ])
]

const parts = (receipt: Receipt.Receipt): string => {
  const files = Receipt.namesOf(receipt).length
  return files === 0 ? "" : `, ${plural(files, "part file")}`
}

const isTable = (file: string): boolean => Option.contains(Format.ofName(file), "csv")

const json = (
  { receipt, ...found }: Verification.Verification,
  stdout: Stdout["Type"]
): Effect.Effect<void, StdoutError> =>
  Effect.gen(function* () {
    const encoded =
      receipt === undefined ? null : yield* Effect.orDie(Schema.encode(Receipt.Receipt)(receipt))
    yield* stdout.json({ ...found, receipt: encoded })
  })

type Print = (found: Verification.Verification) => Effect.Effect<void, StdoutError>

/** Prints results in the order they come: as JSON, or as blocks with a blank line between them. */
const printer = ({ json: asJson, quiet }: Omit<Request, "files">, stdout: Stdout["Type"]): Print => {
  let blocks = 0
  return (found) => {
    if (asJson) return json(found, stdout)
    if (quiet) return Effect.void
    blocks += 1
    return stdout.line([...(blocks > 1 ? [""] : []), ...text(found)].join("\n"))
  }
}

/** Checks all results at a path, prints what was found of each, and gives the exit code of each. */
const checkAll = (file: string, print: Print) =>
  Effect.gen(function* () {
    const { check, find } = yield* Effect.promise(() => import("@org/batch-core/Verification"))
    const checkOne = (one: Verification.Delivered) =>
      Effect.matchEffect(check(one), {
        onFailure: (error) => Report.failure(error, one),
        onSuccess: (found) => Effect.as(print(found), ExitCode.ok)
      })
    return yield* Effect.matchEffect(find(file), {
      onFailure: (error) => Effect.map(Report.failure(error, { file }), (code) => [code]),
      onSuccess: (all) => Effect.forEach(all, checkOne)
    })
  })

const run = Effect.fn("VerifyCommand.run")(function* ({ files, ...how }: Request) {
  const print = printer(how, yield* Stdout)
  const codes = yield* Effect.forEach(files, (file) => checkAll(file, print)).pipe(
    Effect.provide(Settings.layer)
  )
  const exitCode = codes.flat().find((code) => code !== ExitCode.ok)
  if (exitCode !== undefined) return yield* new AlreadyReported({ exitCode })
})

/** `batchctl verify <file>...` */
export const command = Command.make(Commands.verify, ({ positionals: files, values }) =>
  run({ files, json: values.json === true, quiet: values.quiet === true })
)
