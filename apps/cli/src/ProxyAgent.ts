/**
 * An agent that asks the environment, request by request, which proxy to use. Loaded only when a proxy is set.
 */
import { Agent, type AgentConnectOpts } from "agent-base"
import { HttpProxyAgent } from "http-proxy-agent"
import { HttpsProxyAgent } from "https-proxy-agent"
import * as Http from "node:http"
import * as Https from "node:https"
import { getProxyForUrl } from "proxy-from-env"
import { guarded } from "./Sockets.js"

/** Sends each request the way that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name for its URL. */
export class ProxyAgent extends Agent {
  private readonly agents = new Map<string, Http.Agent>()
  private readonly settings: Http.AgentOptions

  constructor(settings: Http.AgentOptions) {
    super(settings)
    this.settings = settings
  }

  override connect(_: Http.ClientRequest, options: AgentConnectOpts): Http.Agent {
    const scheme = options.secureEndpoint ? "https" : "http"
    const proxy = getProxyForUrl(`${scheme}://${authority(options)}/`)
    const key = `${scheme} ${proxy}`
    const agent = this.agents.get(key) ?? guarded(this.make(options.secureEndpoint, proxy))
    this.agents.set(key, agent)
    return agent
  }

  override destroy(): void {
    for (const agent of this.agents.values()) agent.destroy()
    super.destroy()
  }

  private make(secure: boolean, proxy: string): Http.Agent {
    if (proxy === "") return secure ? new Https.Agent(this.settings) : new Http.Agent(this.settings)
    return secure ? tunnel(proxy, this.settings) : new HttpProxyAgent(proxy, this.settings)
  }
}

/** A proxy that refuses to connect is a failed connection, not an answer of the host behind it. */
const tunnel = (proxy: string, settings: Http.AgentOptions): Http.Agent => {
  const agent = new HttpsProxyAgent(proxy, settings)
  agent.on("proxyConnect", ({ statusCode }: ConnectResponse, request: Http.ClientRequest) => {
    if (statusCode !== 200) request.destroy(new Error(`the proxy refuses to connect (HTTP ${statusCode})`))
  })
  return agent
}

/** What a proxy says to CONNECT. */
interface ConnectResponse {
  readonly statusCode: number
}

const authority = ({ host, port }: AgentConnectOpts): string =>
  `${host?.includes(":") === true ? `[${host}]` : host}:${port}`
