import { describe, expect, it } from "vitest"
import { lesson } from "../src/Gate.js"

const headers = (limit: string | undefined, remaining: string, reset: string, more: object = {}) => ({
  "x-ratelimit-limit": limit,
  "x-ratelimit-remaining": remaining,
  "x-ratelimit-reset": reset,
  ...more
})

describe("what an answer teaches", () => {
  it("is the limit of a minute, a little slower", () => {
    expect(lesson(200, headers("600", "599", "60"))).toEqual({
      intervalMs: expect.closeTo(105.2, 0),
      closedMs: 0
    })
    // the end of a window, in which much is left, is no reason to hurry
    expect(lesson(200, headers("600", "500", "1")).intervalMs).toBeCloseTo(105)
  })

  it("is what is left, spread over the rest of the window, where others use the key as well", () => {
    expect(lesson(200, headers("600", "10", "30")).intervalMs).toBeCloseTo(3150)
    expect(lesson(200, headers("1000", "900", "3000")).intervalMs).toBeCloseTo(3500)
  })

  it("is a pause where nothing is left, or after a refusal", () => {
    expect(lesson(200, headers("600", "0", "12")).closedMs).toBe(12_000)
    expect(lesson(429, headers("600", "0", "12", { "retry-after": "40" })).closedMs).toBe(40_000)
    expect(lesson(429, {}).closedMs).toBe(30_000)
    expect(lesson(429, { "retry-after": "9999999999" }).closedMs).toBe(86_400_000)
  })

  it("is nothing where it is no figure", () => {
    const nothing = { intervalMs: undefined, closedMs: 0 }
    expect(lesson(200, {})).toEqual(nothing)
    expect(lesson(200, headers("many", "some", "soon"))).toEqual(nothing)
    // an epoch where seconds belong
    expect(lesson(200, headers(undefined, "0", "1764350000"))).toEqual(nothing)
  })
})
