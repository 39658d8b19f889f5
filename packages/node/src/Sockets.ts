/**
 * Guards the sockets of HTTP agents: each has an error listener, so that no socket error ends the process, and
 * connects only to hosts that are allowed. The listener is needed because Node removes its own when a request is
 * aborted whose answer has arrived but is not read to its end, before the error comes
 * (https://github.com/nodejs/node/issues/65938). The request still fails with that error.
 */
import type * as Http from "node:http"
import { isIP, Socket } from "node:net"
import * as Address from "./Address.js"

/** The hosts that sockets may connect to. */
export interface Reach {
  /** Whether a host that is an IP address is not allowed; names are checked when they are looked up. */
  readonly refuses: (host: string) => boolean
  /** Options for agents, with the lookup of names that leaves out addresses that are not allowed. */
  readonly options: Http.AgentOptions
}

/** All hosts are allowed. */
export const anywhere: Reach = { refuses: () => false, options: { keepAlive: true } }

/** Only hosts on public addresses are allowed, and one host wherever it is. */
export const publicExcept = (except: string): Reach => ({
  refuses: (host) => host !== except && isIP(host) !== 0 && !Address.isPublic(host),
  options: { ...anywhere.options, lookup: Address.lookupPublic(except) }
})

/** Wraps the agent's `createConnection`, so that every socket is guarded; returns the same agent. */
export const guarded = <A extends Http.Agent>(agent: A, { refuses }: Reach): A => {
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (options, callback) => {
    const { host } = options
    const refused = typeof host === "string" && refuses(host)
    const socket = refused ? new Socket() : create(options, callback)
    if (refused) process.nextTick(() => socket?.destroy(Address.refusal(host)))
    socket?.on("error", () => undefined)
    return socket
  }
  return agent
}
