import { expect, it } from "@effect/vitest"
import * as Humanize from "../../src/terminal/Humanize.js"

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1.0 kB"],
  [99_949, "99.9 kB"],
  [123_456, "123 kB"],
  [5_600_000, "5.6 MB"],
  [7_000_000_000_000_000, "7000 TB"]
])("%d bytes read %s", (value, text) => expect(Humanize.bytes(value)).toBe(text))

it("figures stand at the right of their column", () => {
  const columns = [{ heading: "NAME" }, { heading: "ROWS", right: true }, { heading: "LAST" }]
  expect(
    Humanize.table(columns, [
      ["a", "1,000", ""],
      ["bcdef", "7", "x"]
    ])
  ).toEqual(["NAME    ROWS  LAST", "a      1,000", "bcdef      7  x"])
})

it("counts and plurals", () => {
  expect([1, 1_234_567].map(Humanize.count)).toEqual(["1", "1,234,567"])
  expect(Humanize.plural(1, "row")).toBe("1 row")
  expect(Humanize.plural(2_000, "company")).toBe("2,000 companies")
})
