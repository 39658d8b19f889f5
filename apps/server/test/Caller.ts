/** A caller over a socket of its own, that sees how an answer ends and reads it as fast or slowly as a test wants. */
import { Effect, Schema, type Scope } from "effect"
import * as Http from "node:http"
import { connect } from "node:net"

/** What came, and whether all of it did. */
export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
  /**
   * How the connection ended before the answer did. Node takes a reset that comes while there is still something to
   * read for a mere end, so only a reset after a silence is always seen as one.
   */
  readonly broken: "reset" | "closed" | undefined
}

/** An answer under way. Nothing of its body is read before somebody asks. */
export interface Open {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  /** Reads on until there is so much, or the end. */
  readonly atLeast: (bytes: number) => Effect.Effect<Buffer>
  /** Reads on until what was read matches, or to the end. */
  readonly until: (pattern: RegExp) => Effect.Effect<string>
  /** Reads the rest. */
  readonly whole: Effect.Effect<Answer>
  /** Reads the rest and forgets it; how much there was in all. */
  readonly length: Effect.Effect<number>
  /** Goes away in the middle. */
  readonly leave: Effect.Effect<void>
}

/** What is asked for, beside the path. */
export interface Request {
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
}

/** Asks, and waits for the head of the answer. The connection goes with the scope. */
export const open = (
  port: number,
  path: string,
  { body, headers = {}, method = "GET" }: Request = {}
): Effect.Effect<Open, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => Http.request({ host: "127.0.0.1", port, path, method, headers, agent: false })),
      (request) => Effect.sync(() => request.destroy())
    ),
    (request) =>
      Effect.async<Open>((resume) => {
        const end = { isReset: false }
        request.on("error", (error) => {
          end.isReset = "code" in error && error.code === "ECONNRESET"
          resume(Effect.die(error))
        })
        request.on("response", (response) => resume(Effect.succeed(reading(request, response, end))))
        request.end(body)
      })
  )

/** Asks, and waits for the end of the answer. */
export const ask = (port: number, path: string, request?: Request): Effect.Effect<Answer> =>
  Effect.scoped(Effect.flatMap(open(port, path, request), ({ whole }) => whole))

/** Sends these bytes, and gives what comes until the connection ends, and whether it ended by a reset. */
export const raw = (
  port: number,
  ...texts: ReadonlyArray<string>
): Effect.Effect<{ readonly received: string; readonly isReset: boolean }> =>
  Effect.async((resume) => {
    const seen = { received: "", isReset: false }
    const socket = connect(port, "127.0.0.1", () => texts.forEach((text) => socket.write(text, "latin1")))
    socket.setEncoding("latin1").on("data", (text: string) => (seen.received += text))
    socket.on("error", (error) => (seen.isReset = "code" in error && error.code === "ECONNRESET"))
    socket.on("close", () => resume(Effect.succeed(seen)))
    return Effect.sync(() => socket.destroy())
  })

/** The JSON of an answer. */
export const json = ({ body }: Answer): unknown => JSON.parse(body.toString())

const ErrorBody = Schema.Struct({
  error: Schema.Struct({ type: Schema.String, message: Schema.String, metadata: Schema.Unknown })
})

/** The status, type and metadata of an answer that tells of a failure; its body must have exactly their shape. */
export const problem = (answer: Answer) => {
  const { error } = Schema.decodeUnknownSync(ErrorBody, { onExcessProperty: "error" })(json(answer))
  return { status: answer.status, ...error }
}

// ----------------------------------------------------------------------------------------------------------------

const reading = (
  request: Http.ClientRequest,
  response: Http.IncomingMessage,
  /** Told by the request, once a connection is reset whose answer has begun. */
  end: { readonly isReset: boolean }
): Open => {
  const chunks: Array<Buffer> = []
  let [length, isKept] = [0, true]
  response.pause()
  response.on("data", (chunk: Buffer) => {
    if (isKept) chunks.push(chunk)
    length += chunk.length
  })
  response.on("error", () => undefined)
  const read = () => Buffer.concat(chunks)
  const pauseWhen = (isEnough: () => boolean) =>
    Effect.async<Buffer>((resume) => {
      const look = () => {
        if (!isEnough() && !response.closed) return
        response.pause()
        response.off("data", look).off("close", look)
        resume(Effect.sync(read))
      }
      response.on("data", look).on("close", look)
      response.resume()
      look()
      return Effect.sync(() => response.off("data", look).off("close", look))
    })
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    atLeast: (bytes) => pauseWhen(() => length >= bytes),
    until: (pattern) =>
      Effect.map(
        pauseWhen(() => pattern.test(read().toString())),
        (bytes) => bytes.toString()
      ),
    whole: Effect.map(
      pauseWhen(() => false),
      (body) => ({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body,
        broken: response.complete ? undefined : end.isReset ? "reset" : "closed"
      })
    ),
    length: Effect.suspend(() => {
      isKept = false
      return Effect.map(
        pauseWhen(() => false),
        () => (response.complete ? length : Number.NaN)
      )
    }),
    leave: Effect.sync(() => request.destroy())
  }
}
