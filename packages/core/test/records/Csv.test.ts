import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Either, FastCheck as fc, Option, Predicate, Stream } from "effect"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as RowCount from "../../src/proof/RowCount.js"
import * as Csv from "../../src/records/Csv.js"
import type { JsonObject } from "../../src/model/Masking.js"

const options = { maxLineBytes: 1_000_000 }

const run = <A>(conversion: Csv.Conversion<A, unknown>, portions: ReadonlyArray<string>): ReadonlyArray<A> =>
  [...portions.map((portion) => conversion.push(Buffer.from(portion))), conversion.end()].map(
    Either.getOrThrow
  )

const columnsOf = (...portions: ReadonlyArray<string>) => run(Csv.columnsOf(options), portions).at(-1) ?? []

const rowsOf = (columns: ReadonlyArray<string>, ...portions: ReadonlyArray<string>): string =>
  Buffer.concat(run(Csv.rowsOf(columns, options), portions)).toString()

const tableOf = (...lines: ReadonlyArray<string>): string => {
  const text = lines.join("\n")
  return rowsOf(columnsOf(text), text)
}

/** RFC 4180 to the letter; anything that it does not allow is an error. A cell that is not quoted is marked. */
const parse = (table: string): ReadonlyArray<ReadonlyArray<string>> => {
  const rows: Array<Array<string>> = []
  let row: Array<string> = []
  let at = 0
  while (at < table.length) {
    const [cell, quoted, plain] = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(?=,|\r\n)/u.exec(table.slice(at)) ?? []
    if (cell === undefined) throw new Error(`no cell at ${at} of ${table}`)
    row.push(quoted === undefined ? `plain ${plain}` : `quoted ${quoted.replaceAll('""', '"')}`)
    at += cell.length
    if (table[at] === ",") {
      at += 1
    } else {
      rows.push(row)
      row = []
      at += 2
    }
  }
  return rows
}

const words = (cell: string): string => cell.replace(/^(?:plain|quoted) /u, "")

