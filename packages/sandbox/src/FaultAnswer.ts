/**
 * What the effects of a fault do: to the request before it is answered, to the object, and to the answer.
 */
import { Effect } from "effect"
import { gunzipSync, gzipSync } from "node:zlib"
import * as Answer from "./Answer.js"
import * as Content from "./Content.js"
import type * as Fault from "./Fault.js"
import * as Incoming from "./Incoming.js"
import * as S3Error from "./S3Error.js"

const page =
  "<!DOCTYPE html>\n<html><head><title>Just a moment…</title></head><body>Checking your browser</body></html>\n"

/** Whether the API is to see the request at all. */
export const isUnprocessed = ({ respond, unprocessed }: Fault.Effects): boolean =>
  unprocessed ?? (respond !== undefined && respond.status >= 400 && respond.status < 500)

/** What stands in front of the API says for it. */
export const gateway: Answer.Answer = Answer.text(
  502,
  "text/html; charset=utf-8",
  "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
)

/** The request as the handler is to see it. */
export const onRequest = (effects: Fault.Effects, incoming: Incoming.Incoming): Incoming.Incoming =>
  Incoming.withoutHeaders(
    incoming,
    ...(effects.ignoreRange === true || effects.inflate === true ? ["range"] : []),
    ...(effects.ignoreIfMatch === true ? ["if-match"] : [])
  )

/** The object as the handler is to see it. */
export const onObject = (effects: Fault.Effects, stored: Content.Content): Effect.Effect<Content.Content> =>
  Effect.flatMap(written(effects, stored), (object) => damaged(effects, object))

const written = (
  { emptied, text }: Fault.Effects,
  stored: Content.Content
): Effect.Effect<Content.Content> => {
  if (emptied === true) return Effect.succeed(Content.empty)
  return text === undefined
    ? Effect.succeed(stored)
    : Effect.map(Content.read(stored), (bytes) =>
        Content.bytes(rewritten(text, gunzipSync(bytes).toString()))
      )
}

const rewritten = (how: NonNullable<Fault.Effects["text"]>, text: string): Uint8Array => {
  const blank = "\n".repeat(how.blankLines ?? 0)
  const firstEnd = text.indexOf("\n") + 1
  const spaced = `${text.slice(0, firstEnd)}${blank}${text.slice(firstEnd)}${blank}`
  const ended = how.unterminated === true ? spaced.replace(/\n$/, "") : spaced
  const bytes = Buffer.from(how.bom === true ? `\ufeff${ended}` : ended)
  return how.plain === true ? bytes : gzipSync(bytes)
}

const damaged = (effects: Fault.Effects, object: Content.Content): Effect.Effect<Content.Content> => {
  const { extraBytes, fewerBytes, flipByte } = effects
  const longer = extraBytes === undefined ? object : Content.concat([object, tail(extraBytes)])
  const shorter =
    fewerBytes === undefined ? longer : Content.slice(longer, 0, Math.max(0, longer.size - fewerBytes.n))
  return flipByte === undefined ? Effect.succeed(shorter) : flip(shorter, flipByte.at)
}

/** The answer as it is to be sent. */
export const onAnswer = (effects: Fault.Effects, planned: Answer.Answer): Answer.Answer =>
  [replace, rewriteRange, encode, tamperETag, editHeaders].reduce(
    (answer, transform) => transform(effects, answer),
    planned
  )

const tail = ({ kind, n }: NonNullable<Fault.Effects["extraBytes"]>): Content.Content => {
  switch (kind) {
    case "zeros":
      return Content.repeated(new Uint8Array(1), n)
    case "junk":
      return Content.repeated(Buffer.from("junk"), n)
    case "member":
      return Content.bytes(
        gzipSync(
          Array.from({ length: n }, (_, row) => `{"internal_id":${row},"data":{"surplus":true}}\n`).join("")
        )
      )
  }
}

const flip = (object: Content.Content, at: number): Effect.Effect<Content.Content> =>
  Effect.map(Content.read(Content.slice(object, at, 1)), (byte) =>
    Content.concat([
      Content.slice(object, 0, at),
      Content.bytes(byte.map((value) => value ^ 0xff)),
      Content.slice(object, at + 1)
    ])
  )

/** Another answer carries the id of the request all the same. */
const replace = (effects: Fault.Effects, answer: Answer.Answer): Answer.Answer => {
  const id = answer.headers["x-request-id"]
  const replaced = replacement(effects, answer)
  return id === undefined ? replaced : { ...replaced, headers: { "x-request-id": id, ...replaced.headers } }
}

const replacement = (effects: Fault.Effects, answer: Answer.Answer): Answer.Answer => {
  const { expired, garbage, redirect, respond } = effects
  if (respond !== undefined) {
    const type = (respond.body ?? "").startsWith("<") ? "application/xml" : "application/json"
    const body = Content.text(respond.body ?? "")
    return { status: respond.status, headers: lower({ "content-type": type, ...respond.headers }), body }
  }
  if (redirect !== undefined) {
    return { status: redirect.status ?? 307, headers: { location: redirect.to }, body: Content.empty }
  }
  if (expired !== undefined && expired !== false) {
    return S3Error.expired(expired === true ? "AccessDenied" : expired.as)
  }
  if (garbage !== undefined) {
    const body = garbage.body ?? page
    return garbage.keepLength === true
      ? { ...answer, body: Content.repeated(Buffer.from(body), answer.body.size) }
      : Answer.text(200, "text/html; charset=utf-8", body)
  }
  return answer
}

const rewriteRange = ({ wrongRange }: Fault.Effects, answer: Answer.Answer): Answer.Answer => {
  if (wrongRange === undefined) return answer
  const [
    ,
    unit = "bytes",
    start = "0",
    end = String(answer.body.size - 1),
    total = String(answer.body.size)
  ] = /^(\w+) (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers["content-range"] ?? "") ?? []
  const range = `${wrongRange.unit ?? unit} ${wrongRange.start ?? start}-${wrongRange.end ?? end}/${wrongRange.total ?? total}`
  return {
    ...Answer.withHeaders(answer, { "content-range": range }),
    status: 206,
    body:
      wrongRange.bodyFrom === undefined
        ? answer.body
        : (answer.bodyFrom?.(wrongRange.bodyFrom) ?? answer.body)
  }
}

const encode = (effects: Fault.Effects, answer: Answer.Answer): Answer.Answer => ({
  ...(effects.contentEncodingGzip === true
    ? Answer.withHeaders(answer, { "content-encoding": "gzip" })
    : answer),
  ...(effects.inflate === true ? { inflated: true } : {})
})

const tamperETag = ({ etag }: Fault.Effects, answer: Answer.Answer): Answer.Answer => {
  const real = answer.headers.etag
  if (etag === undefined || real === undefined) return answer
  if (etag === "missing") return Answer.withoutHeader(answer, "etag")
  const opaque = real.replaceAll('"', "")
  const forms = { weak: `W/${real}`, unquoted: opaque, other: `"${[...opaque].toReversed().join("")}"` }
  return Answer.withHeaders(answer, { etag: forms[etag] })
}

const editHeaders = ({ headers }: Fault.Effects, answer: Answer.Answer): Answer.Answer =>
  (headers?.remove ?? []).reduce(
    (rest, name) => Answer.withoutHeader(rest, name.toLowerCase()),
    Answer.withHeaders(answer, lower(headers?.add ?? {}))
  )

const lower = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
