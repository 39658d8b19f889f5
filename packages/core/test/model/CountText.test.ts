import { expect, it } from "@effect/vitest"
import { count, plural } from "../../src/model/CountText.js"

it("numbers have a comma for each thousand, and things their plural", () => {
  expect([0, 999, 1_000, 12_345_678].map(count)).toEqual(["0", "999", "1,000", "12,345,678"])
  expect([plural(1, "row"), plural(1_008, "row"), plural(2, "retry"), plural(0, "byte")]).toEqual([
    "1 row",
    "1,008 rows",
    "2 retries",
    "0 bytes"
  ])
})
