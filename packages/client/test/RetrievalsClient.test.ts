import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Client from "../src/index.js"
import * as FakeService from "./FakeService.js"
import { all, rejection } from "./Upstream.js"

const { broken, error, events, json, wire } = FakeService
const batchId = "01234567-89ab-4cde-8f01-23456789abcd"
const id = "11111111-2222-8333-8444-555555555555"
const token = "token-of-the-service-that-is-secret"
const unused = { signal: new AbortController().signal }

let service: Awaited<ReturnType<typeof FakeService.start>>
let retrievals: Client.RetrievalsClient

beforeAll(async () => {
  service = await FakeService.start()
  retrievals = new Client.RetrievalsClient({ url: `${service.url}/below/`, token })
})

afterAll(() => service.stop())

const receipt = {
  batch_id: batchId,
  status: "completed",
  output: "rows.jsonl.gz",
  format: "jsonl.gz",
  bytes: 12,
  records: 3,
  sha256: "ab",
  result_count: 3,
  entities_requested: 3,
  entities_fulfilled: 3,
  complete: true,
  source: "merged",
  parts: [],
  resumed_bytes: 0,
  retries: 0,
  url_refreshes: 0,
  started_at: "2026-11-28T18:00:00.000Z",
  finished_at: "2026-11-28T18:00:02.000Z"
}
const done = wire(id, {
  state: "done",
  progress: { status: "completed", result_count: 3, bytes: 12, total_bytes: 12, records: 3 },
  receipt,
  next_look_at: null
})

describe("calls", () => {
  it("hand over a batch, and give what the service says in plain values", async () => {
    service.script(
      json(202, wire(id)),
      json(200, done),
      json(200, wire(id, { state: "cancelled" })),
      json(202, wire(id))
    )
    const destination = { type: "s3", bucket: "b", key: "k/", region: "eu-west-1" } as const
    const notify = { url: "https://example.com/hook" }
    const created = await retrievals.create(batchId, { destination, format: "csv", notify, replace: true })
    expect(created).toEqual({
      retrievalId: id,
      state: "waiting",
      batchId,
      destination: { type: "folder", path: "rows.jsonl.gz" },
      format: "jsonl.gz",
      attempt: 1,
      progress: { status: undefined, resultCount: 0, bytes: 0, totalBytes: undefined, records: 0 },
      receipt: undefined,
      error: undefined,
      createdAt: new Date("2026-11-28T18:00:00.000Z"),
      updatedAt: new Date("2026-11-28T18:00:01.000Z"),
      nextLookAt: new Date("2026-11-28T18:00:06.000Z")
    })
    const ended = await retrievals.get(id, unused)
    expect(ended).toMatchObject({
      state: "done",
      receipt: { records: 3, sha256: "ab" },
      nextLookAt: undefined
    })
    expect(await retrievals.stop(id)).toMatchObject({ state: "cancelled" })
    expect(await retrievals.retry(id)).toMatchObject({ state: "waiting" })
    expect(service.asked.map(({ method, url }) => [method, url])).toEqual([
      ["POST", "/below/retrievals"],
      ["GET", `/below/retrievals/${id}`],
      ["DELETE", `/below/retrievals/${id}`],
      ["POST", `/below/retrievals/${id}/retry`]
    ])
    expect(service.asked[0]?.body).toEqual({
      batch_id: batchId,
      destination,
      format: "csv",
      notify,
      replace: true
    })
    expect(service.asked.every(({ headers }) => headers.authorization === `Bearer ${token}`)).toBe(true)
  })

  it("list all pages, a page when it is read, and no more than was asked for", async () => {
    const ids = [id, id.replaceAll("1", "a"), id.replaceAll("1", "b")]
    const [first, second] = [ids.slice(0, 2), ids.slice(2)].map((some) => some.map((one) => wire(one)))
    const pages = [
      json(200, { retrievals: first, next_cursor: "c&1", has_more: true }),
      json(200, { retrievals: second, next_cursor: null, has_more: false })
    ]
    service.script(...pages, ...pages.slice(0, 1))
    const found = await all(retrievals.list({ state: "failed", batchId }))
    expect(found.map(({ retrievalId }) => retrievalId)).toEqual(ids)
    expect(await all(retrievals.list({ limit: 1 }))).toHaveLength(1)
    expect(service.asked.map(({ url }) => url.replace("/below/retrievals", ""))).toEqual([
      `?state=failed&batch_id=${batchId}&limit=100`,
      `?state=failed&batch_id=${batchId}&limit=100&cursor=c%261`,
      "?limit=1"
    ])
  })

  it("are tried again where twice is as good as once", async () => {
    service.script(
      broken,
      error(503, "Draining", "going down", null, { "retry-after": "0" }),
      json(200, wire(id))
    )
    expect(await retrievals.create(batchId)).toMatchObject({ retrievalId: id })
    expect(service.asked.map(({ body }) => body)).toEqual(
      Array.from({ length: 3 }, () => ({ batch_id: batchId, destination: { type: "folder" } }))
    )
    service.script(broken, json(200, wire(id)))
    expect(await rejection(retrievals.stop(id))).toMatchObject({
      _tag: "ApiUnavailable",
      reason: "Network",
      attempts: 1
    })
    expect(service.left()).toBe(1)
  })
})

