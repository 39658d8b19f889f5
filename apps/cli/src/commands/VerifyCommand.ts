/**
 * `batchctl verify`: reads a delivered file again and compares it with its receipt, offline.
 */
import { Receipt } from "@org/batch-core/Receipt"
import type { Verification } from "@org/batch-core/Verification"
import { Effect, Schema } from "effect"
import * as Settings from "../settings/Settings.js"
import * as Commands from "../syntax/Commands.js"
import { bytes, count } from "../terminal/Humanize.js"
import { Stdout } from "../terminal/Stdout.js"
import * as Command from "./Command.js"

const print = ({ receipt, ...found }: Verification, json: boolean) =>
  Effect.gen(function* () {
    const stdout = yield* Stdout
    if (!json) return yield* stdout.line(text(found, receipt).join("\n"))
    const encoded = receipt === undefined ? null : yield* Effect.orDie(Schema.encode(Receipt)(receipt))
    yield* stdout.json({ ...found, verified: true, receipt: encoded })
  })

const text = (found: Omit<Verification, "receipt">, receipt: Receipt | undefined): ReadonlyArray<string> => [
  `file       ${found.file}`,
  `rows       ${count(found.records)}`,
  `bytes      ${count(found.bytes)} (${bytes(found.bytes)})`,
  `sha256     ${found.sha256}`,
  ...(receipt === undefined
    ? [
        "receipt    none beside the file",
        "verified   the file is sound in itself: structure, checksums and last line"
      ]
    : [
        `receipt    batch ${receipt.batchId}, ${count(receipt.resultCount)} rows announced`,
        `verified   bytes, rows and sha256 agree with the receipt${receipt.complete ? "" : ", which is of an incomplete result"}`
      ])
]

const run = Effect.fn("VerifyCommand.run")(function* (request: {
  readonly file: string
  readonly json: boolean
}) {
  const { verify } = yield* Effect.promise(() => import("@org/batch-core/Verification"))
  const found = yield* Effect.provide(verify(request.file), Settings.layer)
  yield* print(found, request.json)
})

/** `batchctl verify <file>` */
export const command = Command.make(Commands.verify, ({ positionals: [file = ""], values }) =>
  run({ file, json: values.json === true })
)
