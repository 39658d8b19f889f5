/** What the service answers in place of what was asked for, as failures of ours. */
import { maskText } from "@org/batch-core/Masking"
import { Option, Schema } from "effect"
import * as Client from "../BatchError.js"

/** What a request is about. */
export interface Subject {
  readonly kind: "retrieval" | "campaign"
  /** None of one that is to come. */
  readonly id: string | undefined
}

/** An answer of HTTP that is no success. */
export interface Refusal {
  readonly status: number
  readonly body: string
  /** The `Retry-After` header. */
  readonly retryAfter: string | null
  readonly attempts: number
  /** The retrieval or the campaign that was asked for, if it was one. */
  readonly subject: Subject | undefined
  /** Removes the token. */
  readonly redact: (text: string) => string
}

const Wire = Schema.parseJson(
  Schema.Struct({
    error: Schema.Struct({
      type: Schema.String,
      message: Schema.String,
      metadata: Schema.optional(Schema.NullOr(Schema.Record({ key: Schema.String, value: Schema.Unknown })))
    })
  })
)

/** Seconds, of a header in seconds or as a date. */
export const secondsOf = (header: string | null): number | undefined => {
  if (header === null) return undefined
  const seconds = /^\d+$/u.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined
}

/** The failure that a refusal is. */
export const of = ({ attempts, body, redact, retryAfter, status, subject }: Refusal): Client.Failure => {
  const told = Option.map(Schema.decodeUnknownOption(Wire)(body), ({ error }) => error)
  if (Option.isNone(told) && status < 500 && status !== 429) return foreign(status)
  const {
    message: text,
    metadata,
    type
  } = Option.getOrElse(told, () => ({
    type: "",
    message: `it answered ${status}`,
    metadata: null
  }))
  const textOf = (name: string) => {
    const value = metadata?.[name]
    return typeof value === "string" ? redact(maskText(value)) : undefined
  }
  const message = redact(maskText(text))
  const detail = textOf("detail") ?? message
  const retryAfterSeconds = secondsOf(retryAfter)
  switch (status) {
    case 400:
      if (type === "InputInvalid") {
        return new Client.InputInvalid({ message, detail, path: textOf("path") ?? "" })
      }
      if (type === "RequestInvalid") {
        const [kind, property] = [textOf("kind") ?? "", textOf("property")]
        return new Client.RequestInvalid({ message, detail, kind, property })
      }
      return new Client.RetrievalInvalid({ message, detail, field: textOf("field") })
    case 401:
    case 403:
      return new Client.NotAuthorized({
        message,
        detail,
        fromApi: true,
        reason: status === 401 ? "InvalidKey" : "NotOnPlan"
      })
    case 404:
      if (type === "CampaignNotFound" && subject?.id !== undefined) {
        return new Client.CampaignNotFound({ message, campaignId: subject.id })
      }
      return type === "RetrievalNotFound" && subject?.id !== undefined
        ? new Client.RetrievalNotFound({ message, retrievalId: subject.id })
        : foreign(status)
    case 409:
      if (type === "CampaignConflict") {
        const campaignId = subject?.id ?? textOf("campaign_id")
        return new Client.CampaignConflict({ message, detail, campaignId, state: textOf("state") })
      }
      return new Client.RetrievalConflict({
        message,
        detail,
        retrievalId: subject?.id ?? textOf("retrieval_id"),
        state: textOf("state")
      })
    case 429:
      return new Client.RateLimited({ message, attempts, retryAfterSeconds: retryAfterSeconds ?? 1 })
    default:
      if (type === "StoreUnavailable") {
        return new Client.StoreUnavailable({ message, detail, retryAfterSeconds: retryAfterSeconds ?? 1 })
      }
      return status >= 500
        ? new Client.ApiUnavailable({
            message: `the service is not usable: ${message}`,
            detail,
            reason: "Server",
            status,
            attempts,
            retryAfterSeconds,
            lasting: false,
            remedy: undefined
          })
        : new Client.RequestRejected({ message, detail, status, metadata: undefined })
  }
}

const foreign = (status: number): Client.MalformedResponse => {
  const detail =
    status === 404 ? "it has no retrievals (404)" : `it answers ${status}, not as the service does`
  return new Client.MalformedResponse({
    status,
    detail,
    message: `what is at BATCH_SERVER_URL is no batch service with retrievals: ${detail}`
  })
}
