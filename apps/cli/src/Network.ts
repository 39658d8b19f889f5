/**
 * The HTTP client of Node, with connections that are kept alive, and the proxy settings of the environment, for
 * the API and for the files alike. `NODE_EXTRA_CA_CERTS` is obeyed by Node itself.
 */
import type { HttpClient } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer } from "effect"
import { Environment } from "./Settings.js"
import { guarded } from "./Sockets.js"

const proxyVariables = ["https_proxy", "http_proxy", "all_proxy"]

/** The names of the proxy variables that are set. */
export const proxiesSet = ({ variables }: Environment): ReadonlyArray<string> =>
  Object.entries(variables).flatMap(([name, value]) =>
    value && proxyVariables.includes(name.toLowerCase()) ? [name] : []
  )

const agentOptions = { keepAlive: true }

const proxied: Layer.Layer<NodeHttpClient.HttpAgent> = Layer.scoped(
  NodeHttpClient.HttpAgent,
  Effect.gen(function* () {
    const { ProxyAgent } = yield* Effect.promise(() => import("./ProxyAgent.js"))
    const direct = yield* NodeHttpClient.makeAgent(agentOptions)
    const acquire = Effect.acquireRelease(
      Effect.sync(() => new ProxyAgent(agentOptions)),
      (agent) => Effect.sync(() => agent.destroy())
    )
    return { ...direct, http: yield* acquire, https: yield* acquire }
  })
)

/** Without a proxy, whatever the environment says. */
export const layerDirect: Layer.Layer<HttpClient.HttpClient> = NodeHttpClient.layerWithoutAgent.pipe(
  Layer.provide(
    Layer.scoped(
      NodeHttpClient.HttpAgent,
      Effect.map(NodeHttpClient.makeAgent(agentOptions), (agent) => ({
        ...agent,
        http: guarded(agent.http),
        https: guarded(agent.https)
      }))
    )
  )
)

/** The client that obeys the environment. */
export const layer: Layer.Layer<HttpClient.HttpClient, never, Environment> = Layer.unwrapEffect(
  Effect.map(Environment, (environment) =>
    proxiesSet(environment).length === 0
      ? layerDirect
      : NodeHttpClient.layerWithoutAgent.pipe(Layer.provide(proxied))
  )
)
