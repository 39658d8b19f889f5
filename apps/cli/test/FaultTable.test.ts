/**
 * Every lie of the upstream, told to the built binary over loopback, on a terminal where there is one to be had. Where a lie
 * has variants (where a cut falls, what a hint says), the binary is told one of each kind, and the core's table of faults
 * (`download/Faults.test`, of the API `status/BatchClient.test`) has them all; with `BATCH_TEST_FAULTS=all`
 * (`pnpm test:durable`) the binary is told the other rows of this table as well.
 */
import { expect, it, layer } from "@effect/vitest"
import type { Fault, JobSpec, Sandbox } from "@org/batch-sandbox"
import { Context, Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { objects, over, type World, world } from "./Batchctl.js"

/** A fault, and the requests for this row's job or files that it waits for; a `path` goes on behind the batch id. */
interface Disturbance extends Omit<Fault.Rule, "id" | "on"> {
  readonly on: Partial<Fault.Match>
}

/**
 * What the upstream does, and how the command must end. With `code` 0 the bytes are those of a clean download. Else
 * nothing has the name that was asked for, or what had it is untouched. `requests` is the most that the file host may
 * be asked, `calls` the most that the API may be.
 */
interface Row {
  readonly name: string
  readonly job?: JobSpec.JobSpec
  /** Default `get`. */
  readonly verb?: "download"
  /** Default `rows.jsonl.gz`. */
  readonly output?: string
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly faults:
    ReadonlyArray<Disturbance> | ((scene: Source & { readonly now: number }) => ReadonlyArray<Disturbance>)
  /** Default 0. */
  readonly code?: number
  readonly error?: Readonly<Record<string, unknown>>
  readonly requests?: number
  readonly calls?: number
  /** Milliseconds that must lie between the first two requests to the server that was disturbed. */
  readonly pause?: number
  /** What must be said on standard error. */
  readonly said?: RegExp
}

const { blockBytes, cellBytes } = { blockBytes: 4096, cellBytes: 8192 }

/** Requests for the merged file in a clean download: it has five cells. */
const clean = 5

/** Status calls of a clean run. */
const calls = 1

const forever = { times: -1 }
const second = { nth: 2 }

const on = (effects: Fault.Effects, when: Partial<Fault.Match> & { readonly times?: number } = {}) => {
  const { times, ...match } = when
  return { on: { server: "storage" as const, ...match }, times, do: effects }
}

const api = (effects: Fault.Effects, when: Parameters<typeof on>[1] = {}) =>
  on(effects, { server: "api", ...when })

const corrupt = (reason: string) => ({ code: 7, error: { type: "ResultsCorrupt", reason } })
const unavailable = (reason: string) => ({ code: 7, error: { type: "ResultsUnavailable", reason } })
const failed = (reason: string, attempts = 6) => ({
  code: 6,
  error: { type: "TransferFailed", reason, attempts }
})

const cuts: ReadonlyArray<Row> = [
  ...[
    { afterBytes: 0, by: "reset" as const },
    { afterBytes: blockBytes, by: "fin" as const },
    { afterBytes: cellBytes - 1, by: "fin" as const, chunked: true }
  ].map((cut) => ({ name: `a cut: ${JSON.stringify(cut)}`, faults: [on({ cut })], requests: clean + 1 })),
  {
    name: "a cut in every request, with progress",
    faults: [on({ cut: { afterBytes: blockBytes, by: "reset" } }, { times: 8 })],
    requests: clean + 8
  },
  {
    name: "no byte for ever",
    faults: [on({ cut: { afterBytes: 0, by: "fin" } }, forever)],
    ...failed("Transport"),
    requests: 6
  },
  {
    name: "a missing last chunk behind the whole file",
    faults: [on({ ignoreRange: true, cut: { afterBytes: 999_999, by: "fin", chunked: true } })],
    requests: clean
  },
  {
    name: "an object that ends on a member boundary",
    job: { downloadUrls: false, resultCount: 130 },
    faults: [],
    ...corrupt("RowCount"),
    requests: clean
  }
]

const ranges: ReadonlyArray<Row> = [
  { name: "200 to the first range", faults: [on({ ignoreRange: true })], requests: 1 },
  { name: "200 to the second range", faults: [on({ ignoreRange: true }, second)], requests: clean },
  {
    name: "200 to every range, and a cut",
    faults: [
      on({ ignoreRange: true, cut: { afterBytes: 20_000, by: "reset" } }),
      on({ ignoreRange: true }, forever)
    ],
    requests: 2
  },
  ...[{ start: 1 }, { bodyFrom: 100 }].map((wrongRange) => ({
    name: `206 with ${JSON.stringify(wrongRange)}, once`,
    faults: [on({ wrongRange }, { rangeFrom: cellBytes })],
    requests: 2 * clean
  })),
  {
    name: "206 with another start, for ever",
    faults: [on({ wrongRange: { start: 7 } }, forever)],
    ...failed("Protocol"),
    requests: 6
  },
  {
    name: "206 that does not tell the size, once",
    faults: [on({ wrongRange: { total: "*" } })],
    requests: clean
  },
  {
    name: "a size that is too large, once",
    faults: [on({ wrongRange: { total: 9_999_999 } })],
    requests: 2 * clean
  },
  {
    name: "more bytes than before, once",
    faults: [on({ extraBytes: { n: 5, kind: "zeros" } }, second)],
    requests: 2 * clean
  },
  {
    name: "fewer bytes than before, once",
    faults: [on({ fewerBytes: { n: 5 } }, second)],
    requests: 2 * clean
  },
  {
    name: "fewer bytes, always",
    faults: [on({ fewerBytes: { n: 1 } }, forever)],
    ...corrupt("Gzip"),
    requests: 2 * clean
  },
  {
    name: "416 when it is complete, which alone tells the size",
    faults: [on({ wrongRange: { total: "*" } }, { times: 2 })],
    requests: 3
  },
  {
    name: "416 when it is not complete, without a size",
    faults: [on({ respond: { status: 416 } }, second)],
    requests: clean + 1
  },
  {
    name: "416 when it is not complete, as if it were",
    faults: [
      on(
        { respond: { status: 416, headers: { "content-range": `bytes */${cellBytes}` } } },
        { rangeFrom: cellBytes, ...forever }
      )
    ],
    ...unavailable("Changed"),
    requests: 2 * clean
  }
]

const bodies: ReadonlyArray<Row> = [
  { name: "a page with status 200, once", faults: [on({ garbage: {} })], requests: clean + 1 },
  {
    name: "a page with status 200, for ever",
    faults: [on({ garbage: {} }, forever)],
    ...corrupt("Encoding"),
    requests: 12
  },
  {
    name: "a page in the right length under the right headers, once",
    faults: [on({ garbage: { keepLength: true } }, { rangeFrom: cellBytes })],
    requests: 2 * clean
  },
  {
    name: "an empty body with status 200, for ever",
    faults: [on({ respond: { status: 200 } }, forever)],
    ...corrupt("Gzip"),
    requests: 2
  },
  { name: "a body inflated in transit, once", faults: [on({ inflate: true }, second)], requests: clean + 1 },
  {
    name: "a body inflated in transit, always",
    output: "rows.jsonl",
    faults: [on({ inflate: true }, forever)],
    requests: 1
  },
  {
    name: "an object stored without compression",
    output: "rows.jsonl",
    faults: [on({ text: { plain: true } }, forever)],
    requests: 2
  },
  {
    name: "a flipped byte, as if recompressed, once",
    faults: [on({ flipByte: { at: 9000 } }, { rangeFrom: cellBytes })],
    requests: 2 * clean
  },
  {
    name: "a flipped byte, always",
    faults: [on({ flipByte: { at: 9000 } }, forever)],
    ...corrupt("Gzip"),
    requests: 2 * clean
  },
  {
    name: "Content-Encoding: gzip on the object",
    faults: [on({ contentEncodingGzip: true }, forever)],
    requests: clean
  },
  {
    name: "Content-Encoding: gzip on the object, decompressed to disk",
    output: "rows.jsonl",
    faults: [on({ contentEncodingGzip: true }, forever)],
    requests: clean
  },
  {
    name: "zeros behind the end",
    output: "rows.jsonl",
    faults: [on({ extraBytes: { n: 512, kind: "zeros" } }, forever)],
    requests: clean + 1
  },
  {
    name: "junk behind the end",
    faults: [on({ extraBytes: { n: 512, kind: "junk" } }, forever)],
    ...corrupt("Gzip"),
    requests: 2 * clean + 2
  },
  {
    name: "a further member behind the end",
    job: { downloadUrls: false },
    faults: [on({ extraBytes: { n: 3, kind: "member" } }, forever)],
    ...corrupt("RowCount"),
    requests: clean
  }
]

const silence: ReadonlyArray<Row> = [
  {
    name: "a stall in mid-answer",
    env: { BATCH_TRANSFER_IDLE_TIMEOUT: "6s" },
    faults: [on({ stall: { afterBytes: blockBytes } })],
    requests: clean + 1
  },
  {
    name: "a stall for ever",
    env: { BATCH_TRANSFER_IDLE_TIMEOUT: "200ms" },
    faults: [on({ stall: { afterBytes: 0 } }, forever)],
    ...failed("Stalled"),
    requests: 6
  },
  { name: "a trickle", faults: [on({ trickle: { bytesPerSecond: 15_000 } }, { times: 2 })], requests: clean },
  {
    name: "headers that never come, once",
    env: { BATCH_TRANSFER_IDLE_TIMEOUT: "6s" },
    faults: [on({ hang: true })],
    requests: clean + 1
  },
  {
    name: "headers that never come, for ever",
    env: { BATCH_TRANSFER_IDLE_TIMEOUT: "200ms" },
    faults: [on({ hang: true }, forever)],
    ...failed("Stalled"),
    requests: 6
  },
  { name: "headers that come late", faults: [on({ delay: { ms: 300 } })], requests: clean, pause: 300 }
]

const slowDown = (headers: Readonly<Record<string, string>>) =>
  on({ respond: { status: 503, headers, body: "<Error><Code>SlowDown</Code></Error>" } })
const httpDate = (at: number) => new Date(at).toUTCString()

const overload: ReadonlyArray<Row> = [
  {
    name: "503 with a Retry-After that says nothing",
    faults: [slowDown({ "retry-after": "soon" })],
    requests: clean + 1
  },
  {
    name: "503 with Retry-After: seconds",
    faults: [slowDown({ "retry-after": "1" })],
    requests: clean + 1,
    pause: 1000
  },
  {
    name: "503 with Retry-After: a date to come",
    faults: ({ now }) => [slowDown({ "retry-after": httpDate(now + 2000), date: httpDate(now) })],
    requests: clean + 1,
    pause: 1000
  },
  {
    name: "503 with Retry-After: 3600, beyond our patience",
    faults: [slowDown({ "retry-after": "3600" })],
    ...failed("Server", 1),
    requests: 1
  },
  {
    name: "503 for ever",
    faults: [on({ respond: { status: 503 } }, forever)],
    ...failed("Server"),
    requests: 6
  },
  {
    name: "a host that bears one connection at a time",
    faults: [on({ busy: { above: 1 } }, forever)],
    requests: 40,
    said: /SlowDown/
  }
]

const redirects: ReadonlyArray<Row> = [
  {
    name: "307 to where it is, three times",
    faults: [on({ redirect: { to: "" } }, { times: 3 })],
    requests: clean + 3
  },
  {
    name: "redirects in a loop",
    faults: [on({ redirect: { to: "" } }, forever)],
    ...failed("Protocol", 1),
    requests: 4
  },
  {
    name: "a permanent redirect, as S3 sends for a wrong endpoint",
    faults: [on({ redirect: { to: "", status: 301 } }, forever)],
    ...failed("Protocol", 1),
    requests: 1
  },
  {
    name: "a redirect to file:///etc/passwd",
    faults: [on({ redirect: { to: "file:///etc/passwd" } })],
    ...failed("Protocol", 1),
    requests: 1
  }
]

const links: ReadonlyArray<Row> = [
  ...(["AccessDenied", "ExpiredToken"] as const).map((as) => ({
    name: `a link that has expired before the start (${as})`,
    faults: [on({ expired: { as } })],
    requests: clean + 1,
    calls: calls + 1
  })),
  {
    name: "a link that ends by itself during the first range",
    job: { linkTtlSeconds: 2 },
    args: ["--concurrency", "1"],
    faults: [on({ trickle: { bytesPerSecond: 3500 } })],
    requests: 2,
    calls: calls + 1,
    said: /the download link had expired; a fresh one is in use/
  }
]

const moreLinks: ReadonlyArray<Row> = [
  {
    name: "a link that expires between two ranges",
    faults: [on({ expired: true }, second)],
    requests: clean + 1,
    calls: calls + 1
  },
  {
    name: "a link that is dead for ever",
    faults: [on({ expired: true }, forever)],
    ...unavailable("Expired"),
    requests: 4,
    calls: calls + 3
  },
  {
    name: "a link that is dead for ever after some bytes",
    args: ["--concurrency", "1"],
    faults: [on({ cut: { afterBytes: 100, by: "fin" } }), on({ expired: true }, forever)],
    ...unavailable("Expired"),
    requests: 5,
    calls: calls + 3
  },
  {
    name: "a redirect to another host",
    faults: ({ link }) => [on({ redirect: { to: link.replace("127.0.0.1", "localhost") } })],
    requests: clean + 2,
    calls: calls + 1
  }
]

const noSuchKey = { respond: { status: 404, body: "<Error><Code>NoSuchKey</Code></Error>" } }

const identity: ReadonlyArray<Row> = [
  { name: "an object that changes once", faults: [on({ changed: true }, second)], requests: 3 * clean },
  {
    name: "an object that changes once behind a host that ignores If-Match",
    faults: [on({ changed: true, ignoreIfMatch: true }, second)],
    requests: 2 * clean
  },
  {
    name: "an object that changes all the time",
    faults: [on({ changed: true }, forever)],
    ...unavailable("Changed"),
    requests: 4 * clean
  },
  ...[412, 501].map((status) => ({
    name: `If-Match that is refused with ${status}`,
    faults: [on({ respond: { status } }, { ifMatch: true, times: -1 })],
    requests: 2 * clean
  })),
  {
    name: "no ranges, no ETag, and two cuts",
    faults: [
      on({ ignoreRange: true, etag: "missing", cut: { afterBytes: 9000, by: "reset" } }),
      on({ ignoreRange: true, etag: "missing", cut: { afterBytes: 5000, by: "fin" } }),
      on({ ignoreRange: true, etag: "missing" }, forever)
    ],
    requests: 3
  },
  {
    name: "no ranges, no ETag, and cuts for ever",
    faults: [on({ ignoreRange: true, etag: "missing", cut: { afterBytes: 9000, by: "reset" } }, forever)],
    ...failed("Transport"),
    requests: 7
  },
  {
    name: "an object that comes late",
    env: { BATCH_TRANSFER_SETTLE: "30s" },
    faults: [on(noSuchKey, { times: 3 })],
    requests: clean + 3,
    calls: calls + 3,
    said: /is completed, but its results are not there yet \(.*HTTP 404 NoSuchKey\); asking again in/
  },
  {
    name: "links that come late",
    env: { BATCH_TRANSFER_SETTLE: "30s" },
    faults: ({ id }) => {
      const body = JSON.stringify({ batch_id: id, status: "completed", result_count: 100 })
      return [api({ respond: { status: 200, body } }, { times: 3 })]
    },
    calls: calls + 3,
    said: /is completed, but it announces 100 rows, but no link to them yet; asking again in/
  },
  { name: "an object that is missing once", faults: [on(noSuchKey)], requests: clean + 1, calls: calls + 1 },
  {
    name: "an object that is missing",
    faults: [on(noSuchKey, forever)],
    ...unavailable("Missing"),
    requests: 2,
    calls: calls + 1
  },
  {
    name: "a signature that is refused",
    faults: [
      on({ respond: { status: 403, body: "<Error><Code>SignatureDoesNotMatch</Code></Error>" } }, forever)
    ],
    ...unavailable("Missing"),
    requests: 2,
    calls: calls + 1
  },
  {
    name: "an ETag that is other once",
    faults: [on({ etag: "other" }, second)],
    requests: 2 * clean
  },
  {
    name: "an ETag that is always missing",
    faults: [on({ etag: "missing" }, forever)],
    requests: clean
  }
]

const rowCounts: ReadonlyArray<Row> = [
  ...[99, 101].flatMap((resultCount): ReadonlyArray<Row> => [
    {
      name: `100 rows where ${resultCount} were announced`,
      job: { resultCount, downloadUrls: false },
      faults: [],
      ...corrupt("RowCount"),
      requests: clean
    },
    {
      name: `100 rows where ${resultCount} were announced, with --allow-incomplete`,
      job: { resultCount, downloadUrls: false },
      args: ["--allow-incomplete"],
      faults: [],
      requests: clean,
      said: /warning: .* has 100 rows/
    }
  ]),
  {
    name: "a count that stays wrong",
    job: { resultCount: 101, downloadUrls: false },
    env: { BATCH_TRANSFER_SETTLE: "400ms" },
    faults: [],
    ...corrupt("RowCount"),
    requests: clean + 2,
    calls: calls + 2,
    said: /its rows are not as many as it says \(100 rows in the merged file, of 101 announced\)/
  },
  {
    name: "a wrong number of rows in the merged file and in the parts",
    job: { resultCount: 101, parts: 2 },
    faults: [],
    ...corrupt("RowCount"),
    requests: 2 * clean + 2
  }
]

const parts: ReadonlyArray<Row> = (
  [
    ["joined", { parts: 3, downloadUrl: false }, {}],
    ["separate", { parts: 3 }, { output: "rows/", args: ["--parts"] }],
    ["decompressed", { parts: 3, downloadUrl: false }, { output: "rows.jsonl" }]
  ] as const
).flatMap(([how, job, where]) =>
  (
    [
      ["cuts", [on({ cut: { afterBytes: 500, by: "reset" } }, { times: 6 })], 12],
      ["a link that expires", [on({ expired: true }, { path: "/part-001" })], 7],
      [
        "one that changes",
        [on({ changed: true, cut: { afterBytes: 500, by: "fin" } }, { path: "/part-001" })],
        14
      ],
      ["one with a flipped byte", [on({ flipByte: { at: 3000 } }, { path: "/part-002" })], 12]
    ] as const
  ).map(([name, faults, requests]) => ({
    name: `${how} parts: ${name}`,
    job,
    ...where,
    faults,
    requests,
    calls: calls + 1
  }))
)

const answer = (batch: Readonly<Record<string, unknown>>) => ({
  respond: { status: 200, body: JSON.stringify(batch) }
})
const archiving = ({ id }: Source) => answer({ batch_id: id, status: "archiving" })
const other = { batch_id: "00000000-0000-4000-8000-ffffffffffff", status: "completed" }
const soon = ["--timeout", "1s"]

const upstream: ReadonlyArray<Row> = [
  {
    name: "500 three times",
    faults: [api({ respond: { status: 500 } }, { times: 3 })],
    calls: calls + 3
  },
  {
    name: "500 more often than one request is tried",
    faults: [api({ respond: { status: 500 } }, { times: 9 })],
    calls: calls + 9,
    said: /still waiting/
  },
  {
    name: "503 for ever: the wait goes on to its deadline",
    args: soon,
    faults: [api({ respond: { status: 503 } }, forever)],
    code: 6,
    error: { type: "ApiUnavailable", reason: "Server", status: 503 },
    requests: 0,
    calls: 12
  },
  {
    name: "503 for ever of a download",
    verb: "download",
    faults: [api({ respond: { status: 503 } }, forever)],
    code: 6,
    error: { type: "ApiUnavailable", reason: "Server", status: 503, attempts: 4 },
    requests: 0,
    calls: 4
  },
  {
    name: "503 with Retry-After",
    faults: [api({ respond: { status: 503, headers: { "retry-after": "1" } } })],
    pause: 1000,
    calls: calls + 1
  },
  {
    name: "429 with Retry-After",
    faults: [api({ respond: { status: 429, headers: { "retry-after": "1" } } })],
    pause: 1000,
    calls: calls + 1
  },
  {
    name: "429 with x-ratelimit-reset",
    faults: [api({ respond: { status: 429, headers: { "x-ratelimit-reset": "1" } } })],
    pause: 1000,
    calls: calls + 1
  },
  {
    name: "429 with a hint beyond the deadline",
    args: soon,
    faults: [api({ respond: { status: 429, headers: { "retry-after": "3600" } } })],
    code: 6,
    error: { type: "ApiUnavailable" },
    requests: 0,
    calls: 1
  },
  {
    name: "429 with a hint beyond our patience, of a download",
    verb: "download",
    faults: [api({ respond: { status: 429, headers: { "retry-after": "3600" } } })],
    code: 6,
    error: { type: "RateLimited", retryAfter: 3_600_000, attempts: 1 },
    requests: 0,
    calls: 1
  },
  {
    name: "a page, once",
    faults: [api({ garbage: {} })],
    calls: calls + 1
  },
  {
    name: "a page for ever, of a download",
    verb: "download",
    faults: [api({ garbage: {} }, forever)],
    code: 6,
    error: { type: "MalformedResponse", status: 200 },
    requests: 0,
    calls: 2
  },
  {
    name: "an answer about another batch, once",
    faults: [api(answer(other))],
    calls: calls + 1
  },
  {
    name: "an answer that is cut",
    faults: [api({ cut: { afterBytes: 100, by: "reset" } }, { times: 2 })],
    calls: calls + 2
  },
  {
    name: "an answer that never comes",
    env: { BATCH_RETRY_ATTEMPT_TIMEOUT: "1s" },
    faults: [api({ hang: true })],
    calls: calls + 1
  },
  {
    name: "a redirect: the key does not follow",
    verb: "download",
    faults: [api({ redirect: { to: "http://localhost/", status: 302 } })],
    code: 6,
    error: { type: "MalformedResponse", status: 302 },
    requests: 0,
    calls: 1
  },
  {
    name: "an unknown status, five times, is told, and the wait goes on",
    faults: (scene) => [api(archiving(scene), { times: 5 })],
    calls: calls + 5,
    said: /unknown status "archiving"/
  },
  {
    name: "an unknown status for ever: the wait goes on to its deadline",
    args: soon,
    faults: (scene) => [api(archiving(scene), forever)],
    code: 5,
    error: { type: "WaitTimeout", lastStatus: "archiving" },
    requests: 0,
    calls: 60
  },
  ...(
    [
      [400, 2, { type: "RequestRejected" }],
      [401, 3, { type: "NotAuthorized", reason: "InvalidKey" }],
      [402, 3, { type: "NotAuthorized", reason: "InsufficientCredits" }],
      [403, 3, { type: "NotAuthorized", reason: "NotOnPlan" }],
      [404, 8, { type: "BatchNotFound" }]
    ] as const
  ).map(([status, code, error]) => ({
    name: `${status} ends the wait at once`,
    faults: [api({ respond: { status } })],
    code,
    error,
    requests: 0,
    calls: 1
  })),
  {
    name: "an API that is down when the link has expired",
    faults: [on({ expired: true }), api({ respond: { status: 500 } }, { ...second, ...forever })],
    code: 6,
    error: { type: "ApiUnavailable", reason: "Server", attempts: 4 },
    requests: 1,
    calls: calls + 4
  }
]

const table = {
  cuts,
  ranges,
  bodies,
  silence,
  overload,
  redirects,
  "links, version 4": links,
  links: moreLinks,
  identity,
  "row counts": rowCounts,
  parts,
  "the API": upstream
}

/** Rows that differ from others in what the upstream does, but not in what the command does, shows and ends with. */
const variants: ReadonlySet<string> = new Set([
  `a cut: {"afterBytes":${blockBytes},"by":"fin"}`,
  `a cut: {"afterBytes":${cellBytes - 1},"by":"fin","chunked":true}`,
  "a missing last chunk behind the whole file",
  "an object that ends on a member boundary",
  "200 to the first range",
  "200 to the second range",
  "200 to every range, and a cut",
  `206 with {"bodyFrom":100}, once`,
  "206 with another start, for ever",
  "206 that does not tell the size, once",
  "a size that is too large, once",
  "more bytes than before, once",
  "fewer bytes, always",
  "416 when it is not complete, without a size",
  "416 when it is not complete, as if it were",
  "416 when it is complete, which alone tells the size",
  "a page with status 200, once",
  "a page in the right length under the right headers, once",
  "an empty body with status 200, for ever",
  "a body inflated in transit, once",
  "a body inflated in transit, always",
  "Content-Encoding: gzip on the object",
  "Content-Encoding: gzip on the object, decompressed to disk",
  "zeros behind the end",
  "junk behind the end",
  "a further member behind the end",
  "a trickle",
  "headers that never come, once",
  "headers that never come, for ever",
  "headers that come late",
  "503 with a Retry-After that says nothing",
  "503 with Retry-After: a date to come",
  "redirects in a loop",
  "a permanent redirect, as S3 sends for a wrong endpoint",
  "a link that has expired before the start (ExpiredToken)",
  "a link that expires between two ranges",
  "a link that is dead for ever after some bytes",
  "an object that changes once behind a host that ignores If-Match",
  "If-Match that is refused with 412",
  "If-Match that is refused with 501",
  "no ranges, no ETag, and cuts for ever",
  "an object that is missing once",
  "a signature that is refused",
  "an ETag that is other once",
  "an ETag that is always missing",
  "100 rows where 101 were announced",
  "100 rows where 101 were announced, with --allow-incomplete",
  "joined parts: one that changes",
  "joined parts: one with a flipped byte",
  "separate parts: cuts",
  "separate parts: a link that expires",
  "decompressed parts: cuts",
  "decompressed parts: a link that expires",
  "decompressed parts: one that changes",
  "500 three times",
  "503 with Retry-After",
  "429 with x-ratelimit-reset",
  "a page for ever, of a download",
  "a page, once",
  "an answer that is cut",
  "400 ends the wait at once",
  "402 ends the wait at once",
  "an answer about another batch, once"
])

const isPlayed = ({ name }: Row): boolean => process.env["BATCH_TEST_FAULTS"] === "all" || !variants.has(name)

it("what is called a variant is a row", () => {
  const names = Object.values(table).flatMap((rows) => rows.map(({ name }) => name))
  expect([...variants].filter((name) => !names.includes(name))).toEqual([])
})

const key = "sk-live-5d0c61f2a7be"

class Upstream extends Context.Tag("FaultTable.test/Upstream")<Upstream, World>() {}

const upstreamOf = (signature: "v4" | "v2") =>
  Layer.scoped(Upstream, world({ apiKey: key, signature, rateLimit: { limit: 1_000_000, windowSeconds: 1 } }))

/** Small cells make a small file one of many. Patience is long, so that a busy machine causes no retries of its own. */
const settings = {
  BATCH_TRANSFER_CELL_BYTES: String(cellBytes),
  BATCH_TRANSFER_BLOCK_BYTES: String(blockBytes),
  BATCH_TRANSFER_SYNC_BYTES: String(cellBytes),
  BATCH_TRANSFER_MAX_CONNECTIONS: "4",
  BATCH_TRANSFER_IDLE_TIMEOUT: "10s",
  BATCH_TRANSFER_REFRESH_BEFORE: "0s",
  BATCH_RETRY_MAX_RETRY_AFTER: "5s"
}

const terminal = /util-linux/.test(spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "")

it("there is a terminal on which to watch the progress", (context) => {
  context.skip(!terminal, "script of util-linux is not installed: the table runs without a terminal")
  expect(terminal).toBe(true)
})

for (const [signature, groups] of [
  ["v4", table],
  ["v2", { "links, version 2": links }]
] as const) {
  layer(upstreamOf(signature), { excludeTestServices: true })(`signatures of ${signature}`, (it) => {
    for (const [group, rows] of Object.entries(groups)) {
      for (const [index, row] of rows.entries()) {
        if (!isPlayed(row)) continue
        it.scoped(`${group}: ${row.name}: ${row.code ?? 0}`, () => play(row, index % 2 === 1), {
          concurrent: true
        })
      }
    }
  })
}

/** Runs a row. One that fails finds a file under the name that was asked for if it is `covered`. */
const play = (row: Row, covered: boolean) =>
  Effect.gen(function* () {
    const { folder, sandbox, shell } = yield* Upstream
    const { args = [], code = 0, output = "rows.jsonl.gz", verb = "get" } = row
    const id = yield* sandbox.createJob({ ...over, records: 100, recordBytes: 2000, members: 3, ...row.job })
    const source = yield* Effect.promise(() => look(sandbox, id))
    const faults = typeof row.faults === "function" ? row.faults({ ...source, now: Date.now() }) : row.faults
    const pristine = Effect.map(
      Effect.promise(() => fetchAll(source, output)),
      figuresOf
    )
    const known = faults.some((fault) => fault.do.changed) ? undefined : yield* pristine
    const before = (yield* sandbox.requests).length
    yield* sandbox.script(...faults.map((fault, index) => armed(fault, `${id} ${index}`, id, code === 0)))
    if (code === 0) yield* sandbox.script(armed(on({}, forever), "pace", id, true))

    const place = join(folder, id)
    const old = code !== 0 && covered
    mkdirSync(place)
    if (old) writeFileSync(join(place, output), "mine")
    const words = [verb, id, "-o", output, "--json", ...args, ...(old ? ["--force"] : [])]
    const run = yield* shell(lineOf(words), { cwd: place, env: { ...settings, ...row.env } })
    const told = `${run.stdout}${run.stderr}`
    const printed = readFileSync(`${place}.json`, "utf8")
    const reports = (yield* sandbox.faults).filter((report) => report.id.startsWith(id))
    const requests = (yield* sandbox.requests).slice(before).filter(({ path }) => path.includes(id))
    const of = (server: Fault.Server) => requests.filter((request) => request.server === server)

    expect(run.code, told).toBe(code)
    expect({
      unused: reports.filter(
        ({ consumed, expected }) => consumed === 0 || (expected !== "forever" && consumed !== expected)
      ),
      requests: atMost(row.requests ?? clean, of("storage").length),
      calls: atMost(row.calls ?? calls, of("api").length),
      keys: of("storage").filter(({ headers }) => "authorization" in headers || "traceparent" in headers),
      progress: terminal ? progressFaults(told, code === 0) : []
    }).toEqual({ unused: [], requests: "few enough", calls: "few enough", keys: [], progress: [] })
    expect(told.replaceAll(/\r?\n +/gu, " ")).toMatch(row.said ?? /./) // as it was before a terminal wrapped it
    expect(`${told}${printed}${contents(place)}`).not.toMatch(secret)
    if (row.pause !== undefined) {
      const [first, next] = of(faults[0]?.on.server ?? "storage").map(({ at }) => at)
      expect((next ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(row.pause)
    }

    if (code === 0) {
      const whole = known ?? (yield* pristine)
      const complete = !args.includes("--allow-incomplete")
      expect(readdirSync(place)).toEqual([output.replace("/", "")])
      expect(figuresOf(delivered(join(place, output)))).toEqual(whole)
      expect(objects(printed)).toMatchObject([{ batch_id: id, ...whole, complete }])
    } else {
      expect(objects(printed)).toMatchObject([{ batch_id: id, error: row.error }])
      expect(existsSync(join(place, output)) && readFileSync(join(place, output), "utf8")).toBe(old && "mine")
    }
  })

/** A fault that strikes this job only. Paced, an answer lasts so long that progress can be watched. */
const armed = (fault: Disturbance, name: string, id: string, paced: boolean): Fault.Rule => ({
  id: name,
  on: { server: "storage", ...fault.on, path: `${id}${fault.on.path ?? ""}` },
  times: fault.times,
  do: paced && fault.on.server !== "api" ? { trickle: { bytesPerSecond: 40_000 }, ...fault.do } : fault.do
})

interface Source {
  readonly id: string
  readonly link: string
  readonly parts: ReadonlyArray<string>
}

/** What the API says of a job's files before anything is disturbed. */
const look = async ({ apiKey, baseUrl }: Sandbox.Service, id: string): Promise<Source> => {
  const headers = { authorization: `Bearer ${apiKey}` }
  const response = await fetch(`${baseUrl}/batch/${id}`, { headers })
  const { download_url = "", download_urls = [] } = JSON.parse(await response.text())
  return { id, link: download_url, parts: download_urls }
}

/** What plain requests bring of what `output` is to hold. */
const fetchAll = async ({ link, parts }: Source, output: string): Promise<Buffer> => {
  const links = link === "" || output.endsWith("/") ? parts : [link]
  const bodies = await Promise.all(links.map(async (url) => (await fetch(url)).arrayBuffer()))
  const bytes = Buffer.concat(bodies.map((body) => Buffer.from(body)))
  return output.endsWith(".jsonl") ? gunzipSync(bytes) : bytes
}

/** The line of a shell that runs the binary on a terminal, its standard output beside its folder. */
const lineOf = (words: ReadonlyArray<string>): string => {
  const run = `$B ${words.join(" ")} > "$PWD.json"`
  return terminal ? `script -qefc 'stty columns 120; exec ${run}' /dev/null` : run
}

/** A file, or the files of a folder one after the other. */
const delivered = (path: string): Buffer =>
  statSync(path).isDirectory()
    ? Buffer.concat(
        readdirSync(path)
          .toSorted()
          .map((name) => readFileSync(join(path, name)))
      )
    : readFileSync(path)

/** Names and contents of all files below a folder. */
const contents = (folder: string): string =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .map((path) => `${path}${statSync(path).isFile() ? readFileSync(path, "latin1") : ""}`)
    .join("\n")

const secret = new RegExp(`${key}|X-Amz-|Signature=|AWSAccessKeyId`, "iu")

const figuresOf = (bytes: Buffer) => ({
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex")
})

const atMost = (most: number, count: number) => (count <= most ? "few enough" : count)

/** What the live line has shown must not go back unless it says that it starts over, nor go above the whole. */
const progressFaults = (told: string, whole: boolean): ReadonlyArray<string> => {
  const runs = told.split("starting over").map(drawings)
  const faults = runs.flatMap((run) =>
    run.flatMap(({ bytes, text, total }, index) =>
      bytes < (run[index - 1]?.bytes ?? 0) || bytes > total
        ? [`${run[index - 1]?.text ?? ""} -> ${text}`]
        : []
    )
  )
  return whole && runs.flat().length < 2 ? ["nothing was drawn"] : faults
}

/** The live line as it was drawn, again and again. */
const drawings = (told: string) =>
  [...told.matchAll(/([\d.]+) (k?B)(?: of ([\d.]+) (k?B))? {2}[\d,]+ rows?/gu)].map(
    ([text, bytes, unit, total, totalUnit]) => ({
      text,
      bytes: sizeOf(bytes, unit),
      total: total === undefined ? Number.POSITIVE_INFINITY : sizeOf(total, totalUnit)
    })
  )

const sizeOf = (figure: string | undefined, unit: string | undefined): number =>
  Number(figure) * (unit === "kB" ? 1000 : 1)
