import { describe, expect, it } from "@effect/vitest"
import { DateTime, Either, FastCheck as fc, Option, Redacted, Schema } from "effect"
import * as Batch from "../../src/model/Batch.js"
import { link } from "../Arbitraries.js"
import { batch, batchId, job } from "../Script.js"

const decode = Schema.decodeUnknownEither(Batch.FromJson)

const names = [
  "entity",
  "action",
  "identifier_count",
  "result_count",
  "entities_requested",
  "entities_fulfilled",
  "created_at",
  "completed_at",
  "error_message",
  "download_url",
  "download_urls"
]

describe("BatchId", () => {
  const parse = Schema.decodeUnknownEither(Batch.BatchId)

  it.prop("takes every UUID, in both cases", [fc.uuid(), fc.boolean()], ([uuid, upper]) => {
    const id = upper ? uuid.toUpperCase() : uuid
    expect(Either.getOrThrow(parse(id))).toBe(id)
  })

  it.prop("takes nothing else, and says what a batch id looks like", [fc.string()], ([text]) => {
    fc.pre(!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu.test(text))
    expect(String(parse(text))).toContain("is no batch id: a batch id is a UUID such as")
  })

  it.each([[undefined], [null], [12], [12n], [{}], [["a"]]])("refuses %s without throwing", (value) => {
    expect(Either.isLeft(parse(value))).toBe(true)
  })
})

describe("BatchStatus", () => {
  it.each([
    ["pending", true, false],
    ["processing", true, false],
    ["completed", true, true],
    ["failed", true, true],
    ["queued", false, false],
    ["Completed", false, false],
    ["FAILED", false, false],
    ["completed ", false, false]
  ])("%s: known %s, terminal %s", (status, known, terminal) => {
    expect([Batch.isKnown(status), Batch.isTerminal(status)]).toEqual([known, terminal])
  })
})

