import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import * as Format from "../../src/model/Format.js"

describe("ofName", () => {
  it.each([
    ["out/rows.jsonl.gz", "jsonl.gz"],
    ["rows.NDJSON.GZ", "jsonl.gz"],
    ["rows.jsonl", "jsonl"],
    ["rows.csv", "csv"],
    ["rows.csv.gz", undefined],
    ["csv", undefined],
    ["rows.csv/part", undefined]
  ])("%s: %s", (name, format) => expect(Option.getOrUndefined(Format.ofName(name))).toBe(format))

  it("every format is the extension of its own files, and has a media type", () => {
    for (const format of Format.all) {
      expect(Format.ofName(`rows.${format}`)).toEqual(Option.some(format))
      expect(Format.mediaTypes[format]).toMatch(/^(?:application|text)\//u)
    }
  })
})
