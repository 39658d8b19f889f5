/**
 * Sending an answer, whole or disturbed.
 */
import { Effect, Stream } from "effect"
import type { ServerResponse } from "node:http"
import { pipeline, type Readable } from "node:stream"
import { createGunzip } from "node:zlib"
import type { Answer } from "./Answer.js"
import * as Content from "./Content.js"
import type * as Fault from "./Fault.js"
import type { Entry } from "./RequestLog.js"
import * as WallClock from "./WallClock.js"

/** Long enough for the peer to read what was sent before the reset overtakes it. */
const settle = "25 millis"

const beatsPerSecond = 20

/** Send an answer as the effects of a fault say; the entry hears the status and the bytes. */
export const send = (
  response: ServerResponse,
  answer: Answer,
  effects: Fault.Effects,
  entry: Entry
): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (effects.drop !== undefined) {
      yield* Effect.sleep(effects.drop.ms ?? 0)
      return yield* sever(response, effects.drop.by)
    }
    entry.status = answer.status
    response.writeHead(answer.status, framed(answer, effects))
    response.flushHeaders()
    const { cut, stall } = effects
    const write = (content: Content.Content, last: boolean) =>
      pump(response, { ...answer, body: content }, effects, entry, last)
    if (cut !== undefined) {
      yield* write(Content.slice(answer.body, 0, cut.afterBytes), false)
      return yield* sever(response, cut.by)
    }
    if (stall !== undefined) {
      yield* write(Content.slice(answer.body, 0, stall.afterBytes), false)
      yield* stall.ms === undefined ? Effect.never : Effect.sleep(stall.ms)
      return yield* write(Content.slice(answer.body, stall.afterBytes), true)
    }
    yield* write(answer.body, true)
  })

const framed = (answer: Answer, { cut }: Fault.Effects): Readonly<Record<string, string>> =>
  answer.inflated === true || cut?.chunked === true || answer.status === 304
    ? answer.headers
    : { "content-length": String(answer.body.size), ...answer.headers }

const pump = (
  response: ServerResponse,
  answer: Answer,
  { trickle }: Fault.Effects,
  entry: Entry,
  last: boolean
): Effect.Effect<void> => {
  const source = Content.stream(answer.body)
  const body = answer.inflated === true ? inflate(source) : source
  const sent =
    trickle === undefined ? flow(body, response, entry) : drip(body, response, entry, trickle.bytesPerSecond)
  return last ? Effect.zipRight(sent, end(response)) : sent
}

const inflate = (source: Readable): Readable => pipeline(source, createGunzip(), () => undefined)

/** As fast as the peer reads. Content that can't be read ends the connection, so that no answer looks whole that is not. */
const flow = (body: Readable, response: ServerResponse, entry: Entry): Effect.Effect<void> =>
  Effect.async((resume) => {
    const goOn = () => {
      body.resume()
    }
    const finish = () => {
      response.off("drain", goOn)
      resume(Effect.void)
    }
    response.on("drain", goOn)
    body.on("data", (chunk: Uint8Array) => {
      entry.bytesSent += chunk.length
      if (!response.write(chunk)) body.pause()
    })
    body.once("end", finish)
    body.once("error", () => {
      response.destroy()
      finish()
    })
    return Effect.sync(() => {
      response.off("drain", goOn)
      body.destroy()
    })
  })

const drip = (
  body: Readable,
  response: ServerResponse,
  entry: Entry,
  bytesPerSecond: number
): Effect.Effect<void> => {
  const drop = Math.max(1, Math.floor(bytesPerSecond / beatsPerSecond))
  return Stream.fromAsyncIterable<Uint8Array, unknown>(body, (cause) => cause).pipe(
    Stream.mapConcat((chunk) => pieces(chunk, drop)),
    Stream.rechunk(1),
    Stream.runForEach((piece) =>
      Effect.sync(() => {
        entry.bytesSent += piece.length
        response.write(piece)
      }).pipe(Effect.zipRight(Effect.sleep((piece.length / bytesPerSecond) * 1000)), WallClock.use)
    ),
    Effect.ignore
  )
}

function* pieces(chunk: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < chunk.length; at += size) yield chunk.subarray(at, at + size)
}

const end = (response: ServerResponse): Effect.Effect<void> =>
  Effect.sync(() => {
    response.end()
  })

/** End the connection before the end of the answer, once what was written has left. */
const sever = (response: ServerResponse, by: "reset" | "fin"): Effect.Effect<void> => {
  const { socket } = response
  return socket === null
    ? Effect.void
    : Effect.async<void>((resume) => {
        socket.write("", () => resume(Effect.void))
      }).pipe(
        Effect.zipRight(by === "reset" ? WallClock.use(Effect.sleep(settle)) : Effect.void),
        Effect.zipRight(
          Effect.sync(() => {
            if (by === "reset") socket.resetAndDestroy()
            else socket.destroySoon()
          })
        )
      )
}
