/**
 * Presigned links: signing them, and judging them as S3 does. The signatures are real, over a secret of this sandbox.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"

/** `v4`: `X-Amz-Date` + `X-Amz-Expires` + `X-Amz-Signature`; `v2`: `Expires=<epoch>` + `Signature`. */
export type Version = "v4" | "v2"

/** What a link is made for. */
export interface Grant {
  readonly path: string
  /** `host:port`; part of a v4 signature. */
  readonly host: string
  /** The temporary credentials it is made with. */
  readonly session: string
  readonly signedAt: number
  readonly ttlSeconds: number
}

/** What a request must match. */
export interface Presented {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly host: string
}

/** A link that holds, with its session and its end in epoch milliseconds, or why it does not. */
export type Verdict =
  | { readonly _tag: "Signed"; readonly session: string; readonly expiresAt: number }
  | { readonly _tag: "Unsigned" }
  | { readonly _tag: "Forged" }

/** Signs and judges with one secret. */
export interface Presign {
  readonly sign: (grant: Grant) => string
  readonly verify: (presented: Presented) => Verdict
}

const accessKey = "ASIASANDBOX7EXAMPLE0"
const region = "us-west-2"

/** A signer of links `http://host/path?…`. */
export const make = (version: Version, secret: string): Presign => ({
  sign: version === "v4" ? signV4(secret) : signV2(secret),
  verify: (presented) => {
    const parameters = new URLSearchParams(presented.query)
    return parameters.has("X-Amz-Signature")
      ? verifyV4(secret, presented, parameters)
      : verifyV2(secret, presented, parameters)
  }
})

const signV4 = (secret: string) => (grant: Grant) => {
  const date = amzDate(grant.signedAt)
  const query = canonicalQuery([
    ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"],
    ["X-Amz-Credential", `${accessKey}/${date.slice(0, 8)}/${region}/s3/aws4_request`],
    ["X-Amz-Date", date],
    ["X-Amz-Expires", String(grant.ttlSeconds)],
    ["X-Amz-Security-Token", grant.session],
    ["X-Amz-SignedHeaders", "host"]
  ])
  const signature = signatureV4(secret, date, { ...grant, method: "GET", query })
  return `http://${grant.host}${grant.path}?${query}&X-Amz-Signature=${signature}`
}

const verifyV4 = (secret: string, presented: Presented, parameters: URLSearchParams): Verdict => {
  const [date, ttl, session, signature] = [
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature"
  ].map((name) => parameters.get(name))
  if (date == null || ttl == null || session == null || signature == null) return { _tag: "Unsigned" }
  const query = canonicalQuery([...parameters].filter(([name]) => name !== "X-Amz-Signature"))
  return same(signature, signatureV4(secret, date, { ...presented, query }))
    ? { _tag: "Signed", session, expiresAt: parseAmzDate(date) + Number(ttl) * 1000 }
    : { _tag: "Forged" }
}

const signV2 = (secret: string) => (grant: Grant) => {
  const expires = String(Math.floor(grant.signedAt / 1000) + grant.ttlSeconds)
  const query = canonicalQuery([
    ["AWSAccessKeyId", accessKey],
    ["Signature", signatureV2(secret, "GET", grant.path, expires, grant.session)],
    ["x-amz-security-token", grant.session],
    ["Expires", expires]
  ])
  return `http://${grant.host}${grant.path}?${query}`
}

const verifyV2 = (secret: string, presented: Presented, parameters: URLSearchParams): Verdict => {
  const [expires, session, signature] = ["Expires", "x-amz-security-token", "Signature"].map((name) =>
    parameters.get(name)
  )
  if (expires == null || session == null || signature == null) return { _tag: "Unsigned" }
  return same(signature, signatureV2(secret, presented.method, presented.path, expires, session))
    ? { _tag: "Signed", session, expiresAt: Number(expires) * 1000 }
    : { _tag: "Forged" }
}

const signatureV4 = (secret: string, date: string, { host, method, path, query }: Presented): string => {
  const scope = `${date.slice(0, 8)}/${region}/s3/aws4_request`
  const request = [method, path, query, `host:${host}`, "", "host", "UNSIGNED-PAYLOAD"].join("\n")
  const digest = createHash("sha256").update(request).digest("hex")
  const key = scope.split("/").reduce<string | Buffer>((from, part) => hmac(from, part), `AWS4${secret}`)
  return hmac(key, ["AWS4-HMAC-SHA256", date, scope, digest].join("\n")).toString("hex")
}

const signatureV2 = (
  secret: string,
  method: string,
  path: string,
  expires: string,
  session: string
): string =>
  createHmac("sha1", secret)
    .update(`${method}\n\n\n${expires}\nx-amz-security-token:${session}\n${path}`)
    .digest("base64")

const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest()

const canonicalQuery = (pairs: Iterable<readonly [string, string]>): string =>
  Array.from(pairs, ([name, value]) => `${encode(name)}=${encode(value)}`)
    .toSorted()
    .join("&")

const encode = (value: string): string =>
  encodeURIComponent(value).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

const amzDate = (millis: number): string =>
  `${new Date(millis).toISOString().slice(0, 19).replaceAll("-", "").replaceAll(":", "")}Z`

const parseAmzDate = (date: string): number =>
  Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"))

const same = (left: string, right: string): boolean =>
  left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right))
