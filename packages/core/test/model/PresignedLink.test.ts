import { describe, expect, it } from "@effect/vitest"
import { Duration, FastCheck as fc, Option } from "effect"
import * as PresignedLink from "../../src/model/PresignedLink.js"

describe("expiry", () => {
  const of = (query: string) => PresignedLink.expiry(new URL(`https://files.test/x?${query}`))

  for (const [query, expected] of [
    ["X-Amz-Date=20260101T000000Z&X-Amz-Expires=60", Date.UTC(2026, 0, 1, 0, 1)],
    ["x-amz-expires=60&x-amz-date=20260101T000000Z", Date.UTC(2026, 0, 1, 0, 1)],
    ["X-Amz-Date=20240229T235959Z&X-Amz-Expires=1", Date.UTC(2024, 2, 1)],
    ["Expires=1767225600", Date.UTC(2026, 0, 1)],
    ["AWSAccessKeyId=a&Expires=1767225600&Signature=s", Date.UTC(2026, 0, 1)],
    ["X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&Expires=1", Date.UTC(2026, 0, 1, 0, 1)],
    ["", undefined],
    ["Expires=", undefined],
    ["Expires=soon", undefined],
    ["Expires=-5", undefined],
    ["Expires=1e400", undefined],
    ["X-Amz-Date=20260101T000000Z", undefined],
    ["X-Amz-Date=20260101T000000Z&X-Amz-Expires=", undefined],
    ["X-Amz-Expires=60", undefined],
    ["X-Amz-Date=2026-01-01&X-Amz-Expires=60", undefined],
    ["X-Amz-Date=20261301T000000Z&X-Amz-Expires=60", undefined]
  ] as const) {
    it(`${query || "no query"}: ${expected === undefined ? "unknown" : new Date(expected).toISOString()}`, () =>
      expect(of(query)).toEqual(Option.fromNullable(expected)))
  }

  it("is the sum of date and seconds, in both forms", () => {
    const date = fc.date({ min: new Date(0), max: new Date(Date.UTC(2200, 0, 1)), noInvalidDate: true })
    fc.assert(
      fc.property(date, fc.nat(604_800), (at, seconds) => {
        const stamp = Math.floor(at.getTime() / 1000)
        const text = new Date(stamp * 1000).toISOString().replace(/[-:]|\.\d+/gu, "")
        const expected = Option.some((stamp + seconds) * 1000)
        expect(of(`X-Amz-Date=${text}&X-Amz-Expires=${seconds}`)).toEqual(expected)
        expect(of(`Expires=${stamp + seconds}`)).toEqual(expected)
      }),
      { seed: 7 }
    )
  })
})

describe("margin", () => {
  it("is what was asked for, but at most a tenth of the life of the link", () => {
    const of = (lifetime: number) => PresignedLink.margin(Duration.minutes(5), lifetime)
    expect([of(7_200_000), of(600_000), of(0), of(-1)]).toEqual([300_000, 60_000, 0, 0])
  })
})

describe("isAllowed", () => {
  it("takes plain http only from an API that is plain http itself", () => {
    const of = (link: string, baseUrl: string) => PresignedLink.isAllowed(new URL(link), baseUrl)
    expect(of("https://h/x", "https://api.test")).toBe(true)
    expect(of("http://h/x", "https://api.test")).toBe(false)
    expect(of("http://h/x", "http://api.test")).toBe(true)
    expect(of("ftp://h/x", "http://api.test")).toBe(false)
  })
})

describe("redirected", () => {
  const link = "https://a.test/x/y.gz?sig=1"

  it.each([
    ["https://b.test/it's//./z.gz?s='1'|%2b", "https://b.test/it's//./z.gz?s='1'|%2b"],
    ["//b.test/it's?s='1'", "https://b.test/it's?s='1'"],
    ["/it's/../z?s='1'", "https://a.test/it's/../z?s='1'"],
    ["z.gz?s=1", "https://a.test/x/z.gz?s=1"],
    ["?s=2", "https://a.test/x/y.gz?s=2"],
    [" /\u00c3\u00a9 ", "https://a.test/%C3%A9"],
    ["http://b.test/", "http://b.test/"]
  ])("%s leads to %s", (location, target) =>
    expect(PresignedLink.redirected(location, link)).toEqual(Option.some(target))
  )

  it("leads nowhere that is no URL", () =>
    expect(PresignedLink.redirected("https://", link)).toEqual(Option.none()))
})
