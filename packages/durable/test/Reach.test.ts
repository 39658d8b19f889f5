import { it } from "@effect/vitest"
import { Effect, Either, Option } from "effect"
import { describe, expect } from "vitest"
import * as Reach from "../src/Reach.js"

const allowed = Either.getOrThrow(Reach.parse("hooks.internal, 10.1.0.0/16,fd00::/8, 192.168.7.9"))

describe("Reach", () => {
  it("allows public addresses, and what is named", () => {
    for (const host of [
      "93.184.216.34",
      "10.1.2.3",
      "[fd00::1]",
      "192.168.7.9",
      "hooks.internal",
      "HOOKS.internal"
    ]) {
      expect([host, allowed.allows(host)]).toEqual([host, true])
    }
    for (const host of ["10.2.0.1", "127.0.0.1", "192.168.7.8", "::1", "169.254.169.254", "other.internal"]) {
      expect([host, allowed.allows(host)]).toEqual([host, false])
    }
    expect(Reach.publicOnly.allows("10.1.2.3")).toBe(false)
  })

  it("names the entry that is none", () => {
    for (const entry of ["10.0.0.0/33", "10.0.0", "a b", "http://x", "fe80::/129", "host/8"]) {
      expect(Either.getLeft(Reach.parse(`example.com,${entry}`)).pipe(Option.getOrElse(() => ""))).toContain(
        entry
      )
    }
  })

  it.effect("refuses URLs that lead to this machine or carry a password, also by a name", () =>
    Effect.gen(function* () {
      const refused = (url: string) => Effect.map(Reach.refusal(Reach.publicOnly, url), Option.isSome)
      for (const url of [
        "http://127.0.0.1/x",
        "http://[::1]:80/",
        "http://2130706433/",
        "http://localhost:1/",
        "ftp://example.com/",
        "https://u:p@93.184.216.34/",
        "nonsense"
      ]) {
        expect([url, yield* refused(url)]).toEqual([url, true])
      }
      expect(yield* refused("https://93.184.216.34/hook?token=x")).toBe(false)
    })
  )
})
