import { describe, expect, it } from "@effect/vitest"
import * as Reading from "../../src/syntax/Reading.js"

describe("a command line with -oFILE, or with flags before its command", () => {
  it.each([
    [
      ["get", "x", "-orows.csv"],
      ["get", "x", "-o", "rows.csv"]
    ],
    [
      ["get", "x", "-o-"],
      ["get", "x", "-o", "-"]
    ],
    [
      ["get", "x", "-o=rows.csv"],
      ["get", "x", "-o", "rows.csv"]
    ],
    [
      ["get", "-o", "-odd"],
      ["get", "-o", "-odd"]
    ],
    [
      ["get", "--columns", "-odd", "--", "-odd"],
      ["get", "--columns", "-odd", "--", "-odd"]
    ],
    [
      ["-orows.csv", "--log-level", "debug", "get", "x"],
      ["get", "-o", "rows.csv", "--log-level", "debug", "x"]
    ]
  ])("%j is read as %j", (argv, read) => expect(Reading.words(argv)).toEqual(read))
})
