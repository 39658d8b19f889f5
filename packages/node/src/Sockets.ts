/**
 * The sockets of HTTP agents: how they connect, where to, and that none of their errors ends the process. The error
 * listener is needed because Node removes its own when a request is aborted whose answer has arrived but is not read to
 * its end, before the error comes (https://github.com/nodejs/node/issues/65938). The request still fails with that error.
 */
import type * as Http from "node:http"
import { isIP } from "node:net"
import type { Duplex } from "node:stream"
import * as Address from "./Address.js"

/** The hosts that sockets may connect to. */
export interface Reach {
  /** Whether a host that is an IP address is not allowed; names are checked when they are looked up. */
  readonly refuses: (host: string) => boolean
  /** Options for agents, with the lookup of names that leaves out addresses that are not allowed. */
  readonly options: Options
}

/** The options of agents and requests that decide how they connect. */
export interface Options {
  readonly keepAlive: true
  readonly autoSelectFamilyAttemptTimeout: number
  readonly lookup?: Http.ClientRequestArgs["lookup"]
}

/**
 * A host with several addresses is tried at one after the other. Node gives each 250 ms, which is less than a round trip
 * over a satellite or around the world; nobody waits longer for an address that answers.
 */
const connecting: Options = { keepAlive: true, autoSelectFamilyAttemptTimeout: 2_000 }

/** All hosts are allowed. */
export const anywhere: Reach = { refuses: () => false, options: connecting }

/** Only hosts on public addresses are allowed, and one host wherever it is. */
export const publicExcept = (except: string): Reach => ({
  refuses: (host) => host !== except && isIP(host) !== 0 && !Address.isPublic(host),
  options: { ...connecting, lookup: Address.lookupPublic(except) }
})

/** Listens for the errors of a socket, which whoever uses it gets as well. */
export const guard = <S extends Duplex>(socket: S): S => socket.on("error", () => undefined)

/** Wraps the agent's `createConnection`, so that every socket is guarded; returns the same agent. */
export const guarded = <A extends Http.Agent>(agent: A): A => {
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (options, callback) => {
    const socket = create(options, callback)
    return socket ? guard(socket) : socket
  }
  return agent
}
