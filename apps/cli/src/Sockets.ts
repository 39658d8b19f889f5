/**
 * A listener on every socket, so that no error of one ends the process. When a request is aborted whose answer has
 * arrived but is not read to its end, Node takes its own listener away before the error comes
 * (https://github.com/nodejs/node/issues/65938). Whoever waits for the answer is told of the error all the same.
 */
import type * as Http from "node:http"

/** The same agent, its sockets guarded. */
export const guarded = <A extends Http.Agent>(agent: A): A => {
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (options, callback) => {
    const socket = create(options, callback)
    socket?.on("error", () => undefined)
    return socket
  }
  return agent
}
