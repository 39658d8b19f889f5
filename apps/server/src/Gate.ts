/**
 * The checks of `Api` at its door.
 */
import { HttpServerRequest } from "@effect/platform"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { Effect, Layer } from "effect"
import * as Access from "./Access.js"
import { Admission, Authorization } from "./Api.js"
import { isPassThrough, ServerSettings } from "./Settings.js"

const admit = (options: Parameters<typeof Access.refusal>[1]) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const refusal = Access.refusal(request, options)
    return refusal === undefined ? Effect.void : Effect.fail(refusal)
  })

/** Whoever may see how the service is. */
const admission = Layer.effect(
  Admission,
  Effect.map(ServerSettings, ({ tokens }) => {
    const check = admit({ tokens, passThrough: false })
    return { bearer: () => check }
  })
)

/** Whoever may ask for batches. */
const authorization = Layer.effect(
  Authorization,
  Effect.gen(function* () {
    const { tokens } = yield* ServerSettings
    const check = admit({ tokens, passThrough: isPassThrough(yield* BatchConfig) })
    return { bearer: () => check }
  })
)

/** Both. */
export const layer = Layer.merge(admission, authorization)
