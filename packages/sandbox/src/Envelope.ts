/**
 * The envelope of a line: the text around its record, which depends on the action of the job.
 */
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
  return job.action === "identify" ? identified(job.identifierType.replace(/s$/, "")) : enriched
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

const identified = (matchType: string): Envelope => {
  const matches = (identifier: string) =>
    `{"matched_on":${JSON.stringify(identifier)},"match_type":"${matchType}","matches":[`
  return {
    open: (identifier, n) =>
      `${matches(identifier)}{"confidence_score":${(60 + (n % 40)) / 100},"person_data":`,
    close: "}]}",
    miss: (identifier) => `${matches(identifier)}]}`
  }
}
