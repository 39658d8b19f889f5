import { expect, layer } from "@effect/vitest"
import type { Fault, JobSpec } from "@org/batch-sandbox"
import { DateTime, Effect, Exit } from "effect"
import type * as Batch from "../../src/model/Batch.js"
import type * as Retrieval from "../../src/download/Retrieval.js"
import * as Bench from "../Bench.js"

/**
 * Every row: what the upstream does, and how the download must end: `whole`, with the bytes (or rows) of a clean one, or
 * in a failure, with nothing published and a clean download possible afterwards. `requests` is the most that the file
 * host may be asked; a clean download takes 6 for the merged file.
 */
interface Row {
  readonly name: string
  readonly job?: JobSpec.JobSpec
  readonly download?: Partial<Retrieval.DownloadOptions>
  readonly rules: ReadonlyArray<Fault.Rule> | ((now: DateTime.Utc) => ReadonlyArray<Fault.Rule>)
  readonly atFirstByte?: (bench: Bench.Bench) => Effect.Effect<void>
  readonly expected: "whole" | Readonly<Record<string, unknown>>
  /** Only the rows must be those of a clean download, since the bytes are not as they were stored. */
  readonly rowsOnly?: boolean
  readonly requests: number
  /** Default `0ms`. */
  readonly settle?: string
  /** Of the API; the first one is for the job. */
  readonly statusCalls?: number
  /** Events that must be told, or, with a `!`, must not. */
  readonly events?: ReadonlyArray<string>
}

const on = (
  effects: Fault.Effects,
  rule: Partial<Fault.Match> & { readonly times?: number } = {}
): Fault.Rule => {
  const { times, ...match } = rule
  return { on: { server: "storage", ...match }, times, do: effects }
}

const forever = { times: -1 }
const second = { nth: 2 }
const { blockBytes, cellBytes } = Bench.sizes
const merged = { members: 3 }
const clean = 6

const cutAt = [0, 1, 9, 10, 11, blockBytes - 1, blockBytes, blockBytes + 1, cellBytes - 1]
const ways = [{ by: "reset" as const }, { by: "fin" as const }, { by: "fin" as const, chunked: true }]
const cuts: ReadonlyArray<Row> = [
  ...cutAt.flatMap((afterBytes, index) =>
    ways.slice(index % 3, (index % 3) + 1).map((how) => ({ afterBytes, ...how }))
  ),
  ...ways.map((how) => ({ afterBytes: 5000, ...how }))
].map((cut) => ({
  name: `a cut: ${JSON.stringify(cut)}`,
  rules: [on({ cut })],
  expected: "whole" as const,
  requests: clean + 1,
  events: ["Retrying", "!Restarted", "!LinkRefreshed"]
}))

const moreCuts: ReadonlyArray<Row> = [
  {
    name: "a cut of the second request, at once",
    rules: [on({ cut: { afterBytes: 0, by: "reset" } }, second)],
    expected: "whole",
    requests: clean + 1
  },
  {
    name: "a cut in every request, after a block",
    rules: [on({ cut: { afterBytes: blockBytes, by: "fin" } }, { times: 10 })],
    expected: "whole",
    requests: clean + 10,
    events: ["!Restarted"]
  },
  {
    name: "more cuts than the budget of retries holds, each with progress",
    rules: [on({ cut: { afterBytes: 300, by: "fin" } }, { times: 105 })],
    expected: "whole",
    requests: clean + 105
  },
  {
    name: "no byte, again and again, but once less than patience lasts",
    rules: [on({ cut: { afterBytes: 0, by: "fin" } }, { times: 5 })],
    expected: "whole",
    requests: clean + 5
  },
  {
    name: "no byte for ever",
    rules: [on({ cut: { afterBytes: 0, by: "fin" } }, forever)],
    expected: { _tag: "TransferFailed", reason: "Transport", attempts: 6 },
    requests: 6
  },
  {
    name: "a last chunk that is always missing, of a body without a length",
    rules: [on({ ignoreRange: true, cut: { afterBytes: 10_000, by: "fin", chunked: true } }, { times: 2 })],
    expected: "whole",
    requests: clean + 3
  }
]

