/**
 * The HTTP client on Node, for the API and for the files: connections are kept alive, the proxy settings of the
 * environment apply. `NODE_EXTRA_CA_CERTS` is obeyed by Node itself.
 *
 * @example
 * import { BatchClient, BatchConfig, BatchHttp } from "@org/batch-core"
 * import { Network } from "@org/batch-node"
 * import { Layer } from "effect"
 *
 * const live = BatchClient.layer.pipe(
 *   Layer.provideMerge(BatchHttp.layer),
 *   Layer.provideMerge(BatchConfig.layerConfig()),
 *   Layer.provide(Network.layer({ variables: process.env }))
 * )
 */
import type { HttpClient } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer } from "effect"
import { anywhere, guarded, publicExcept, type Reach } from "./Sockets.js"

/** The proxies and the hosts that connections may use. */
export interface Options {
  /** The environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not. */
  readonly variables: Readonly<Record<string, string | undefined>>
  /**
   * Refuse every host that is not on a public address, except this one. A proxy, where there is one, looks names up
   * itself and has to refuse itself.
   */
  readonly publicExcept?: string | undefined
}

const proxyVariables = ["https_proxy", "http_proxy", "all_proxy"]

/** The names of the proxy variables that are set. */
export const proxiesSet = (variables: Options["variables"]): ReadonlyArray<string> =>
  Object.entries(variables).flatMap(([name, value]) =>
    value && proxyVariables.includes(name.toLowerCase()) ? [name] : []
  )

const proxied = (reach: Reach): Layer.Layer<NodeHttpClient.HttpAgent> =>
  Layer.scoped(
    NodeHttpClient.HttpAgent,
    Effect.gen(function* () {
      const { ProxyAgent } = yield* Effect.promise(() => import("./ProxyAgent.js"))
      const agents = yield* NodeHttpClient.makeAgent()
      const acquire = Effect.acquireRelease(
        Effect.sync(() => new ProxyAgent(reach)),
        (agent) => Effect.sync(() => agent.destroy())
      )
      return { ...agents, http: yield* acquire, https: yield* acquire }
    })
  )

const direct = (reach: Reach): Layer.Layer<NodeHttpClient.HttpAgent> =>
  Layer.scoped(
    NodeHttpClient.HttpAgent,
    Effect.map(NodeHttpClient.makeAgent(reach.options), (agents) => ({
      ...agents,
      http: guarded(agents.http, reach),
      https: guarded(agents.https, reach)
    }))
  )

const over = (agents: Layer.Layer<NodeHttpClient.HttpAgent>): Layer.Layer<HttpClient.HttpClient> =>
  Layer.provide(NodeHttpClient.layerWithoutAgent, agents)

/** The HTTP client without a proxy, whatever the environment says. */
export const layerDirect: Layer.Layer<HttpClient.HttpClient> = over(direct(anywhere))

/** The HTTP client with the proxies of the environment, and with public hosts only if that is asked for. */
export const layer = (options: Options): Layer.Layer<HttpClient.HttpClient> => {
  const reach = options.publicExcept === undefined ? anywhere : publicExcept(options.publicExcept)
  return over(proxiesSet(options.variables).length === 0 ? direct(reach) : proxied(reach))
}
