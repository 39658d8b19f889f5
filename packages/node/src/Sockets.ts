/**
 * What every socket of ours has: a listener, so that no error of one ends the process, and an end it may lead to.
 * When a request is aborted whose answer has arrived but is not read to its end, Node takes its own listener away
 * before the error comes (https://github.com/nodejs/node/issues/65938). Whoever waits for the answer is told of the
 * error all the same.
 */
import type * as Http from "node:http"
import { isIP, Socket } from "node:net"
import * as Address from "./Address.js"

/** Where sockets may lead to. */
export interface Reach {
  /** Of the hosts that are addresses, those that are not allowed. */
  readonly refuses: (host: string) => boolean
  /** How agents look up the others. */
  readonly options: Http.AgentOptions
}

/** Everywhere. */
export const anywhere: Reach = { refuses: () => false, options: { keepAlive: true } }

/** To public addresses, and to one host wherever it is. */
export const publicExcept = (except: string): Reach => ({
  refuses: (host) => host !== except && isIP(host) !== 0 && !Address.isPublic(host),
  options: { ...anywhere.options, lookup: Address.lookupPublic(except) }
})

/** The same agent, its sockets guarded. */
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