/** Takes the apostrophe away again. */
const undo = (text: string): string => (/^'+[=+\-@\t\r\n＝＋－＠]/u.test(text) ? text.slice(1) : text)

describe("columns", () => {
  it("are those of all rows, in the order of their appearance", () => {
    expect(columnsOf('{"b":1,"a":{"y":1,"x":[]}}\n{"a":{"z":null,"y":2},"c":{}}\n', "{}")).toEqual([
      "b",
      "a.y",
      "a.x",
      "a.z",
      "c"
    ])
  })

  it("of names with dots and backslashes never meet those of other paths", () => {
    expect(columnsOf(String.raw`{"a.b":1,"a":{"b":2},"a\\":{"b":3},"a\\.b":4,"":{"":5},".":6}`)).toEqual([
      String.raw`a\.b`,
      "a.b",
      String.raw`a\\.b`,
      String.raw`a\\\.b`,
      ".",
      String.raw`\.`
    ])
  })

  it.each([
    ["id, data.name ,x", ["id", "data.name", "x"]],
    [String.raw`a\.b,a.b`, [String.raw`a\.b`, "a.b"]],
    [String.raw`a\,b,c\\,d`, ["a,b", String.raw`c\\`, "d"]],
    [String.raw`\ a ,b\ , \e`, [" a", "b ", ""]],
    [String.raw`a\b`, [String.raw`a\\b`]],
    ["=x,'+y,'s,''=z,'-5,-5", ["=x", "+y", "'s", "'=z", "'-5", "-5"]],
    [String.raw`'=a\.b`, [String.raw`=a\.b`]]
  ])("%s are named", (list, columns) => expect(Csv.parseColumns(list)).toEqual(Either.right(columns)))

  it.each([
    ["", '"" has an empty name in it'],
    ["id,", '"id," has an empty name in it'],
    ["id,x, id", '"id,x, id" names id twice'],
    [String.raw`a\b,a\\b`, String.raw`"a\b,a\\b" names a\\b twice`]
  ])("%s are refused", (list, problem) => expect(Csv.parseColumns(list)).toEqual(Either.left(problem)))
})

describe("cells", () => {
  it("are the values as they were delivered", () => {
    const table = tableOf(
      '{"id":12345678901234567890,"ratio":1.50,"ok":true,"no":null,"name":"Acme","empty":"","list":[ 1, "a,b" ],"one":[],"object":{}}'
    )
    expect(table).toBe(
      'id,ratio,ok,no,name,empty,list,one,object\r\n12345678901234567890,1.50,true,,Acme,"","[ 1, ""a,b"" ]",[],{}\r\n'
    )
  })

  it("are quoted where RFC 4180 wants it", () => {
    expect(tableOf(String.raw`{"a,\"b":"x,y","c":"say \"hi\"","d":"two\r\nlines","e":"it's","f":" "}`)).toBe(
      '"a,""b",c,d,e,f\r\n"x,y","say ""hi""","two\r\nlines",it\'s, \r\n'
    )
  })

  it.each([
    ["=1+1", "'=1+1"],
    ["+41 44 123", "'+41 44 123"],
    ["-cmd|x", "'-cmd|x"],
    ["@SUM", "'@SUM"],
    ["\t=x", "'\t=x"],
    ["\r=x", `"'\r=x"`],
    ["＝1", "'＝1"],
    ["＠a", "'＠a"],
    ["'=1", "''=1"],
    ["-5", "-5"],
    ["+1.5e-3", "+1.5e-3"],
    ["-", "'-"],
    ["-5,=x", `"'-5,=x"`],
    ["'s", "'s"],
    ["a=b", "a=b"],
    ["ｆ", "ｆ"],
    ["\u{feff}x", "\u{feff}x"]
  ])("%j is written %j, as a cell and as a header", (text, written) => {
    expect(tableOf(JSON.stringify({ a: text }))).toBe(`a\r\n${written}\r\n`)
    const header = JSON.stringify({ [text]: 1 })
    if (!/[.\\]/u.test(text)) expect(tableOf(header)).toBe(`${written}\r\n1\r\n`)
  })

  it("a number is none that a spreadsheet would run", () =>
    expect(tableOf('{"a":-5,"b":-1e9}')).toBe("a,b\r\n-5,-1e9\r\n"))

  it("a row without anything in it is a row", () => {
    expect(tableOf('{"a":null}', '{"a":1}', "{}")).toBe('a\r\n""\r\n1\r\n""\r\n')
    expect(tableOf("{}", "{}")).toBe('""\r\n""\r\n""\r\n')
    expect(rowsOf(["a", "b"], '{"a":null}')).toBe("a,b\r\n,\r\n")
  })

  it("a column that no row has is empty; one that is an object is JSON, unless columns below it are wanted", () => {
    const line = '{"id":1,"data":{"name":"A","place":{"city":"Bern"}}}'
    expect(rowsOf(["nothing", "data", "id"], line)).toBe(
      'nothing,data,id\r\n,"{""name"":""A"",""place"":{""city"":""Bern""}}",1\r\n'
    )
    expect(rowsOf(["data.place", "data", "data.name", "id", "id"], line)).toBe(
      'data.place,data,data.name,id,id\r\n"{""city"":""Bern""}",,A,1,1\r\n'
    )
    expect(rowsOf(["toString", "__proto__"], "{}", '\n{"__proto__":1}')).toBe(
      "toString,__proto__\r\n,\r\n,1\r\n"
    )
  })
})

const key = fc.oneof(
  fc.constantFrom("a", "b", "a.b", "a\\", "\\.", "", ".", "=x", "__proto__", "ü🚀", '"', "a,b", "\n"),
  fc.string({ maxLength: 3 })
)

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(fc.constantFrom('"', ",", "\r", "\n", "=", "'", "-", "1", "é", "🚀", "\\", "\u{feff}"))
    .map((all) => all.join(""))
)

const record = fc.letrec<{ value: unknown; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    text,
    fc.integer(),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.boolean(),
    fc.constant(null),
    tie("object"),
    fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 3 })
  ),
  object: fc.dictionary(key, tie("value"), { maxKeys: 4 })
})).object

/** What the cells of a record must say, by path. */
const flatten = (json: JsonObject, path: ReadonlyArray<string> = []): ReadonlyArray<[string, string]> =>
  Object.entries(json).flatMap(([name, value]): ReadonlyArray<[string, string]> => {
    const here = [...path, name]
    if (isObject(value) && Object.keys(value).length > 0) return flatten(value, here)
    const cell = Predicate.isString(value)
      ? value.replaceAll("\0", "\u{fffd}")
      : value === null
        ? undefined
        : JSON.stringify(value)
    return [[JSON.stringify(here), cell === undefined ? "plain " : `text ${Buffer.from(cell).toString()}`]]
  })

const headerOf = (path: string): string => {
  const names: ReadonlyArray<string> = JSON.parse(path)
  return names.map((name) => name.replaceAll("\\", "\\\\").replaceAll(".", "\\.")).join(".")
}

const isObject = (value: unknown): value is JsonObject =>
  Predicate.isReadonlyRecord(value) && !Array.isArray(value)

