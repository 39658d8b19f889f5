/**
 * Signatures of completion calls, as Standard Webhooks has them (https://www.standardwebhooks.com): `v1,` and the base64 of
 * the HMAC-SHA256 of `id.timestamp.body`.
 *
 * @example
 * import { Signature } from "@org/batch-durable"
 * import { Either } from "effect"
 *
 * const signed = Either.map(Signature.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), (secret) =>
 *   Signature.headers(secret, { id: "msg_1", timestamp: 1_700_000_000, body: "{}" })
 * )
 */
import { Either, Redacted } from "effect"
import { createHmac } from "node:crypto"

/** What is signed; `timestamp` in seconds since 1970. */
export interface Message {
  readonly id: string
  readonly timestamp: number
  readonly body: string
}

/** Reads a secret: `whsec_` and the base64 of 24 to 64 bytes. `Left` says what is wrong, without it. */
export const parse = (text: string): Either.Either<Redacted.Redacted<Uint8Array>, string> => {
  const [, encoded] = /^whsec_([A-Za-z0-9+/_-]+={0,2})$/u.exec(text.trim()) ?? []
  const bytes = Buffer.from(encoded ?? "", "base64")
  return bytes.length >= 24 && bytes.length <= 64
    ? Either.right(Redacted.make(new Uint8Array(bytes)))
    : Either.left(
        'it must be whsec_ and the base64 of 24 to 64 bytes: `echo "whsec_$(openssl rand -base64 32)"`'
      )
}

/** The headers that prove who calls. */
export const headers = (
  secret: Redacted.Redacted<Uint8Array>,
  { body, id, timestamp }: Message
): Readonly<Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string>> => {
  const mac = createHmac("sha256", Redacted.value(secret)).update(`${id}.${timestamp}.${body}`)
  return {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": `v1,${mac.digest("base64")}`
  }
}
