import { expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as KnownKeys from "../../src/campaign/KnownKeys.js"

const agree = (keys: Iterable<string>): number => {
  const known = KnownKeys.make()
  const model = new Map<string, number>()
  let [row, wrong] = [0, 0]
  for (const key of keys) {
    row += 1
    const first = model.get(key) ?? row
    model.set(key, first)
    if (known.claim(key, row) !== first) wrong += 1
  }
  return wrong
}

it("agrees with a map on 100,000 random keys, with and without repetition", () => {
  const random = fc.sample(fc.string({ maxLength: 6 }), 60_000)
  expect(agree([...random, ...random.slice(0, 40_000)])).toBe(0)
})

it.each([
  ["numbers", (n: number) => String(n)],
  ["hosts", (n: number) => `company-${n}.example`],
  ["links", (n: number) => `www.site.com/in/person-${n.toString(36)}`],
  ["long runs of one letter", (n: number) => "a".repeat(n % 1000) + String(Math.floor(n / 1000))],
  [
    "other scripts",
    (n: number) => String.fromCharCode(0x4e00 + (n % 20_000), 0x3040 + Math.floor(n / 20_000))
  ]
] as const)("takes no two of 100,000 %s for one", (_, keyOf) => {
  expect(agree(Array.from({ length: 100_000 }, (_, n) => keyOf(n)))).toBe(0)
})
