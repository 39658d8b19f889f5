/**
 * What is sent to start a job: one schema for each kind, and the rules of the API that can be checked before anything is
 * sent. Properties that are not known here are passed on, since the API may know more.
 *
 * @example
 * import { Effect } from "effect"
 * import { BatchClient, SubmitRequest } from "@org/batch-core"
 *
 * const program = Effect.gen(function* () {
 *   const request = yield* SubmitRequest.make("company/enrich", { domains: ["acme.com", "example.org"] })
 *   const { batchId } = yield* BatchClient.submit(request)
 *   yield* Effect.log(batchId)
 * })
 */
import { Either, Option, ParseResult, Predicate, Schema } from "effect"
import { RequestInvalid } from "./BatchError.js"
import { count } from "./CountText.js"
import * as JobKind from "./JobKind.js"
import type { JsonObject } from "./Masking.js"
import { nearest } from "./Suggestion.js"

const message = (text: string) => ({ message: () => ({ message: text, override: true }) })

const Name = Schema.String.pipe(
  Schema.filter((text) => text.trim() !== "" || "an empty text is no identifier")
)
const Id = Schema.Union(
  Schema.Int.pipe(Schema.positive()),
  Schema.String.pipe(Schema.pattern(/^\s*0*[1-9]\d*\s*$/u))
).annotations(message("an id is a whole number above 0"))
/** The job search takes ids as JSON integers only. */
const Integer = Schema.Int.pipe(Schema.positive()).annotations(
  message("an id is sent as a whole number above 0, without quotes")
)
const Link = Schema.String.pipe(
  Schema.filter((text) => /^https?:\/\//iu.test(text) && URL.canParse(text))
).annotations(message("expected a URL that begins with https://"))
const Count = Schema.Int.pipe(Schema.positive()).annotations(message("expected a whole number above 0"))
const ChunkSize = Schema.Int.pipe(Schema.between(10, 1000)).annotations(
  message("expected a whole number from 10 to 1000")
)
const Fields = Schema.Array(Name)

/** A search's conditions: groups of groups and leaves. */
export type Condition =
  | { readonly op: "and" | "or"; readonly conditions: ReadonlyArray<Condition> }
  | { readonly field: string; readonly type: string; readonly value?: unknown }

const swapped: Readonly<Record<string, string>> = { ">=": "=>", "<=": "=<" }

const Leaf = Schema.Struct({
  field: Name,
  type: Name.pipe(
    Schema.filter(
      (operator) =>
        swapped[operator] === undefined || `the API has no ${operator}: it is written ${swapped[operator]}`
    )
  ),
  value: Schema.optional(Schema.Unknown)
})

const Group = Schema.Struct({
  op: Schema.Literal("and", "or"),
  conditions: Schema.Array(Schema.suspend((): Schema.Schema<Condition> => Condition))
})

const Condition: Schema.Schema<Condition> = Schema.Union(Group, Leaf)

/** At the top of `filters` stands a group, even if it has one condition alone. */
const Filters = Group

const Sorts = Schema.Array(Schema.Struct({ field: Name, order: Schema.Literal("asc", "desc") }))

const others = { key: Schema.String, value: Schema.Unknown }

const list = <A, I>(item: Schema.Schema<A, I>) => Schema.optional(Schema.Array(item))

const webhook = { webhook_url: Schema.optional(Link) }
const enrich = { ...webhook, fields: Schema.optional(Fields), chunk_size: Schema.optional(ChunkSize) }
const search = {
  ...webhook,
  fields: Schema.optional(Fields),
  filters: Schema.optional(Filters),
  max_results: Schema.optional(Count)
}
const wholeSearch = { ...search, sorts: Schema.optional(Sorts), limit_per_page: Schema.optional(Count) }
const liveSearch = { ...search, professional_network_search_url: Schema.optional(Link) }
const profiles = { professional_network_profile_urls: list(Name) }

/** What each kind's body holds. */
export const schemas = {
  "company/enrich": Schema.Struct(
    { ...enrich, ...profiles, names: list(Name), domains: list(Name), crustdata_company_ids: list(Id) },
    others
  ),
  "company/search": Schema.Struct(wholeSearch, others),
  "company/search-live": Schema.Struct(liveSearch, others),
  "person/enrich": Schema.Struct({ ...enrich, ...profiles, business_emails: list(Name) }, others),
  "person/enrich-live": Schema.Struct({ ...enrich, ...profiles }, others),
  "person/search": Schema.Struct(wholeSearch, others),
  "person/search-live": Schema.Struct(liveSearch, others),
  "person/contact-enrich": Schema.Struct(
    { ...enrich, ...profiles, fields: Fields, verified: Schema.optional(Schema.Boolean) },
    others
  ),
  "person/identify": Schema.Struct(
    { ...webhook, ...profiles, emails: list(Name), business_emails: list(Name) },
    others
  ),
  "person/verify": Schema.Struct({ ...webhook, ...profiles }, others),
  "job/search": Schema.Struct(
    { ...webhook, crustdata_company_ids: list(Integer), fields: Schema.optional(Fields) },
    others
  ),
  "social-post/enrich-live": Schema.Struct(
    {
      ...webhook,
      ...profiles,
      company_domains: list(Name),
      company_names: list(Name),
      company_professional_network_urls: list(Name),
      crustdata_company_ids: list(Id),
      social_post_urls: list(Name),
      limit: Schema.optional(Count),
      max_comments: Schema.optional(Schema.NonNegativeInt),
      max_reactors: Schema.optional(Schema.NonNegativeInt),
      post_types: Schema.optional(Schema.Unknown),
      chunk_size: Schema.optional(ChunkSize)
    },
    others
  )
} as const

/** The name of a kind: `company/enrich`, … */
export type KindName = keyof typeof schemas

/** The body of a kind. */
export type Body<K extends KindName> = (typeof schemas)[K]["Type"]

/** A request whose body was checked. */
export interface SubmitRequest {
  readonly kind: JobKind.JobKind
  /** As it is sent. */
  readonly body: JsonObject
  /** The property that holds the identifiers, and they themselves; none for a search by a query. */
  readonly identifiers: Option.Option<Identifiers>
}

/** The identifiers of a request. */
export interface Identifiers {
  readonly property: JobKind.IdentifierProperty
  readonly values: ReadonlyArray<unknown>
}

/** A request of a kind, if its body keeps the rules. */
export const make = <K extends KindName>(
  kind: K,
  body: Body<K>
): Either.Either<SubmitRequest, RequestInvalid> => check(kind, body)

/**
 * A request from a body of any origin. Checked are: the kind, the types of what is known, exactly one kind of identifier
 * or of query, the number of identifiers, what must be there, and the form of `filters`.
 */
export const check = (name: string, body: unknown): Either.Either<SubmitRequest, RequestInvalid> =>
  Either.gen(function* () {
    const kind = JobKind.named(name)
    if (kind === undefined || !isKindName(kind.name)) return yield* Either.left(unknownKind(name))
    if (isDeeper(body, deepest)) {
      return yield* Either.left(invalid(kind.name, "", `it is nested more than ${deepest} deep`))
    }
    const schema = Schema.make<JsonObject>(schemas[kind.name].ast)
    const known = yield* Either.mapLeft(Schema.decodeUnknownEither(schema)(body), (error) =>
      inWords(kind, error, body)
    )
    const identifiers = kind.identifiers.length === 0 ? yield* query(kind, known) : yield* one(kind, known)
    return { kind, body: known, identifiers }
  })

/** Levels of a body, at most: more of them no request means, and reading them takes a stack that is not there. */
const deepest = 100

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === "object" &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1)))