describe("FromJson", () => {
  it("reads every documented field", () => {
    const read = batch({
      status: "completed",
      entity: "person",
      action: "search",
      identifier_count: 1,
      result_count: 1200,
      entities_requested: 1000,
      entities_fulfilled: 1100,
      created_at: "2025-11-01T10:00:00.123456+00:00",
      completed_at: "2025-11-01T12:30:00+02:00",
      error_message: "partly",
      download_url: "https://bucket.test/all.jsonl.gz?sig=1",
      download_urls: ["https://bucket.test/part-000.jsonl.gz?sig=1"]
    })
    expect(read).toMatchObject({
      batchId,
      status: "completed",
      entity: "person",
      action: "search",
      identifierCount: 1,
      resultCount: 1200,
      entitiesRequested: 1000,
      entitiesFulfilled: 1100,
      errorMessage: Option.some("partly")
    })
    expect(read.createdAt.pipe(Option.map(DateTime.formatIso))).toEqual(
      Option.some("2025-11-01T10:00:00.123Z")
    )
    expect(read.completedAt.pipe(Option.map(DateTime.formatIso))).toEqual(
      Option.some("2025-11-01T10:30:00.000Z")
    )
    expect(Option.map(read.downloadUrl, Redacted.value)).toEqual(
      Option.some("https://bucket.test/all.jsonl.gz?sig=1")
    )
    expect(read.downloadUrls.map((url) => Redacted.value(url))).toEqual([
      "https://bucket.test/part-000.jsonl.gz?sig=1"
    ])
  })

  it.each([
    ["absent", {}],
    ["null", null],
    ["blank", ""]
  ])("takes %s fields for empty ones", (how, value) => {
    const empty = how === "absent" ? {} : Object.fromEntries(names.map((name) => [name, value]))
    const read = Either.getOrThrow(decode({ batch_id: batchId, status: "pending", ...empty }))
    expect(read).toMatchObject({
      identifierCount: 0,
      resultCount: 0,
      entitiesRequested: 0,
      entitiesFulfilled: 0,
      entity: "",
      action: "",
      createdAt: Option.none(),
      completedAt: Option.none(),
      errorMessage: Option.none(),
      downloadUrl: Option.none(),
      downloadUrls: []
    })
  })

  it.prop(
    "never fails on unknown fields, keeps them out of the model and in the raw answer",
    [
      fc.dictionary(
        fc.stringMatching(/^(x_[a-z]{1,8}|raw|batchId|resultCount|constructor)$/u),
        fc.jsonValue()
      )
    ],
    ([unknown]) => {
      const json = { ...job({ result_count: 3 }), ...unknown }
      const read = Either.getOrThrow(decode(json))
      expect(Object.keys(read).toSorted()).toEqual(Object.keys(batch()).toSorted())
      expect(read).toMatchObject({ batchId, resultCount: 3 })
      expect(Redacted.value(read.raw)).toEqual(json)
    }
  )

  it.prop(
    "carries any state, entity and action along",
    [fc.string({ minLength: 1 }), fc.string(), fc.string()],
    ([status, entity, action]) => {
      fc.pre(status !== "completed")
      expect(Either.getOrThrow(decode(job({ status, entity, action })))).toMatchObject({
        status,
        entity,
        action
      })
    }
  )

  it.each([
    ["no batch_id", { batch_id: undefined }],
    ["a batch_id that is no UUID", { batch_id: "7" }],
    ["no status", { status: undefined }],
    ["an empty status", { status: "" }],
    ["a status that is no text", { status: 3 }]
  ])("refuses %s", (_, fields) => {
    expect(Either.isLeft(decode({ ...job(), ...fields }))).toBe(true)
  })

  it.each([
    [{ result_count: "3" }, { resultCount: 3 }, []],
    [{ result_count: " 12 " }, { resultCount: 12 }, []],
    [{ result_count: "3.0" }, { resultCount: 3 }, []],
    [{ result_count: -1 }, { resultCount: 0 }, ["result_count"]],
    [{ entities_requested: 1.5 }, { entitiesRequested: 0 }, ["entities_requested"]],
    [{ entities_fulfilled: "many" }, { entitiesFulfilled: 0 }, ["entities_fulfilled"]],
    [{ identifier_count: {} }, { identifierCount: 0 }, ["identifier_count"]],
    [{ result_count: 1e300 }, { resultCount: 0 }, ["result_count"]],
    [{ entity: 7, action: [] }, { entity: "", action: "" }, ["entity", "action"]],
    [{ error_message: { message: "out of names" } }, { errorMessage: Option.some("out of names") }, []],
    [{ error_message: { code: 7 } }, { errorMessage: Option.some('{"code":7}') }, []],
    [{ error_message: 7 }, { errorMessage: Option.none() }, ["error_message"]],
    [{ created_at: 1762000000 }, { createdAt: Option.none() }, ["created_at"]],
    [{ completed_at: "soon" }, { completedAt: Option.none() }, ["completed_at"]],
    [{ download_url: "soon" }, { downloadUrl: Option.none() }, ["download_url"]],
    [{ download_url: {} }, { downloadUrl: Option.none() }, ["download_url"]],
    [{ download_urls: [null] }, { downloadUrls: [] }, ["download_urls"]],
    [{ download_urls: "https://bucket.test/a" }, { downloadUrls: [] }, ["download_urls"]]
  ])("reads of %j what can be read, and names the rest", (fields, expected, odd) => {
    const read = batch(fields)
    expect(read).toMatchObject(expected)
    expect(Batch.unreadable(read)).toEqual(odd)
    expect(Redacted.value(read.raw)).toEqual({ ...job(), ...fields })
  })

  it("takes a list of links with gaps for no list where the merged file has a link, else for what it is", () => {
    const part = "https://bucket.test/part-000"
    const download_url = "https://bucket.test/all"
    expect(batch({ download_url, download_urls: [part, null] }).downloadUrls).toEqual([])
    expect(batch({ download_urls: [part, null] }).downloadUrls.map((url) => Redacted.value(url))).toEqual([
      part
    ])
  })

  it.prop(
    "never fails on a known field, whatever stands there, if batch_id and status can be read",
    [fc.constantFrom(...names), fc.jsonValue()],
    ([name, value]) => {
      const read = Either.getOrThrow(decode({ batch_id: batchId, status: "completed", [name]: value }))
      expect(read).toMatchObject({ batchId, status: "completed" })
    }
  )

  it.each([
    [undefined, false],
    [null, false],
    ["many", false],
    ["7", true],
    [0, true]
  ])("knows whether a job has said its result_count: %s, %s", (result_count, known) => {
    expect(Batch.hasResultCount(batch({ status: "completed", result_count }))).toBe(known)
  })

  it.each([[[]], ["{}"], [null], [7]])("refuses %j, which is no object", (json) => {
    expect(Either.isLeft(decode(json))).toBe(true)
  })
})