describe("refusals", () => {
  it("are classes that say what to do, without a secret", async () => {
    const cases = [
      [
        error(400, "RetrievalInvalid", "destination.path: no", { field: "destination.path", detail: "no" }),
        { field: "destination.path", detail: "no" },
        "RetrievalInvalid"
      ],
      [
        error(401, "NotAuthorized", `no token ${token}`),
        { reason: "InvalidKey", detail: "no token ***" },
        "NotAuthorized"
      ],
      [error(404, "RetrievalNotFound", "there is none"), { retrievalId: id }, "RetrievalNotFound"],
      [error(404, "NotFound", "no such path"), { status: 404 }, "MalformedResponse"],
      [
        error(409, "RetrievalConflict", "it is done", { state: "done", detail: "ended" }),
        { retrievalId: id, state: "done", detail: "ended" },
        "RetrievalConflict"
      ],
      [
        error(429, "RateLimited", "slower", null, { "retry-after": "60" }),
        { retryAfterSeconds: 60 },
        "RateLimited"
      ],
      [
        error(503, "StoreUnavailable", "away", null, { "retry-after": "30" }),
        { retryAfterSeconds: 30 },
        "StoreUnavailable"
      ],
      [
        error(502, "Bad", "see https://b.example/f?X-Amz-Signature=abc", null, { "retry-after": "99" }),
        { status: 502, retryAfterSeconds: 99 },
        "ApiUnavailable"
      ],
      [json(200, { hello: 1 }), { status: 200 }, "MalformedResponse"],
      [json(302, {}, { location: "https://elsewhere.example/" }), { status: 302 }, "MalformedResponse"]
    ] as const
    for (const [answer, fields, tag] of cases) {
      service.script(answer)
      const failure = await rejection(retrievals.get(id))
      expect(failure).toMatchObject({ ...fields, _tag: tag })
      expect(failure).toBeInstanceOf(Client.BatchError)
      expect(JSON.stringify(failure)).not.toMatch(new RegExp(`${token}|Signature=abc`, "u"))
      expect(service.asked).toHaveLength(1)
    }
  })

  it("come before anything is asked of what can be no id, no limit and no address", async () => {
    service.script()
    for (const wrong of [
      retrievals.get(".."),
      retrievals.create("x"),
      all(retrievals.watch("")),
      all(retrievals.list({ limit: 0 }))
    ]) {
      expect(await rejection(wrong)).toBeInstanceOf(Client.InvalidArgument)
    }
    const settings = [
      { url: "nowhere" },
      { url: "ftp://a.example" },
      { url: "http://user:password@a.example" },
      { url: service.url, token: "two\nlines" },
      { url: undefined }
    ]
    for (const one of settings) {
      const failure = await rejection(new Client.RetrievalsClient(one).get(id))
      expect(failure).toBeInstanceOf(Client.InvalidSetting)
      expect(JSON.stringify(failure)).not.toMatch(/password|two/u)
    }
    expect(service.asked).toEqual([])
  })

  it("tell a service that is not there, and reject with the reason of a signal", async () => {
    const gone = await FakeService.start()
    await gone.stop()
    const nobody = new Client.RetrievalsClient({ url: gone.url, token })
    expect(await rejection(nobody.retry(id))).toMatchObject({
      _tag: "ApiUnavailable",
      reason: "Network",
      detail: "ECONNREFUSED"
    })
    const [reason, stop] = [new Error("enough"), new AbortController()]
    service.script(() => stop.abort(reason))
    expect(await rejection(retrievals.get(id, { signal: stop.signal }))).toBe(reason)
    expect(await rejection(all(retrievals.watch(id, { signal: stop.signal })))).toBe(reason)
  })
})

describe("watch", () => {
  const event = (name: string, data: object, eventId: string) =>
    `id: ${eventId}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`

  it("gives each change once, over connections that break, until the end", async () => {
    const running = wire(id, { state: "running", destination: { type: "folder", path: "ä.csv" } })
    const bytes = Buffer.from(`retry: 10\r\n\r\n: beat\n\n${event("retrieval", running, "2")}`)
    const cut = bytes.indexOf(0xc3) + 1
    service.script(
      events(
        [`retry: 10\n\n${event("retrieval", wire(id), "1")}${event("retrieval", running, "2").slice(0, -9)}`],
        "cut"
      ),
      broken,
      error(503, "Draining", "going down"),
      events([bytes.subarray(0, cut), bytes.subarray(cut)]),
      events(
        [
          event("retrieval", running, "2"),
          event("retrieval", done, "3"),
          event("end", done, "4"),
          event("retrieval", running, "5")
        ],
        "open"
      )
    )
    const found = await all(retrievals.watch(id))
    expect(found.map(({ state }) => state)).toEqual(["waiting", "running", "done"])
    expect(found[1]?.destination).toEqual({ type: "folder", path: "ä.csv" })
    expect(service.asked.map(({ headers }) => headers["last-event-id"])).toEqual([
      undefined,
      "1",
      "1",
      "1",
      "2"
    ])
  })

  it("throws at once what will not pass, and ends when its reader leaves or aborts", async () => {
    service.script(error(404, "RetrievalNotFound", "there is none"))
    expect(await rejection(all(retrievals.watch(id)))).toBeInstanceOf(Client.RetrievalNotFound)
    service.script(
      events([event("retrieval", wire(id), "1")], "open"),
      events([event("retrieval", wire(id), "1")], "open")
    )
    for await (const { state } of retrievals.watch(id)) {
      expect(state).toBe("waiting")
      break
    }
    const [reason, stop] = [new Error("enough"), new AbortController()]
    const watching = async () => {
      for await (const _ of retrievals.watch(id, { signal: stop.signal })) stop.abort(reason)
    }
    expect(await rejection(watching())).toBe(reason)
  })
})
