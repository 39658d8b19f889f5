/**
 * Accounts: whose retrievals they are. An account has an id, which says nothing of its key, and a session of the core with
 * which the worker asks the API.
 *
 * @example
 * import { BatchConfig } from "@org/batch-core"
 * import { Account } from "@org/batch-durable"
 * import { Network } from "@org/batch-node"
 * import { Layer } from "effect"
 *
 * const accounts = Account.layer.pipe(
 *   Layer.provide(Network.layer({ variables: process.env })),
 *   Layer.provide(BatchConfig.layerConfig())
 * )
 */
import { HttpClient } from "@effect/platform"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import * as BatchHttp from "@org/batch-core/BatchHttp"
import { Context, Effect, Layer, Option, type Redacted, Redacted as Redacting, type Scope } from "effect"
import { createHash } from "node:crypto"

/** What asking the API needs for one account: its settings, its key among them, and the hardened HTTP. */
export type Session = BatchConfig | BatchHttp.BatchHttp

/** How the worker comes to the session of an account. */
export interface Service {
  /** The session of an account, with its key, or with that of the service where the account has none of its own. */
  readonly open: (
    account: string,
    key: Option.Option<Redacted.Redacted<string>>
  ) => Effect.Effect<Context.Context<Session>, never, Scope.Scope>
}

/** How the worker comes to the session of an account. */
export class Accounts extends Context.Tag("@org/batch-durable/Accounts")<Accounts, Service>() {}

/** The account of everybody who uses the service's own key. */
export const ofService = "service"

/** The account of a caller's own key: the same key is the same account, and the key cannot be found from it. */
export const ofKey = (key: Redacted.Redacted<string>): string =>
  createHash("sha256")
    .update(`batch-account:${Redacting.value(key)}`)
    .digest("hex")
    .slice(0, 32)

/** Sessions over the settings and the network of the service. */
export const layer: Layer.Layer<Accounts, never, BatchConfig | HttpClient.HttpClient> = Layer.effect(
  Accounts,
  Effect.gen(function* () {
    const config = yield* BatchConfig
    const network = yield* HttpClient.HttpClient
    return {
      open: (_, key) =>
        Layer.build(
          BatchHttp.layer.pipe(
            Layer.provideMerge(
              Layer.succeed(BatchConfig, { ...config, apiKey: Option.orElse(key, () => config.apiKey) })
            ),
            Layer.provide(Layer.succeed(HttpClient.HttpClient, network))
          )
        )
    }
  })
)