describe("timestamps", () => {
  const read = (created_at: unknown) => Option.map(batch({ created_at }).createdAt, DateTime.formatIso)

  it.each([
    ["2025-11-01T10:00:00.123456+00:00", "2025-11-01T10:00:00.123Z"],
    ["2025-11-01T10:00:00+00:00", "2025-11-01T10:00:00.000Z"],
    ["2025-11-01T10:00:00Z", "2025-11-01T10:00:00.000Z"],
    ["2025-11-01T10:00:00.5z", "2025-11-01T10:00:00.500Z"],
    ["2025-11-01T10:00:00", "2025-11-01T10:00:00.000Z"],
    ["2025-11-01T10:00:00.999999", "2025-11-01T10:00:00.999Z"],
    ["2025-11-01 10:00:00+00", "2025-11-01T10:00:00.000Z"],
    ["2025-11-01T10:00:00-0530", "2025-11-01T15:30:00.000Z"],
    ["2025-11-01T10:00", "2025-11-01T10:00:00.000Z"],
    ["2025-11-01", "2025-11-01T00:00:00.000Z"]
  ])("%s is %s", (text, iso) => {
    expect(read(text)).toEqual(Option.some(iso))
  })

  it.each(
    [
      [
        "",
        "soon",
        "soon 5",
        "0",
        "12",
        "1762000000",
        "November 2025",
        "2025-13-41T10:00:00Z",
        "2025-11-01T99:00:00Z"
      ],
      [1762000000, true, null, {}, ["2025-11-01T10:00:00Z"]]
    ]
      .flat()
      .map((value) => [value])
  )("%j is absent", (value) => {
    expect(read(value)).toEqual(Option.none())
  })

  it.prop(
    "reads every instant, whatever the offset",
    [
      fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true }),
      fc.integer({ min: -840, max: 840 })
    ],
    ([date, offset]) => {
      const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1)
      const [hours, minutes] = [Math.trunc(Math.abs(offset) / 60), Math.abs(offset) % 60]
      const sign = offset < 0 ? "-" : "+"
      const zone = `${sign}${String(hours).padStart(2, "0")}:${String(minutes).padStart(2, "0")}`
      expect(read(`${local}000${zone}`)).toEqual(Option.some(date.toISOString()))
    }
  )

  it.prop("never fails a job", [fc.anything()], ([value]) => {
    expect(Either.isRight(decode({ ...job(), created_at: value }))).toBe(true)
  })
})

describe("showing a batch", () => {
  const withLinks = (url: string, text: string) =>
    batch({
      status: "failed",
      error_message: text,
      download_url: url,
      download_urls: [url, url],
      added_later: { links: [url], note: text }
    })

  it.prop(
    "toJson has the API's own names and values, with links masked",
    [link],
    ([{ address, secret, url }]) => {
      const shown = Batch.toJson(withLinks(url, `no ${url} there`))
      expect(JSON.stringify(shown)).not.toContain(secret)
      expect(shown).toMatchObject({ batch_id: batchId, status: "failed", download_url: `${address}?***` })
    }
  )

  it.prop("toJson with showUrls is the answer as it came", [link], ([{ url }]) => {
    const json = job({ download_url: url, added_later: { links: [url] } })
    expect(Batch.toJson(batch(json), { showUrls: true })).toEqual(json)
  })

  it.prop("no way to encode or print it shows a query", [link], ([{ secret, url }]) => {
    const read = withLinks(url, `no ${url} there`)
    const ways = [
      String(read),
      JSON.stringify(read),
      JSON.stringify(Schema.encodeSync(Batch.Batch)(read)),
      JSON.stringify(Schema.encodeSync(Batch.FromJson)(read)),
      JSON.stringify(Option.getOrNull(read.errorMessage))
    ]
    for (const way of ways) expect(way).not.toContain(secret)
  })

  it.prop(
    "what is encoded decodes to the same job",
    [fc.nat(), fc.nat(), fc.string()],
    ([results, asked, entity]) => {
      const read = batch({
        status: "completed",
        result_count: results,
        entities_requested: asked,
        entity,
        created_at: "2025-11-01T10:00:00.123456+00:00",
        unknown: [entity]
      })
      const again = Either.getOrThrow(decode(Schema.encodeSync(Batch.FromJson)(read)))
      expect(again).toMatchObject({ ...read, raw: again.raw })
      expect(Redacted.value(again.raw)).toEqual(Redacted.value(read.raw))
    }
  )
})