const identity: ReadonlyArray<Row> = [
  {
    name: "a range that is ignored once, at first",
    rules: [on({ ignoreRange: true })],
    expected: "whole",
    requests: 1,
    events: ["!Restarted"]
  },
  {
    name: "a range that is ignored once, later",
    rules: [on({ ignoreRange: true }, second)],
    expected: "whole",
    requests: clean,
    events: ["!Restarted"]
  },
  {
    name: "ranges that are always ignored, and cuts",
    rules: [
      on({ ignoreRange: true, cut: { afterBytes: 20_000, by: "reset" } }),
      on({ ignoreRange: true }, forever)
    ],
    expected: "whole",
    requests: 2,
    events: ["!Restarted"]
  },
  {
    name: "an If-Match that is ignored while nothing changes",
    rules: [on({ ignoreIfMatch: true }, forever)],
    expected: "whole",
    requests: clean,
    events: ["!Restarted"]
  },
  {
    name: "an If-Match that is ignored when the object changes",
    rules: [on({ ignoreIfMatch: true, changed: true }, second)],
    expected: "whole",
    requests: 4 + clean,
    events: ["Restarted"]
  },
  {
    name: "an object that changes once",
    rules: [on({ changed: true }, second)],
    expected: "whole",
    requests: 8 + clean,
    events: ["Restarted"]
  },
  {
    name: "an object that changes all the time",
    rules: [on({ changed: true }, forever)],
    expected: { _tag: "ResultsUnavailable", reason: "Changed" },
    requests: 18,
    events: ["Restarted"]
  },
  {
    name: "an object that changes all the time behind a host that ignores If-Match",
    rules: [on({ changed: true, ignoreIfMatch: true }, forever)],
    expected: { _tag: "ResultsUnavailable", reason: "Changed" },
    requests: 10,
    events: ["Restarted"]
  },
  {
    name: "another ETag once",
    rules: [on({ etag: "other" }, second)],
    expected: "whole",
    requests: 4 + clean,
    events: ["Restarted"]
  },
  {
    name: "an ETag that is missing once",
    rules: [on({ etag: "missing" }, second)],
    expected: "whole",
    requests: 4 + clean,
    events: ["Restarted"]
  },
  {
    name: "an ETag that is always unquoted",
    rules: [on({ etag: "unquoted" }, forever)],
    expected: "whole",
    requests: clean,
    events: ["!NotResumable", "!Restarted"]
  },
  {
    name: "an ETag that is unquoted now and then",
    rules: [on({ etag: "unquoted" }), on({ etag: "unquoted" }, { nth: 3 })],
    expected: "whole",
    requests: clean,
    events: ["!Restarted"]
  },
  ...[
    { status: 412, body: "<Error><Code>PreconditionFailed</Code></Error>" },
    { status: 400, body: "<Error><Code>InvalidArgument</Code></Error>" },
    { status: 501, body: "<Error><Code>NotImplemented</Code></Error>" }
  ].map((respond) => ({
    name: `If-Match that is refused with ${respond.status}`,
    rules: [on({ respond }, { ifMatch: true, times: -1 })],
    expected: "whole" as const,
    requests: clean + 4,
    statusCalls: 1,
    events: ["!Restarted", "!Retrying"]
  })),
  {
    name: "If-Match that is refused, and an object that changes",
    rules: [on({ respond: { status: 501 } }, { ifMatch: true, times: 4 }), on({ changed: true }, { nth: 6 })],
    expected: "whole",
    requests: 8 + 2 * clean,
    events: ["Restarted"]
  },
  ...(["missing", "weak"] as const).flatMap((etag) =>
    [false, true].map((chunked) => ({
      name: `no ranges, an ETag that is ${etag}, ${chunked ? "no length, " : ""}and four cuts`,
      rules: [
        ...[3000, 9000, 9001, 30_000].map((afterBytes) =>
          on({ ignoreRange: true, etag, cut: { afterBytes, by: "fin", chunked } })
        ),
        on({ ignoreRange: true, etag }, forever)
      ],
      expected: "whole" as const,
      requests: 5,
      events: ["NotResumable", "Retrying", "!Restarted"]
    }))
  ),
  {
    name: "no ranges, no ETag, and cuts for ever",
    rules: [on({ ignoreRange: true, etag: "missing", cut: { afterBytes: 9000, by: "reset" } }, forever)],
    expected: { _tag: "TransferFailed", reason: "Transport", attempts: 6 },
    requests: 7,
    events: ["!Restarted"]
  },
  {
    name: "no ranges, no ETag, a cut, and another object",
    rules: [
      on({ ignoreRange: true, etag: "missing", cut: { afterBytes: 9000, by: "fin" } }),
      on({ ignoreRange: true, etag: "missing", changed: true }),
      on({ ignoreRange: true, etag: "missing" }, forever)
    ],
    expected: "whole",
    requests: 3,
    events: ["Restarted"]
  },
  {
    name: "no ETag, and a range that is ignored once, later",
    rules: [
      on({ etag: "missing" }),
      on({ ignoreRange: true, etag: "missing" }),
      on({ etag: "missing" }, forever)
    ],
    expected: "whole",
    requests: clean + 1,
    events: ["!Restarted"]
  },
  ...(["weak", "missing"] as const).map((etag) => ({
    name: `an ETag that is always ${etag}`,
    rules: [on({ etag }, forever)],
    expected: "whole" as const,
    requests: clean,
    events: ["NotResumable", "!Restarted"]
  })),
  {
    name: "a date that another server tells, under the same strong ETag",
    rules: [on({ headers: { add: { "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT" } } }, second)],
    expected: "whole",
    requests: clean,
    events: ["!Restarted"]
  },
  {
    name: "a date that is missing once, under the same strong ETag",
    rules: [on({ headers: { remove: ["Last-Modified"] } }, second)],
    expected: "whole",
    requests: clean,
    events: ["!Restarted"]
  },
  {
    name: "another date under a weak ETag",
    rules: [
      on({ etag: "weak" }),
      on({ etag: "weak", headers: { add: { "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT" } } }),
      on({ etag: "weak" }, forever)
    ],
    expected: "whole",
    requests: 4 + clean,
    events: ["Restarted"]
  },
  {
    name: "another size once",
    rules: [on({ extraBytes: { n: 5, kind: "zeros" } }, second)],
    expected: "whole",
    requests: 4 + clean,
    events: ["Restarted"]
  }
]

