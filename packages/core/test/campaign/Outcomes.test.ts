import { expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as Outcomes from "../../src/campaign/Outcomes.js"
import * as JobKind from "../../src/model/JobKind.js"

const read = (name: string, record: unknown) => {
  const kind = JobKind.named(name)
  if (kind === undefined) throw new Error(`there is no ${name}`)
  const bytes = new TextEncoder().encode(typeof record === "string" ? record : JSON.stringify(record))
  return Either.map(Outcomes.reader(kind)({ bytes, line: 1, offset: 0 }), ({ fate, identifier }) => [
    identifier,
    fate
  ])
}

const nothing = { contact: { business_emails: [], personal_emails: [], phone_numbers: [] } }
const person = { confidence_score: 0.9, person_data: { name: "Ann" } }

it.each([
  [
    "company/enrich",
    { original_identifier: "a.com", internal_id: 1, data: { x: [1, "}"] } },
    "a.com",
    "matched"
  ],
  ["company/enrich", { data: {}, original_identifier: 7 }, "7", "matched"],
  ["person/enrich", { original_identifier: "x", match_status: "redacted", data: null }, "x", "redacted"],
  ["company/enrich", { internal_id: 1 }, undefined, "matched"],
  ["person/contact-enrich", { original_identifier: "u", internal_id: 1, data: nothing }, "u", "not_found"],
  ["person/contact-enrich", { original_identifier: "u", data: { url: "U", ...nothing } }, "u", "not_found"],
  [
    "person/contact-enrich",
    { original_identifier: "u", data: { contact: { business_emails: [{ email: "a@b.c" }] } } },
    "u",
    "matched"
  ],
  ["person/verify", { original_identifier: "u", data: nothing }, "u", "not_found"],
  [
    "person/identify",
    { matched_on: "a@b.c", match_type: "email", match_status: "matched", matches: [person] },
    "a@b.c",
    "matched"
  ],
  [
    "person/identify",
    { matched_on: "a@b.c", match_type: "email", match_status: "not_found", matches: [] },
    "a@b.c",
    "not_found"
  ],
  [
    "person/identify",
    { matched_on: "a@b.c", match_type: "email", match_status: "redacted", matches: [] },
    "a@b.c",
    "redacted"
  ],
  ["person/identify", { matched_on: "a@b.c", match_type: "email", matches: [person] }, "a@b.c", "matched"],
  ["person/identify", { matched_on: "a@b.c", match_type: "email", matches: [] }, "a@b.c", "not_found"],
  [
    "person/identify",
    { matched_on: "a@b.c", match_status: "of a later day", matches: [] },
    "a@b.c",
    "not_found"
  ],
  ["job/search", { title: "x", company: { company_id: 42 } }, "42", "matched"],
  ["job/search", { title: "x", company: { basic_info: { crustdata_company_id: 42 } } }, "42", "matched"],
  ["job/search", { title: "x", company: "Acme" }, undefined, "matched"]
] as const)("reads a record of %s: %j", (name, record, identifier, fate) => {
  expect(read(name, record)).toEqual(Either.right([identifier, fate]))
})

it.each(JobKind.all.map(({ name }) => name))("says that a line of %s is no record", (name) => {
  expect(Either.isLeft(read(name, "no"))).toBe(true)
  expect(Either.isLeft(read(name, "[1]"))).toBe(true)
})
