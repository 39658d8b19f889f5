/**
 * The refusals of the API, `{"error":{"type","message","metadata"}}`; for a key `{"message"}`.
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

/** The `type` of a refusal. */
export const typeOf = ({ status }: Problem): string => types[status]

/** The body that tells of a refusal. One of the key has no envelope. */
export const body = (problem: Problem): unknown =>
  problem.status === 401
    ? { message: problem.message }
    : { error: { type: typeOf(problem), message: problem.message, metadata: problem.metadata ?? {} } }

/** The answer that tells of a refusal. */
export const toAnswer = (problem: Problem): Answer.Answer => Answer.json(problem.status, body(problem))
