/**
 * The checks of `Api` at its door.
 */
import { HttpServerRequest } from "@effect/platform"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { Effect, Layer } from "effect"
import * as Access from "./Access.js"
import { MetricsAuthorization, BatchAuthorization } from "./Api.js"
import { isPassThrough, ServerSettings } from "./Settings.js"

const checking = (options: Parameters<typeof Access.refusal>[1]) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const refusal = Access.refusal(request, options)
    return refusal === undefined ? Effect.void : Effect.fail(refusal)
  })

/** Whoever may see how the service is. */
const metrics = Layer.effect(
  MetricsAuthorization,
  Effect.map(ServerSettings, ({ tokens }) => {
    const check = checking({ tokens, passThrough: false })
    return { bearer: () => check }
  })
)

/** Whoever may ask for batches. */
const batches = Layer.effect(
  BatchAuthorization,
  Effect.gen(function* () {
    const { tokens } = yield* ServerSettings
    const check = checking({ tokens, passThrough: isPassThrough(yield* BatchConfig) })
    return { bearer: () => check }
  })
)

/** Both. */
export const layer = Layer.merge(metrics, batches)
