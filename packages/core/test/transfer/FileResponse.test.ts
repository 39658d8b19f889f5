import { Headers } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Duration, FastCheck as fc, Option } from "effect"
import * as FileResponse from "../../src/transfer/FileResponse.js"

const known: FileResponse.Identity = {
  etag: '"v1"',
  lastModified: "Mon, 01 Jan 2024 00:00:00 GMT",
  total: Option.some(1000)
}
const asked = (
  position: number,
  end: number,
  identity: FileResponse.Identity | undefined = undefined
): FileResponse.Asked => ({
  position,
  end,
  identity: Option.fromNullable(identity),
  isConditional: identity !== undefined && FileResponse.isStrong(identity.etag),
  now: 0
})
const again = asked(200, 300, known)
const unconditional = { ...again, isConditional: false }
const same = { etag: '"v1"', "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT" }

const judge = (
  status: number,
  headers: Readonly<Record<string, string>> = {},
  question: FileResponse.Asked = again,
  body = ""
) => FileResponse.judge({ status, headers: Headers.fromInput(headers), body }, question)

const error = (code: string, message = "") =>
  `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`

describe("206", () => {
  it("is believed when it is about the same version and the bytes asked for", () => {
    expect(judge(206, { ...same, "content-range": "bytes 200-299/1000", "content-length": "100" })).toEqual(
      FileResponse.FileResponse.Body({ identity: known, skip: 0, whole: false, isSame: true })
    )
  })

  for (const [range, length, tag] of [
    ["bytes 200-299/1000", undefined, "Body"],
    ["bytes 200-250/1000", "51", "Body"],
    ["bytes 200-299/*", "100", "Body"],
    [" BYTES  200-299/1000 ", "100", "Body"],
    [undefined, "100", "Broken"],
    ["", "100", "Broken"],
    ["bytes */1000", "100", "Broken"],
    ["items 200-299/1000", "100", "Broken"],
    ["bytes 199-299/1000", "101", "Broken"],
    ["bytes 201-299/1000", "99", "Broken"],
    ["bytes 0-99/1000", "100", "Broken"],
    ["bytes 200-300/1000", "101", "Broken"],
    ["bytes 200-199/1000", "0", "Broken"],
    ["bytes 200-299/1000", "99", "Broken"],
    ["bytes 200-299/1000", "101", "Broken"],
    ["bytes 200-299/1001", "100", "Changed"],
    ["bytes 200-299/250", "100", "Changed"]
  ] as const) {
    it(`Content-Range ${range}, Content-Length ${length}: ${tag}`, () => {
      const headers = {
        ...same,
        ...(range === undefined ? {} : { "content-range": range }),
        ...(length === undefined ? {} : { "content-length": length })
      }
      expect(judge(206, headers)._tag).toBe(tag)
    })
  }

  it("with a size that the range itself exceeds is broken, even at first", () => {
    expect(judge(206, { "content-range": "bytes 0-99/50" }, asked(0, 100))._tag).toBe("Broken")
  })
})

describe("identity", () => {
  const range = { "content-range": "bytes 200-299/1000" }
  for (const [name, before, headers, tag] of [
    ["another strong ETag", known, { ...same, etag: '"v2"' }, "Changed"],
    ["no ETag any more", known, { "last-modified": known.lastModified }, "Changed"],
    ["the same ETag without its quotes", known, { ...same, etag: "v1" }, "Body"],
    ["another ETag without quotes", known, { ...same, etag: "v2" }, "Changed"],
    ["a weak ETag in place of a strong one", known, { ...same, etag: 'W/"v1"' }, "Changed"],
    ["another date under the same strong ETag", known, { ...same, "last-modified": "now" }, "Body"],
    ["no date under the same strong ETag", known, { etag: '"v1"' }, "Body"],
    ["the same weak ETag and date", { ...known, etag: 'W/"v1"' }, { ...same, etag: 'W/"v1"' }, "Body"],
    [
      "another date under the same weak ETag",
      { ...known, etag: 'W/"v1"' },
      { etag: 'W/"v1"', "last-modified": "now" },
      "Changed"
    ],
    [
      "the same date without any ETag",
      { ...known, etag: "" },
      { "last-modified": known.lastModified },
      "Body"
    ],
    ["another date without any ETag", { ...known, etag: "" }, { "last-modified": "now" }, "Changed"],
    ["nothing at all, twice", { etag: "", lastModified: "", total: Option.none() }, {}, "Body"]
  ] as const) {
    it(`${name}: ${tag}`, () => {
      expect(judge(206, { ...headers, ...range }, asked(200, 300, before))._tag).toBe(tag)
    })
  }

  for (const [etag, strong] of [
    ['"a"', true],
    ['""', true],
    ['W/"a"', false],
    ["a", false],
    ['"a', false],
    ['"a"b"', false],
    ["", false],
    ['"a", "b"', false]
  ] as const) {
    it(`${etag} is ${strong ? "strong" : "not strong"}`, () =>
      expect(FileResponse.isStrong(etag)).toBe(strong))
  }

  for (const [etag, expected] of [
    ['"a"', '"a"'],
    ["a", '"a"'],
    [" 0f-3 ", '"0f-3"'],
    ['W/"a"', 'W/"a"'],
    ["W/a", "W/a"],
    ['"a', '"a'],
    ["a, b", "a, b"],
    [undefined, ""]
  ] as const) {
    it(`${etag} is read as ${expected}`, () => {
      const headers = Headers.fromInput(etag === undefined ? {} : { etag })
      expect(FileResponse.etagOf(headers)).toBe(expected)
    })
  }
})

