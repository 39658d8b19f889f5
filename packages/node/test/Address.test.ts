import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Option } from "effect"
import * as Address from "../src/Address.js"

describe("Address", () => {
  it.each([
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "[::1]",
    "fe80::1%eth0",
    "fc00::1",
    "fdff::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "localhost",
    "",
    "1",
    "0x7f000001"
  ])("%s is not public", (address) => expect(Address.isPublic(address)).toBe(false))

  it.each([
    "93.184.216.34",
    "172.15.0.1",
    "172.32.0.1",
    "8.8.8.8",
    "100.63.0.1",
    "2606:4700::1111",
    "[2a00::1]"
  ])("%s is public", (address) => expect(Address.isPublic(address)).toBe(true))

  it("nothing that embeds an IPv4 address in an IPv6 one is public", () => {
    const embedded = fc.sample(fc.ipV4(), { seed: 5, numRuns: 100 }).map((address) => `::ffff:${address}`)
    expect(embedded.filter(Address.isPublic)).toEqual([])
  })

  it.live("a host is public when all of its addresses are", () =>
    Effect.gen(function* () {
      expect(yield* Address.isPublicHost("localhost")).toEqual(Option.some(false))
      expect(yield* Address.isPublicHost("[::1]")).toEqual(Option.some(false))
      expect(yield* Address.isPublicHost("8.8.8.8")).toEqual(Option.some(true))
      expect(yield* Address.isPublicHost("no.such.host.invalid")).toEqual(Option.none())
    })
  )
})
