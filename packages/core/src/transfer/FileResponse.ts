/**
 * What an answer of the file host (S3, or one like it) means, before a byte of it is believed.
 *
 * | answer | meaning |
 * | --- | --- |
 * | 206 with the range that was asked for, of the same version | `Body` |
 * | 200: the host ignored the range, or was asked for all | `Body` from the first byte on |
 * | another version than before; 412 with another ETag, or without having been asked for a condition | `Changed` |
 * | 412 otherwise; 400 and 501 to a request with `If-Match` | `Unconditional` |
 * | 416 | `AtEnd` if the object ends at the position asked for, else `Changed` |
 * | 302, 303, 307, 308 | `Redirect` |
 * | 408, 425, 429, every 5xx but 501 and 505; `SlowDown`, `RequestTimeout` | `Busy` |
 * | `ExpiredToken`, a 403 that speaks of an expiry | `Expired` |
 * | other 403, 404, 410 | `Missing` |
 * | what contradicts itself or the request; 204 | `Broken` |
 * | any other | `Refused`, of which 400 and 401 may be the link's fault |
 *
 * Errors are XML whose code counts, not its text; only of a 403 `AccessDenied`, nothing but the text tells whether the
 * link is past its time. Some hosts ignore `If-Match`, and some refuse it, so the version is compared on every answer.
 *
 * @example
 * import { Headers } from "@effect/platform"
 * import { Option } from "effect"
 * import * as FileResponse from "./FileResponse.js"
 *
 * FileResponse.judge(
 *   { status: 416, headers: Headers.fromInput({ "content-range": "bytes *\u002f20" }), body: "" },
 *   { position: 20, end: 28, identity: Option.none(), isConditional: false, now: 0 }
 * ) // AtEnd
 */
import type { Headers } from "@effect/platform"
import { Data, type Duration, Option } from "effect"
import { count } from "../model/CountText.js"
import * as RetryPolicy from "../retry/RetryPolicy.js"

/** What names one version of one object. Empty texts are absent headers. */
export interface Identity {
  /** As RFC 9110 has it: an ETag that came without its quotes has got them. */
  readonly etag: string
  readonly lastModified: string
  readonly total: Option.Option<number>
}

/** What was asked for: the bytes from `position` on, up to and without `end`, of this version if one is known. */
export interface Asked {
  readonly position: number
  readonly end: number
  readonly identity: Option.Option<Identity>
  /** Whether it was asked for with `If-Match`. */
  readonly isConditional: boolean
  /** Epoch milliseconds, for a `Retry-After` that is a date. */
  readonly now: number
}

/** An answer by its meaning. */
export type FileResponse = Data.TaggedEnum<{
  /**
   * The bytes from `position` on follow, behind `skip` others; `whole` when all are sent, whatever was asked for. Unless
   * `isSame` says so, nothing but those others themselves can tell whether it is the same version.
   */
  Body: {
    readonly identity: Identity
    readonly skip: number
    readonly whole: boolean
    readonly isSame: boolean
  }
  /** There are no bytes from `position` on: the object ends there. */
  AtEnd: {}
  /** Another object lies there now. */
  Changed: { readonly detail: string }
  /** The host cannot do `If-Match`: asked without it, the version can be compared. */
  Unconditional: { readonly detail: string }
  /** The link is past its time, or is no longer honoured. */
  Expired: { readonly detail: string }
  /** No object, or no right to it. `isAbsent` when the host says that there is none: it may be about to come. */
  Missing: { readonly detail: string; readonly isAbsent: boolean }
  /** The host sends us to another place, for this once. */
  Redirect: { readonly location: string }
  /** The host is overloaded or ill; later it may answer. */
  Busy: { readonly status: number; readonly hint: Option.Option<Duration.Duration>; readonly detail: string }
  /** The answer is not what HTTP allows; another try may bring a better one. */
  Broken: { readonly detail: string }
  /** No other try will help; with `isLink` maybe one with a fresh link. */
  Refused: { readonly status: number; readonly detail: string; readonly isLink: boolean }
}>

/** The constructors of its cases. */
export const FileResponse = Data.taggedEnum<FileResponse>()

/** The ETag of an answer, empty if it has none. One without quotes, which some hosts send, is given them. */
export const etagOf = (headers: Headers.Headers): string => {
  const etag = (headers["etag"] ?? "").trim()
  return /^(?!W\/)[^\s",]+$/u.test(etag) ? `"${etag}"` : etag
}

/** Whether an ETag is strong: only such a one names one version, and may stand in `If-Match`. */
export const isStrong = (etag: string): boolean => /^"[^"]*"$/u.test(etag)

/** Whether a status is a redirect to follow. A 301 of S3 says that the endpoint is wrong, and leads nowhere. */
export const isRedirect = (status: number): boolean => [302, 303, 307, 308].includes(status)

