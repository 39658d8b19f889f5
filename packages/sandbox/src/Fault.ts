/**
 * Faults as data: which request a rule waits for, and what it does to the answer.
 *
 * @example
 * ```ts
 * import { Fault } from "@org/batch-sandbox"
 *
 * // The second request for a results file loses its connection after 100,000 bytes.
 * export const rule: Fault.Rule = {
 *   id: "reset-once",
 *   on: { server: "storage", nth: 2 },
 *   do: { cut: { afterBytes: 100_000, by: "reset" } }
 * }
 * ```
 */
import { Schema } from "effect"

const Count = Schema.NonNegativeInt
const HeaderMap = Schema.Record({ key: Schema.String, value: Schema.String })

const RegExpSource = Schema.String.pipe(
  Schema.filter((source) => {
    try {
      new RegExp(source)
      return true
    } catch {
      return "the source of a regular expression"
    }
  })
)

/** One of the two listeners: that of the API, or that of the file host. */
export const Server = Schema.Literal("api", "storage")
/** One of the two listeners: that of the API, or that of the file host. */
export type Server = typeof Server.Type

/**
 * The requests a rule counts.
 *
 * - `path` is the source of a regular expression, searched for in the path without its query (`"^/batch/[^/]+$"`, `"part-000"`);
 * - `nth` is the first matching request, from 1, that is disturbed;
 * - `rangeFrom` asks for a `Range` that starts there, or at or beyond `atLeast`;
 * - `ifMatch` asks for a request with that header, or without it.
 */
export const Match = Schema.Struct({
  server: Server,
  method: Schema.optional(Schema.String),
  path: Schema.optional(RegExpSource),
  nth: Schema.optional(Schema.Int.pipe(Schema.positive())),
  rangeFrom: Schema.optional(Schema.Union(Count, Schema.Struct({ atLeast: Count }))),
  ifMatch: Schema.optional(Schema.Boolean)
})
/** The requests a rule counts. */
export type Match = typeof Match.Type

/**
 * What is done to the answer. Several together compose, in the order of this list.
 *
 * Before the answer:
 * - `unprocessed`: the API never gets to see the request: no job, no usage event; default for a `respond` of 400 to 499, which is a
 *   refusal. Otherwise a request is processed, whatever becomes of its answer: a submit makes its job;
 * - `busy`: 503 `SlowDown` while more than `above` requests of this rule are under way;
 * - `delay`: wait, then go on; `hang`: no byte, ever, until the peer closes;
 * - `ignoreRange`: the whole object with 200; `ignoreIfMatch`: no 412;
 * - `changed`: another object of equal size and valid rows takes its place first (new `ETag`).
 *
 * The object (lengths, ranges and totals agree with it):
 * - `text`: written by somebody else: `blankLines` behind the first line and as many behind the last one, `bom` in front,
 *   `unterminated` without the last line feed, `plain` without compression; small objects only;
 * - `emptied`: not a byte in it;
 * - `extraBytes`: `n` zeros, `n` bytes of junk, or a gzip member of `n` rows at its end; `fewerBytes`: `n` bytes less;
 * - `flipByte`: one byte inverted at an offset.
 *
 * Instead of the answer:
 * - `respond`: this status, headers and body; `redirect`: to `to`, 307 unless said;
 * - `expired`: S3's words for a link past its time: 403 `AccessDenied`, or 400 `ExpiredToken`;
 * - `garbage`: an HTML page with 200; `keepLength` keeps the promised length and type, so that only the bytes are wrong.
 *
 * The answer itself:
 * - `wrongRange`: a `Content-Range` of which the given members lie, or a body that starts at `bodyFrom`;
 * - `inflate`: the whole body decompressed on the way, with 200 and no length; `contentEncodingGzip`: `Content-Encoding: gzip` on raw bytes;
 * - `etag`: weak, missing, without quotes, or another one; `headers`: added (or replaced) and removed.
 *
 * Its delivery:
 * - `drop`: the connection ends before a byte of the answer, by RST or FIN, after `ms` of silence (0 unless said);
 * - `cut`: the connection ends after so many body bytes, by RST or FIN, the full length promised, or `chunked` without a last chunk;
 * - `stall`: silence after so many body bytes, for `ms` (then the rest comes) or for ever; `trickle`: so many bytes a second.
 */
