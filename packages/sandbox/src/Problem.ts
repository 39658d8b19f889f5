/**
 * The refusals of the API, `{"error":{"type","message","metadata"}}`.
 */
import { Data } from "effect"
import * as Answer from "./Answer.js"

const types = {
  400: "invalid_request",
  401: "authentication_error",
  402: "insufficient_credits",
  403: "permission_denied",
  404: "not_found",
  405: "method_not_allowed",
  413: "payload_too_large",
  429: "rate_limit_exceeded",
  500: "internal_error"
} as const

/** A request the API refuses. */
export class Problem extends Data.TaggedError("Problem")<{
  readonly status: keyof typeof types
  readonly message: string
  readonly metadata?: Readonly<Record<string, unknown>>
}> {}

/** A refusal of a request that is wrong in itself. */
export const badRequest = (message: string, metadata: Readonly<Record<string, unknown>> = {}): Problem =>
  new Problem({ status: 400, message, metadata })

/** The answer that tells of a refusal. */
export const toAnswer = ({ message, metadata = {}, status }: Problem): Answer.Answer =>
  Answer.json(status, { error: { type: types[status], message, metadata } })
