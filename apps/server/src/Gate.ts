/**
 * The two checks of `Api` at its door.
 */
import { HttpServerRequest } from "@effect/platform"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { Effect, Layer } from "effect"
import * as Access from "./Access.js"
import { Accounts } from "./Account.js"
import { Admission, Authorization } from "./Api.js"
import { Problem } from "./Problem.js"
import { isPassThrough, ServerSettings } from "./Settings.js"

const admit = (options: Parameters<typeof Access.refusal>[1]) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const refusal = Access.refusal(request, options)
    return refusal === undefined ? Effect.succeed(Access.bearer(request)) : Effect.fail(refusal)
  })

const tooMany = new Problem({
  status: 429,
  type: "RateLimited",
  message: "too many keys are in use at this service: try again later",
  metadata: null
})

/** Whoever may see how the service is. */
const admission = Layer.effect(
  Admission,
  Effect.map(ServerSettings, ({ tokens }) => ({
    bearer: () => Effect.asVoid(admit({ tokens, passThrough: false }))
  }))
)

/** Whoever may ask for batches, with the account that is theirs. */
const authorization = Layer.effect(
  Authorization,
  Effect.gen(function* () {
    const { tokens } = yield* ServerSettings
    const passThrough = isPassThrough(yield* BatchConfig)
    const accounts = yield* Accounts
    const open = (token: string) =>
      Effect.catchTag(accounts(token), "ExceededCapacityException", () => tooMany)
    return { bearer: () => Effect.flatMap(admit({ tokens, passThrough }), open) }
  })
)

/** Both. */
export const layer = Layer.merge(admission, authorization)
