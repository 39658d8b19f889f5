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