describe("200", () => {
  it("to a first request is the whole file, of a length or of none", () => {
    expect(judge(200, { ...same, "content-length": "1000" }, asked(0, 100))).toEqual(
      FileResponse.FileResponse.Body({ identity: known, skip: 0, whole: true, isSame: true })
    )
    expect(judge(200, same, asked(0, 100))).toEqual(
      FileResponse.FileResponse.Body({
        identity: { ...known, total: Option.none() },
        skip: 0,
        whole: true,
        isSame: true
      })
    )
  })

  for (const [name, headers, question, expected] of [
    [
      "skips what is here if a strong ETag proves it",
      { ...same, "content-length": "1000" },
      again,
      { _tag: "Body", skip: 200, isSame: true }
    ],
    ["without a length does so too", same, again, { _tag: "Body", skip: 200, isSame: true }],
    [
      "with another length is another version",
      { ...same, "content-length": "999" },
      again,
      { _tag: "Changed" }
    ],
    [
      "under a weak ETag is the same only if its bytes are",
      { etag: 'W/"v1"' },
      asked(200, 300, { etag: 'W/"v1"', lastModified: "", total: Option.none() }),
      { _tag: "Body", skip: 200, isSame: false }
    ],
    [
      "under no ETag is the same only if its bytes are",
      {},
      asked(200, 300, { etag: "", lastModified: "", total: Option.none() }),
      { _tag: "Body", skip: 200, isSame: false }
    ],
    [
      "with a page is no version at all",
      { "content-type": "text/html; charset=utf-8", "content-length": "12" },
      again,
      { _tag: "Broken" }
    ],
    [
      "with an XML page is no version at all",
      { "content-type": "application/xml" },
      again,
      { _tag: "Broken" }
    ],
    [
      "with a page at first is judged by its bytes",
      { "content-type": "text/html" },
      asked(0, 100),
      { _tag: "Body" }
    ]
  ] as const) {
    it(name, () => expect(judge(200, headers, question)).toMatchObject(expected))
  }
})

describe("416", () => {
  for (const [name, headers, question, tag] of [
    ["at the end of a file of unknown size", { "content-range": "bytes */200" }, asked(200, 300), "AtEnd"],
    [
      "at the end of a file of that size",
      { "content-range": "bytes */1000" },
      asked(1000, 1100, known),
      "AtEnd"
    ],
    ["before the end of a file of known size", { "content-range": "bytes */200" }, again, "Changed"],
    ["with another size", { "content-range": "bytes */100" }, again, "Changed"],
    ["without a size", { "content-range": "bytes */*" }, again, "Broken"],
    ["without anything", {}, again, "Broken"],
    ["for an empty file", { "content-range": "bytes */0" }, asked(0, 100), "AtEnd"]
  ] as const) {
    it(`${name}: ${tag}`, () => expect(judge(416, headers, question)._tag).toBe(tag))
  }
})

