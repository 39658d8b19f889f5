/**
 * The envelope of a line: the text around its record, which depends on the action of the job.
 */
import * as Identifier from "./Identifier.js"
import * as Job from "./Job.js"

/** The text before and after a record, and the line of an input without one. */
export interface Envelope {
  readonly open: (identifier: string, n: number) => string
  readonly close: string
  readonly miss: (identifier: string, n: number) => string
}

/** The envelope of a job's lines. */
export const of = (job: Job.Job): Envelope => {
  if (Job.isSearch(job.action)) return flat
  return job.action === "identify" ? identified(job) : enriched
}

const flat: Envelope = { open: () => "", close: "", miss: () => "{}" }

const opening = (identifier: string, n: number): string =>
  `{"original_identifier":${JSON.stringify(identifier)},"internal_id":${n},"data":`

const enriched: Envelope = {
  open: opening,
  close: "}",
  miss: (identifier, n) =>
    `${opening(identifier, n)}{"contact":{"business_emails":[],"personal_emails":[],"phone_numbers":[]}}}`
}

/** The older form says neither `match_status` nor what came with it. */
const identified = ({ identifierType, matchStatus }: Job.Job): Envelope => {
  const matchType = identifierType.replace(/s$/, "")
  const matches = (identifier: string, fate: Identifier.Fate) =>
    `{"matched_on":${JSON.stringify(identifier)},"match_type":"${matchType}",${matchStatus ? `"match_status":"${fate}",` : ""}"matches":[`
  const about = (n: number) =>
    matchStatus
      ? `"social_handles":{"twitter_identifier":{"slug":"person_${n}"}},"updated_at":"${updatedAt(n)}",`
      : ""
  return {
    open: (identifier, n) =>
      `${matches(identifier, "matched")}{"confidence_score":${(60 + (n % 40)) / 100},${about(n)}"person_data":`,
    close: "}]}",
    miss: (identifier) =>
      `${matches(identifier, Identifier.fate(identifier) === "redacted" ? "redacted" : "not_found")}]}`
  }
}

const updatedAt = (n: number): string => `2026-${n % 2 === 0 ? "09" : "10"}-${10 + (n % 19)}T00:00:00+00:00`
