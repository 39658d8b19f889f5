/**
 * A `node:http` server held in a scope: it can be closed and opened again on its port, and leaves neither socket nor fiber behind.
 */
import { Effect, FiberSet, Scope } from "effect"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { SandboxError } from "./SandboxError.js"

/** An HTTP server that listens. */
export interface Listener {
  /** `http://host:port`. */
  readonly url: string
  /** Stop listening and destroy every connection. */
  readonly pause: Effect.Effect<void>
  /** Listen again on the same port. */
  readonly resume: Effect.Effect<void, SandboxError>
}

/** Where to listen (port 0: any free one), and what to do with a request; interrupted when the peer goes away. */
export interface Options {
  readonly host: string
  readonly port: number
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Effect.Effect<void>
}

/** Listen until the scope closes. */
export const make = (options: Options): Effect.Effect<Listener, SandboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const fork = yield* FiberSet.makeRuntime<never>()
    const server = createServer((request, response) => {
      response.on("error", gone)
      fork(
        Effect.raceFirst(options.handle(request, response), closed(response)).pipe(
          Effect.onError(() => Effect.sync(() => response.destroy()))
        )
      )
    })
    server.keepAliveTimeout = 60_000
    server.requestTimeout = 0
    yield* Effect.acquireRelease(listen(server, options.host, options.port), () => close(server))
    const port = portOf(server)
    return {
      url: `http://${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`,
      pause: close(server),
      resume: Effect.suspend(() => (server.listening ? Effect.void : listen(server, options.host, port)))
    }
  })

/** Ignores that a peer went away while we wrote: its request is interrupted by `closed`. */
const gone = (): void => undefined

const listen = (server: Server, host: string, port: number): Effect.Effect<void, SandboxError> =>
  Effect.async((resume) => {
    const failed = (cause: Error) => {
      resume(new SandboxError({ reason: "Listen", detail: `${host}:${port}: ${cause.message}` }))
    }
    server.once("error", failed)
    server.listen(port, host, () => {
      server.off("error", failed)
      resume(Effect.void)
    })
  })

const close = (server: Server): Effect.Effect<void> =>
  Effect.async((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })

const closed = (response: ServerResponse): Effect.Effect<void> =>
  Effect.async((resume) => {
    response.once("close", () => resume(Effect.void))
  })

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}
