/**
 * What a record says of the input that it answers, by the kind of job: which input, and whether it was found.
 *
 * @example
 * import { Either } from "effect"
 * import * as JobKind from "../model/JobKind.js"
 * import type { Line } from "../records/RecordLines.js"
 * import * as Outcomes from "./Outcomes.js"
 *
 * const enrich = JobKind.named("company/enrich")
 * const read = (line: Line) => (enrich === undefined ? undefined : Either.getOrUndefined(Outcomes.reader(enrich)(line)))
 */
import { Either, Predicate, Schema } from "effect"
import type { RecordInvalid } from "../model/BatchError.js"
import type { JobKind } from "../model/JobKind.js"
import * as RecordLines from "../records/RecordLines.js"

/** What one record says. */
export interface Outcome {
  /** The input as it was sent; undefined where the record does not say it. */
  readonly identifier: string | undefined
  readonly fate: "matched" | "not_found" | "redacted"
}

/** Reads the outcome of a record. Where the envelope says all, the rest of the line is skipped, not parsed. */
export const reader = (
  kind: JobKind
): ((line: RecordLines.Line) => Either.Either<Outcome, RecordInvalid>) => {
  if (kind.name === "job/search") return (line) => Either.map(RecordLines.decode(line), ofListing)
  return kind.listsMisses
    ? (line) => Either.map(RecordLines.decode(line), ofWhole)
    : (line) => Either.map(readEnvelope(line), ofEnvelope)
}

const Text = Schema.optional(Schema.Union(Schema.String, Schema.Number, Schema.Literal(null)))

const readEnvelope = RecordLines.decoder(Schema.Struct({ original_identifier: Text, match_status: Text }))

const textOf = (value: unknown): string | undefined =>
  Predicate.isString(value) || Predicate.isNumber(value) ? String(value) : undefined

/** The vendor's word for what became of an input, where it has one that is known. */
const statedOf = (status: unknown): Outcome["fate"] | undefined =>
  status === "matched" || status === "not_found" || status === "redacted" ? status : undefined

const ofEnvelope = (record: {
  readonly original_identifier?: unknown
  readonly match_status?: unknown
}): Outcome => ({
  identifier: textOf(record.original_identifier),
  fate: statedOf(record.match_status) ?? "matched"
})

/** Misses have a line of their own: without matches, or with nothing in it but what was asked for. */
const ofWhole = (record: RecordLines.Record): Outcome => {
  const { data, match_status, matched_on, matches, original_identifier } = record
  const identifier = textOf(original_identifier ?? matched_on)
  const isMiss = Array.isArray(matches)
    ? matches.length === 0
    : data !== undefined && isEmpty(data, identifier?.toLowerCase())
  return { identifier, fate: statedOf(match_status) ?? (isMiss ? "not_found" : "matched") }
}

/** Whether there is nothing in a value but the input itself and numbers that name it. */
const isEmpty = (value: unknown, input: string | undefined): boolean => {
  if (Array.isArray(value)) return value.every((one) => isEmpty(one, input))
  if (Predicate.isRecord(value)) return Object.values(value).every((one) => isEmpty(one, input))
  return (
    value === null ||
    value === undefined ||
    value === "" ||
    value === false ||
    String(value).toLowerCase() === input
  )
}

/** Listings have no envelope: they may say of which company they are. */
const ofListing = (record: RecordLines.Record): Outcome => {
  const { company } = record
  const nested = Predicate.isRecord(company) ? company : {}
  const basic = Predicate.isRecord(nested["basic_info"]) ? nested["basic_info"] : {}
  const id =
    record["original_identifier"] ??
    nested["crustdata_company_id"] ??
    nested["company_id"] ??
    basic["crustdata_company_id"] ??
    record["crustdata_company_id"] ??
    record["company_id"]
  return { identifier: textOf(id), fate: "matched" }
}
