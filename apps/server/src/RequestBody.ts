/**
 * The bodies of requests, of a limited size.
 */
import { HttpServerRequest } from "@effect/platform"
import { Effect, Option, Schema, Stream } from "effect"
import { Problem } from "./Problem.js"
import * as RouteName from "./RouteName.js"

const mebibyte = 1024 * 1024

/** The longest body that a path takes, in bytes: a hint of the vendor is short, and a list goes to the disk as it comes. */
const limitOf = (path: string): number =>
  path === "/webhooks/crustdata" ? 64 * 1024 : path === "/campaigns" ? 1024 * mebibyte : 8 * mebibyte

/** The problem of a body that is longer than its path takes. */
const tooLong = (limit: number): Problem =>
  new Problem({
    status: 413,
    type: "RequestRejected",
    message: `the body is longer than ${limit < mebibyte ? `${limit / 1024} KiB` : `${limit / mebibyte} MiB`}, or it broke off`,
    closes: true
  })

/** The problem of a body whose length is announced, and too long. */
export const announced = (request: HttpServerRequest.HttpServerRequest): Problem | undefined => {
  const limit = limitOf(RouteName.pathOf(request))
  return Number(request.headers["content-length"] ?? 0) <= limit ? undefined : tooLong(limit)
}

/** How long a body that is read as a whole may take, and a list between two of its pieces. */
const patience = "30 seconds"

const tooSlow = new Problem({
  status: 408,
  type: "RequestTimeout",
  message: "the body did not come in time",
  closes: true
})

/** The text of a body. */
export const text = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<string, Problem> => {
  const limit = limitOf(RouteName.pathOf(request))
  return HttpServerRequest.withMaxBodySize(
    Effect.mapError(request.text, () => tooLong(limit)),
    Option.some(limit)
  ).pipe(Effect.timeoutFail({ duration: patience, onTimeout: () => tooSlow }))
}

/** Bytes of a body as they come, and no more than its path takes. */
export const limited =
  (request: HttpServerRequest.HttpServerRequest) =>
  <E>(bytes: Stream.Stream<Uint8Array, E>): Stream.Stream<Uint8Array, Problem> => {
    const limit = limitOf(RouteName.pathOf(request))
    return bytes.pipe(
      Stream.mapError(() => tooLong(limit)),
      Stream.timeoutFail(() => tooSlow, patience),
      Stream.mapAccumEffect(0, (before, portion) => {
        const total = before + portion.length
        return total > limit ? tooLong(limit) : Effect.succeed([total, portion] as const)
      })
    )
  }

const decode = Schema.decode(Schema.parseJson(Schema.Unknown))

const notJson = new Problem({
  status: 415,
  type: "UnsupportedMediaType",
  message: "the body is JSON, so send Content-Type: application/json"
})

/** The JSON of a body. A page of another origin can send anything but JSON without asking, so JSON must be named. */
export const json = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<unknown, Problem> =>
  Effect.gen(function* () {
    const type = request.headers["content-type"] ?? ""
    if (!/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/iu.test(type)) return yield* notJson
    return yield* Effect.mapError(
      decode(yield* text(request)),
      () => new Problem({ status: 400, type: "RequestRejected", message: "the body is no JSON" })
    )
  })
