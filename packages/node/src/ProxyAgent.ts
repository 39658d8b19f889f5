/**
 * The HTTP agents that connect through a proxy. What goes wrong between here and the proxy, or because the proxy says no,
 * is told of the proxy, by its host and port, never of the host behind it: `EPROXYUNREACHABLE` and `EPROXYREFUSED`.
 */
import { Option, Predicate, Redacted } from "effect"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import type { Proxy } from "./Proxies.js"
import { anywhere, guard } from "./Sockets.js"

/** How long a proxy may take to answer to CONNECT, in milliseconds. */
const patience = 30_000

/** The longest headers of an answer, in bytes: those that `--max-http-header-size` of Node allows, but at least 64 KiB. */
export const maxHeaderSize = Math.max(65_536, Http.maxHeaderSize)

/** A failure of a proxy, not of the host behind it. */
export interface ProxyFailure extends Error {
  readonly code: "EPROXYUNREACHABLE" | "EPROXYREFUSED"
  /** The status that the proxy answered with. */
  readonly status?: number | undefined
}

/** The proxy could not be connected to, or broke off. */
export const unreachable = ({ name }: Pick<Proxy, "name">, cause: unknown): ProxyFailure => {
  const code = Predicate.hasProperty(cause, "code") ? String(cause.code) : undefined
  const reason = code ?? (Predicate.isError(cause) ? cause.message : "the connection failed")
  return Object.assign(new Error(`the proxy ${name} cannot be reached (${reason})`, { cause }), {
    code: "EPROXYUNREACHABLE" as const
  })
}

/** The proxy answered that it does not pass the request on. */
export const refused = (
  { name }: Pick<Proxy, "name">,
  { statusCode = 0, statusMessage = "" }: Pick<Http.IncomingMessage, "statusCode" | "statusMessage">
): ProxyFailure =>
  Object.assign(
    new Error(`the proxy ${name} refuses the connection (HTTP ${`${statusCode} ${statusMessage}`.trim()})`),
    { code: "EPROXYREFUSED" as const, status: statusCode }
  )

/** The header that a proxy knows its user by. */
export const authorization = ({ authorization: value }: Proxy): Readonly<Record<string, string>> =>
  Option.match(value, {
    onNone: () => ({}),
    onSome: (secret) => ({ "proxy-authorization": Redacted.value(secret) })
  })

/** The name that the certificate of a proxy is checked against; an address has none. */
const servername = ({ host }: Proxy): string => (Net.isIP(host) === 0 ? host : "")

type Created = (error: Error | null, socket: Duplex) => void

/** An agent for requests that a proxy passes on by itself: those for plain http, whose target is a whole URL. */
export const forwarding = (proxy: Proxy): Http.Agent => {
  const secure = proxy.protocol === "https:"
  const agent = secure ? new Https.Agent(anywhere.options) : new Http.Agent(anywhere.options)
  const create = agent.createConnection.bind(agent)
  const pending = pendingOf(agent)
  agent.createConnection = (options, callback) => {
    const socket = create({ ...options, ...(secure ? { servername: servername(proxy) } : {}) })
    if (!socket || callback === undefined) return socket
    pending.add(socket)
    guard(socket)
      .once(secure ? "secureConnect" : "connect", () => {
        pending.delete(socket)
        callback(null, socket)
      })
      .once("error", (error) => {
        if (pending.delete(socket)) callback(unreachable(proxy, error), socket)
      })
    return undefined
  }
  return agent
}

/** An agent for https, which a proxy does not read: it is asked by CONNECT for a tunnel, and TLS is spoken through it. */
export const tunnelling = (proxy: Proxy): Https.Agent => {
  const agent = new Https.Agent(anywhere.options)
  const create: Https.Agent["createConnection"] = agent.createConnection.bind(agent)
  const pending = pendingOf(agent)
  agent.createConnection = (options: Https.RequestOptions, callback?: Created) => {
    const request = connect(proxy, authorityOf(options))
    pending.add(request)
    const fail = (failure: ProxyFailure): void => {
      if (pending.delete(request)) callback?.(failure, new Net.Socket())
    }
    request
      .once("connect", (answer: Http.IncomingMessage, socket: Net.Socket, head: Buffer) => {
        guard(socket)
        const status = answer.statusCode ?? 0
        if (status < 200 || status > 299) {
          socket.destroy()
          return fail(refused(proxy, answer))
        }
        pending.delete(request)
        socket.setTimeout(0)
        if (head.length > 0) socket.unshift(head)
        const secured = create({ ...options, ...overSocket(socket) })
        if (secured) callback?.(null, guard(secured))
      })
      .on("error", (error) => fail(unreachable(proxy, error)))
      .end()
    return undefined
  }
  return agent
}

/** The option of TLS, which the types of agents do not know. */
const overSocket = (socket: Net.Socket): Pick<Tls.ConnectionOptions, "socket"> => ({ socket })

const authorityOf = ({ host, port }: Https.RequestOptions): string =>
  `${host?.includes(":") === true ? `[${host}]` : host}:${port ?? 443}`

const connect = (proxy: Proxy, authority: string): Http.ClientRequest => {
  const request = (proxy.protocol === "https:" ? Https : Http).request({
    ...anywhere.options,
    agent: false,
    method: "CONNECT",
    host: proxy.host,
    port: proxy.port,
    path: authority,
    headers: { host: authority, "proxy-connection": "keep-alive", ...authorization(proxy) },
    maxHeaderSize,
    servername: servername(proxy),
    timeout: patience
  })
  request.removeHeader("connection")
  return request.once("timeout", () =>
    request.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }))
  )
}

/** What has no connection yet ends with the agent, which knows nothing of it. */
const pendingOf = (agent: Http.Agent): Set<{ readonly destroy: () => unknown }> => {
  const pending = new Set<{ readonly destroy: () => unknown }>()
  const destroy = agent.destroy.bind(agent)
  agent.destroy = () => {
    for (const one of pending) one.destroy()
    pending.clear()
    destroy()
  }
  return pending
}
