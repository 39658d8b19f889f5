/**
 * `batchctl doctor`: checks what is set, reachable and writable; prints no secrets.
 */
import { Effect } from "effect"
import { AlreadyReported } from "../failure/CliError.js"
import * as Commands from "../syntax/Commands.js"
import { Stdout } from "../terminal/Stdout.js"
import * as Command from "./Command.js"

const run = Effect.fn("DoctorCommand.run")(function* ({ json }: { readonly json: boolean }) {
  const doctor = yield* Effect.promise(() => import("./Doctor.js"))
  const stdout = yield* Stdout
  const findings = yield* doctor.examine
  yield* json ? stdout.json(doctor.json(findings)) : stdout.text(doctor.text(findings), 8)
  const exitCode = doctor.exitCode(findings)
  if (exitCode !== 0) return yield* new AlreadyReported({ exitCode })
})

/** `batchctl doctor` */
export const command = Command.make(Commands.doctor, ({ values }) => run({ json: values.json === true }))
