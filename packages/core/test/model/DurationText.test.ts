import { describe, expect, it } from "@effect/vitest"
import { Duration, Either, FastCheck as fc } from "effect"
import * as DurationText from "../../src/model/DurationText.js"

const millis = (text: string) => Either.map(DurationText.parse(text), Duration.toMillis)

describe("parse", () => {
  it.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["1m30s", 90_000],
    ["2h", 7_200_000],
    ["1 day", 86_400_000],
    ["1d 2h 3m 4s 5ms", 93_784_005],
    ["90", 90_000],
    ["0", 0],
    ["0.5", 500],
    [" 1.5h ", 5_400_000],
    ["2 minutes", 120_000],
    ["1 min", 60_000],
    ["3 secs", 3_000],
    ["10 millis", 10],
    ["1 Hour", 3_600_000]
  ])("%s is %d ms", (text, expected) => {
    expect(millis(text)).toEqual(Either.right(expected))
  })

  it.each([
    "",
    " ",
    "soon",
    "s",
    "ms30",
    "-5s",
    "+5s",
    "1e3",
    "1h soon",
    "soon 1h",
    "1m-30s",
    "1 month",
    "5 years",
    "Infinity",
    "NaN",
    "0x10",
    "1,5s",
    "1.s",
    ".5s",
    "1..5s",
    "∞",
    "1h;",
    "9".repeat(400),
    `${"9".repeat(400)}h`
  ])("%j is refused, and the message shows how to write it", (text) => {
    expect(millis(text)).toEqual(
      Either.left(`${JSON.stringify(text)} is no duration: write it as 500ms, 30s, 1m30s or 2h`)
    )
  })

  it.prop(
    "reads what it would be written as",
    [fc.nat(50), fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999)],
    ([d, h, m, s, ms]) => {
      const written = Duration.format(Duration.millis((((d * 24 + h) * 60 + m) * 60 + s) * 1000 + ms))
      expect(millis(written)).toEqual(Either.right((((d * 24 + h) * 60 + m) * 60 + s) * 1000 + ms))
      expect(millis(`${d}d${h}h${m}m${s}s${ms}ms`)).toEqual(millis(written))
    }
  )

  it.prop("never throws, and what it reads is finite and not negative", [fc.string()], ([text]) => {
    const read = millis(text)
    expect(Either.isLeft(read) || (read.right >= 0 && Number.isFinite(read.right))).toBe(true)
  })
})

describe("format", () => {
  it.each([
    [0, "0.0 s"],
    [300, "0.3 s"],
    [9_949, "9.9 s"],
    [9_950, "10 s"],
    [59_600, "1 min"],
    [185_000, "3 min 5 s"],
    [3_600_000, "1 h"],
    [7_800_000, "2 h 10 min"],
    [93_600_000, "1 d 2 h"]
  ])("%d ms read %s", (millis, text) => {
    expect(DurationText.format(Duration.millis(millis))).toBe(text)
  })
})
