import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { type Client, RequestInvalid, RequestRejected } from "../src/index.js"
import * as Upstream from "./Upstream.js"
import { rejection } from "./Upstream.js"

let upstream: Awaited<ReturnType<typeof Upstream.start>>

beforeAll(async () => {
  upstream = await Upstream.start({ credits: 99_999.5, maxActiveJobs: 100, usageDelayMs: 0 })
})

afterEach(() => upstream.reset())

afterAll(() => upstream.stop())

const submits = async () => (await upstream.requests()).filter(({ method }) => method === "POST")

const jobs = async (client: Client) => (await Upstream.all(client.list())).map(({ batchId }) => batchId)

const isSubmit = { server: "api", method: "POST" } as const

const url = "https://www.linkedin.com/in/ada"

describe("submit", () => {
  it("sends a job once, and finds it when its answer is lost", async () => {
    const client = upstream.client()
    const before = { submits: (await submits()).length, jobs: await jobs(client) }
    await upstream.script({ on: isSubmit, do: { drop: { by: "reset" } } })
    const { batchId } = await client.submit("company/enrich", { domains: ["lost.example"] })
    expect(await upstream.areSpent()).toBe(true)
    expect(await submits()).toHaveLength(before.submits + 1)
    expect((await jobs(client)).filter((id) => !before.jobs.includes(id))).toEqual([batchId])
  })

  it("starts a job of each kind", async () => {
    const client = upstream.client()
    const filters = { op: "and", conditions: [{ field: "name", type: "=", value: "Acme" }] } as const
    const started = [
      await client.submit("company/enrich", { domains: ["acme.com", "example.org"] }),
      await client.submit("company/search", { filters, max_results: 3 }),
      await client.submit("company/search-live", { filters, max_results: 3 }),
      await client.submit("person/enrich", { business_emails: ["ada@acme.com"] }),
      await client.submit("person/enrich-live", { professional_network_profile_urls: [url] }),
      await client.submit("person/search", { filters }),
      await client.submit("person/search-live", { filters }),
      await client.submit("person/contact-enrich", {
        professional_network_profile_urls: [url],
        fields: ["contact.business_emails"]
      }),
      await client.submit("person/identify", { emails: ["ada@acme.com"] }),
      await client.submit("person/verify", { professional_network_profile_urls: [url] }),
      await client.submit("job/search", { crustdata_company_ids: [1, 2] }),
      await client.submit("social-post/enrich-live", { company_domains: ["acme.com"] })
    ]
    expect(started).toHaveLength(12)
    expect(started[0]).toMatchObject({
      status: "pending",
      entity: "company",
      action: "enrich",
      identifierCount: 2,
      requestId: expect.stringMatching(/./u)
    })
    expect(await jobs(client)).toEqual(expect.arrayContaining(started.map((batch) => batch?.batchId)))
  })

  it("refuses what the API would refuse, before anything is sent, and tells the API's own refusals", async () => {
    const client = upstream.client()
    const before = (await submits()).length
    const invalid = await rejection(client.submit("company/enrich", { domains: ["a.com"], names: ["A"] }))
    expect(invalid).toBeInstanceOf(RequestInvalid)
    expect(invalid).toMatchObject({ kind: "company/enrich", detail: expect.stringContaining("exactly one") })
    expect(await submits()).toHaveLength(before)
    const refused = await rejection(
      client.submit("company/enrich", { domains: ["a.com"], fields: ["basic_inf"] })
    )
    expect(refused).toBeInstanceOf(RequestRejected)
    expect(refused).toMatchObject({
      status: 400,
      detail: expect.stringContaining("basic_info instead of basic_inf"),
      requestId: expect.stringMatching(/./u)
    })
  })

  it("rejects with the reason of its signal while it looks for a lost job", async () => {
    const client = upstream.client()
    const before = (await submits()).length
    await upstream.script(
      { on: isSubmit, do: { drop: { by: "fin" } } },
      { on: { server: "api", method: "GET", path: "^/batch$" }, times: -1, do: { hang: true } }
    )
    const [reason, stop] = [new Error("enough"), new AbortController()]
    const aborted = rejection(
      client.submit("company/enrich", { domains: ["b.com"] }, { signal: stop.signal })
    )
    while ((await submits()).length === before) await new Promise((resolve) => setTimeout(resolve, 10))
    stop.abort(reason)
    expect(await aborted).toBe(reason)
    expect(await submits()).toHaveLength(before + 1)
  })
})

describe("the account", () => {
  it("tells its credits, and what it may do", async () => {
    const client = upstream.client()
    const credits = await client.credits()
    expect(credits).toBeGreaterThan(90_000)
    expect(await client.preflight("company/enrich")).toEqual({
      credits,
      entitled: true,
      requestsPerMinute: 600,
      activeJobs: 0,
      failures: []
    })
    const stranger = await upstream.client({ apiKey: "another-key" }).preflight("person/verify")
    expect(stranger).toMatchObject({ credits: undefined, entitled: undefined })
    expect(new Set(stranger.failures.map(({ _tag }) => _tag))).toEqual(new Set(["NotAuthorized"]))
  })
})
