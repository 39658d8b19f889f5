/**
 * The answers to requests that never become one: Node's parser refuses them, they do not come in time, or they expect
 * what nobody offers. They have the shape of every other error, an `x-request-id`, a log line and a count.
 */
import { maskText } from "@org/batch-core/Masking"
import { Effect, Layer, Option, Predicate } from "effect"
import * as Http from "node:http"
import { Socket } from "node:net"
import { Problem, toResponse } from "./Problem.js"
import * as RequestLog from "./RequestLog.js"
import * as RouteName from "./RouteName.js"
import * as SecurityHeaders from "./SecurityHeaders.js"

const problemOf = (error: Error): Problem => {
  const code = Predicate.hasProperty(error, "code") ? error.code : ""
  const reason = Predicate.hasProperty(error, "reason") ? String(error.reason) : "it cannot be read"
  const [status, type, message] =
    {
      HPE_HEADER_OVERFLOW: [
        431,
        "RequestRejected",
        "the URL and the headers of the request are longer than 16 KiB"
      ] as const,
      ERR_HTTP_REQUEST_TIMEOUT: [
        408,
        "RequestTimeout",
        "the request did not come in time: send it at once"
      ] as const,
      HPE_CHUNK_EXTENSIONS_OVERFLOW: [
        413,
        "RequestRejected",
        "the chunks of the body have extensions that are too long"
      ] as const
    }[String(code)] ?? ([400, "RequestRejected", `the request is no HTTP/1.1: ${reason}`] as const)
  return new Problem({ status, type, message, closes: true })
}

const unexpected = new Problem({
  status: 417,
  type: "RequestRejected",
  message: "of what a request may expect there is 100-continue only: leave out the header Expect",
  closes: true
})

/** A response as Node takes it. */
const written = (problem: Problem, id: string) => {
  const { body, headers, status } = SecurityHeaders.add(toResponse(problem))
  const bytes = body._tag === "Uint8Array" ? body.body : new Uint8Array(0)
  return {
    status,
    bytes,
    headers: {
      ...headers,
      "content-type": "application/json",
      "content-length": String(bytes.length),
      "x-request-id": id
    }
  }
}

const line = (problem: Problem, id: string, bytes: number): RequestLog.Line => ({
  id,
  method: "-",
  path: "-",
  route: "other",
  status: problem.status,
  millis: 0,
  bytes,
  trouble: Option.some(`${problem.type}: ${problem.message}`),
  isBroken: false
})

/** How long a caller has to read the answer before the connection is cut, in milliseconds. */
const farewell = 1000

/** Answers what `server` cannot hand on to anybody, until the layer is closed. */
export const layer = (server: Http.Server): Layer.Layer<never> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const write = yield* RequestLog.writing
      const latest = new WeakMap<object, Http.ServerResponse>()
      const refused = new WeakSet<object>()

      const onRequest = ({ socket }: Http.IncomingMessage, response: Http.ServerResponse): void => {
        latest.set(socket, response)
      }

      const onError = (error: Error, socket: unknown): void => {
        if (!(socket instanceof Socket) || refused.has(socket)) return
        const response = latest.get(socket)
        const isAnswering = response?.headersSent === true && !response.writableFinished
        // A connection that was opened in advance and never used is no request.
        if (!socket.writable || isAnswering || socket.bytesRead === 0) return void socket.destroy()
        refused.add(socket)
        const [problem, id] = [problemOf(error), RequestLog.idOf(undefined)]
        const { bytes, headers, status } = written(problem, id)
        const fields = Object.entries({ date: new Date().toUTCString(), ...headers })
        const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")
        socket.write(`HTTP/1.1 ${status} ${Http.STATUS_CODES[status] ?? ""}\r\n${head}\r\n`, "latin1")
        socket.end(bytes)
        socket.setTimeout(farewell, () => socket.destroy())
        write(line(problem, id, bytes.length))
      }

      const onExpectation = (request: Http.IncomingMessage, response: Http.ServerResponse): void => {
        const id = RequestLog.idOf(request.headers["x-request-id"])
        const { bytes, headers, status } = written(unexpected, id)
        response.writeHead(status, headers).end(bytes)
        const path = RouteName.pathOf(request)
        const route = RouteName.fromPath(path) ?? "other"
        const method = request.method ?? "-"
        write({ ...line(unexpected, id, bytes.length), method, path: maskText(path), route })
      }

      const listeners = [
        ["request", onRequest],
        ["clientError", onError],
        ["checkExpectation", onExpectation]
      ] as const
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          for (const [name, listener] of listeners) server.on(name, listener)
        }),
        () =>
          Effect.sync(() => {
            for (const [name, listener] of listeners) server.off(name, listener)
          })
      )
    })
  )
