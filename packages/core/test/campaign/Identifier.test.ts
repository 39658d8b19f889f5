import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as Identifier from "../../src/campaign/Identifier.js"
import type { IdentifierType } from "../../src/model/JobKind.js"

const types: ReadonlyArray<IdentifierType> = ["domain", "email", "id", "text", "url"]
const keyOf = (type: IdentifierType, text: string) =>
  Either.map(Identifier.read(type, text), ({ key }) => key)

const good: ReadonlyArray<readonly [IdentifierType, string, string | number, string]> = [
  ["domain", " Acme.COM ", "Acme.COM", "acme.com"],
  ["domain", "acme.com.", "acme.com.", "acme.com"],
  ["domain", "हिन्दी.भारत", "हिन्दी.भारत", "हिन्दी.भारत"],
  ["domain", "Mu\u0308nchen.de", "Mu\u0308nchen.de", "m\u00fcnchen.de"],
  ["email", "Ann.O'Neil+x@Acme.com", "Ann.O'Neil+x@Acme.com", "ann.o'neil+x@acme.com"],
  ["id", "007", 7, "7"],
  ["text", "Acme,  Inc.", "Acme,  Inc.", "Acme, Inc."],
  ["url", "https://WWW.Site.com/in/Ann/", "https://WWW.Site.com/in/Ann/", "www.site.com/in/Ann"],
  ["url", "www.site.com/in/Ann", "www.site.com/in/Ann", "www.site.com/in/Ann"],
  ["url", "HTTP://www.site.com/in/Ann//?a=B", "HTTP://www.site.com/in/Ann//?a=B", "www.site.com/in/Ann?a=B"]
]

const bad: ReadonlyArray<readonly [IdentifierType, string]> = [
  ["domain", "acme"],
  ["domain", "https://acme.com"],
  ["domain", "ann@acme.com"],
  ["domain", "10.0.0.1"],
  ["domain", "a..com"],
  ["domain", "-a.com"],
  ["domain", `${"a".repeat(64)}.com`],
  ["domain", "acme.com/x"],
  ["domain", "a b.com"],
  ["email", "ann"],
  ["email", "@acme.com"],
  ["email", "ann@acme"],
  ["email", "a b@acme.com"],
  ["email", "Ann <ann@acme.com>"],
  ["id", "0"],
  ["id", "-1"],
  ["id", "1.5"],
  ["id", "9007199254740993"],
  ["url", "ftp://acme.com"],
  ["url", "javascript:alert(1)"],
  ["url", "acme"],
  ["url", "https://"],
  ["url", "https://acme.com/a b"]
]

describe("read", () => {
  it.each(good)("a %s: %j", (type, text, sent, key) => {
    expect(Identifier.read(type, text)).toEqual(Either.right({ sent, key }))
  })

  it.each([
    ...bad,
    ...types.flatMap((type) =>
      ["", " \t", "a\u0000.com", "M\uFFFDller.de"].map((text) => [type, text] as const)
    )
  ])("no %s: %j", (type, text) => {
    const read = Identifier.read(type, text)
    expect(Either.isLeft(read) && read.left).toMatch(/^it (is|has) /u)
  })

  it("the same key for the same thing, however often it is read", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...types),
        fc.oneof(fc.string(), fc.webUrl(), fc.domain(), fc.emailAddress(), fc.nat().map(String)),
        (type, text) => {
          const key = keyOf(type, text)
          expect(keyOf(type, `  ${text}\t`)).toEqual(key)
          expect(Identifier.keyOf(type, text)).toBe(Identifier.keyOf(type, ` ${text}`))
          const read = Identifier.read(type, text)
          if (Either.isRight(read)) expect(keyOf(type, String(read.right.sent))).toEqual(key)
        }
      )
    )
  })
})
