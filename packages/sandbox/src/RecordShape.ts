/**
 * What a record of each kind holds: the base of it, and the lists that make some records long.
 */
import * as RecordText from "./RecordText.js"
import type { Seed } from "./Seed.js"

/** The groups of a record, by name. */
export type Groups = Record<string, Record<string, unknown>>

/** How to make records of one kind. */
export interface RecordShape {
  /** The top-level id. */
  readonly idKey: string
  /** The group that holds what identifies a record; its other fields come from `base`. */
  readonly identityGroup: string
  /** The field of the identity an identifier of a type shows in. */
  readonly identifierFields: Readonly<Record<string, string>>
  /** The type whose identifiers are the top-level id. */
  readonly idsType?: string
  readonly identity: (seed: Seed, n: number) => Record<string, unknown>
  /** Groups that say which input a record answers, where that is not in its identity. */
  readonly perInput?: (seed: Seed, identifier: string | undefined) => Groups
  readonly base: (seed: Seed) => Groups
  /** One more entry for a list of the record, and where that list is: group and field. */
  readonly grow: (seed: Seed) => readonly [group: string, field: string, entry: unknown]
  /** Whether size is left as `base` makes it. */
  readonly fixed?: true
}

const place = (seed: Seed) => {
  const [city = "", country = ""] = seed.pick(RecordText.cities).split(", ")
  return { city, country, postal_code: String(seed.int(1000, 99_999)) }
}

const person = (seed: Seed) => `${seed.pick(RecordText.givenNames)} ${seed.pick(RecordText.familyNames)}`

/** The shape of companies. */
export const company: RecordShape = {
  idKey: "crustdata_company_id",
  identityGroup: "basic_info",
  identifierFields: {
    domains: "primary_domain",
    names: "name",
    professional_network_profile_urls: "professional_network_url"
  },
  idsType: "crustdata_company_ids",
  identity: (seed, n) => ({
    name: `${seed.pick(RecordText.stems)} ${n}`,
    primary_domain: `company-${n}.example`,
    professional_network_url: `https://www.professional.example/company/company-${n}`
  }),
  base: (seed) => ({
    basic_info: {
      year_founded: seed.int(1887, 2024),
      company_type: seed.pick(["Privately Held", "Public Company", "Nonprofit"]),
      description: RecordText.prose(seed, 160)
    },
    headcount: {
      total: seed.int(1, 90_000),
      by_role_absolute: { engineering: seed.int(0, 9000), sales: seed.int(0, 900), "R&D": seed.int(0, 90) },
      growth_percent: { mom: seed.int(-500, 500) / 100, yoy: seed.int(-5000, 9000) / 100 }
    },
    taxonomy: {
      professional_network_industry: seed.pick(RecordText.industries),
      categories: [seed.pick(RecordText.industries), seed.pick(RecordText.industries)]
    },
    locations: { headquarters: place(seed), all_offices: [place(seed), place(seed)] },
    funding: {
      total_investment_usd: seed.int(0, 4e8),
      last_round_type: seed.pick(["seed", "series_a", "ipo"]),
      rounds: []
    },
    revenue: {
      estimated: { lower_bound_usd: seed.int(0, 1e6), upper_bound_usd: null },
      acquisition_status: null
    },
    people: { decision_makers: [] },
    news: { articles: [] },
    competitors: { company_ids: [seed.int(1, 9e6), seed.int(1, 9e6)], websites: [] }
  }),
  grow: (seed) => {
    switch (seed.int(0, 3)) {
      case 0:
        return [
          "funding",
          "rounds",
          {
            date: RecordText.day(seed),
            amount_usd: seed.int(1, 4e8),
            investors: [person(seed), person(seed)]
          }
        ]
      case 1:
        return [
          "news",
          "articles",
          {
            title: RecordText.prose(seed, 40),
            published_at: RecordText.day(seed),
            summary: RecordText.prose(seed, 180)
          }
        ]
      default:
        return [
          "people",
          "decision_makers",
          {
            name: person(seed),
            title: seed.pick(RecordText.titles),
            location: place(seed),
            since: RecordText.day(seed),
            employers: [{ name: seed.pick(RecordText.stems), title: seed.pick(RecordText.titles) }]
          }
        ]
    }
  }
}

