/**
 * API keys at rest: AES-256-GCM under one secret of the service, bound to the account that they are of. A sealed key is
 * 12 bytes of nonce, the cipher text, and 16 bytes of tag.
 *
 * @example
 * import { Secrets } from "@org/batch-durable"
 * import { Either, Redacted } from "effect"
 *
 * const roundTrip = Secrets.parse("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff").pipe(
 *   Either.map((secret) => Secrets.seal(secret, "account", Redacted.make("key")))
 * )
 */
import { Either, Option, Redacted } from "effect"
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"

/** 32 bytes. */
export type Secret = Redacted.Redacted<Uint8Array>

/** Reads a secret of 32 bytes in hexadecimal or base64; `Left` says what is wrong, without it. */
export const parse = (text: string): Either.Either<Secret, string> => {
  const trimmed = text.trim()
  const bytes = /^[0-9a-f]{64}$/iu.test(trimmed)
    ? Buffer.from(trimmed, "hex")
    : /^[\w+/-]{43}=?$/u.test(trimmed)
      ? Buffer.from(trimmed, "base64")
      : undefined
  return bytes?.length === 32
    ? Either.right(Redacted.make(new Uint8Array(bytes)))
    : Either.left("it must be 32 bytes in hexadecimal or base64: make one with `openssl rand -hex 32`")
}

/** Encrypts a key for an account. */
export const seal = (secret: Secret, account: string, key: Redacted.Redacted<string>): Uint8Array => {
  const nonce = randomBytes(12)
  const cipher = createCipheriv("aes-256-gcm", Redacted.value(secret), nonce).setAAD(Buffer.from(account))
  return Buffer.concat([
    nonce,
    cipher.update(Redacted.value(key), "utf8"),
    cipher.final(),
    cipher.getAuthTag()
  ])
}

/** Decrypts the key of an account; none if it was sealed under another secret, for another account, or is damaged. */
export const open = (
  secret: Secret,
  account: string,
  sealed: Uint8Array
): Option.Option<Redacted.Redacted<string>> =>
  Option.liftThrowable(() => {
    const decipher = createDecipheriv("aes-256-gcm", Redacted.value(secret), sealed.subarray(0, 12), {
      authTagLength: 16
    })
    decipher.setAAD(Buffer.from(account)).setAuthTag(sealed.subarray(-16))
    const text = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()])
    return Redacted.make(text.toString("utf8"))
  })()