describe("names", () => {
  const last = [
    '{"a":{"b":1},"a":{"c":2}}',
    '{"a":{"b":3},"a":4}',
    '{"a":5,"a":{"b":6}}',
    '{"a":{"b":7},"a":null}',
    '{"a":8,"a":9}',
    '{"a":{"b":10},"a":{}}',
    '{"a":{"b":{"d":11}},"a":{"b":12}}',
    String.raw`{"a":{"b":13},"\u0061":14}`
  ]

  it.each(last)("that are twice in %s: the last value counts, and nothing below the earlier one", (line) => {
    const json: JsonObject = JSON.parse(line)
    const expected = new Map(
      flatten(json).map(([path, cell]) => [headerOf(path), words(cell.replace(/^text /u, ""))])
    )
    expect(columnsOf(line)).toEqual([...expected.keys()])
    const columns = ["a", "a.b", "a.c", "a.b.d"]
    const [, row = []] = parse(rowsOf(columns, line, last.map((one) => `\n${one}`).join("")))
    expect(row.map(words)).toEqual(columns.map((column) => expected.get(column) ?? ""))
  })

  it("that are twice keep their place; a column that was overwritten can come later", () => {
    expect(tableOf('{"a":{"x":1},"b":2,"a":{"y":3}}', '{"a":{"x":4}}')).toBe("b,a.y,a.x\r\n2,3,\r\n,,4\r\n")
    expect(tableOf('{"a":1,"b":2,"a":3}')).toBe("a,b\r\n3,2\r\n")
  })

  it("and texts that cannot be written have U+FFFD there, and make one column", () => {
    const lines = [
      String.raw`{"a\u0000":"x\u0000y","b\ud800":"\udc00z"}`,
      `{"a\u{fffd}":"\u{fffd}","b\u{fffd}":["\\u0000"]}`,
      String.raw`{"b\udc00":1,"b\ud800":2}`
    ]
    expect(tableOf(...lines)).toBe(
      `a\u{fffd},b\u{fffd}\r\nx\u{fffd}y,\u{fffd}z\r\n\u{fffd},"[""\\u0000""]"\r\n,2\r\n`
    )
    expect(rowsOf(["b\ud800"], ...lines.map((line) => `${line}\n`))).toBe(
      `b\u{fffd}\r\n\u{fffd}z\r\n"[""\\u0000""]"\r\n2\r\n`
    )
    expect(tableOf(JSON.stringify({ "\u{1f680}": "\u{1f680}" }))).toBe("\u{1f680}\r\n\u{1f680}\r\n")
  })

  it.prop(
    "of all columns of a table can be given as a list",
    [fc.array(record, { minLength: 1, maxLength: 4 })],
    ([records]) => {
      const lines = records.map((json) => JSON.stringify(json))
      const columns = columnsOf(lines.join("\n"))
      fc.pre(columns.length > 0)
      const [headers = []] = parse(tableOf(...lines))
      const wanted = headers
        .map((cell) => cell.replace(/^(?:plain|quoted) /u, ""))
        .map((header) => (header === "" ? String.raw`\e` : header.replace(/,|^\s|\s$/gu, String.raw`\$&`)))
      expect(Csv.parseColumns(wanted.join(" , "))).toEqual(Either.right(columns))
    }
  )
})

describe("what is found", () => {
  const table = (columns: ReadonlyArray<string>, lines: string, options_: Partial<Csv.TableOptions> = {}) => {
    const rows = Csv.rowsOf(columns, { ...options, ...options_ })
    const portions = [rows.push(Buffer.from(lines)), rows.end()]
    return { rows, portions, end: portions[1] }
  }

  it("columns that no row has are told; null is something, an object whose parts are wanted too", () => {
    expect(table(["a", "c", "d.e", "f", "f.g"], '{"a":1}\n{"c":null,"f":{"g":1}}\n').rows.findings()).toEqual(
      {
        absent: ["d.e"],
        longCells: Option.none()
      }
    )
    expect(table(["a"], "").rows.findings().absent).toEqual([])
  })

  it("it is a failure when no row has any of them, before the first rows are given", () => {
    const { portions } = table(["x", "y"], '{"a":1}\n{"a":2}\n')
    expect(portions).toMatchObject([
      { right: { length: 0 } },
      {
        left: { _tag: "ColumnsNotFound", columns: ["x", "y"], message: "no row has any of the columns x, y" }
      }
    ])
    expect(table(["x"], "{}\n").end).toMatchObject({ left: { message: "no row has the column x" } })
    const many = table(["x"], "{}\n".repeat(400_000))
    expect(many.portions).toMatchObject([{ right: expect.anything() }, { left: { _tag: "ColumnsNotFound" } }])
    expect(Either.getOrThrow(many.portions[0] ?? Either.right(new Uint8Array(0))).length).toBeGreaterThan(
      1_000_000
    )
    expect(table(["x"], "").end).toMatchObject({ _tag: "Right" })
  })

  it("cells of more than 32,767 characters are counted, as they are read", () => {
    const cell = (length: number) => JSON.stringify({ b: 0, a: "é".repeat(length) })
    const found = (...lines: ReadonlyArray<string>) =>
      table(["b", "a"], lines.join("\n")).rows.findings().longCells
    expect(found(cell(32_767), JSON.stringify({ a: "\\".repeat(20_000) }))).toEqual(Option.none())
    expect(found(cell(1), cell(32_769), cell(32_768), JSON.stringify({ a: ["x".repeat(40_000)] }))).toEqual(
      Option.some({ cells: 3, column: "a", row: 4, characters: 40_004 })
    )
  })

  it("a byte order mark comes first, once", () => {
    const { portions } = table(["a"], '{"a":1}\n', { bom: true })
    expect(Buffer.concat(portions.map((one) => Either.getOrThrow(one))).toString()).toBe("\u{feff}a\r\n1\r\n")
    expect(Buffer.from(Csv.header(["a"], { bom: true })).toString()).toBe("\u{feff}a\r\n")
  })
})

