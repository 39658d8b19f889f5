import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Client from "../src/index.js"
import * as FakeService from "./FakeService.js"
import { all, rejection } from "./Upstream.js"

const { broken, error, events, json, wireOfCampaign: wire } = FakeService
const id = "11111111-2222-8333-8444-555555555555"

let service: Awaited<ReturnType<typeof FakeService.start>>
let campaigns: Client.CampaignsClient

beforeAll(async () => {
  service = await FakeService.start()
  campaigns = new Client.CampaignsClient({ url: service.url, token: "token-of-the-service" })
})

afterAll(() => service.stop())

const report = {
  campaign: id,
  kind: "company/enrich",
  output: `/campaigns/${id}/results`,
  rows: 1,
  unique: 1,
  fates: { matched: 1, not_found: 0, redacted: 0, rejected: 0, duplicate: 0, failed: 0, undecided: 0 },
  records: 1,
  jobs: [
    {
      batch_id: "01234567-89ab-4cde-8f01-23456789abcd",
      status: "completed",
      requested: 1,
      fulfilled: 1,
      records: 1
    }
  ],
  credits: { at_most: 2, spent: null },
  complete: true
}
const list = { input: "acme.com\n", inputFormat: "lines", as: "domains" } as const

async function* pieces(...texts: ReadonlyArray<string>) {
  for (const text of texts) yield new TextEncoder().encode(text)
}

describe("calls", () => {
  it("hand a list in, and give what the service says in plain values", async () => {
    service.script(json(202, wire(id)), json(200, wire(id, { state: "done", report })))
    expect(await campaigns.create("company/enrich", list)).toEqual({
      campaignId: id,
      state: "waiting",
      name: "",
      kind: "company/enrich",
      as: "domains",
      input: { name: "the body", format: "lines", column: undefined, bytes: 9, sha256: "ab" },
      format: "jsonl.gz",
      join: false,
      maxActive: 4,
      maxCredits: undefined,
      attempt: 1,
      progress: {
        rows: undefined,
        unique: undefined,
        rejected: undefined,
        duplicates: undefined,
        jobs: { total: 0, waiting: 0, running: 0, completed: 0, fetched: 0, failed: 0, undecided: 0 },
        records: 0,
        credits: { atMost: undefined, balance: undefined },
        notice: undefined
      },
      report: undefined,
      error: undefined,
      createdAt: new Date("2026-11-28T18:00:00.000Z"),
      updatedAt: new Date("2026-11-28T18:00:01.000Z")
    })
    expect(await campaigns.get(id)).toMatchObject({
      state: "done",
      report: { complete: true, credits: { atMost: 2, spent: undefined }, jobs: [{ requested: 1 }] }
    })
    expect(
      service.asked.map(({ body, headers, method, url }) => [method, url, headers["content-type"], body])
    ).toEqual([
      ["POST", "/campaigns?kind=company%2Fenrich&as=domains&yes=true", "text/plain", "acme.com\n"],
      ["GET", `/campaigns/${id}`, undefined, undefined]
    ])
  })

  it("send a text again where that helps, and what is read as it is sent once", async () => {
    const more = {
      ...list,
      column: "site",
      fields: ["a", "b"],
      join: true,
      maxActive: 2,
      maxCredits: 5,
      name: "x"
    }
    service.script(broken, json(200, wire(id)))
    await campaigns.create("company/enrich", { ...more, inputFormat: "csv" })
    expect(service.asked.map(({ body, url }) => [url, body])).toEqual(
      Array.from({ length: 2 }, () => [
        "/campaigns?kind=company%2Fenrich&column=site&as=domains&fields=a%2Cb&join=true&name=x&max_active=2&max_credits=5",
        "acme.com\n"
      ])
    )
    service.script(json(202, wire(id)))
    await campaigns.create("company/enrich", { ...list, input: pieces("acme.com\n", "b.com\n") })
    expect(service.asked[0]?.body).toBe("acme.com\nb.com\n")
    service.script(broken, json(202, wire(id)))
    const lost = campaigns.create("company/enrich", { ...list, input: pieces("acme.com\n") })
    expect(await rejection(lost)).toBeInstanceOf(Client.ApiUnavailable)
    expect(service.left()).toBe(1)
  })

  it("list, follow, stop, go on, and read what came of it", async () => {
    service.script(json(200, { campaigns: [wire(id)], next_cursor: null, has_more: false }))
    expect(await all(campaigns.list({ state: "failed" }))).toHaveLength(1)
    const event = (name: string, data: object, at: string) =>
      `id: ${at}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`
    const done = wire(id, { state: "done", report })
    service.script(
      events([`retry: 10\n\n${event("campaign", wire(id), "1")}`], "cut"),
      events([event("campaign", done, "2"), event("end", done, "3")], "open")
    )
    expect((await all(campaigns.watch(id))).map(({ state }) => state)).toEqual(["waiting", "done"])
    expect(service.asked.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "1"])
    service.script(json(200, wire(id, { state: "cancelled" })), json(202, wire(id, { attempt: 2 })))
    expect(await campaigns.stop(id)).toMatchObject({ state: "cancelled" })
    expect(await campaigns.retry(id, { maxCredits: 7 })).toMatchObject({ attempt: 2 })
    expect(service.asked.map(({ method, url }) => [method, url])).toEqual([
      ["DELETE", `/campaigns/${id}`],
      ["POST", `/campaigns/${id}/retry?max_credits=7`]
    ])
    service.script(...["results", "fates", "remainder"].map((name) => json(200, name)))
    for (const read of [campaigns.results(id), campaigns.fates(id), campaigns.remainder(id)])
      await all(await read)
    expect(service.asked.map(({ url }) => url)).toEqual(
      expect.arrayContaining(["results", "fates", "remainder"].map((name) => `/campaigns/${id}/${name}`))
    )
  })
})

it("refusals are classes that say what to do", async () => {
  for (const [answer, fields, kind] of [
    [error(404, "CampaignNotFound", "there is none"), { campaignId: id }, Client.CampaignNotFound],
    [
      error(409, "CampaignConflict", "it is done", { state: "done" }),
      { campaignId: id, state: "done" },
      Client.CampaignConflict
    ],
    [
      error(400, "InputInvalid", "no column", { path: "the body", detail: "no column" }),
      { path: "the body", detail: "no column" },
      Client.InputInvalid
    ],
    [
      error(400, "RequestInvalid", "no kind", { kind: "x/y", property: null }),
      { kind: "x/y", property: undefined },
      Client.RequestInvalid
    ],
    [error(422, "IdempotencyKeyReused", "taken"), { status: 422 }, Client.RequestRejected]
  ] as const) {
    service.script(answer)
    const failure = await rejection(campaigns.get(id))
    expect(failure).toBeInstanceOf(kind)
    expect(failure).toMatchObject(fields)
  }
  service.script()
  for (const wrong of [campaigns.get("x"), campaigns.results(".."), all(campaigns.list({ limit: 0 }))]) {
    expect(await rejection(wrong)).toBeInstanceOf(Client.InvalidArgument)
  }
  expect(service.asked).toEqual([])
})
