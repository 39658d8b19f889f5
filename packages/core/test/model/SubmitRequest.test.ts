import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc, Option } from "effect"
import * as JobKind from "../../src/model/JobKind.js"
import * as SubmitRequest from "../../src/model/SubmitRequest.js"

const samples = {
  domain: "acme.com",
  email: "ann@acme.com",
  id: 7,
  text: "Acme, Inc.",
  url: "https://site.com/in/ann"
}

const group = { op: "and", conditions: [{ field: "hq", type: "=>", value: 3 }] }

/** A valid body of a kind, with `count` inputs of one of its properties. */
const bodyOf = (kind: JobKind.JobKind, at = 0, count = 1): Record<string, unknown> => {
  const property = kind.identifiers[at % Math.max(1, kind.identifiers.length)]
  const required = kind.required.includes("fields") ? { fields: ["a"] } : {}
  return property === undefined
    ? { ...required, filters: group }
    : { ...required, [property.name]: Array.from({ length: count }, () => samples[property.type]) }
}

const errorOf = (name: string, body: unknown): string =>
  Either.match(SubmitRequest.check(name, body), {
    onLeft: ({ message }) => message,
    onRight: () => "it is valid"
  })

const kinds = fc.constantFrom(...JobKind.all)
const unknown = fc.dictionary(fc.stringMatching(/^x_[a-z]{1,8}$/u), fc.jsonValue(), { maxKeys: 3 })

