/**
 * `batchctl run`: a list of any length to one verified result, over as many jobs as it takes.
 */
import { ofName } from "@org/batch-core/Format"
import type { InputFormat } from "@org/batch-core/InputRows"
import type { Options } from "@org/batch-core/Campaign"
import type { Format } from "@org/batch-core/Format"
import { Effect, Option } from "effect"
import { UsageError } from "../failure/CliError.js"
import * as Timeout from "../options/Timeout.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as StateFolder from "../settings/StateFolder.js"
import * as Commands from "../syntax/Commands.js"
import type { Values } from "../syntax/Reading.js"
import * as Command from "./Command.js"

type Typed = Values<typeof Commands.run.flags>

const refuse = (detail: string) => new UsageError({ detail, hint: Option.none(), batchId: Option.none() })

const wholeNumber = (flag: string, text: string | undefined, least: number) => {
  if (text === undefined) return Effect.succeed(undefined)
  const value = Number(text)
  return value >= least ? Effect.succeed(value) : refuse(`--${flag} ${text} must be at least ${least}`)
}

const isInputFormat = (text: string): text is InputFormat => ["csv", "tsv", "jsonl", "lines"].includes(text)
const isFormat = (text: string): text is Format => ["jsonl.gz", "jsonl", "csv"].includes(text)

/** What all runs have, whether they begin or go on. */
const common = ({ values }: Typed) =>
  Effect.gen(function* () {
    const left = values.timeout === undefined ? undefined : yield* Timeout.start(values.timeout)
    const maxCredits = values["max-credits"]
    const credits = maxCredits === undefined ? undefined : Number(maxCredits)
    if (credits !== undefined && !(credits >= 0)) {
      return yield* refuse(`--max-credits ${maxCredits} must be a number of credits`)
    }
    return {
      folder: yield* StateFolder.campaigns,
      maxActive: yield* wholeNumber("max-active", values["max-active"], 1),
      maxCredits: credits,
      deadline: left === undefined ? undefined : yield* left,
      retryFailed: values["retry-failed"] === true
    }
  })

const begun = (typed: Typed) =>
  Effect.gen(function* () {
    const { positionals: args, values } = typed
    const [entity, action, ...more] = args
    if (entity === undefined || action === undefined || more.length > 0) {
      return yield* refuse("batchctl run needs an entity and an action, such as company enrich")
    }
    const { column, format, input, "input-format": inputFormat, output } = values
    if (input === undefined) return yield* refuse("batchctl run needs --input FILE")
    if (output === undefined) return yield* refuse("batchctl run needs -o OUT")
    if (inputFormat !== undefined && !isInputFormat(inputFormat)) {
      return yield* refuse(`--input-format ${inputFormat} must be csv, tsv, jsonl or lines`)
    }
    if (format !== undefined && !isFormat(format))
      return yield* refuse(`--format ${format} must be jsonl.gz, jsonl or csv`)
    const { formatOf } = yield* Effect.promise(() => import("@org/batch-core/InputRows"))
    const { standardInput } = yield* Effect.promise(() => import("../run/StandardInput.js"))
    const options: Omit<Options, "folder"> = {
      kind: `${entity}/${action}`,
      input: {
        path: input,
        bytes: input === "-" ? standardInput : undefined,
        format: inputFormat ?? formatOf(input),
        column
      },
      as: values.as,
      body:
        values.fields === undefined ? {} : { fields: values.fields.split(",").map((field) => field.trim()) },
      output,
      format: format ?? Option.getOrUndefined(ofName(output)),
      join: values.join === true
    }
    return options
  })

const run = Effect.fn("RunCommand.run")(function* (typed: Typed) {
  const shared = yield* common(typed)
  const { positionals: args, values } = typed
  const campaign = yield* Effect.promise(() => import("../run/CampaignRun.js"))
  const talk = {
    yes: values.yes === true,
    json: values.json === true,
    quiet: values.quiet === true,
    input: values.input
  }
  if (values.resume !== undefined) {
    if (args.length > 0 || values.input !== undefined || values.output !== undefined) {
      return yield* refuse("--resume takes a campaign as it was begun: no entity, no --input, no -o")
    }
    return yield* campaign.resume(values.resume, shared, talk)
  }
  return yield* campaign.run({ ...(yield* begun(typed)), ...shared }, talk)
})

/** `batchctl run` */
export const command = Command.make(Commands.run, (typed) => Effect.provide(run(typed), CoreLayer.layer))
