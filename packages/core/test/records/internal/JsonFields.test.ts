import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc, Predicate } from "effect"
import * as JsonFields from "../../../src/records/internal/JsonFields.js"

const encoder = new TextEncoder()

/** The values of a record, by path. */
const valuesOf = (text: string, fields = JsonFields.learning()) => {
  const bytes = encoder.encode(text)
  const outcome = JsonFields.read(fields, bytes)
  if (outcome !== "Record") return outcome === "TooDeep" ? "too deep" : "no object"
  return fields.columns
    .filter(({ record }) => record === fields.records)
    .map(({ from, path, to }) => [path.join(" "), Buffer.from(bytes.subarray(from, to)).toString()])
}

const isObject = (text: string): boolean => {
  try {
    const json: unknown = JSON.parse(text)
    return Predicate.isRecord(json) && !Array.isArray(json)
  } catch {
    return false
  }
}

/** JSON, and what a few changes make of it: mostly no JSON any more. */
const almostJson = fc
  .tuple(
    fc.oneof(
      fc.json({ maxDepth: 4 }),
      fc.constantFrom(
        String.raw`{"\u00e9":"\"\\\/\b\f\n\r\t","b":[{"c":[]},{}],"d":-0.5e+3,"e":1E9,"f":true,"g":false,"h":null}`,
        ' { "a" : { "b" : [ 1 , 2 ] } , "c" : "x" } ',
        "{}"
      )
    ),
    fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        cut: fc.nat(2),
        put: fc.constantFrom("", ...'"\\{}[],:0123456789-+.eEtruefalsn \t\r\nuABx/\u0001\u007fü🚀')
      }),
      { maxLength: 3 }
    )
  )
  .map(([json, edits]) =>
    edits.reduce((text, { at, cut, put }) => {
      const from = Math.floor(at * (text.length + 1))
      return text.slice(0, from) + put + text.slice(from + cut)
    }, json)
  )

describe("read", () => {
  it.prop(
    "takes what JSON.parse takes for an object, and nothing else",
    [almostJson],
    ([text]) => {
      const outcome = isObject(Buffer.from(text).toString()) ? "Record" : "NoObject"
      expect(JsonFields.read(JsonFields.learning(), encoder.encode(text))).toBe(outcome)
      expect(JsonFields.read(JsonFields.named([]), encoder.encode(text))).toBe(outcome)
      const nested = isObject(`{"a":${Buffer.from(text).toString()}}`) ? "Record" : "NoObject"
      expect(JsonFields.read(JsonFields.named([]), encoder.encode(`{"a":${text}}`))).toBe(nested)
    },
    { fastCheck: { numRuns: 5000 } }
  )

  it.each([
    "",
    "{",
    "[]",
    "null",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{"a":1 "b":2}',
    '{"a":[1,]}',
    '{"a":[1}',
    '{"a":01}',
    '{"a":1.}',
    '{"a":.5}',
    '{"a":+1}',
    '{"a":1e}',
    '{"a":NaN}',
    '{"a":nul}',
    '{"a":nulls}',
    String.raw`{"a":"\x"}`,
    String.raw`{"a":"\u12g4"}`,
    '{"a":"\t"}',
    '{"a":"',
    "{a:1}",
    "{}{}",
    "{}x"
  ])("refuses %s", (text) => expect(valuesOf(text)).toBe("no object"))

  it("tells where values lie, as they are written", () => {
    expect(
      valuesOf(
        '{"id":12345678901234567890, "data":{"ratio":1.0,"tags":[ 1,{"a":"]"} ],"none":{ }},"x":null} '
      )
    ).toEqual([
      ["id", "12345678901234567890"],
      ["data ratio", "1.0"],
      ["data tags", '[ 1,{"a":"]"} ]'],
      ["data none", "{ }"],
      ["x", "null"]
    ])
  })

  it("knows a name however it is written, and in whatever order", () => {
    const fields = JsonFields.learning()
    valuesOf('{"é":1,"b":2,"c":{"d":3}}', fields)
    expect(valuesOf(String.raw`{"c":{"\u0064":6},"b":5,"\u00e9":4}`, fields)).toEqual([
      ["é", "4"],
      ["b", "5"],
      ["c d", "6"]
    ])
    expect(fields.columns).toHaveLength(3)
    expect(valuesOf('{"b":7}', fields)).toEqual([["b", "7"]])
    expect(valuesOf('{"b":1,"b":[2]}', fields)).toEqual([["b", "[2]"]])
  })

  it("finds only what is asked for; an object whose names are not is a value", () => {
    const fields = JsonFields.named([["data", "name"], ["data", "place"], ["toString"], ["__proto__"]])
    expect(
      valuesOf('{"n":0,"data":{"other":{"name":1},"place":{"city":"Bern"},"name":"A"},"__proto__":1}', fields)
    ).toEqual([
      ["data name", '"A"'],
      ["data place", '{"city":"Bern"}'],
      ["__proto__", "1"]
    ])
    expect(valuesOf('{"data":[1]}', fields)).toEqual([])
  })

  it("reads what is nested deeply, and refuses what is nested beyond reason", () => {
    const nested = (depth: number) => `${'{"a":'.repeat(depth)}[]${"}".repeat(depth)}`
    expect(valuesOf(nested(900))).toHaveLength(1)
    expect(valuesOf(nested(100_000))).toBe("too deep")
    expect(valuesOf(nested(1001))).toBe("too deep")
    expect(valuesOf(`{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`)).toBe("too deep")
    for (const fields of [JsonFields.learning(), JsonFields.named([])]) {
      const lists = (depth: number, inner: string) =>
        valuesOf(`{"a":${"[".repeat(depth)}${inner}${"]".repeat(depth)}}`, fields)
      const objects = (depth: number) => valuesOf(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`, fields)
      for (const sound of [lists(1000, ""), lists(1000, " "), lists(999, "1"), objects(1000)])
        expect(sound).toBeInstanceOf(Array)
      for (const deep of [lists(1001, ""), lists(1000, "1"), lists(1000, "{}"), objects(1001)])
        expect(deep).toBe("too deep")
    }
  })
})
