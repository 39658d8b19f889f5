import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as Csv from "../../src/records/Csv.js"
import * as Readability from "../../src/records/Readability.js"

const options = { maxLineBytes: 1024 }

const read = (reader: Readability.Reader, text: string, portion = 3): string => {
  const bytes = new TextEncoder().encode(text)
  for (let at = 0; at < bytes.length; at += portion) reader.push(bytes.slice(at, at + portion))
  return Either.match(reader.end(), {
    onLeft: ({ detail, line, offset }) => `line ${line}, byte ${offset}: ${detail}`,
    onRight: String
  })
}

describe("lines", () => {
  it.each([
    ["", "0"],
    ['{"a":1}\n{}\n', "2"],
    ['\u{feff}{"a":1}\n\n{}', "2"],
    ['{"a":1}\n{"a":', "line 2, byte 8: it is no JSON and has no line end: the file is cut off there"],
    ['{"a":1}\n{"a":\n{}\n', "line 2, byte 8: it is no JSON"],
    ["{}\n[]\n", "line 2, byte 3: it is JSON, but no object"],
    [`{}\n{"a":"${"x".repeat(2000)}"}\n`, "line 2, byte 3: it is longer than 1,024 bytes"]
  ])("%j: %s", (text, found) => expect(read(Readability.ofLines(options), text)).toContain(found))
})

describe("a table", () => {
  it.each([
    ["", "0"],
    ["id,name\r\n", "0"],
    ['\u{feff}id,name\r\n1,"a ""b"", c\r\nd"\r\n2,\n', "2"],
    ["id\r\n\r\n1\r\n", "2"],
    ["id,name\r\n1,a\r\n2\r\n", "line 3, byte 14: it has 1 cell where the header has 2"],
    ['id,name\r\n1,"a\n\nb"\r\n2,b,c\r\n', "line 5, byte 19: it has 3 cells where the header has 2"],
    ['id,name\r\n1,a"b"\r\n', "line 2, byte 9: its quotes are not those of a table"],
    ['id,name\r\n1,"a"b\r\n', "line 2, byte 9: its quotes are not those of a table"],
    ["id,name\r\n1,a", "line 2, byte 9: it has no line end: the file is cut off there"],
    ["id,name\r\n1,a\r", "line 2, byte 9: it has no line end: the file is cut off there"],
    ['id,name\r\n1,"a\r\n', "line 2, byte 9: it has no line end: the file is cut off there"]
  ])("%j: %s", (text, found) => expect(read(Readability.ofTable(options), text)).toBe(found))

  it("reads every table that is written here, in any portions, and none that is cut anywhere in its last row", () =>
    fc.assert(
      fc.property(
        fc.array(fc.record({ a: fc.string(), b: fc.string({ unit: "binary" }) }), { minLength: 1 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(),
        (records, portion, place) => {
          const table = Csv.rowsOf(["a", "b"], options)
          const lines = new TextEncoder().encode(
            records.map((record) => `${JSON.stringify(record)}\n`).join("")
          )
          const written = [table.push(lines), table.end()].map((part) => Buffer.from(Either.getOrThrow(part)))
          const bytes = Buffer.concat(written)
          const whole = Readability.ofTable(options)
          for (let at = 0; at < bytes.length; at += portion) whole.push(bytes.subarray(at, at + portion))
          expect(whole.end()).toEqual(Either.right(records.length))
          const broken = Readability.ofTable(options)
          broken.push(bytes.subarray(0, bytes.length - 1 - (place % 3)))
          expect(Either.isLeft(broken.end())).toBe(true)
        }
      )
    ))
})
