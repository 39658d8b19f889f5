/**
 * The rules of who may call the service. With `BATCH_SERVER_TOKENS`, a caller must present one of them as its bearer
 * token; without, only callers on this machine are let in. Tokens are compared in constant time and never shown.
 */
import type { Headers } from "@effect/platform"
import { Either } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingHttpHeaders } from "node:http"
import { isIP } from "node:net"
import { Problem } from "./Problem.js"

/** A set of accepted bearer tokens. It keeps their SHA-256 digests only. */
export interface Tokens {
  readonly count: number
  /** Whether a token is in the set. Takes the same time whichever it is and if it is none, so that nobody can guess by it. */
  readonly accept: (token: string) => boolean
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

const tokensOf = (tokens: ReadonlyArray<string>): Tokens => {
  const digests = tokens.map(digest)
  return {
    count: tokens.length,
    accept: (token) => {
      const presented = digest(token)
      return digests.reduce((found, known) => timingSafeEqual(known, presented) || found, false)
    }
  }
}

/** The empty set, with which no token is asked for. */
export const noTokens: Tokens = tokensOf([])

/** Parses `BATCH_SERVER_TOKENS`: bearer tokens, separated by commas. Left is what is wrong, without the tokens. */
export const parseTokens = (text: string): Either.Either<Tokens, string> => {
  const tokens = text.split(",").map((token) => token.trim())
  if (tokens.some((token) => token === "")) return Either.left("has an empty token between two commas")
  if (tokens.some((token) => !/^[\x21-\x7e]+$/u.test(token))) {
    return Either.left("has a token with spaces or other characters that no bearer token has")
  }
  return Either.right(tokensOf(tokens))
}

/** Whether a host name or IP address is of the loopback interface, which other machines cannot reach. */
export const isLoopback = (host: string): boolean => {
  const plain = host.replace(/^\[|\]$/gu, "")
  return isIP(plain) === 4
    ? plain.startsWith("127.")
    : /^(?:(?:.+\.)?localhost|::1|(?:0:){7}1)$/iu.test(plain)
}

/** A request, as the service or Node has it. */
export interface Sent {
  readonly headers: Headers.Headers | IncomingHttpHeaders
}

/** The bearer token in a request's `Authorization` header; an empty string if there is none. */
export const bearer = ({ headers }: Sent): string =>
  /^bearer +([\x21-\x7e]+) *$/iu.exec(headers["authorization"] ?? "")?.[1] ?? ""

/**
 * The problem to answer a request with that may not pass: 401 or 403; `undefined` if it may. With `passThrough` a caller
 * must bring its own API key. Without tokens, a foreign page in a browser on this machine could get in by letting its own
 * host name resolve to 127.0.0.1 (DNS rebinding), so the `Host` header must name a loopback host.
 */
export const refusal = (
  request: Sent,
  { passThrough, tokens }: { readonly passThrough: boolean; readonly tokens: Tokens }
): Problem | undefined => {
  const token = bearer(request)
  if (tokens.count > 0 && !tokens.accept(token)) {
    return unauthorized("this service wants one of its own tokens: send Authorization: Bearer <token>")
  }
  if (tokens.count === 0 && !isLoopback((request.headers["host"] ?? "").replace(/:\d+$/u, ""))) {
    return new Problem({
      status: 403,
      type: "NotAuthorized",
      message:
        "this service answers on its own machine only: ask for it as 127.0.0.1 or localhost, or set BATCH_SERVER_TOKENS to let other machines in"
    })
  }
  return passThrough && token === ""
    ? unauthorized("this service has no key of its own: send yours as Authorization: Bearer <key>")
    : undefined
}

const unauthorized = (message: string): Problem =>
  new Problem({ status: 401, type: "NotAuthorized", message, metadata: { reason: "InvalidKey" } })
