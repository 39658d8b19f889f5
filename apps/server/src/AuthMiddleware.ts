/**
 * The implementations of the authorization middlewares that `Api` declares.
 */
import { HttpServerRequest } from "@effect/platform"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { Effect, Layer } from "effect"
import * as Access from "./Access.js"
import { BatchAuthorization, MetricsAuthorization } from "./Api.js"
import { isPassThrough, ServerSettings } from "./Settings.js"

const checking = (options: Parameters<typeof Access.refusal>[1]) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const refusal = Access.refusal(request, options)
    return refusal === undefined ? Effect.void : Effect.fail(refusal)
  })

/** Of `/metrics`: a token of the service. */
const metrics = Layer.effect(
  MetricsAuthorization,
  Effect.map(ServerSettings, ({ tokens }) => {
    const check = checking({ tokens, passThrough: false })
    return { bearer: () => check }
  })
)

/** Of batches: a token of the service, and the caller's own key if the service has none. */
const batches = Layer.effect(
  BatchAuthorization,
  Effect.gen(function* () {
    const { tokens } = yield* ServerSettings
    const check = checking({ tokens, passThrough: isPassThrough(yield* BatchConfig) })
    return { bearer: () => check }
  })
)

/** The authorization of `/metrics` and of batches. */
export const layer = Layer.merge(metrics, batches)
