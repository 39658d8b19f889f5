/**
 * Who may call: with tokens, whoever presents one of them; without, only this machine. What a caller presents is
 * compared in constant time and never shown.
 */
import type { HttpServerRequest } from "@effect/platform"
import { Either } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"
import { isIP } from "node:net"
import { Problem } from "./Problem.js"

/** The tokens that are accepted, by their digests. */
export interface Tokens {
  readonly count: number
  /** Takes the same time whichever token it is, and if it is none. */
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

/** Nobody needs a token. */
export const noTokens: Tokens = tokensOf([])

/** Reads `BATCH_SERVER_TOKENS`: bearer tokens, separated by commas. */
export const parseTokens = (text: string): Either.Either<Tokens, string> => {
  const tokens = text.split(",").map((token) => token.trim())
  if (tokens.some((token) => token === "")) return Either.left("has an empty token between two commas")
  if (tokens.some((token) => !/^[\x21-\x7e]+$/u.test(token))) {
    return Either.left("has a token with spaces or other characters that no bearer token has")
  }
  return Either.right(tokensOf(tokens))
}

/** Whether a name or address is this machine's own, and cannot be reached from another one. */
export const isLoopback = (host: string): boolean => {
  const plain = host.replace(/^\[|\]$/gu, "")
  return isIP(plain) === 4
    ? plain.startsWith("127.")
    : /^(?:(?:.+\.)?localhost|::1|(?:0:){7}1)$/iu.test(plain)
}

/** The bearer token of a request; an empty text if there is none. */
export const bearer = ({ headers }: HttpServerRequest.HttpServerRequest): string =>
  /^bearer +([\x21-\x7e]+) *$/iu.exec(headers["authorization"] ?? "")?.[1] ?? ""

/**
 * Why a request may not pass, if it may not. Without tokens a page of somebody else's in a browser of this machine must
 * not get through by giving its own name this machine's address, so the host that was asked for must be a local one.
 */
export const refusal = (
  request: HttpServerRequest.HttpServerRequest,
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
      message: "this service answers on its own machine only: ask for it as 127.0.0.1 or localhost"
    })
  }
  return passThrough && token === ""
    ? unauthorized("this service has no key of its own: send yours as Authorization: Bearer <key>")
    : undefined
}

const unauthorized = (message: string): Problem =>
  new Problem({ status: 401, type: "NotAuthorized", message, metadata: { reason: "InvalidKey" } })