describe("check", () => {
  it("passes valid bodies of each kind unchanged, with what it does not know", () => {
    fc.assert(
      fc.property(kinds, fc.nat(9), fc.integer({ min: 1, max: 10 }), unknown, (kind, at, count, more) => {
        const body = { ...bodyOf(kind, at, count), ...more }
        const request = Either.getOrThrow(SubmitRequest.check(kind.name, body))
        expect(request.body).toEqual(body)
        expect(SubmitRequest.inputs(request)).toBe(JobKind.isSearch(kind) ? 1 : count)
      })
    )
  })

  it("never throws, whatever it is given", () => {
    const names = fc.constantFrom(
      "filters",
      "sorts",
      "domains",
      "fields",
      "max_results",
      "chunk_size",
      "webhook_url",
      "crustdata_company_ids"
    )
    fc.assert(
      fc.property(
        fc.oneof(
          kinds.map(({ name }) => name),
          fc.string()
        ),
        fc.oneof(fc.jsonValue(), fc.dictionary(names, fc.jsonValue())),
        (name, body) => {
          expect(Either.isEither(SubmitRequest.check(name, body))).toBe(true)
        }
      ),
      { numRuns: 500 }
    )
    let deep: unknown = { field: "a", type: "=", value: 1 }
    for (let depth = 0; depth < 20_000; depth++) deep = { op: "and", conditions: [deep] }
    expect(errorOf("company/search", { filters: deep })).toContain("nested")
  })

  it.each(JobKind.all.filter(({ identifiers }) => identifiers.length > 0))(
    "$name takes as many as its cap, of one type",
    (kind) => {
      for (const at of kind.identifiers.keys()) {
        expect(errorOf(kind.name, bodyOf(kind, at, kind.cap))).toBe("it is valid")
        expect(errorOf(kind.name, bodyOf(kind, at, kind.cap + 1))).toContain("takes at most")
        expect(errorOf(kind.name, bodyOf(kind, at, 0))).toContain("it is empty")
        const { name = "" } = kind.identifiers[at] ?? {}
        expect(errorOf(kind.name, { ...bodyOf(kind, at), [name]: "a,b" })).toContain("send a list")
        if (at > 0)
          expect(errorOf(kind.name, { ...bodyOf(kind, 0), ...bodyOf(kind, at) })).toContain("exactly one of")
      }
      const none = kind.required.includes("fields") ? { fields: ["a"] } : {}
      expect(errorOf(kind.name, none)).toContain("exactly one of")
      const [first] = kind.identifiers
      const misspelt = `${first?.name.slice(0, -1)}`
      expect(errorOf(kind.name, { ...none, [misspelt]: ["x"] })).toContain(`did you mean ${first?.name}?`)
    }
  )

  it.each([
    ["company/search", {}, "it needs filters"],
    ["company/search", { filters: { field: "hq", type: "=", value: 1 } }, "at the top there must be a group"],
    [
      "company/search",
      { filters: { op: "and", conditions: [{ field: "hq", type: ">=", value: 1 }] } },
      "the API has no >=: it is written =>"
    ],
    [
      "company/search",
      { filters: { op: "or", conditions: [{ op: "and", conditions: [{ field: "x", type: "<=" }] }] } },
      "it is written =<"
    ],
    ["person/search", { filters: group, max_results: 0 }, "max_results"],
    ["person/search", { filters: group, max_results: -1 }, "max_results"],
    ["person/search", { filters: group, max_results: 1.5 }, "max_results"],
    ["person/search", { filters: group, sorts: [{ field: "a", order: "up" }] }, "sorts[0].order"],
    ["person/search", { filters: group, sorts: [{ field: "a", order: "desc" }] }, "it is valid"],
    ["person/search-live", { filters: group, professional_network_search_url: "https://a.com" }, "not both"],
    ["person/search-live", { professional_network_search_url: "https://a.com/x" }, "it is valid"],
    ["company/enrich", { domains: ["a.com"], chunk_size: 9 }, "chunk_size"],
    ["company/enrich", { domains: ["a.com"], chunk_size: 10 }, "it is valid"],
    ["company/enrich", { domains: ["a.com"], chunk_size: 1000 }, "it is valid"],
    ["company/enrich", { domains: ["a.com"], chunk_size: 1001 }, "chunk_size"],
    ["company/enrich", { domains: ["a.com", " "] }, "domains[1]"],
    ["company/enrich", { crustdata_company_ids: ["12"] }, "it is valid"],
    ["job/search", { crustdata_company_ids: ["12"] }, "without quotes"],
    ["job/search", { crustdata_company_ids: [1.5] }, "crustdata_company_ids[0]"],
    ["person/contact-enrich", { professional_network_profile_urls: ["x"] }, "fields"],
    ["company/enrich", { domains: ["a.com"], webhook_url: "a.com" }, "webhook_url"],
    ["company/enrich", [], "the body is no JSON object"],
    ["company/enrich", null, "the body is no JSON object"],
    ["company/enrch", {}, "did you mean company/enrich?"],
    ["COMPANY/ENRICH", { domains: ["a.com"] }, "it is valid"],
    ["social_post/enrich_live", { social_post_urls: ["https://a.com/p"] }, "it is valid"]
  ] as const)("says of a %s with %j: %s", (name, body, words) => {
    expect(errorOf(name, body)).toContain(words)
  })

  it("counts the credits at most", () => {
    const credits = (name: string, body: unknown) =>
      SubmitRequest.creditsAtMost(Either.getOrThrow(SubmitRequest.check(name, body)))
    expect(credits("company/enrich", { domains: ["a.com", "b.com"] })).toEqual(Option.some(4))
    expect(credits("company/search", { filters: group })).toEqual(Option.some(300))
    expect(credits("company/search", { filters: group, max_results: 99_999 })).toEqual(Option.some(300))
    expect(credits("company/search", { filters: group, max_results: 7 })).toEqual(Option.some(0.21))
    expect(credits("job/search", { crustdata_company_ids: [1] })).toEqual(Option.none())
  })
})

describe("JobKind", () => {
  it("finds each kind by its name, its words and its path", () => {
    for (const kind of JobKind.all) {
      expect(JobKind.named(kind.name.replaceAll("-", "_").toUpperCase())).toBe(kind)
      expect(JobKind.at(kind.path)).toBe(kind)
      const job = { entity: kind.entity.replaceAll("-", "_"), action: kind.action.replaceAll("-", "_") }
      expect(JobKind.all.filter((other) => JobKind.isOf(other, job))).toEqual([kind])
      expect(JobKind.isOf(kind, { ...job, entity: `${job.entity}_v2024` })).toBe(true)
      for (const property of [...kind.identifiers.map(({ name }) => name), ...kind.properties]) {
        expect(Object.keys(SubmitRequest.schemas), property).toContain(kind.name)
      }
    }
    expect(JobKind.all).toHaveLength(12)
    expect(JobKind.named("constructor")).toBeUndefined()
  })
})