/** Judges an answer to a ranged GET. `body` is the beginning of the body of an error, for its code. */
export const judge = (
  answer: { readonly status: number; readonly headers: Headers.Headers; readonly body: string },
  asked: Asked
): FileResponse => {
  const { headers, status } = answer
  if (status === 206) return partial(headers, asked)
  if (status === 200) return whole(headers, asked)
  if (status === 412) return unmet(headers, asked)
  if (status === 416) return beyond(headers, asked)
  const code = /<Code>([^<]*)<\/Code>/u.exec(answer.body)?.[1] ?? ""
  const detail = `HTTP ${status}${code === "" ? "" : ` ${code}`}`
  if (isRedirect(status)) {
    const location = headers["location"]
    return location === undefined ? FileResponse.Broken({ detail }) : FileResponse.Redirect({ location })
  }
  if (status === 204) return FileResponse.Broken({ detail: `${detail}: an answer without a body` })
  if (RetryPolicy.isRetryableStatus(status) || code === "SlowDown" || code === "RequestTimeout") {
    return FileResponse.Busy({ status, detail, hint: RetryPolicy.retryAfter(status, headers, asked.now) })
  }
  if (code === "ExpiredToken" || (status === 403 && /expired|<Expires>/iu.test(answer.body))) {
    return FileResponse.Expired({ detail })
  }
  if (status === 403 || status === 404 || status === 410) {
    return FileResponse.Missing({ detail, isAbsent: status === 404 || code === "NoSuchKey" })
  }
  if (asked.isConditional && (status === 400 || status === 501)) return FileResponse.Unconditional({ detail })
  return FileResponse.Refused({ status, detail, isLink: status === 400 || status === 401 })
}

/** 412. Some hosts give it for their own ETag, as others do for a header that they do not know. */
const unmet = (headers: Headers.Headers, asked: Asked): FileResponse => {
  const etag = etagOf(headers)
  const isOther = isStrong(etag) && Option.exists(asked.identity, (known) => known.etag !== etag)
  return asked.isConditional && !isOther
    ? FileResponse.Unconditional({ detail: "HTTP 412" })
    : FileResponse.Changed({ detail: "its ETag is not the one from before" })
}

const partial = (headers: Headers.Headers, asked: Asked): FileResponse => {
  const range = /^\s*bytes\s+(\d+)-(\d+)\/(\d+|\*)\s*$/iu.exec(headers["content-range"] ?? "")
  if (range === null) return FileResponse.Broken({ detail: "HTTP 206 without a readable Content-Range" })
  const [start, end, total] = [
    Number(range[1]),
    Number(range[2]),
    range[3] === "*" ? undefined : Number(range[3])
  ]
  const identity = identify(headers, Option.fromNullable(total))
  const change = difference(asked.identity, identity)
  if (change !== undefined) return FileResponse.Changed({ detail: change })
  if (start !== asked.position) {
    return FileResponse.Broken({
      detail: `asked for the bytes from ${count(asked.position)} on, got those from ${count(start)} on`
    })
  }
  if (end >= asked.end) {
    return FileResponse.Broken({
      detail: `asked for the bytes up to ${count(asked.end - 1)}, got those up to ${count(end)}`
    })
  }
  if (end < start || (total !== undefined && end >= total)) {
    return FileResponse.Broken({ detail: `Content-Range ${range[0].trim()} contradicts itself` })
  }
  const length = headers["content-length"]
  if (length !== undefined && Number(length) !== end - start + 1) {
    return FileResponse.Broken({
      detail: `Content-Length ${length} contradicts Content-Range ${range[0].trim()}`
    })
  }
  return FileResponse.Body({ identity, skip: 0, whole: false, isSame: true })
}

/** The host ignored the range: what is here already is skipped, if it is the same version. */
const whole = (headers: Headers.Headers, asked: Asked): FileResponse => {
  const type = headers["content-type"] ?? ""
  if (Option.isSome(asked.identity) && isPage(type)) {
    return FileResponse.Broken({ detail: `HTTP 200 with ${type} in place of the file` })
  }
  const length = headers["content-length"]
  const identity = identify(headers, length === undefined ? Option.none() : Option.some(Number(length)))
  const change = difference(asked.identity, identity)
  if (change !== undefined) return FileResponse.Changed({ detail: change })
  const isSame = asked.position === 0 || isStrong(identity.etag)
  return FileResponse.Body({ identity, skip: asked.position, whole: true, isSame })
}

/** A page of somebody on the way, such as a proxy that wants a login; the file itself is still what it was. */
const isPage = (type: string): boolean => /^\s*(?:text\/html|(?:text|application)\/xml)\b/iu.test(type)

const beyond = (headers: Headers.Headers, asked: Asked): FileResponse => {
  const total = /\/(\d+)\s*$/u.exec(headers["content-range"] ?? "")?.[1]
  if (total === undefined) return FileResponse.Broken({ detail: "HTTP 416 without the size" })
  const known = Option.flatMap(asked.identity, (identity) => identity.total)
  if (Number(total) !== asked.position || Option.exists(known, (size) => size !== asked.position)) {
    return FileResponse.Changed({
      detail: `it ends at byte ${count(Number(total))}, and byte ${count(asked.position)} was asked for`
    })
  }
  return FileResponse.AtEnd()
}

const identify = (headers: Headers.Headers, total: Option.Option<number>): Identity => ({
  etag: etagOf(headers),
  lastModified: headers["last-modified"] ?? "",
  total
})

/** What differs between two versions, in words, if anything. A strong ETag names a version alone, whatever its date. */
const difference = (before: Option.Option<Identity>, after: Identity): string | undefined =>
  Option.match(before, {
    onNone: () => undefined,
    onSome: (known) => {
      const total = Option.zipWith(known.total, after.total, (a, b) => [count(a), count(b)] as const)
      const pairs = [
        ["ETag", known.etag, after.etag],
        ["Last-Modified", ...(isStrong(after.etag) ? ["", ""] : [known.lastModified, after.lastModified])],
        ["size", ...Option.getOrElse(total, () => ["", ""] as const)]
      ]
      const found = pairs.find(([, a, b]) => a !== b)
      return found === undefined
        ? undefined
        : `its ${found[0]} was ${found[1] || "absent"} and is ${found[2] || "absent"} now`
    }
  })