describe("a table", () => {
  it.prop(
    "says of every record what the record says, in a column for each path, in whatever portions it came",
    [fc.array(record, { minLength: 1, maxLength: 5 }), fc.nat(), fc.nat()],
    ([records, first, second]) => {
      const lines = `${records.map((json) => JSON.stringify(json)).join("\n")}\n`
      const bytes = Buffer.from(lines)
      const cuts = [first, second].map((cut) => cut % bytes.length).toSorted((a, b) => a - b)
      const portions = [0, ...cuts].map((from, index) => bytes.subarray(from, [...cuts, bytes.length][index]))
      const columns = columnsOf(lines)
      const conversion = Csv.rowsOf(columns, options)
      const written = [...portions.map((portion) => conversion.push(portion)), conversion.end()]
      const [header = [], ...rows] = parse(Buffer.concat(written.map(Either.getOrThrow)).toString())

      const expected = records.map((json) => new Map(flatten(Object(JSON.parse(JSON.stringify(json))))))
      const paths = new Map(
        expected.flatMap((cells) => [...cells.keys()].map((path) => [headerOf(path), path]))
      )
      expect(new Set(columns)).toEqual(new Set(paths.keys()))
      expect(columns).toHaveLength(new Set(expected.flatMap((cells) => [...cells.keys()])).size)
      expect(header.map((cell) => undo(words(cell)))).toEqual(columns.length === 0 ? [""] : columns)
      expect(rows).toHaveLength(records.length)
      for (const [index, cells] of expected.entries()) {
        const wanted = columns.map((column) => cells.get(paths.get(column) ?? "") ?? "plain ")
        const found = rows[index]?.map((cell) => (cell === "plain " ? cell : `text ${undo(words(cell))}`))
        expect(found).toEqual(wanted.length === 0 || wanted.join() === "plain " ? ["text "] : wanted)
      }
    },
    { fastCheck: { numRuns: 700 } }
  )

  it("has room for cells of any size", () => {
    const long = {
      text: "x".repeat(100_000),
      quoted: `"${"y,".repeat(100_000)}`,
      list: ["z".repeat(100_000)],
      [`k${"k".repeat(70_000)}`]: 1
    }
    const line = JSON.stringify(long)
    const [header = [], ...rows] = parse(tableOf(line, line))
    expect(header.map(words)).toEqual(Object.keys(long))
    const row = [long.text, long.quoted, JSON.stringify(long.list), "1"]
    expect(rows.map((cells) => cells.map(words))).toEqual([row, row])
  })

  it("has columns where the paths are", () => {
    const line = '{"a.b":1,"a":{"b":2,"c":{"d":3}}}'
    const columns = columnsOf(line)
    for (const [index, column] of columns.entries()) {
      expect(rowsOf([column], line)).toBe(`${column}\r\n${index + 1}\r\n`)
    }
  })

  it.prop(
    "has as many rows as are counted, in whatever portions",
    [fc.array(record), fc.nat()],
    ([records, cut]) => {
      const lines = records.map((json) => `${JSON.stringify(json)}\n`).join("")
      const table = Buffer.from(rowsOf(columnsOf(lines), lines))
      const counter = RowCount.ofTable()
      const at = cut % (table.length + 1)
      counter.push(table.subarray(0, at))
      counter.push(table.subarray(at))
      expect(counter.rows()).toBe(records.length)
    }
  )

  it.each([
    ["", 0],
    ["a", 0],
    ["a\r\n", 0],
    ["a\r\n1", 1],
    ["a\r\n1\r\n", 1],
    ['a\r\n"1\r\n2"\r\n', 1],
    ['a\n"1""\n"\n2\n', 2]
  ])("%j has %i rows", (table, rows) => {
    const counter = RowCount.ofTable()
    for (const byte of Buffer.from(table)) counter.push(Uint8Array.of(byte))
    expect(counter.rows()).toBe(rows)
  })
})