const ranges: ReadonlyArray<Row> = [
  ...[
    { start: 1 },
    { start: 999_999 },
    { end: 5 },
    { end: 999_999 },
    { total: 1 },
    { unit: "items" }
  ].flatMap((wrongRange) =>
    [{ nth: 1 }, second].map((match) => ({
      name: `a Content-Range that lies once: ${JSON.stringify({ ...wrongRange, ...match })}`,
      rules: [on({ wrongRange }, match)],
      expected: "whole" as const,
      requests: 5 + clean
    }))
  ),
  {
    name: "a size that is too large, at first",
    rules: [on({ wrongRange: { total: 9_999_999 } })],
    expected: "whole",
    requests: 5 + clean,
    events: ["Restarted"]
  },
  {
    name: "a size that is not told, once",
    rules: [on({ wrongRange: { total: "*" } })],
    expected: "whole",
    requests: clean,
    events: ["!Restarted"]
  },
  {
    name: "a size that is not told, twice, in spite of a cut",
    rules: [on({ wrongRange: { total: "*" }, cut: { afterBytes: 100, by: "reset" } }, { times: 2 })],
    expected: "whole",
    requests: clean + 2,
    events: ["!Restarted"]
  },
  {
    name: "a size that is told only by the end",
    rules: [on({ wrongRange: { total: "*" } }, { times: 2 })],
    expected: "whole",
    requests: 3,
    events: ["!Restarted"]
  },
  {
    name: "a Content-Range that is missing",
    rules: [on({ headers: { remove: ["Content-Range"] } })],
    expected: "whole",
    requests: clean + 1
  },
  {
    name: "a Content-Range that is always missing",
    rules: [on({ headers: { remove: ["Content-Range"] } }, forever)],
    expected: { _tag: "TransferFailed", reason: "Protocol" },
    requests: 6
  },
  {
    name: "a Content-Range that always begins elsewhere",
    rules: [on({ wrongRange: { start: 7 } }, forever)],
    expected: { _tag: "TransferFailed", reason: "Protocol" },
    requests: 6
  },
  {
    name: "the bytes of another place under the right Content-Range",
    rules: [on({ wrongRange: { bodyFrom: 100 } }, { rangeFrom: cellBytes })],
    expected: "whole",
    requests: 5 + clean,
    events: ["Restarted"]
  },
  {
    name: "416 without a size before the end",
    rules: [on({ respond: { status: 416 } }, second)],
    expected: "whole",
    requests: clean + 1
  },
  {
    name: "416 with another size before the end",
    rules: [on({ respond: { status: 416, headers: { "content-range": "bytes */5" } } }, second)],
    expected: "whole",
    requests: 4 + clean,
    events: ["Restarted"]
  },
  {
    name: "416 with the position as the size, before the end",
    rules: [
      on(
        { respond: { status: 416, headers: { "content-range": `bytes */${cellBytes}` } } },
        { rangeFrom: cellBytes }
      )
    ],
    expected: "whole",
    requests: 4 + clean,
    events: ["Restarted"]
  },
  {
    name: "416 with the position as the size, for ever",
    rules: [
      on(
        { respond: { status: 416, headers: { "content-range": `bytes */${cellBytes}` } } },
        { rangeFrom: cellBytes, times: -1 }
      )
    ],
    expected: { _tag: "ResultsUnavailable", reason: "Changed" },
    requests: 12
  },
  {
    name: "416 to everything, as if it were empty",
    rules: [on({ respond: { status: 416, headers: { "content-range": "bytes */0" } } }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "Gzip" },
    requests: 2
  },
  {
    name: "412 to everything",
    rules: [on({ respond: { status: 412 } }, forever)],
    expected: { _tag: "ResultsUnavailable", reason: "Changed" },
    requests: 2
  }
]

const bodies: ReadonlyArray<Row> = [
  {
    name: "a page with status 200, once at first",
    rules: [on({ garbage: {} })],
    expected: "whole",
    requests: clean + 1,
    events: ["!Restarted"]
  },
  {
    name: "a page with status 200, once later",
    rules: [on({ garbage: {} }, second)],
    expected: "whole",
    requests: clean + 1,
    events: ["!Restarted"]
  },
  {
    name: "a page with status 200, for ever",
    rules: [on({ garbage: {} }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "Encoding" },
    requests: 12
  },
  {
    name: "a page with status 200, from the second request on",
    rules: [on({ garbage: {} }, { ...second, ...forever })],
    expected: { _tag: "TransferFailed", reason: "Protocol" },
    requests: 30
  },
  {
    name: "JSON with status 200, for ever",
    rules: [on({ respond: { status: 200, body: '{"error":"no"}' } }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "Encoding" },
    requests: 12
  },
  {
    name: "an empty body with status 200, for ever",
    rules: [on({ respond: { status: 200 } }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "Gzip" },
    requests: 2
  },
  {
    name: "a page in the right length under the right headers, once",
    rules: [on({ garbage: { keepLength: true } }, { rangeFrom: cellBytes })],
    expected: "whole",
    requests: 5 + clean,
    events: ["Restarted"]
  },
  {
    name: "a body inflated in transit, once at first",
    rules: [on({ inflate: true })],
    expected: "whole",
    rowsOnly: true,
    requests: 1,
    events: ["!Restarted"]
  },
  {
    name: "a body inflated in transit, once later",
    rules: [on({ inflate: true }, second)],
    expected: "whole",
    requests: clean + 1,
    events: ["!Restarted"]
  },
  {
    name: "a body inflated in transit, always",
    rules: [on({ inflate: true }, forever)],
    expected: "whole",
    rowsOnly: true,
    requests: 1,
    events: ["!Restarted"]
  },
  ...[{}, { etag: "missing" as const }].map((more) => ({
    name: `a body inflated in transit, always, and cut twice ${JSON.stringify(more)}`,
    rules: [
      on({ inflate: true, cut: { afterBytes: 30_000, by: "fin" as const, chunked: true }, ...more }),
      on({ inflate: true, cut: { afterBytes: 90_000, by: "reset" as const, chunked: true }, ...more }),
      on({ inflate: true, ...more }, forever)
    ],
    expected: "whole" as const,
    rowsOnly: true,
    requests: 3,
    events: ["!Restarted", "Retrying"]
  })),
  {
    name: "a body inflated in transit, always, and shortened",
    job: { ...merged, downloadUrls: false },
    rules: [on({ inflate: true, fewerBytes: { n: 30 } }, forever)],
    expected: { _tag: "TransferFailed" },
    requests: 20
  },
  {
    name: "an object that is stored without compression",
    rules: [on({ text: { plain: true } }, forever)],
    expected: "whole",
    rowsOnly: true,
    requests: 2,
    events: ["NotResumable", "!Restarted", "!Retrying"]
  },
  {
    name: "an object that is stored without compression, with a row too few",
    job: { ...merged, downloadUrls: false, resultCount: 101 },
    rules: [on({ text: { plain: true } }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "RowCount" },
    requests: 2
  },
  {
    name: "a list in JSON, for ever",
    rules: [on({ respond: { status: 200, body: "[{}]" } }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "Encoding" },
    requests: 12
  },
  {
    name: "Content-Encoding: gzip on the object",
    rules: [on({ contentEncodingGzip: true }, forever)],
    expected: "whole",
    requests: clean,
    events: ["!Restarted"]
  },
  ...[10, cellBytes, 30_000].map((at) => ({
    name: `a flipped byte, once, at ${at}`,
    rules: [on({ flipByte: { at } }, { rangeFrom: at - (at % cellBytes) })],
    expected: "whole" as const,
    requests: 2 * clean,
    events: ["Restarted"]
  })),
  {
    name: "a flipped byte, always",
    rules: [on({ flipByte: { at: 5000 } }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "Gzip" },
    requests: 2 * clean
  },
  {
    name: "a flipped byte in a trailer, always",
    rules: [on({ fewerBytes: { n: 1 } }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "Gzip" },
    requests: 2 * clean
  },
  ...[1, 512, 100_000].map((n) => ({
    name: `${n} zeros behind the end, always`,
    rules: [on({ extraBytes: { n, kind: "zeros" as const } }, forever)],
    expected: "whole" as const,
    rowsOnly: true,
    requests: clean + 13,
    events: ["!Restarted"]
  })),
  {
    name: "junk behind the end, always",
    rules: [on({ extraBytes: { n: 512, kind: "junk" } }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "Gzip" },
    requests: 2 * clean
  },
  {
    name: "an empty object, always",
    rules: [on({ emptied: true }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "Gzip" },
    requests: 2
  },
  {
    name: "a further member behind the end, always",
    job: { ...merged, downloadUrls: false },
    rules: [on({ extraBytes: { n: 3, kind: "member" } }, forever)],
    expected: { _tag: "ResultsCorrupt", reason: "RowCount", expected: "100 rows (result_count)" },
    requests: clean
  },
  {
    name: "an object that ends on a member boundary",
    job: { ...merged, downloadUrls: false, resultCount: 130 },
    rules: [],
    expected: { _tag: "ResultsCorrupt", reason: "RowCount" },
    requests: clean
  }
]

const silence: ReadonlyArray<Row> = [
  ...[0, 1, blockBytes, cellBytes - 1].map((afterBytes) => ({
    name: `a stall for ever after ${afterBytes} bytes, once`,
    rules: [on({ stall: { afterBytes } })],
    expected: "whole" as const,
    requests: clean + 1,
    events: ["Retrying", "!Restarted"]
  })),
  {
    name: "a stall that ends in time",
    rules: [on({ stall: { afterBytes: 100, ms: 100 } })],
    expected: "whole",
    requests: clean,
    events: ["!Retrying"]
  },
  {
    name: "a trickle",
    rules: [on({ trickle: { bytesPerSecond: 40_000 } })],
    expected: "whole",
    requests: clean,
    events: ["!Retrying"]
  },
  {
    name: "headers that never come, once",
    rules: [on({ hang: true })],
    expected: "whole",
    requests: clean + 1
  },
  {
    name: "headers that come late",
    rules: [on({ delay: { ms: 100 } })],
    expected: "whole",
    requests: clean,
    events: ["!Retrying"]
  }
]

const httpDate = (at: DateTime.Utc) => DateTime.toDate(at).toUTCString()
const unwell = (headers: Readonly<Record<string, string>>, status = 503) =>
  on({ respond: { status, headers, body: "<Error><Code>SlowDown</Code></Error>" } })
const overload: ReadonlyArray<Row> = [
  ...[
    {},
    { "retry-after": "0" },
    { "retry-after": "-1" },
    { "retry-after": "soon" },
    { "retry-after": "0.01" }
  ].map((headers) => ({
    name: `503 with ${JSON.stringify(headers)}`,
    rules: [unwell(headers)],
    expected: "whole" as const,
    requests: clean + 1
  })),
  {
    name: "503 with a date that is past",
    rules: (now) => [unwell({ "retry-after": httpDate(DateTime.subtract(now, { hours: 1 })) })],
    expected: "whole",
    requests: clean + 1
  },
  {
    name: "503 with a date to come",
    rules: (now) => [unwell({ "retry-after": httpDate(DateTime.add(now, { seconds: 1 })) })],
    expected: "whole",
    requests: clean + 1
  },
  {
    name: "503 with a date beyond our patience",
    rules: (now) => [unwell({ "retry-after": httpDate(DateTime.add(now, { hours: 1 })) })],
    expected: { _tag: "TransferFailed", reason: "Server", attempts: 1 },
    requests: 1
  },
  {
    name: "503 with seconds beyond a day, which are no hint",
    rules: [unwell({ "retry-after": "99999999999999999999" })],
    expected: "whole",
    requests: clean + 1
  },
  {
    name: "429 with x-ratelimit-reset",
    rules: [unwell({ "x-ratelimit-reset": "0" }, 429)],
    expected: "whole",
    requests: clean + 1
  },
  ...[204, 408, 425, 500, 502, 504, 507, 511, 520, 522, 524, 529, 530].map((status) => ({
    name: `${status}, three times`,
    rules: [on({ respond: { status } }, { times: 3 })],
    expected: "whole" as const,
    requests: clean + 3
  })),
  {
    name: "400 RequestTimeout, once",
    rules: [on({ respond: { status: 400, body: "<Error><Code>RequestTimeout</Code></Error>" } })],
    expected: "whole",
    requests: clean + 1
  },
  {
    name: "503 for ever",
    rules: [on({ respond: { status: 503 } }, forever)],
    expected: { _tag: "TransferFailed", reason: "Server", attempts: 6 },
    requests: 6
  },
  {
    name: "a host that bears one connection at a time",
    job: { parts: 6 },
    download: { parts: true },
    rules: [on({ busy: { above: 1 }, trickle: { bytesPerSecond: 100_000 } }, forever)],
    expected: "whole",
    requests: 40,
    events: ["Retrying"]
  }
]

const redirects: ReadonlyArray<Row> = [
  ...([302, 303, 307, 308] as const).map((status) => ({
    name: `${status} to where it is, three times`,
    rules: [on({ redirect: { to: "", status } }, { times: 3 })],
    expected: "whole" as const,
    requests: clean + 3
  })),
  {
    name: "a loop of redirects",
    rules: [on({ redirect: { to: "" } }, forever)],
    expected: { _tag: "TransferFailed", reason: "Protocol" },
    requests: 4
  },
  {
    name: "301",
    rules: [on({ redirect: { to: "", status: 301 } }, forever)],
    expected: { _tag: "TransferFailed", reason: "Protocol" },
    requests: 1
  },
  {
    name: "307 without a place, once",
    rules: [on({ respond: { status: 307 } })],
    expected: "whole",
    requests: clean + 1
  },
  ...["ftp://files.test/x", "http://[nowhere", "data:text/plain,x", "file:///etc/passwd"].map((to) => ({
    name: `a redirect to ${to}`,
    rules: [on({ redirect: { to } }, forever)],
    expected: { _tag: "TransferFailed", reason: "Protocol" },
    requests: 1
  }))
]

const links: ReadonlyArray<Row> = [
  {
    name: "a link that has expired before the start",
    rules: [on({ expired: true })],
    expected: "whole",
    requests: clean + 1,
    statusCalls: 2,
    events: ["LinkRefreshed", "!Restarted", "!Retrying"]
  },
  {
    name: "a token that has expired before the start",
    rules: [on({ expired: { as: "ExpiredToken" } })],
    expected: "whole",
    requests: clean + 1,
    statusCalls: 2,
    events: ["LinkRefreshed", "!Restarted"]
  },
  {
    name: "links that expire between two ranges, for all connections",
    rules: [],
    atFirstByte: ({ id, sandbox }) => Effect.orDie(sandbox.job(id).expireLinks()),
    expected: "whole",
    requests: clean + 4,
    statusCalls: 2,
    events: ["LinkRefreshed", "!Restarted", "!Retrying"]
  },
  {
    name: "a link that expires while a request is retried",
    rules: [
      on({ respond: { status: 500 } }),
      on({ expired: true }),
      on({ cut: { afterBytes: 9, by: "fin" } })
    ],
    expected: "whole",
    requests: clean + 3,
    statusCalls: 2,
    events: ["LinkRefreshed", "!Restarted"]
  },
  {
    name: "a link that is dead three times",
    rules: [on({ expired: true }, { times: 3 })],
    expected: "whole",
    requests: clean + 3,
    statusCalls: 4
  },
  {
    name: "a link that stays dead",
    rules: [on({ expired: true }, forever)],
    expected: { _tag: "ResultsUnavailable", reason: "Expired" },
    requests: 4,
    statusCalls: 4
  },
  {
    name: "a link that stays dead after some bytes",
    download: { concurrency: 1 },
    rules: [on({ cut: { afterBytes: 100, by: "fin" } }), on({ expired: true }, forever)],
    expected: { _tag: "ResultsUnavailable", reason: "Expired" },
    requests: 5,
    statusCalls: 4
  },
  {
    name: "an object that is missing once",
    rules: [on({ respond: { status: 404, body: "<Error><Code>NoSuchKey</Code></Error>" } })],
    expected: "whole",
    requests: clean + 1,
    statusCalls: 2
  },
  ...[
    { status: 404, body: "<Error><Code>NoSuchKey</Code></Error>" },
    { status: 404 },
    { status: 403, body: "<Error><Code>NoSuchKey</Code></Error>" }
  ].map((respond) => ({
    name: `an object that comes late: ${respond.status} ${respond.body ?? "without a body"}, four times`,
    settle: "20s",
    rules: [on({ respond }, { times: 4 })],
    expected: "whole" as const,
    requests: clean + 4,
    statusCalls: 5,
    events: ["Settling", "LinkRefreshed", "!Restarted", "!Retrying"]
  })),
  {
    name: "parts that come late are waited for together",
    settle: "20s",
    job: { parts: 6 },
    download: { parts: true },
    rules: [on({ respond: { status: 404 } }, { times: 12 })],
    expected: "whole",
    requests: 30,
    events: ["Settling", "!Restarted", "!Retrying"]
  },
  {
    name: "an object that never comes",
    settle: "200ms",
    rules: [on({ respond: { status: 404 } }, forever)],
    expected: { _tag: "ResultsUnavailable", reason: "Missing" },
    requests: 20,
    events: ["Settling", "!Restarted"]
  },
  ...[
    { status: 404, body: "<Error><Code>NoSuchKey</Code></Error>" },
    { status: 403, body: "<Error><Code>AccessDenied</Code></Error>" },
    { status: 403, body: "<Error><Code>SignatureDoesNotMatch</Code></Error>" },
    { status: 403 },
    { status: 410 }
  ].map((respond) => ({
    name: `for ever ${respond.status} ${respond.body ?? "without a body"}`,
    rules: [on({ respond }, forever)],
    expected: { _tag: "ResultsUnavailable", reason: "Missing" },
    requests: 2,
    statusCalls: 2
  })),
  ...[400, 401].flatMap((status) => [
    {
      name: `for ever ${status}`,
      rules: [on({ respond: { status } }, forever)],
      expected: { _tag: "TransferFailed", reason: "Protocol", attempts: 2 },
      requests: 2,
      statusCalls: 2
    },
    {
      name: `${status} once`,
      rules: [on({ respond: { status } })],
      expected: "whole" as const,
      requests: clean + 1,
      statusCalls: 2,
      events: ["LinkRefreshed", "!Restarted", "!Retrying"]
    }
  ]),
  ...[402, 405, 418, 451, 501, 505].map((status) => ({
    name: `for ever ${status}`,
    rules: [on({ respond: { status } }, forever)],
    expected: { _tag: "TransferFailed", reason: "Protocol", attempts: 1 },
    requests: 1,
    statusCalls: 1
  })),
  {
    name: "an API that is down when the link has expired",
    rules: [
      on({ expired: true }),
      { on: { server: "api", nth: 2 }, times: -1, do: { respond: { status: 500 } } }
    ],
    expected: { _tag: "ApiUnavailable" },
    requests: 1,
    statusCalls: 5
  }
]

const several: ReadonlyArray<Row> = ["joined", "separate", "decompressed"].flatMap((how) =>
  (
    [
      ["cuts", [on({ cut: { afterBytes: 500, by: "reset" } }, { times: 6 })], 12],
      ["expired links", [on({ expired: true }, { times: 3 })], 9],
      [
        "a part that changes",
        [on({ changed: true, cut: { afterBytes: 500, by: "fin" } }, { path: "part-001" })],
        20
      ],
      ["ignored ranges", [on({ ignoreRange: true }, forever)], 6],
      ["sizes that are not told", [on({ wrongRange: { total: "*" } }, { times: 3 })], 12],
      ["503", [on({ respond: { status: 503 } }, { times: 4 })], 12]
    ] as const
  ).map(([name, rules, requests]) => ({
    name: `${how} parts: ${name}`,
    job: how === "separate" ? { parts: 3 } : { parts: 3, downloadUrl: false },
    download:
      how === "separate" ? { parts: true } : how === "decompressed" ? { format: "jsonl" as const } : {},
    rules,
    expected: "whole" as const,
    requests
  }))
)

const joined: ReadonlyArray<Row> = (
  [
    ["a stall", [on({ stall: { afterBytes: 500 } })], 7],
    ["an answer that never comes", [on({ hang: true })], 7],
    ["a page instead of the file", [on({ garbage: {} })], 7],
    ["a range with another start", [on({ wrongRange: { start: 10 } }, second)], 7],
    ["a flipped byte", [on({ flipByte: { at: 5000 } })], 12],
    ["a page for ever", [on({ garbage: {} }, forever)], 36, { _tag: "ResultsCorrupt", reason: "Encoding" }],
    [
      "links that stay dead",
      [on({ expired: true }, forever)],
      16,
      { _tag: "ResultsUnavailable", reason: "Expired" }
    ],
    [
      "junk behind every part",
      [on({ extraBytes: { n: 9, kind: "junk" } }, forever)],
      12,
      { _tag: "ResultsCorrupt", reason: "Gzip" }
    ]
  ] as const
).map(([name, rules, requests, expected = "whole" as const]) => ({
  name: `joined parts: ${name}`,
  job: { parts: 3, downloadUrl: false },
  download: {},
  rules,
  expected,
  requests
}))

const table = {
  cuts,
  "more cuts": moreCuts,
  identity,
  ranges,
  bodies,
  silence,
  overload,
  redirects,
  links,
  "several files": several,
  "joined parts": joined
}

/** Jobs that no row has changed, with what a clean download of them delivers. */
const jobs = new Map<string, { readonly id: Batch.BatchId; readonly clean: ReadonlyMap<string, string> }>()

const keyOf = ({ download, job }: Row): string => JSON.stringify([job, download])

const changes = ({ rules }: Row): boolean =>
  typeof rules !== "function" && rules.some((rule) => rule.do.changed)

/** On a loaded machine a short silence is no stall, unless one is scripted. */
const patienceOf = ({ rules }: Row): string =>
  typeof rules !== "function" && rules.some((rule) => rule.do.stall !== undefined || rule.do.hang === true)
    ? "400ms"
    : "10s"

/** A clean download, remembered as long as the job stays as it is. */
const download = (bench: Bench.Bench, row: Row) =>
  Effect.gen(function* () {
    yield* bench.download(`${bench.folder}/clean`, row.download)
    const clean = yield* Bench.delivered(bench, "clean")
    if (!changes(row)) jobs.set(keyOf(row), { id: bench.id, clean })
    return clean
  })

layer(Bench.upstream, { excludeTestServices: true })("Faults", (it) => {
  for (const [group, rows] of Object.entries(table)) {
    for (const row of rows) {
      it.scoped(
        `${group}: ${row.name}: ${row.expected === "whole" ? "whole" : JSON.stringify(row.expected)}`,
        () =>
          Effect.gen(function* () {
            const known = changes(row) ? undefined : jobs.get(keyOf(row))
            const bench = yield* Bench.make(row.job ?? merged, {
              id: known?.id,
              transfer: { idleTimeout: patienceOf(row), settle: row.settle ?? "0ms" }
            })
            const before = (yield* bench.requests).length
            const { folder, fs, sandbox } = bench
            yield* sandbox.script(
              ...(typeof row.rules === "function" ? row.rules(yield* DateTime.now) : row.rules)
            )
            const events: Array<Retrieval.Event> = []
            const asked = yield* bench.statusCalls
            const act = yield* Effect.once(row.atFirstByte?.(bench) ?? Effect.void)
            const onEvent = (event: Retrieval.Event) => {
              events.push(event)
              return event._tag === "Progress" && event.bytes > 0 ? act : Effect.void
            }
            const exit = yield* Effect.exit(bench.download(`${folder}/out`, { ...row.download, onEvent }))
            const requests = (yield* bench.requests).slice(before)
            const statusCalls = (yield* bench.statusCalls) - asked
            const unused = (yield* sandbox.faults).filter(
              ({ consumed, expected }) => consumed === 0 || (expected !== "forever" && consumed !== expected)
            )
            yield* sandbox.clearFaults
            const published = yield* fs.exists(`${folder}/out`)

            const tags = new Set<string>(events.map(({ _tag }) => _tag))
            const wrongEvents = (row.events ?? []).filter((tag) =>
              tag.startsWith("!") ? tags.has(tag.slice(1)) : !tags.has(tag)
            )
            const seen = {
              unused,
              wrongEvents,
              progress: Bench.progressFaults(events),
              keys: requests.filter(({ headers }) => "authorization" in headers || "traceparent" in headers),
              requests: requests.length <= row.requests ? "few enough" : requests.length,
              statusCalls: row.statusCalls === undefined ? undefined : statusCalls
            }
            const failure = Bench.failureOf(exit)
            const ended = Object.entries(failure ?? {}).filter(
              ([name]) => row.expected === "whole" || name in row.expected
            )
            expect(Exit.isSuccess(exit) ? "whole" : Object.fromEntries(ended), String(failure)).toEqual(
              row.expected
            )
            expect(seen).toEqual({
              unused: [],
              wrongEvents: [],
              progress: [],
              keys: [],
              requests: "few enough",
              statusCalls: row.statusCalls
            })
            expect(String(failure)).not.toMatch(/X-Amz|Signature=|sandbox-key/u)

            if (row.rowsOnly === true) {
              yield* bench.download(`${folder}/clean`, { force: true })
              expect(yield* Bench.rowsOf(bench, "out")).toBe(yield* Bench.rowsOf(bench, "clean"))
            } else if (row.expected === "whole") {
              expect(yield* Bench.delivered(bench, "out")).toEqual(
                known?.clean ?? (yield* download(bench, row))
              )
            } else {
              expect(published && row.download?.parts !== true).toBe(false)
            }
          })
      )
    }
  }
})
