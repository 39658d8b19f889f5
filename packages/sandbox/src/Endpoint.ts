/**
 * The submit endpoints: what each takes, and how much of it.
 */

/** A submit endpoint. */
export interface Endpoint {
  /** Its path below `/batch/`. */
  readonly path: string
  readonly entity: string
  readonly action: string
  /** How many a job may have: identifiers, or records for searches. */
  readonly cap: number
  /** Credits for each input that was found, or each record of searches; not a bound, where the vendor names a range. */
  readonly price: number
  /** The properties that hold identifiers, of which a request has exactly one; none for searches. */
  readonly identifiers: ReadonlyArray<string>
  /** The properties it knows besides. */
  readonly properties: ReadonlyArray<string>
  readonly fieldsRequired?: true
  /** Identifiers must be JSON integers. */
  readonly integersOnly?: true
}

const network = "professional_network_profile_urls"
const search = ["filters", "sorts", "max_results", "limit_per_page", "fields", "webhook_url"]
const liveSearch = ["filters", "professional_network_search_url", "max_results", "fields", "webhook_url"]
const enrich = ["fields", "webhook_url", "chunk_size"]

/** All submit endpoints. */
export const all: ReadonlyArray<Endpoint> = [
  {
    path: "company/enrich",
    entity: "company",
    action: "enrich",
    cap: 10_000,
    price: 2,
    identifiers: ["names", "domains", network, "crustdata_company_ids"],
    properties: enrich
  },
  {
    path: "company/search",
    entity: "company",
    action: "search",
    cap: 10_000,
    price: 0.03,
    identifiers: [],
    properties: search
  },
  {
    path: "company/professional_network/search/live",
    entity: "company",
    action: "search_live",
    cap: 1000,
    price: 0.03,
    identifiers: [],
    properties: liveSearch
  },
  {
    path: "person/enrich",
    entity: "person",
    action: "enrich",
    cap: 10_000,
    price: 1,
    identifiers: [network, "business_emails"],
    properties: enrich
  },
  {
    path: "person/professional_network/enrich/live",
    entity: "person",
    action: "enrich_live",
    cap: 300,
    price: 5,
    identifiers: [network],
    properties: enrich
  },
  {
    path: "person/search",
    entity: "person",
    action: "search",
    cap: 10_000,
    price: 0.03,
    identifiers: [],
    properties: search
  },
  {
    path: "person/professional_network/search/live",
    entity: "person",
    action: "search_live",
    cap: 1000,
    price: 0.03,
    identifiers: [],
    properties: liveSearch
  },
  {
    path: "person/contact/enrich",
    entity: "person",
    action: "contact_enrich",
    cap: 300,
    price: 5,
    identifiers: [network],
    properties: [...enrich, "verified"],
    fieldsRequired: true
  },
  {
    path: "person/identify",
    entity: "person",
    action: "identify",
    cap: 300,
    price: 1,
    identifiers: ["emails", "business_emails", network],
    properties: ["webhook_url"]
  },
  {
    path: "person/verify",
    entity: "person",
    action: "verify",
    cap: 10,
    price: 1,
    identifiers: [network],
    properties: ["webhook_url"]
  },
  {
    path: "job/search",
    entity: "job",
    action: "search",
    cap: 10,
    price: 0.03,
    identifiers: ["crustdata_company_ids"],
    properties: ["fields", "webhook_url"],
    integersOnly: true
  },
  {
    path: "social_post/professional_network/enrich/live",
    entity: "social_post",
    action: "enrich_live",
    cap: 10,
    price: 1,
    identifiers: [
      network,
      "company_domains",
      "company_names",
      "company_professional_network_urls",
      "crustdata_company_ids",
      "social_post_urls"
    ],
    properties: ["post_types", "limit", "max_comments", "max_reactors", "webhook_url", "chunk_size"]
  }
]

const byPath = new Map(all.map((endpoint) => [`/batch/${endpoint.path}`, endpoint]))

/** The paths of all submit endpoints. */
export const paths: ReadonlyArray<string> = [...byPath.keys()]

/** The endpoint at a path, if there is one. */
export const at = (path: string): Endpoint | undefined => byPath.get(path)
