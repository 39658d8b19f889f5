/**
 * The rules of a submit, and the job that comes of one.
 */
import { Effect, Either } from "effect"
import type { Endpoint } from "./Endpoint.js"
import * as Filter from "./Filter.js"
import * as Identifier from "./Identifier.js"
import * as Job from "./Job.js"
import type { JobSpec } from "./JobSpec.js"
import type { Submitted } from "./JobStore.js"
import * as Problem from "./Problem.js"
import * as RecordShape from "./RecordShape.js"
import * as Seed from "./Seed.js"

/** A job that a submit asks for, as a specification. */
export interface Submission {
  readonly spec: JobSpec
  readonly submitted: Submitted
}

const listingsPerCompany = 5

type Body = Readonly<Record<string, unknown>>
type Checked<A = void> = Either.Either<A, Problem.Problem>

/** Check the body of a submit against the rules of its endpoint. */
export const parse = (endpoint: Endpoint, text: string): Effect.Effect<Submission, Problem.Problem> =>
  Effect.gen(function* () {
    const body = yield* object(text)
    yield* knownProperties(endpoint, body)
    const fields = yield* fieldNames(endpoint, body)
    yield* between(body, "chunk_size", 10, 1000)
    yield* webhook(body)
    return endpoint.identifiers.length === 0
      ? yield* search(endpoint, body, fields)
      : yield* identifierJob(endpoint, body, fields)
  })

/** The answer to a submit. */
export const answer = (job: Job.Job): unknown => ({
  batch_id: job.id,
  status: "pending",
  entity: job.entity,
  action: job.action,
  identifier_count: job.identifierCount,
  entities_requested: job.requested,
  status_url: `/batch/${job.id}`
})

const object = (text: string): Checked<Body> =>
  Either.try({
    try: (): unknown => JSON.parse(text),
    catch: () => Problem.badRequest("The body is not valid JSON")
  }).pipe(
    Either.filterOrLeft(
      (value): value is Body => typeof value === "object" && value !== null && !Array.isArray(value),
      () => Problem.badRequest("The body must be a JSON object")
    )
  )

const knownProperties = (endpoint: Endpoint, body: Body): Checked => {
  const known = [...endpoint.identifiers, ...endpoint.properties]
  const unknown = Object.keys(body).filter((name) => !known.includes(name))
  return unless(
    unknown.length > 0,
    Problem.badRequest(`Unknown properties: ${unknown.join(", ")}`, { available_properties: known })
  )
}

const fieldNames = (endpoint: Endpoint, body: Body): Checked<ReadonlyArray<string> | undefined> => {
  const { fields } = body
  if (fields === undefined) {
    return endpoint.fieldsRequired === true
      ? Either.left(Problem.badRequest("`fields` is required"))
      : Either.right(undefined)
  }
  const shape = RecordShape.of(endpoint.entity, endpoint.action)
  const available = RecordShape.fieldNames(shape, Seed.make("fields"))
  if (!isStrings(fields)) return Either.left(Problem.badRequest("`fields` must be an array of strings"))
  const unknown = fields.filter((field) => !available.includes(field))
  if (unknown.length > 0) {
    return Either.left(
      Problem.badRequest(`Unknown fields: ${unknown.join(", ")}`, { available_fields: available })
    )
  }
  return Either.right(Job.isSearch(endpoint.action) ? fields : [shape.identityGroup, ...fields])
}

const search = (
  endpoint: Endpoint,
  body: Body,
  fields: ReadonlyArray<string> | undefined
): Checked<Submission> =>
  Either.gen(function* () {
    const sources = ["filters", "professional_network_search_url"].filter((name) => body[name] !== undefined)
    yield* unless(
      sources.length !== 1,
      Problem.badRequest("Exactly one query is required", { provided: sources })
    )
    if (body.filters !== undefined) yield* Either.mapLeft(Filter.check(body.filters), Problem.badRequest)
    if (body.sorts !== undefined) yield* Either.mapLeft(Filter.checkSorts(body.sorts), Problem.badRequest)
    yield* between(body, "max_results", 1, Infinity)
    yield* between(body, "limit_per_page", 1, Infinity)
    const wanted = typeof body.max_results === "number" ? body.max_results : endpoint.cap
    const { action, entity } = endpoint
    const records = Math.min(wanted, endpoint.cap)
    return { spec: { entity, action, records }, submitted: { endpoint, fields } }
  })

const identifierJob = (
  endpoint: Endpoint,
  body: Body,
  fields: ReadonlyArray<string> | undefined
): Checked<Submission> =>
  Either.gen(function* () {
    const given = endpoint.identifiers.filter((name) => body[name] !== undefined)
    const [identifierType = ""] = given
    yield* unless(
      given.length !== 1,
      Problem.badRequest(`Exactly one identifier type is required, got ${given.length}`, {
        available_identifiers: endpoint.identifiers
      })
    )
    const all = yield* identifiers(endpoint, identifierType, body[identifierType])
    const { action, entity } = endpoint
    const listed = all.filter((one) => Identifier.hasLine(action, one))
    const found = listed.filter((one) => Identifier.fate(one) === "matched").length
    const isSearch = Job.isSearch(action)
    return {
      spec: {
        entity,
        action,
        records: isSearch ? listed.length * listingsPerCompany : listed.length,
        unresolved: Identifier.listsMisses(action) ? listed.length - found : all.length - found,
        requested: isSearch ? undefined : all.length
      },
      submitted: { endpoint, identifiers: listed, identifierType, fields }
    }
  })

/** A string is split at its commas, as upstream does: `Acme, Inc.` becomes two. */
const identifiers = (endpoint: Endpoint, name: string, value: unknown): Checked<ReadonlyArray<string>> => {
  const list: unknown = typeof value === "string" ? value.split(",").map((part) => part.trim()) : value
  const isValid = (one: unknown) =>
    Number.isInteger(one) || (endpoint.integersOnly !== true && typeof one === "string" && one !== "")
  if (!Array.isArray(list) || list.length === 0 || !list.every(isValid)) {
    const wanted = endpoint.integersOnly === true ? "JSON integers" : "identifiers"
    return Either.left(Problem.badRequest(`\`${name}\` must be a non-empty array of ${wanted}`))
  }
  return list.length > endpoint.cap
    ? Either.left(
        Problem.badRequest(`At most ${endpoint.cap} identifiers per batch`, {
          limit: endpoint.cap,
          got: list.length
        })
      )
    : Either.right(list.map(String))
}

const between = (body: Body, name: string, least: number, most: number): Checked => {
  const value = body[name]
  const isValid =
    value === undefined ||
    (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most)
  const range = most === Infinity ? `at least ${least}` : `between ${least} and ${most}`
  return unless(!isValid, Problem.badRequest(`\`${name}\` must be an integer, ${range}`))
}

const webhook = ({ webhook_url }: Body): Checked =>
  unless(
    webhook_url !== undefined && !(typeof webhook_url === "string" && URL.canParse(webhook_url)),
    Problem.badRequest("`webhook_url` must be a URL")
  )

const unless = (isWrong: boolean, problem: Problem.Problem): Checked =>
  isWrong ? Either.left(problem) : Either.right(undefined)

const isStrings = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((one) => typeof one === "string")