/** The shape of people. */
export const individual: RecordShape = {
  idKey: "crustdata_person_id",
  identityGroup: "basic_profile",
  identifierFields: { professional_network_profile_urls: "professional_network_profile_url" },
  identity: (seed, n) => ({
    name: `${person(seed)} ${n}`,
    professional_network_profile_url: `https://www.professional.example/in/person-${n}`
  }),
  base: (seed) => ({
    basic_profile: {
      headline: seed.pick(RecordText.titles),
      location: place(seed),
      summary: RecordText.prose(seed, 240),
      languages: ["Deutsch", "Français", "日本語"].slice(seed.int(0, 2))
    },
    experience: {
      employment_details: {
        current: [
          {
            title: seed.pick(RecordText.titles),
            company_name: seed.pick(RecordText.stems),
            start_date: RecordText.day(seed),
            end_date: null
          }
        ],
        past: []
      }
    },
    education: { schools: [{ school: "ETH Zürich", degree: "MSc", start_year: seed.int(1980, 2020) }] },
    skills: { professional_network_skills: ["C++", "Logística", "データ分析"] },
    social_handles: { twitter_identifier: { slug: null }, dev_platform_identifier: null },
    professional_network: {
      connections: seed.int(1, 30_000),
      followers: seed.int(0, 90_000),
      open_to_cards: []
    },
    certifications: { entries: [] },
    posts: { recent: [] }
  }),
  grow: (seed) =>
    seed.int(0, 1) === 0
      ? [
          "posts",
          "recent",
          { text: RecordText.prose(seed, 220), reactions: seed.int(0, 9000), date: RecordText.day(seed) }
        ]
      : [
          "certifications",
          "entries",
          {
            name: RecordText.prose(seed, 30),
            issuer: seed.pick(RecordText.stems),
            issued_at: RecordText.day(seed),
            expires_at: null
          }
        ]
}

/** The shape of a person's contact data. */
export const contact: RecordShape = {
  ...individual,
  fixed: true,
  base: (seed) => ({
    basic_profile: { headline: seed.pick(RecordText.titles) },
    contact: {
      business_emails: [{ email: `p${seed.int(1, 1e6)}@acme.example`, verified: true }],
      personal_emails: [],
      phone_numbers: [`+41 44 ${seed.int(100, 999)} ${seed.int(10, 99)} ${seed.int(10, 99)}`]
    }
  })
}

/** The shape of job listings. */
export const listing: RecordShape = {
  idKey: "crustdata_job_id",
  identityGroup: "job_details",
  identifierFields: {},
  identity: (seed, n) => ({
    title: `${seed.pick(RecordText.titles)} (${n})`,
    url: `https://jobs.example/${n}`
  }),
  perInput: (seed, identifier) => ({
    company: {
      name: seed.pick(RecordText.stems),
      company_id: identifier === undefined ? seed.int(1, 9e6) : Number(identifier)
    }
  }),
  base: (seed) => ({
    job_details: { category: seed.pick(RecordText.industries), posted_at: RecordText.day(seed) },
    location: place(seed),
    content: { description: RecordText.prose(seed, 900), paragraphs: [] }
  }),
  grow: (seed) => ["content", "paragraphs", RecordText.prose(seed, 200)]
}

/** The shape of posts of a person or company. */
export const post: RecordShape = {
  idKey: "crustdata_post_id",
  identityGroup: "post",
  identifierFields: { social_post_urls: "url" },
  identity: (_, n) => ({ url: `https://www.professional.example/posts/${n}` }),
  base: (seed) => ({
    post: { text: RecordText.prose(seed, 300), published_at: RecordText.day(seed), author: person(seed) },
    engagement: { reactions: seed.int(0, 9000), by_type: { like: seed.int(0, 900), "💡": seed.int(0, 90) } },
    comments: { entries: [] }
  }),
  grow: (seed) => [
    "comments",
    "entries",
    { author: person(seed), text: RecordText.prose(seed, 120), likes: seed.int(0, 99) }
  ]
}

/** The shape of a job's records. */
export const of = (entity: string, action: string): RecordShape => {
  if (action === "contact_enrich" || action === "verify") return contact
  if (entity.startsWith("job")) return listing
  if (entity.startsWith("social_post")) return post
  return entity.startsWith("person") ? individual : company
}

/** Every name `fields` accepts for a shape: the groups, and what lies right under them. */
export const fieldNames = (shape: RecordShape, seed: Seed): ReadonlyArray<string> => {
  const groups: Groups = { ...shape.perInput?.(seed, undefined), ...shape.base(seed) }
  groups[shape.identityGroup] = { ...shape.identity(seed, 1), ...groups[shape.identityGroup] }
  return [
    shape.idKey,
    ...Object.entries(groups).flatMap(([group, members]) => [
      group,
      ...Object.keys(members).map((name) => `${group}.${name}`)
    ])
  ]
}