it("blank lines and byte order marks are no rows", () => {
  const bytes = Buffer.from('\ufeff{"a":1}\r\n\r\n \t\n\ufeff{"a":2}\n\n')
  const rows = Csv.rowsOf(["a"], { maxLineBytes: 1024 })
  const text = [rows.push(bytes), rows.end()].map((found) => Buffer.from(Either.getOrThrow(found)).toString())
  expect(text.join("")).toBe("a\r\n1\r\n2\r\n")
})

describe("a line that is no record", () => {
  it.each([
    ["no", "it is no JSON object"],
    ["[]", "it is no JSON object"],
    [`{"a":"${"x".repeat(1100)}"}`, "it is longer than 1,024 bytes (BATCH_TRANSFER_MAX_LINE_BYTES)"],
    [`{"a":${"[".repeat(1001)}`.padEnd(1020, "1"), "it is nested deeper than 1000 levels"]
  ])("%s ends it", (line, detail) => {
    const bytes = Buffer.from(`{"a":1}\n${line}\n{"a":2}\n`)
    for (const conversion of [
      Csv.columnsOf({ maxLineBytes: 1024 }),
      Csv.rowsOf(["a"], { maxLineBytes: 1024 })
    ]) {
      expect(conversion.push(bytes)).toMatchObject({
        left: { _tag: "RecordInvalid", line: 2, offset: 8, detail }
      })
    }
  })

  it("ends it when it is no UTF-8, or the last one", () => {
    expect(
      Csv.columnsOf(options).push(Buffer.from([0x7b, 0x22, 0xc3, 0x22, 0x3a, 0x31, 0x7d, 0x0a]))
    ).toMatchObject({
      left: { detail: "it is no UTF-8" }
    })
    const conversion = Csv.rowsOf(["a"], options)
    conversion.push(Buffer.from('{"a":1}\n{"a'))
    expect(conversion.end()).toMatchObject({ left: { line: 2, excerpt: '{"a' } })
  })
})

describe("encode", () => {
  const encode = (portions: ReadonlyArray<string>) =>
    Stream.fromIterable(portions.map((portion): Uint8Array => Buffer.from(portion))).pipe(
      Csv.encode(["a", "b.c"])
    )

  const collect = <E>(stream: Stream.Stream<Uint8Array, E, BatchConfig.BatchConfig>) =>
    Effect.map(Stream.runCollect(stream), (all) => Buffer.concat(Chunk.toReadonlyArray(all)).toString()).pipe(
      Effect.provide(BatchConfig.layer())
    )

  it.effect("writes the header first, then rows while they come", () =>
    Effect.gen(function* () {
      expect(yield* collect(encode(['{"a":1,"b":{"c":2}}\n{"b"', ":{}}"]))).toBe("a,b.c\r\n1,2\r\n,\r\n")
      expect(yield* collect(encode([]))).toBe("a,b.c\r\n")
      const portions = Stream.runCollect(encode(['{"a":1}\n', '{"a"', ":2}\n"]))
      expect(yield* Effect.provide(portions, BatchConfig.layer())).toHaveLength(2)
      const growing = Stream.concat(Stream.make<[Uint8Array]>(Buffer.from('{"a":1}\n{"')), Stream.never)
      expect(yield* collect(Stream.take(Csv.encode(["a"])(growing), 1))).toBe("a\r\n1\r\n")
    })
  )

  it.effect("fails at the first line that is no record, behind a prefix of the table", () =>
    Effect.gen(function* () {
      const stream = encode(['{"a":1}\n', '{"a":2}\nno\n', '{"a":3}\n'])
      let written = ""
      const told = Stream.tap(stream, (bytes) =>
        Effect.sync(() => (written += Buffer.from(bytes).toString()))
      )
      expect(yield* Effect.flip(collect(told))).toMatchObject({ _tag: "RecordInvalid", line: 3, offset: 16 })
      expect("a,b.c\r\n1,\r\n2,\r\n".startsWith(written)).toBe(true)
      expect(written).toContain("1")
    })
  )
})
