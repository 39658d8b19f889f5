/**
 * The HTTP client on Node, for the API and for the files: connections are kept alive, the proxy settings of the
 * environment apply, and a link is asked for byte for byte as it was signed. `NODE_EXTRA_CA_CERTS` is obeyed by Node
 * itself.
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
import { HttpClient } from "@effect/platform"
import { Effect, Either, Layer, Option, type Scope } from "effect"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Address from "./Address.js"
import * as Proxies from "./Proxies.js"
import * as ProxyAgent from "./ProxyAgent.js"
import * as Requests from "./Requests.js"
import { anywhere, guarded, publicExcept, type Reach } from "./Sockets.js"

export { ProxySettingError } from "./Proxies.js"

/** The proxies and the hosts that connections may use. */
export interface Options {
  /** The environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not. */
  readonly variables: Proxies.Variables
  /** The URL that is sure to be asked: an unusable proxy setting that applies to it is a failure of the layer. */
  readonly baseUrl?: string | undefined
  /**
   * Refuse every host that is not on a public address, except this one. A proxy, where there is one, looks names up
   * itself and has to refuse itself.
   */
  readonly publicExcept?: string | undefined
}

/** The names of the proxy variables that are set. */
export const proxiesSet: (variables: Proxies.Variables) => ReadonlyArray<string> = Proxies.namesSet

/** Why the proxy setting cannot be used that applies to the URL; none if it can, or if there is none. */
export const proxyProblem = ({
  baseUrl,
  variables
}: Pick<Options, "baseUrl" | "variables">): Option.Option<Proxies.ProxySettingError> =>
  baseUrl === undefined || !URL.canParse(baseUrl)
    ? Option.none()
    : Either.getLeft(Proxies.read(variables).of(new URL(baseUrl)))

/** The HTTP client without a proxy, whatever the environment says. */
export const layerDirect: Layer.Layer<HttpClient.HttpClient> = Layer.suspend(() =>
  over(make(Proxies.read({}), anywhere))
)

/**
 * The HTTP client with the proxies of the environment, and with public hosts only if that is asked for. Fails when the
 * proxy setting for `baseUrl` cannot be used; a request of another host that meets such a setting fails by itself.
 */
export const layer = (options: Options): Layer.Layer<HttpClient.HttpClient, Proxies.ProxySettingError> =>
  over(
    Effect.gen(function* () {
      const problem = proxyProblem(options)
      if (Option.isSome(problem)) return yield* problem.value
      const reach = options.publicExcept === undefined ? anywhere : publicExcept(options.publicExcept)
      return yield* make(Proxies.read(options.variables), reach)
    })
  )

const over = <E>(
  client: Effect.Effect<HttpClient.HttpClient, E, Scope.Scope>
): Layer.Layer<HttpClient.HttpClient, E> =>
  Layer.unwrapScoped(Effect.map(client, (one) => HttpClient.layerMergedContext(Effect.succeed(one))))

const make = (
  proxies: Proxies.Proxies,
  reach: Reach
): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.map(pool, (agents) =>
    Requests.make((url, method) => {
      const agentFor = method === "POST" ? fresh(agents) : agents
      const host = url.hostname.replace(/^\[|\]$/gu, "")
      if (reach.refuses(host)) return Either.left(Address.refusal(host))
      return Either.mapBoth(proxies.of(url), {
        onLeft: (problem) => Object.assign(problem, { code: "EPROXYUNREACHABLE" }),
        onRight: Option.match({
          onNone: () => ({
            agent: agentFor(url.protocol, () => guarded(direct(url.protocol, reach)))
          }),
          onSome: (proxy) =>
            url.protocol === "https:"
              ? {
                  agent: agentFor(`tunnel ${proxy.protocol}${proxy.name}`, () => ProxyAgent.tunnelling(proxy))
                }
              : {
                  agent: agentFor(`forward ${proxy.protocol}${proxy.name}`, () =>
                    ProxyAgent.forwarding(proxy)
                  ),
                  forwardedBy: proxy
                }
        })
      })
    })
  )

const direct = (protocol: string, { options }: Reach): Http.Agent =>
  protocol === "https:" ? new Https.Agent(options) : new Http.Agent(options)

type Agents = (name: string, make: () => Http.Agent) => Http.Agent

/**
 * Agents that keep no connection open: what starts a job goes over a new one, since a broken connection that had been kept
 * too long leaves it unknown whether the job was started.
 */
const fresh =
  (agents: Agents): Agents =>
  (name, make) =>
    agents(`${name} once`, () => Object.assign(make(), { maxFreeSockets: 0 }))

/** Agents by their names, each made when it is first needed, all destroyed with the scope. */
const pool = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => new Map<string, Http.Agent>()),
    (agents) => Effect.sync(() => agents.forEach((agent) => agent.destroy()))
  ),
  (agents) =>
    (name: string, make: () => Http.Agent): Http.Agent => {
      const agent = agents.get(name) ?? make()
      agents.set(name, agent)
      return agent
    }
)