export const Effects = Schema.Struct({
  unprocessed: Schema.optional(Schema.Boolean),
  busy: Schema.optional(Schema.Struct({ above: Count })),
  delay: Schema.optional(Schema.Struct({ ms: Count })),
  hang: Schema.optional(Schema.Boolean),
  ignoreRange: Schema.optional(Schema.Boolean),
  ignoreIfMatch: Schema.optional(Schema.Boolean),
  changed: Schema.optional(Schema.Boolean),
  text: Schema.optional(
    Schema.Struct({
      blankLines: Schema.optional(Count),
      bom: Schema.optional(Schema.Boolean),
      unterminated: Schema.optional(Schema.Boolean),
      plain: Schema.optional(Schema.Boolean)
    })
  ),
  emptied: Schema.optional(Schema.Boolean),
  extraBytes: Schema.optional(Schema.Struct({ n: Count, kind: Schema.Literal("zeros", "junk", "member") })),
  fewerBytes: Schema.optional(Schema.Struct({ n: Count })),
  flipByte: Schema.optional(Schema.Struct({ at: Count })),
  respond: Schema.optional(
    Schema.Struct({
      status: Schema.Int.pipe(Schema.between(200, 599)),
      headers: Schema.optional(HeaderMap),
      body: Schema.optional(Schema.String)
    })
  ),
  redirect: Schema.optional(
    Schema.Struct({
      to: Schema.String,
      status: Schema.optional(Schema.Literal(301, 302, 303, 307, 308))
    })
  ),
  expired: Schema.optional(
    Schema.Union(Schema.Boolean, Schema.Struct({ as: Schema.Literal("AccessDenied", "ExpiredToken") }))
  ),
  garbage: Schema.optional(
    Schema.Struct({ body: Schema.optional(Schema.String), keepLength: Schema.optional(Schema.Boolean) })
  ),
  wrongRange: Schema.optional(
    Schema.Struct({
      start: Schema.optional(Count),
      end: Schema.optional(Count),
      total: Schema.optional(Schema.Union(Count, Schema.Literal("*"))),
      unit: Schema.optional(Schema.String),
      bodyFrom: Schema.optional(Count)
    })
  ),
  inflate: Schema.optional(Schema.Boolean),
  contentEncodingGzip: Schema.optional(Schema.Boolean),
  etag: Schema.optional(Schema.Literal("weak", "missing", "unquoted", "other")),
  headers: Schema.optional(
    Schema.Struct({ add: Schema.optional(HeaderMap), remove: Schema.optional(Schema.Array(Schema.String)) })
  ),
  drop: Schema.optional(Schema.Struct({ by: Schema.Literal("reset", "fin"), ms: Schema.optional(Count) })),
  cut: Schema.optional(
    Schema.Struct({
      afterBytes: Count,
      by: Schema.Literal("reset", "fin"),
      chunked: Schema.optional(Schema.Boolean)
    })
  ),
  stall: Schema.optional(Schema.Struct({ afterBytes: Count, ms: Schema.optional(Count) })),
  trickle: Schema.optional(Schema.Struct({ bytesPerSecond: Schema.Int.pipe(Schema.positive()) }))
})
/** What is done to the answer. */
export type Effects = typeof Effects.Type

/**
 * A rule of the fault script. It disturbs `times` matching requests (default 1, -1 for ever) from the `nth` on.
 * Of several rules that could take a request, the first in the script that is not used up takes it, alone.
 */
export const Rule = Schema.Struct({
  id: Schema.optional(Schema.String),
  on: Match,
  times: Schema.optional(Schema.Int.pipe(Schema.greaterThanOrEqualTo(-1))),
  do: Effects
})
/** A rule of the fault script. */
export type Rule = typeof Rule.Type

/** A rule's id, how many requests it has taken, and how many it was to take. */
export const Report = Schema.Struct({
  id: Schema.String,
  consumed: Count,
  expected: Schema.Union(Count, Schema.Literal("forever"))
})
/** A rule's id, how many requests it has taken, and how many it was to take. */
export type Report = typeof Report.Type

/** The effects on a request that no rule takes: none. */
export const none: Effects = {}
