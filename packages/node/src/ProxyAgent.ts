/**
 * An HTTP agent that chooses the proxy of each request from the environment. Loaded only when a proxy is set.
 */
import { Agent, type AgentConnectOpts } from "agent-base"
import { HttpProxyAgent } from "http-proxy-agent"
import { HttpsProxyAgent } from "https-proxy-agent"
import * as Http from "node:http"
import * as Https from "node:https"
import { getProxyForUrl } from "proxy-from-env"
import * as Address from "./Address.js"
import { anywhere, guarded, type Reach } from "./Sockets.js"

/**
 * Connects through the proxy that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name for the URL, or
 * directly.
 */
export class ProxyAgent extends Agent {
  private readonly agents = new Map<string, Http.Agent>()
  private readonly reach: Reach

  constructor(reach: Reach) {
    super(anywhere.options)
    this.reach = reach
  }

  override connect(_: Http.ClientRequest, options: AgentConnectOpts): Http.Agent {
    if (options.host !== undefined && this.reach.refuses(options.host)) throw Address.refusal(options.host)
    const scheme = options.secureEndpoint ? "https" : "http"
    const proxy = getProxyForUrl(`${scheme}://${authority(options)}/`)
    const key = `${scheme} ${proxy}`
    const agent = this.agents.get(key) ?? guarded(this.make(options.secureEndpoint, proxy), anywhere)
    this.agents.set(key, agent)
    return agent
  }

  override destroy(): void {
    for (const agent of this.agents.values()) agent.destroy()
    super.destroy()
  }

  private make(secure: boolean, proxy: string): Http.Agent {
    if (proxy === "") return secure ? new Https.Agent(this.reach.options) : new Http.Agent(this.reach.options)
    return secure ? tunnel(proxy) : new HttpProxyAgent(proxy, anywhere.options)
  }
}

/**
 * An agent that tunnels by CONNECT. A proxy that refuses is a failed connection, not an answer of the host behind it.
 */
const tunnel = (proxy: string): Http.Agent => {
  const agent = new HttpsProxyAgent(proxy, anywhere.options)
  agent.on("proxyConnect", ({ statusCode }: ConnectResponse, request: Http.ClientRequest) => {
    if (statusCode !== 200) request.destroy(new Error(`the proxy refuses to connect (HTTP ${statusCode})`))
  })
  return agent
}

/** The answer of a proxy to CONNECT. */
interface ConnectResponse {
  readonly statusCode: number
}

const authority = ({ host, port }: AgentConnectOpts): string =>
  `${host?.includes(":") === true ? `[${host}]` : host}:${port}`
