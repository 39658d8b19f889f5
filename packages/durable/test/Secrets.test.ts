import { Either, Option, Redacted } from "effect"
import { describe, expect, it } from "vitest"
import * as Secrets from "../src/Secrets.js"

const hex = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
const secret = Either.getOrThrow(Secrets.parse(hex))
const key = Redacted.make("the key of a caller")

describe("Secrets", () => {
  it("reads 32 bytes in hexadecimal or base64, and says nothing of what is wrong", () => {
    const base64 = Buffer.from(hex, "hex").toString("base64")
    expect(Either.map(Secrets.parse(` ${base64}\n`), Redacted.value)).toEqual(
      Either.right(Redacted.value(secret))
    )
    for (const text of ["", "short", hex.slice(2), `${hex}00`, "x".repeat(64)]) {
      const read = Secrets.parse(text)
      expect(Either.isLeft(read) && (text === "" || !read.left.includes(text))).toBe(true)
    }
  })

  it("opens what it sealed, for the same account and under the same secret only", () => {
    const sealed = Secrets.seal(secret, "one", key)
    expect(Option.map(Secrets.open(secret, "one", sealed), Redacted.value)).toEqual(
      Option.some(Redacted.value(key))
    )
    expect(Secrets.open(secret, "another", sealed)).toEqual(Option.none())
    const other = Either.getOrThrow(Secrets.parse(hex.replace("00", "01")))
    expect(Secrets.open(other, "one", sealed)).toEqual(Option.none())
    for (const place of [0, 12, sealed.length - 1]) {
      const damaged = Uint8Array.from(sealed, (byte, index) => (index === place ? byte ^ 1 : byte))
      expect(Secrets.open(secret, "one", damaged)).toEqual(Option.none())
    }
    expect(Secrets.open(secret, "one", new Uint8Array(3))).toEqual(Option.none())
  })

  it("never seals to the same bytes, nor leaves the key in them", () => {
    const [a, b] = [Secrets.seal(secret, "one", key), Secrets.seal(secret, "one", key)]
    expect(a).not.toEqual(b)
    expect(Buffer.from(a).includes("key")).toBe(false)
  })
})
