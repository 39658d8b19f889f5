/**
 * When work is tried again that failed in a way which may heal, beyond the core's own tries.
 */
import type { BatchError } from "@org/batch-core/BatchError"
import { Duration, Option } from "effect"

/** It is tried again in so many seconds; `counts` if that is one of its tries. */
export interface Again {
  readonly _tag: "Again"
  readonly seconds: number
  readonly counts: boolean
}

/** Pauses between tries, in seconds. */
const pauses = [5, 30, 120, 600, 1800]

/** How often bytes that do not come are fetched anew. */
export const most = 8

/** When a failure is tried again after so many tries; none if it will not heal, or has been tried often enough. */
export const of = (error: BatchError, tries: number): Option.Option<Again> => {
  const seconds = pauses[Math.min(tries, pauses.length - 1)] ?? 60
  const again: Again = { _tag: "Again", seconds, counts: true }
  switch (error._tag) {
    case "RateLimited":
      return Option.some({
        _tag: "Again",
        seconds: Math.max(1, Duration.toSeconds(error.retryAfter)),
        counts: false
      })
    case "ApiUnavailable":
      return Option.some(again)
    case "MalformedResponse":
    case "TransferFailed":
      return tries + 1 < most ? Option.some(again) : Option.none()
    default:
      return Option.none()
  }
}
