import { expect, it } from "@effect/vitest"
import * as Range from "../src/Range.js"

it.each([
  ["bytes=0-9", { start: 0, end: 9 }],
  ["bytes=90-", { start: 90, end: 99 }],
  ["bytes=90-1000", { start: 90, end: 99 }],
  ["bytes=-10", { start: 90, end: 99 }],
  ["bytes=-1000", { start: 0, end: 99 }],
  ["bytes=100-", "Unsatisfiable"],
  ["bytes=-0", "Unsatisfiable"],
  ["bytes=9-0", undefined],
  ["bytes=-", undefined],
  ["bytes=0-1,5-6", undefined],
  ["items=0-1", undefined],
  [undefined, undefined]
])("of 100 bytes, %s asks for %o", (header, expected) => {
  expect(Range.resolve(header, 100)).toEqual(expected)
})

it("tells the offset a header starts at", () => {
  expect([Range.firstByte("bytes=7-"), Range.firstByte("bytes=-7"), Range.firstByte(undefined)]).toEqual([
    7,
    undefined,
    undefined
  ])
})