describe("errors", () => {
  for (const [status, body, tag] of [
    [412, "", "Unconditional"],
    [400, error("InvalidArgument"), "Unconditional"],
    [501, error("NotImplemented"), "Unconditional"],
    [400, error("ExpiredToken", "The provided token has expired."), "Expired"],
    [403, error("AccessDenied", "Request has expired"), "Expired"],
    [403, error("ExpiredToken"), "Expired"],
    [403, "<Error><Code>AccessDenied</Code><Expires>2024-01-01</Expires></Error>", "Expired"],
    [403, error("AccessDenied", "Access Denied"), "Missing"],
    [403, error("SignatureDoesNotMatch"), "Missing"],
    [403, error("InvalidAccessKeyId"), "Missing"],
    [403, "", "Missing"],
    [404, error("NoSuchKey"), "Missing"],
    [404, "<html>", "Missing"],
    [410, "", "Missing"],
    [500, error("InternalError"), "Busy"],
    [502, "<html>", "Busy"],
    [503, error("SlowDown"), "Busy"],
    [503, "", "Busy"],
    [504, "", "Busy"],
    [429, "", "Busy"],
    [408, "", "Busy"],
    [425, "", "Busy"],
    [400, error("RequestTimeout"), "Busy"],
    [403, error("SlowDown"), "Busy"],
    ...[507, 509, 511, 520, 521, 522, 523, 524, 525, 529, 530, 599].map(
      (status) => [status, "<html>", "Busy"] as const
    ),
    [505, "", "Refused"],
    [401, "", "Refused"],
    [405, "", "Refused"],
    [301, error("PermanentRedirect"), "Refused"],
    [304, "", "Refused"],
    [204, "", "Broken"],
    [203, "", "Refused"],
    [307, "", "Broken"]
  ] as const) {
    it(`${status} ${body || "without a body"}: ${tag}`, () =>
      expect(judge(status, {}, again, body)._tag).toBe(tag))
  }

  for (const [status, body, tag] of [
    [412, "", "Changed"],
    [400, error("InvalidArgument", "Only one auth mechanism allowed"), "Refused"],
    [400, "", "Refused"],
    [501, "", "Refused"]
  ] as const) {
    it(`${status} ${body || "without a body"}, asked without If-Match: ${tag}`, () =>
      expect(judge(status, {}, unconditional, body)._tag).toBe(tag))
  }

  for (const [etag, tag] of [
    ['"v1"', "Unconditional"],
    ["v1", "Unconditional"],
    ['W/"v1"', "Unconditional"],
    ['"v2"', "Changed"]
  ] as const) {
    it(`412 with the ETag ${etag}: ${tag}`, () => expect(judge(412, { etag })._tag).toBe(tag))
  }

  for (const [status, isLink] of [
    [400, true],
    [401, true],
    [402, false],
    [405, false],
    [501, false]
  ] as const) {
    it(`${status} ${isLink ? "may" : "can not"} be mended by a fresh link`, () =>
      expect(judge(status, {}, unconditional)).toMatchObject({ _tag: "Refused", isLink }))
  }

  for (const status of [302, 303, 307, 308]) {
    it(`${status} with a place is a redirect`, () => {
      expect(judge(status, { location: "https://elsewhere.test/" })).toEqual(
        FileResponse.FileResponse.Redirect({ location: "https://elsewhere.test/" })
      )
    })
  }

  it("Busy carries what the host asks for", () => {
    expect(judge(503, { "retry-after": "7" }, again, error("SlowDown"))).toEqual(
      FileResponse.FileResponse.Busy({
        status: 503,
        detail: "HTTP 503 SlowDown",
        hint: Option.some(Duration.seconds(7))
      })
    )
  })
})

describe("any answer", () => {
  const text = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constantFrom("bytes 200-299/1000", "bytes */200", "1000", '"v1"', "text/html")
  )
  const answers = fc.record({
    status: fc.integer({ min: 200, max: 599 }),
    headers: fc.record(
      {
        etag: text,
        "content-range": text,
        "content-length": text,
        "last-modified": text,
        "content-type": text,
        location: text,
        "retry-after": text
      },
      { requiredKeys: [] }
    ),
    body: fc.oneof(fc.string(), fc.constantFrom(error("SlowDown"), error("ExpiredToken")))
  })

  it("has a meaning, and bytes are believed only from where they were asked for and of the same version", () => {
    fc.assert(
      fc.property(answers, fc.nat(1200), fc.boolean(), ({ body, headers, status }, position, first) => {
        const question = first ? asked(0, 100) : asked(position, position + 100, known)
        const answer = judge(status, headers, question, body)
        expect(
          answer._tag in
            {
              Body: 1,
              AtEnd: 1,
              Changed: 1,
              Unconditional: 1,
              Expired: 1,
              Missing: 1,
              Redirect: 1,
              Busy: 1,
              Broken: 1,
              Refused: 1
            }
        ).toBe(true)
        if (answer._tag !== "Body") return
        expect([200, 206]).toContain(status)
        if (!first) expect(answer.identity.etag).toBe(known.etag)
        expect(answer.skip).toBe(status === 200 ? question.position : 0)
        if (status === 206) expect(headers["content-range"]).toMatch(new RegExp(`${question.position}-`, "u"))
      }),
      { numRuns: 2000, seed: 7 }
    )
  })
})
