import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Endpoint from "../src/Endpoint.js"
import * as Submit from "../src/Submit.js"

const network = "professional_network_profile_urls"
const filters = { op: "or", conditions: [{ field: "a", type: "(.)", value: "b" }] }
const names = (count: number) => Array.from({ length: count }, (_, index) => `Company ${index}`)

const accepted: ReadonlyArray<readonly [path: string, body: object, spec: object]> = [
  ["company/enrich", { names: ["Acme, Inc."] }, { records: 1 }],
  ["company/enrich", { names: "Acme, Inc." }, { records: 2 }],
  ["company/enrich", { domains: ["a.example", "a.example", "b.invalid"] }, { records: 2, unresolved: 1 }],
  [
    "company/enrich",
    { crustdata_company_ids: [1, 2], chunk_size: 10, fields: ["headcount"] },
    { records: 2 }
  ],
  ["company/enrich", { names: names(10_000) }, { records: 10_000 }],
  ["company/search", { filters }, { records: 10_000 }],
  ["company/search", { filters, max_results: 50_000 }, { records: 10_000 }],
  ["company/search", { filters, max_results: 7, sorts: [{ field: "a", order: "asc" }] }, { records: 7 }],
  [
    "person/professional_network/search/live",
    { professional_network_search_url: "https://x" },
    { records: 1000 }
  ],
  [
    "person/contact/enrich",
    { [network]: ["u", "unresolved-1"], fields: ["contact"] },
    { records: 2, unresolved: 1 }
  ],
  ["person/identify", { emails: ["a@b.example"] }, { records: 1 }],
  [
    "person/identify",
    { emails: ["a@b.example", "redacted@b.example", "c@d.invalid"] },
    { records: 3, unresolved: 2, requested: 3 }
  ],
  [
    "person/verify",
    { [network]: ["u", "redacted-1", "unresolved-1"] },
    { records: 2, unresolved: 1, requested: 3 }
  ],
  [
    "person/enrich",
    { [network]: ["u", "redacted-1", "unresolved-1"] },
    { records: 1, unresolved: 2, requested: 3 }
  ],
  ["job/search", { crustdata_company_ids: [7, 1_000_404] }, { records: 5 }],
  ["job/search", { crustdata_company_ids: [7] }, { records: 5 }],
  [
    "social_post/professional_network/enrich/live",
    { company_names: ["A"], post_types: ["x"], limit: 3 },
    { records: 1 }
  ]
]

it.effect.each(accepted)("%s accepts %j", ([path, body, spec]) =>
  Effect.gen(function* () {
    expect((yield* parse(path, JSON.stringify(body))).spec).toMatchObject(spec)
  })
)

const refused: ReadonlyArray<readonly [path: string, body: object, message: string]> = [
  ["company/enrich", {}, "Exactly one identifier type"],
  ["company/enrich", { names: ["a"], domains: ["b"] }, "got 2"],
  ["company/enrich", { names: [] }, "non-empty"],
  ["company/enrich", { names: names(10_001) }, "At most 10000"],
  ["company/enrich", { names: ["a"], chunk_size: 9 }, "between 10 and 1000"],
  ["company/enrich", { names: ["a"], chunk_size: 1001 }, "between 10 and 1000"],
  ["company/enrich", { names: ["a"], colour: 1 }, "Unknown properties"],
  ["company/enrich", { names: ["a"], webhook_url: "nowhere" }, "must be a URL"],
  ["person/professional_network/enrich/live", { [network]: names(301) }, "At most 300"],
  ["person/contact/enrich", { [network]: ["u"] }, "`fields` is required"],
  ["person/verify", { [network]: names(11) }, "At most 10"],
  ["job/search", { crustdata_company_ids: ["7"] }, "JSON integers"],
  ["company/search", {}, "Exactly one query"],
  ["company/search", { filters: [] }, "must be a group"],
  ["company/search", { filters, max_results: 0 }, "at least 1"],
  ["company/search", { filters, max_results: -1 }, "at least 1"]
]

it.effect.each(refused)("%s refuses %j", ([path, body, message]) =>
  Effect.gen(function* () {
    const problem = yield* Effect.flip(parse(path, JSON.stringify(body)))
    expect([problem.status, problem.message]).toEqual([400, expect.stringContaining(message)])
  })
)

it.effect("an unknown field comes back with the fields there are", () =>
  Effect.gen(function* () {
    const body = { domains: ["a.example"], fields: ["headcount.total", "mood"] }
    const problem = yield* Effect.flip(parse("company/enrich", JSON.stringify(body)))
    expect(problem.metadata?.available_fields).toEqual(
      expect.arrayContaining(["basic_info", "headcount.total"])
    )
    expect(problem.message).toContain("mood")
  })
)

it.effect.each(["", "[]", "null", "{"])("refuses the body %j", (text) =>
  Effect.gen(function* () {
    expect((yield* Effect.flip(parse("company/enrich", text))).status).toBe(400)
  })
)

const parse = (path: string, text: string) =>
  Effect.flatMap(Effect.orDie(Effect.fromNullable(Endpoint.at(`/batch/${path}`))), (endpoint) =>
    Submit.parse(endpoint, text)
  )
