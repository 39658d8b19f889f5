/**
 * The twelve kinds of job that the API takes, as plain data: what each is called, where it is sent, what it may hold and
 * what it costs. Free of Effect, so that a front end can describe itself by it before it loads anything.
 *
 * @example
 * import { JobKind } from "@org/batch-core"
 *
 * JobKind.find("company", "enrich")?.cap // 10000
 * JobKind.named("person/contact-enrich")?.path // "person/contact/enrich"
 */

/** What an identifier is, which says how it is checked and when two are the same. */
export type IdentifierType = "domain" | "email" | "id" | "text" | "url"

/** A property of a request that holds identifiers. */
export interface IdentifierProperty {
  /** As the API calls it: `domains`, `professional_network_profile_urls`, … */
  readonly name: string
  readonly type: IdentifierType
}

/** What a job costs, in credits, where the vendor has published it. */
export interface Price {
  /** Whether a record that was found costs, or an input that was found. */
  readonly each: "input" | "record"
  /** The highest price of one; what is not found costs nothing. */
  readonly atMost: number
}

/** A kind of job. */
export interface JobKind {
  /** `entity/action`, with dashes: `company/enrich`, `person/contact-enrich`. */
  readonly name: string
  /** With dashes: `social-post`. The API's own has underscores. */
  readonly entity: string
  /** With dashes: `enrich-live`. The API's own has underscores. */
  readonly action: string
  /** The path below `/batch/`. */
  readonly path: string
  /** How many a job may have: inputs, or records of a search. */
  readonly cap: number
  /** The properties that hold identifiers, of which a request has exactly one; none for a search by a query. */
  readonly identifiers: ReadonlyArray<IdentifierProperty>
  /** The other properties that the API documents; it may know more. */
  readonly properties: ReadonlyArray<string>
  /** The properties that must be there. */
  readonly required: ReadonlyArray<string>
  /** Whether the API gives an input that was not found a line of its own; others it leaves out. */
  readonly listsMisses: boolean
  /** None where the vendor has published no price. */
  readonly price: Price | undefined
}

const profiles: IdentifierProperty = { name: "professional_network_profile_urls", type: "url" }
const companyIds: IdentifierProperty = { name: "crustdata_company_ids", type: "id" }
const searchProperties = ["filters", "sorts", "max_results", "limit_per_page", "fields", "webhook_url"]
const liveProperties = ["filters", "professional_network_search_url", "max_results", "fields", "webhook_url"]
const enrichProperties = ["fields", "webhook_url", "chunk_size"]
const perInput = (atMost: number): Price => ({ each: "input", atMost })
const perRecord: Price = { each: "record", atMost: 0.03 }

const kind = (
  name: string,
  path: string,
  cap: number,
  rest: Partial<Omit<JobKind, "name" | "entity" | "action" | "path" | "cap">>
): JobKind => {
  const [entity = "", action = ""] = name.split("/")
  const common = { identifiers: [], properties: [], required: [], listsMisses: false, price: undefined }
  return { ...common, name, entity, action, path, cap, ...rest }
}

/** All kinds, in the order in which the API documents them. */
export const all: ReadonlyArray<JobKind> = [
  kind("company/enrich", "company/enrich", 10_000, {
    identifiers: [{ name: "names", type: "text" }, { name: "domains", type: "domain" }, profiles, companyIds],
    properties: enrichProperties,
    price: perInput(2)
  }),
  kind("company/search", "company/search", 10_000, { properties: searchProperties, price: perRecord }),
  kind("company/search-live", "company/professional_network/search/live", 1000, {
    properties: liveProperties,
    price: perRecord
  }),
  kind("person/enrich", "person/enrich", 10_000, {
    identifiers: [profiles, { name: "business_emails", type: "email" }],
    properties: enrichProperties,
    price: perInput(7)
  }),
  kind("person/enrich-live", "person/professional_network/enrich/live", 300, {
    identifiers: [profiles],
    properties: enrichProperties,
    price: perInput(7)
  }),
  kind("person/search", "person/search", 10_000, { properties: searchProperties, price: perRecord }),
  kind("person/search-live", "person/professional_network/search/live", 1000, {
    properties: liveProperties,
    price: perRecord
  }),
  kind("person/contact-enrich", "person/contact/enrich", 300, {
    identifiers: [profiles],
    properties: [...enrichProperties, "verified"],
    required: ["fields"],
    listsMisses: true,
    price: perInput(5)
  }),
  kind("person/identify", "person/identify", 300, {
    identifiers: [{ name: "emails", type: "email" }, { name: "business_emails", type: "email" }, profiles],
    properties: ["webhook_url"],
    listsMisses: true,
    price: perInput(1)
  }),
  kind("person/verify", "person/verify", 10, {
    identifiers: [profiles],
    properties: ["webhook_url"],
    listsMisses: true
  }),
  kind("job/search", "job/search", 10, {
    identifiers: [companyIds],
    properties: ["fields", "webhook_url"]
  }),
  kind("social-post/enrich-live", "social_post/professional_network/enrich/live", 10, {
    identifiers: [
      profiles,
      { name: "company_domains", type: "domain" },
      { name: "company_names", type: "text" },
      { name: "company_professional_network_urls", type: "url" },
      companyIds,
      { name: "social_post_urls", type: "url" }
    ],
    properties: ["post_types", "limit", "max_comments", "max_reactors", "webhook_url", "chunk_size"]
  })
]

/** The kind of this name, `entity/action` with dashes or underscores, if there is one. */
export const named = (name: string): JobKind | undefined =>
  all.find((known) => known.name === name.toLowerCase().replaceAll("_", "-"))

/** The kind of this entity and action, with dashes or underscores, if there is one. */
export const find = (entity: string, action: string): JobKind | undefined => named(`${entity}/${action}`)

/** The kind that is sent to this path below `/batch/`, if there is one. */
export const at = (path: string): JobKind | undefined => all.find((known) => known.path === path)

/** Whether a job is of a kind, by what the API calls its entity and action; either set is open: `company_v2024`. */
export const isOf = (
  { action, entity }: JobKind,
  job: { readonly entity: string; readonly action: string }
): boolean =>
  job.action.replaceAll("_", "-") === action &&
  (job.entity.replaceAll("_", "-") === entity || job.entity.replaceAll("_", "-").startsWith(`${entity}-v`))

/** Whether jobs of a kind are searches, of which the API says that they have one identifier, whatever was sent. */
export const isSearch = ({ action }: JobKind): boolean => action.startsWith("search")

/** Credits that so many inputs, or records of a search, cost at most; none where no price is published. */
export const creditsAtMost = ({ identifiers, price }: JobKind, count: number): number | undefined =>
  price === undefined || (price.each === "record" && identifiers.length > 0)
    ? undefined
    : Math.round(count * price.atMost * 100) / 100