const isKindName = (name: string): name is KindName => Object.hasOwn(schemas, name)

const invalid = (kind: string, property: string, detail: string): RequestInvalid =>
  new RequestInvalid({ kind, property: property === "" ? Option.none() : Option.some(property), detail })

const unknownKind = (name: string): RequestInvalid => {
  const names = JobKind.all.map((kind) => kind.name)
  const near = nearest(name, names)
  const hint = near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`
  return invalid(name, "", `there is no such kind of job; ${hint}`)
}

const one = (
  kind: JobKind.JobKind,
  body: JsonObject
): Either.Either<Option.Option<Identifiers>, RequestInvalid> => {
  const given = kind.identifiers.filter(({ name }) => body[name] !== undefined)
  const names = kind.identifiers.map(({ name }) => name).join(", ")
  const [property] = given
  if (property === undefined || given.length > 1) {
    const found = given.length === 0 ? "none" : given.map(({ name }) => name).join(" and ")
    const misspelt = given.length === 0 ? misspeltOf(kind, body) : ""
    return Either.left(
      invalid(
        kind.name,
        "",
        `it takes exactly one of ${names}, and there ${given.length > 1 ? "are" : "is"} ${found}${misspelt}`
      )
    )
  }
  const values = body[property.name]
  const size = Array.isArray(values) ? values.length : 0
  if (!Array.isArray(values) || size === 0) {
    return Either.left(invalid(kind.name, property.name, "it is empty"))
  }
  return size > kind.cap
    ? Either.left(
        invalid(
          kind.name,
          property.name,
          `a job takes at most ${count(kind.cap)} of them, and these are ${count(size)}; batchctl run splits a list into jobs`
        )
      )
    : Either.right(Option.some({ property, values }))
}

const misspeltOf = (kind: JobKind.JobKind, body: JsonObject): string => {
  const known = kind.identifiers.map(({ name }) => name)
  const unknown = Object.keys(body).filter((name) => !kind.properties.includes(name))
  const near = unknown.flatMap((name) => {
    const meant = nearest(name, known)
    return meant === undefined ? [] : [`; ${name} is not known, did you mean ${meant}?`]
  })
  return near[0] ?? ""
}

const query = (
  kind: JobKind.JobKind,
  body: JsonObject
): Either.Either<Option.Option<Identifiers>, RequestInvalid> => {
  const ways = ["filters", "professional_network_search_url"].filter((name) => kind.properties.includes(name))
  const given = ways.filter((name) => body[name] !== undefined)
  return given.length === 1
    ? Either.right(Option.none())
    : Either.left(
        invalid(
          kind.name,
          "",
          given.length === 0 ? `it needs ${ways.join(" or ")}` : `it takes ${ways.join(" or ")}, not both`
        )
      )
}

/** The first thing that is wrong, with the place of it. */
const inWords = (kind: JobKind.JobKind, error: ParseResult.ParseError, body: unknown): RequestInvalid => {
  if (!Predicate.isRecord(body) || Array.isArray(body))
    return invalid(kind.name, "", "the body is no JSON object")
  const issue = nearestTo(ParseResult.ArrayFormatter.formatErrorSync(error))
  const path = (issue?.path ?? []).reduce<string>(
    (text, step) =>
      typeof step === "number" ? `${text}[${step}]` : text === "" ? String(step) : `${text}.${String(step)}`,
    ""
  )
  const top = String(issue?.path[0] ?? "")
  if (
    top === "filters" &&
    !(Predicate.hasProperty(body.filters, "op") && Predicate.hasProperty(body.filters, "conditions"))
  ) {
    return invalid(kind.name, top, `at the top there must be a group: {"op":"and","conditions":[…]}`)
  }
  const isText = kind.identifiers.some(({ name }) => name === top) && typeof body[top] === "string"
  const advice = isText
    ? `send a list: the API would split a text at its commas`
    : (issue?.message ?? "it cannot be read")
  return invalid(kind.name, path, issue?._tag === "Missing" ? "it must be there" : advice)
}

/** Of a condition that is neither a group nor a leaf, what is deepest says most; what is wrong more than what is missing. */
const nearestTo = (issues: ReadonlyArray<ParseResult.ArrayFormatterIssue>) =>
  issues.toSorted(
    (a, b) => b.path.length - a.path.length || Number(a._tag === "Missing") - Number(b._tag === "Missing")
  )[0]

/** The `identifier_count` that the job of a request has: its inputs, and 1 for any search, that of jobs by companies too. */
export const inputs = ({ identifiers, kind }: SubmitRequest): number =>
  JobKind.isSearch(kind) ? 1 : lengthOf(identifiers)

const lengthOf = (identifiers: Option.Option<Identifiers>): number =>
  Option.match(identifiers, { onNone: () => 1, onSome: ({ values }) => values.length })

/** How many records a search may bring at most, or inputs a job of identifiers has. */
export const countAtMost = (request: SubmitRequest): number => {
  const { max_results: most } = request.body
  if (Option.isSome(request.identifiers)) return lengthOf(request.identifiers)
  return typeof most === "number" ? Math.min(most, request.kind.cap) : request.kind.cap
}

/** Credits that it costs at most; none where no price is published. */
export const creditsAtMost = (request: SubmitRequest): Option.Option<number> =>
  Option.fromNullable(JobKind.creditsAtMost(request.kind, countAtMost(request)))
