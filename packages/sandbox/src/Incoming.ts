/**
 * A request as both listeners see it.
 */
import { Data, Effect } from "effect"
import type { IncomingMessage } from "node:http"
import type { Server } from "./Fault.js"

/** A request line, its headers, and its body when asked for. */
export interface Incoming {
  readonly server: Server
  readonly method: string
  /** The path as sent, without the query. */
  readonly path: string
  /** The query as sent, without `?`. */
  readonly query: string
  /** Names in lower case, repeated values joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** Whether the peer is this machine. */
  readonly loopback: boolean
  /** The body, up to 8 MiB. */
  readonly body: Effect.Effect<string, BodyUnread>
}

/** The body was longer than 8 MiB, or the peer went away. */
export class BodyUnread extends Data.TaggedError("BodyUnread")<{ readonly reason: "TooLarge" | "Aborted" }> {}

const bodyLimit = 8 * 1024 * 1024

/** Read the head of a request. */
export const make = (server: Server, request: IncomingMessage): Incoming => {
  const url = request.url ?? "/"
  const mark = url.indexOf("?")
  return {
    server,
    method: request.method ?? "GET",
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? "" : url.slice(mark + 1),
    headers: Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(", ") : (value ?? "")
      ])
    ),
    loopback: /^(::1$|::ffff:127\.|127\.)/.test(request.socket.remoteAddress ?? ""),
    body: readBody(request)
  }
}

/** The same request once its body has come, which can then be read again and again. */
export const received = (incoming: Incoming): Effect.Effect<Incoming> =>
  incoming.method === "POST"
    ? Effect.map(Effect.either(incoming.body), (body) => ({ ...incoming, body }))
    : Effect.succeed(incoming)

/** The same request without some of its headers. */
export const withoutHeaders = (incoming: Incoming, ...names: ReadonlyArray<string>): Incoming => ({
  ...incoming,
  headers: Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => !names.includes(name)))
})

const readBody = (request: IncomingMessage): Effect.Effect<string, BodyUnread> =>
  Effect.tryPromise({
    try: async () => {
      const chunks: Array<Buffer> = []
      let size = 0
      for await (const chunk of request) {
        const bytes = Buffer.from(chunk)
        size += bytes.length
        if (size <= bodyLimit) chunks.push(bytes)
      }
      return { size, text: Buffer.concat(chunks).toString() }
    },
    catch: () => new BodyUnread({ reason: "Aborted" })
  }).pipe(
    Effect.filterOrFail(
      ({ size }) => size <= bodyLimit,
      () => new BodyUnread({ reason: "TooLarge" })
    ),
    Effect.map(({ text }) => text)
  )
