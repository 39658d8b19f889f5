import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { gunzipSync } from "node:zlib"
import { Sandbox } from "../src/index.js"
import * as Http from "./Http.js"

describe.each(["v4", "v2"] as const)("links signed the %s way", (signature) => {
  it.scoped("give the whole object, which is gzip without a content encoding", () =>
    Effect.gen(function* () {
      const { link } = yield* finished({ signature })
      const { body, headers, status } = yield* Http.send(link)
      expect(status).toBe(200)
      expect(headers).toMatchObject({
        "content-type": "application/gzip",
        "accept-ranges": "bytes",
        "content-length": String(body.length),
        "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT",
        date: "Thu, 01 Jan 1970 00:00:00 GMT",
        etag: expect.stringMatching(/^"[0-9a-f]{32}-\d+"$/),
        "x-amz-request-id": expect.stringMatching(/^[0-9A-F]{16}$/)
      })
      expect(headers["content-encoding"]).toBeUndefined()
      expect(rows(body).length).toBe(100)
    })
  )

  it.scoped("hold for their time", () =>
    Effect.gen(function* () {
      const { link } = yield* finished({ signature, linkTtlSeconds: 60 })
      yield* TestClock.adjust("59 seconds")
      expect((yield* Http.send(link)).status).toBe(200)
      yield* TestClock.adjust("1 second")
      const { body, headers, status } = yield* Http.send(link)
      expect([status, headers["content-type"]]).toEqual([403, "application/xml"])
      expect(body.toString()).toContain("<Code>AccessDenied</Code><Message>Request has expired</Message>")
    })
  )

  it.scoped("can be revoked before that, and the next ones hold", () =>
    Effect.gen(function* () {
      const { id, link, sandbox } = yield* finished({ signature })
      yield* sandbox.job(id).expireLinks()
      expect(yield* code(link)).toEqual([403, "AccessDenied"])
      yield* sandbox.job(id).expireLinks("ExpiredToken")
      expect(yield* code(link)).toEqual([400, "ExpiredToken"])
      const { download_url = "" } = yield* Http.status(sandbox.baseUrl, id)
      expect((yield* Http.send(download_url)).status).toBe(200)
    })
  )

  it.scoped("hold byte for byte only, and for GET only", () =>
    Effect.gen(function* () {
      const { link } = yield* finished({ signature })
      const { body, status } = yield* Http.send(link, { method: "HEAD" })
      expect([status, body.length]).toEqual([403, 0])
      expect(yield* code(link, { method: "PUT" })).toEqual([403, "SignatureDoesNotMatch"])
      expect(yield* code(link.replace("merged", "part-000"))).toEqual([403, "SignatureDoesNotMatch"])
      expect(yield* code(link.replace(/(Expires=)\d+/, "$1999999999999"))).toEqual([
        403,
        "SignatureDoesNotMatch"
      ])
      expect(yield* code(link.replace(/\?.*/, ""))).toEqual([403, "AccessDenied"])
    })
  )
})

it.scoped(
  "a v4 link takes no further parameters, no other host, and no x-amz header that was not signed",
  () =>
    Effect.gen(function* () {
      const { link } = yield* finished()
      expect(yield* code(`${link}&x=1`)).toEqual([403, "SignatureDoesNotMatch"])
      expect(yield* code(link, { headers: { host: "elsewhere.example" } })).toEqual([
        403,
        "SignatureDoesNotMatch"
      ])
      expect(yield* code(link, { headers: { "x-amz-meta-trace": "1" } })).toEqual([403, "AccessDenied"])
    })
)

it.scoped("a second authorization is refused and echoed, but not kept", () =>
  Effect.gen(function* () {
    const { link, sandbox } = yield* finished()
    const { body, status } = yield* Http.send(link, { headers: { authorization: "Bearer secret-key" } })
    expect(status).toBe(400)
    expect(body.toString()).toContain("<Code>InvalidArgument</Code>")
    expect(body.toString()).toContain("<ArgumentValue>Bearer secret-key</ArgumentValue>")
    const requests = yield* sandbox.requests
    expect(requests.at(-1)?.headers.authorization).toBe("<redacted>")
    expect(JSON.stringify(requests)).not.toContain("secret-key")
  })
)

it.scoped("serves ranges", () =>
  Effect.gen(function* () {
    const { link } = yield* finished()
    const {
      body: whole,
      headers: { etag }
    } = yield* Http.send(link)
    const range = (range: string) => Http.send(link, { headers: { range } })
    const middle = yield* range("bytes=10-19")
    expect([middle.status, middle.headers.etag]).toEqual([206, etag])
    expect(middle.headers["content-range"]).toBe(`bytes 10-19/${whole.length}`)
    expect(middle.body).toEqual(whole.subarray(10, 20))
    expect((yield* range("bytes=10-")).body).toEqual(whole.subarray(10))
    expect((yield* range("bytes=-8")).body).toEqual(whole.subarray(-8))
    expect((yield* range("bytes=0-0,5-6")).status).toBe(200)
    const beyond = yield* range(`bytes=${whole.length}-`)
    expect([beyond.status, beyond.headers["content-range"]]).toEqual([416, `bytes */${whole.length}`])
    expect(beyond.body.toString()).toContain("<Code>InvalidRange</Code>")
  })
)

it.scoped("holds to If-Match, and ignores If-Range", () =>
  Effect.gen(function* () {
    const { id, link, sandbox } = yield* finished()
    const {
      body,
      headers: { etag = "" }
    } = yield* Http.send(link)
    const headers = { "if-match": etag, range: "bytes=0-9" }
    expect((yield* Http.send(link, { headers })).status).toBe(206)
    yield* sandbox.job(id).replaceObject("merged.jsonl.gz")
    expect(yield* code(link, { headers })).toEqual([412, "PreconditionFailed"])
    const ranged = yield* Http.send(link, { headers: { "if-range": etag, range: "bytes=0-9" } })
    expect(ranged.status).toBe(206)
    const replaced = yield* Http.send(link)
    expect(replaced.headers.etag).not.toBe(etag)
    expect(replaced.body.length).toBe(body.length)
    expect(rows(replaced.body)).not.toEqual(rows(body))
    expect(rows(replaced.body).toSorted()).toEqual(rows(body).toSorted())
  })
)

it.scoped("what is not there is 404", () =>
  Effect.gen(function* () {
    const { id, link, sandbox } = yield* finished()
    yield* sandbox.job(id).deleteObject("merged.jsonl.gz")
    expect(yield* code(link)).toEqual([404, "NoSuchKey"])
    const { download_urls: [part = ""] = [] } = yield* Http.status(sandbox.baseUrl, id)
    expect((yield* Http.send(part)).status).toBe(200)
    yield* sandbox.job(id).deleteObject()
    expect(yield* code(part)).toEqual([404, "NoSuchKey"])
  })
)

const code = (link: string, options: Http.Options = {}) =>
  Effect.map(Http.send(link, options), ({ body, status }) => [
    status,
    /<Code>(\w+)<\/Code>/.exec(body.toString())?.[1]
  ])

const rows = (gzip: Buffer): ReadonlyArray<string> => gunzipSync(gzip).toString().trimEnd().split("\n")

const finished = (options: Sandbox.Options = {}) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 }, ...options })
    const id = yield* sandbox.createJob()
    const { download_url: link = "" } = yield* Http.status(sandbox.baseUrl, id)
    return { sandbox, id, link }
  })
