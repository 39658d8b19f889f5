import { expect, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Job from "../src/Job.js"
import type { JobSpec } from "../src/JobSpec.js"
import * as Records from "../src/Records.js"

const Enriched = Schema.Struct({
  original_identifier: Schema.String,
  internal_id: Schema.Int,
  data: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})
const Identified = Schema.Struct({
  matched_on: Schema.String,
  match_type: Schema.String,
  matches: Schema.Array(Schema.Struct({ confidence_score: Schema.Number, person_data: Schema.Unknown }))
})
const Matched = Schema.Struct({
  match_status: Schema.Literal("matched"),
  matches: Schema.Tuple(
    Schema.Struct({
      confidence_score: Schema.Number,
      social_handles: Schema.Object,
      updated_at: Schema.DateFromString,
      person_data: Schema.Object
    })
  )
})
const Flat = Schema.Record({ key: Schema.String, value: Schema.Unknown })

it("the same seed gives the same bytes, another seed others", () => {
  const text = (seed: number) => lines({ records: 50 }, seed).join("")
  expect(text(7)).toBe(text(7))
  expect(text(7)).not.toBe(text(8))
})

it("every line is one JSON object on one line, and no two are alike", () => {
  const all = lines({ records: 600 })
  for (const line of all) {
    expect(line.indexOf("\n")).toBe(line.length - 1)
    decode(Enriched, line)
  }
  expect(new Set(all).size).toBe(600)
})

it("records are of 1 to 40 KB and some, 5 to 6 KB on average, not all of them ASCII", () => {
  const sizes = lines({ records: 4000 }).map((line) => Buffer.byteLength(line))
  const average = sizes.reduce((sum, size) => sum + size) / sizes.length
  expect(average).toBeGreaterThan(5000)
  expect(average).toBeLessThan(6500)
  expect(Math.min(...sizes)).toBeGreaterThan(900)
  expect(Math.max(...sizes)).toBeGreaterThan(20_000)
  expect(Math.max(...sizes)).toBeLessThan(42_000)
  expect(lines({ records: 50 }).join("")).toMatch(/\p{Script=Han}/u)
})

it.each([200, 3000, 30_000, 1_000_000])("records of about %i bytes on demand", (recordBytes) => {
  for (const line of lines({ records: 4, recordBytes })) {
    decode(Enriched, line)
    expect(Buffer.byteLength(line)).toBeGreaterThan(recordBytes * 0.6)
    expect(Buffer.byteLength(line)).toBeLessThan(recordBytes * 1.5 + 600)
  }
})

it("a submitted identifier is echoed as a string and shows in its record", () => {
  const [first = ""] = lines({ records: 1 }, 1, { identifiers: ["acme.example"], identifierType: "domains" })
  const row = decode(Enriched, first)
  expect(row.original_identifier).toBe("acme.example")
  expect(row.data).toMatchObject({ basic_info: { primary_domain: "acme.example" } })
  const [second = ""] = lines({ records: 1 }, 1, {
    identifiers: ["628895"],
    identifierType: "crustdata_company_ids"
  })
  expect(decode(Enriched, second)).toMatchObject({
    original_identifier: "628895",
    data: { crustdata_company_id: 628_895 }
  })
})

it("enrichment leaves out what was not found, contact enrichment and identification list it", () => {
  const base = { entity: "person", records: 40, unresolved: 10 }
  const contacts = lines({ ...base, action: "contact_enrich" }).map((line) => decode(Enriched, line))
  const nothing = { contact: { business_emails: [], personal_emails: [], phone_numbers: [] } }
  expect(contacts.filter(({ data }) => JSON.stringify(data) === JSON.stringify(nothing)).length).toBe(10)
  const identified = lines({ ...base, action: "identify" }).map((line) => decode(Identified, line))
  expect(identified.filter(({ matches }) => matches.length === 0).length).toBe(10)
  const inputs = lines({ ...base, action: "enrich" }).map((line) => decode(Enriched, line).internal_id)
  expect(new Set(inputs).size).toBe(40)
  expect(Math.max(...inputs) - Math.min(...inputs)).toBeGreaterThan(45)
})

it("identification says what became of each input, in the older form by its matches alone", () => {
  const people = ["a@x.example", "unresolved@x.example", "redacted@x.example"]
  const rows = (matchStatus?: boolean) =>
    lines({ entity: "person", action: "identify", records: 3, unresolved: 2, matchStatus }, 1, {
      identifiers: people,
      identifierType: "emails"
    })
  const [found = "", ...missing] = rows()
  decode(Matched, found)
  expect(missing.map((line): unknown => JSON.parse(line))).toEqual([
    { matched_on: people[1], match_type: "email", match_status: "not_found", matches: [] },
    { matched_on: people[2], match_type: "email", match_status: "redacted", matches: [] }
  ])
  const older = rows(false).map((line) => decode(Identified, line))
  expect(
    older.map(({ match_type, matched_on, matches }) => [matched_on, match_type, matches.length])
  ).toEqual(people.map((email, index) => [email, "email", index === 0 ? 1 : 0]))
  expect(rows(false).join("")).not.toMatch(/match_status|updated_at/u)
})

it("listings tell which company they are of, in the fields asked for", () => {
  const spec = { entity: "job", action: "search", records: 10 }
  const submitted = { identifiers: ["7", "9"], identifierType: "crustdata_company_ids" }
  const companies = lines(spec, 1, submitted).map((line) => decode(Flat, line).company)
  expect(companies).toMatchObject([7, 7, 7, 7, 7, 9, 9, 9, 9, 9].map((company_id) => ({ company_id })))
  const [line = ""] = lines(spec, 1, { ...submitted, fields: ["company.company_id"] })
  expect(decode(Flat, line)).toEqual({ crustdata_job_id: expect.any(Number), company: { company_id: 7 } })
  const seeded = lines(spec).map((line) => decode(Flat, line).company)
  expect(seeded[0]).toEqual({ name: expect.any(String), company_id: expect.any(Number) })
})

it.each([
  ["company", "search", "crustdata_company_id"],
  ["person", "search_live", "crustdata_person_id"],
  ["job", "search", "crustdata_job_id"]
])("%s %s lines are flat records", (entity, action, id) => {
  for (const line of lines({ entity, action, records: 5 })) expect(decode(Flat, line)).toHaveProperty(id)
})

it("keeps the fields asked for", () => {
  const [line = ""] = lines({ action: "search", records: 1 }, 1, { fields: ["headcount.total", "taxonomy"] })
  const row = decode(Flat, line)
  expect(Object.keys(row).toSorted()).toEqual(["crustdata_company_id", "headcount", "taxonomy"])
  expect(row.headcount).toEqual({ total: expect.any(Number) })
})

const decode = <A, I>(schema: Schema.Schema<A, I>, line: string): A =>
  Schema.decodeUnknownSync(Schema.parseJson(schema))(line)

const lines = (spec: JobSpec, seed = 1, submitted: Partial<Job.Origin> = {}): ReadonlyArray<string> => {
  const defaults = { pendingMs: 0, processingMs: 0, linkTtlSeconds: 60 }
  const job = Job.make(spec, defaults, { id: "x", sequence: 1, createdAt: 0, ...submitted })
  const line = Records.lines(seed, job)
  return Array.from({ length: job.records }, (_, index) => Buffer.concat(line(index)).toString())
}
