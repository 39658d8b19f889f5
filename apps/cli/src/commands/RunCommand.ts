/**
 * `batchctl run`: a list of any length to one verified result, over as many jobs as it takes.
 */
import type { Options } from "@org/batch-core/Campaign"
import * as Format from "@org/batch-core/Format"
import { Effect, Option } from "effect"
import { misused, sourceOf } from "../options/Inputs.js"
import * as Timeout from "../options/Timeout.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as StateFolder from "../settings/StateFolder.js"
import * as Commands from "../syntax/Commands.js"
import type { Values } from "../syntax/Reading.js"
import * as Command from "./Command.js"

type Typed = Values<typeof Commands.run.flags>

const wholeNumber = (flag: string, text: string | undefined, least: number) => {
  if (text === undefined) return Effect.succeed(undefined)
  const value = Number(text)
  return value >= least ? Effect.succeed(value) : misused(`--${flag} ${text} must be at least ${least}`)
}

/** What all runs have, whether they begin or go on. */
const common = ({ values }: Typed) =>
  Effect.gen(function* () {
    const left = values.timeout === undefined ? undefined : yield* Timeout.start(values.timeout)
    const maxCredits = values["max-credits"]
    const credits = maxCredits === undefined ? undefined : Number(maxCredits)
    if (credits !== undefined && !(credits >= 0)) {
      return yield* misused(`--max-credits ${maxCredits} must be a number of credits`)
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
      return yield* misused("batchctl run needs an entity and an action, such as company enrich")
    }
    const { format, input, output } = values
    if (input === undefined) return yield* misused("batchctl run needs --input FILE")
    if (output === undefined) return yield* misused("batchctl run needs -o OUT")
    const options: Omit<Options, "folder"> = {
      kind: `${entity}/${action}`,
      input: sourceOf(input, values),
      as: values.as,
      body:
        values.fields === undefined ? {} : { fields: values.fields.split(",").map((field) => field.trim()) },
      output,
      format: Format.all.find((one) => one === format) ?? Option.getOrUndefined(Format.ofName(output)),
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
      return yield* misused("--resume takes a campaign as it was begun: no entity, no --input, no -o")
    }
    return yield* campaign.resume(values.resume, shared, talk)
  }
  return yield* campaign.run({ ...(yield* begun(typed)), ...shared }, talk)
})

/** `batchctl run` */
export const command = Command.make(Commands.run, (typed) => Effect.provide(run(typed), CoreLayer.layer))
