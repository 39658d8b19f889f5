import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Either, FastCheck as fc, Layer, Stream } from "effect"
import { gzipSync } from "node:zlib"
import * as Fates from "../../src/campaign/Fates.js"
import * as Identifier from "../../src/campaign/Identifier.js"
import * as InputRows from "../../src/campaign/InputRows.js"
import * as Planning from "../../src/campaign/Planning.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as JobKind from "../../src/model/JobKind.js"

const needs = Layer.merge(NodeContext.layer, Layer.orDie(BatchConfig.layer({})))
const property: JobKind.IdentifierProperty = { name: "domains", type: "domain" }

const inFolder = <A, E>(use: (folder: string) => Effect.Effect<A, E, Layer.Layer.Success<typeof needs>>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.scoped, Effect.provide(needs))

const write = (path: string, text: string | Uint8Array) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    fs.writeFile(path, typeof text === "string" ? new TextEncoder().encode(text) : text)
  )

const rowsOf = (text: string | Uint8Array, options: InputRows.Options) =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const path = `${folder}/input`
      yield* write(path, text)
      return Chunk.toReadonlyArray(
        yield* Stream.runCollect(InputRows.read(path, { name: "leads", ...options }))
      )
    })
  )

const values = (rows: ReadonlyArray<InputRows.Row>) =>
  rows.map(({ row, value }) => [row, Either.getOrElse(value, (why) => `! ${why}`)])

describe("InputRows", () => {
  it.effect(
    "reads tables: quotes, line feeds in them, CRLF, marks, short rows, blank lines, names twice",
    () =>
      Effect.gen(function* () {
        const text =
          '\uFEFFname , site,site,\r\n"Acme, ""Inc""\r\n2nd",acme.com,x\r\n\r\nshort\r\n"",b.com,,\r\nlast,c.com'
        const rows = yield* rowsOf(text, { format: "csv", column: "site" })
        expect(values(rows)).toEqual([
          [1, "acme.com"],
          [2, ""],
          [3, "b.com"],
          [4, "c.com"]
        ])
        expect(rows[0] && InputRows.named(rows[0])).toEqual({
          name: 'Acme, "Inc"\r\n2nd',
          site: "acme.com",
          "site (2)": "x",
          "column 4": ""
        })
        const tabs = yield* rowsOf('a\tb\n"x\ty"\n', { format: "tsv", column: "b" })
        expect(values(tabs)).toEqual([[1, 'y"']])
        const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("site\nmünchen.de\n", "utf16le")])
        expect(values(yield* rowsOf(utf16, { format: "csv", column: "site" }))).toEqual([[1, "münchen.de"]])
      })
  )

  it.effect("rejects a row that has more cells than there are columns, and bytes that are no text", () =>
    Effect.gen(function* () {
      const rows = yield* rowsOf("name,site\nAcme, Inc.,acme.com\na,b.com,,\n", {
        format: "csv",
        column: "site"
      })
      expect(values(rows)).toEqual([
        [1, "! it has 3 cells, and the header has 2"],
        [2, "b.com"]
      ])
      const latin = yield* rowsOf(Buffer.from("site\nm\xfcller.de\n", "latin1"), {
        format: "csv",
        column: "site"
      })
      expect(Identifier.read("domain", String(values(latin)[0]?.[1]))).toMatchObject({ _tag: "Left" })
    })
  )

  it.effect.each([
    ["site\na.com\n", "sites", "it has no column sites; did you mean site?"],
    ["name,site\n", "phone number", "it has no column phone number; there are name, site"],
    ["a,b\n", undefined, "name the column that holds the identifiers: a, b"],
    ["", "site", "it is empty"],
    ["\n\n", "site", "it is empty"],
    ['site\n"a.com\n', "site", "it is no table that can be read"]
  ] as const)("says of %j what is wrong with column %s", ([text, column, words]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(rowsOf(text, { format: "csv", column }))
      expect(error).toMatchObject({ _tag: "InputInvalid", path: "leads" })
      expect(error.message).toContain(words)
    })
  )

  it.effect("reads JSON lines by names and paths, and plain lines", () =>
    Effect.gen(function* () {
      const text = '\uFEFF{"a":{"b":"x"},"a.c":7}\n\n{"a":{"b":[1]}}\r\nno\n{"a":null}\n{"a":{"b":null}}\n'
      const rows = yield* rowsOf(text, { format: "jsonl", column: "a.b" })
      expect(values(rows).map(([row, value]) => [row, String(value).slice(0, 12)])).toEqual([
        [1, "x"],
        [2, "[1]"],
        [3, expect.stringContaining("! ")],
        [4, "! it has no "],
        [5, ""]
      ])
      expect(rows[0] && InputRows.named(rows[0])).toEqual({ a: '{"b":"x"}', "a.c": "7" })
      expect(values(yield* rowsOf(text, { format: "jsonl", column: "a.c" }))[0]).toEqual([1, "7"])
      const odd = yield* rowsOf('{"x":1}\n', { format: "jsonl", column: "constructor" })
      expect(values(odd)).toEqual([[1, "! it has no field constructor"]])
      const lines = yield* rowsOf("\uFEFFa.com\r\n\r\n \n b.com \nc.com", { format: "lines" })
      expect(values(lines)).toEqual([
        [1, "a.com"],
        [2, " b.com "],
        [3, "c.com"]
      ])
    })
  )

  it.effect("says that an input is not there", () =>
    Effect.gen(function* () {
      for (const format of InputRows.formats) {
        const read = InputRows.read("/nowhere/x", { format, column: "a" })
        const error = yield* Effect.flip(Effect.provide(Stream.runDrain(read), needs))
        expect(error, format).toMatchObject({
          _tag: "StorageError",
          reason: "Unreadable",
          path: "/nowhere/x"
        })
      }
    })
  )

  it.effect("reads the same in portions of every size", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const cases = [
          ["csv", 'n,"s ä"\r\n"x\r\n""y",ö.de\r\n\r\n,€.com'],
          ["jsonl", '{"s ä":"ö.de"}\r\n\n{"s ä":"€.com"}'],
          ["lines", "ö.de\r\n\n€.com"]
        ] as const
        for (const [format, text] of cases) {
          yield* write(`${folder}/x`, text)
          const read = (fileSystem: FileSystem.FileSystem) =>
            InputRows.read(`${folder}/x`, { format, column: "s ä" }).pipe(
              Stream.runCollect,
              Effect.map((rows) => values(Chunk.toReadonlyArray(rows))),
              Effect.provideService(FileSystem.FileSystem, fileSystem)
            )
          const whole = yield* read(fs)
          expect(whole).toEqual([
            [1, "ö.de"],
            [2, "€.com"]
          ])
          for (let chunkSize = 1; chunkSize <= 12; chunkSize++) {
            const stream: FileSystem.FileSystem["stream"] = (path) => fs.stream(path, { chunkSize })
            expect(yield* read({ ...fs, stream }), `${format} ${chunkSize}`).toEqual(whole)
          }
        }
      })
    )
  )
})

const words = fc.oneof(
  fc.constantFrom("a.com", "A.com", " a.com ", "a.com.", "b.org", "c.net", "", "bad", "x y", "d.io", "é.fr"),
  fc.domain()
)

/** What a plan is, the slow way. */
const model = (list: ReadonlyArray<string>) => {
  const first = new Map<string, number>()
  const sent: Array<string | number> = []
  const codes = list.map((text, at): Planning.RowCode => {
    const read = Identifier.read("domain", text)
    if (Either.isLeft(read)) return { _tag: "Rejected" }
    const of = first.get(read.right.key)
    if (of !== undefined) return { _tag: "Duplicate", of }
    first.set(read.right.key, at + 1)
    return { _tag: "Identifier", index: sent.push(read.right.sent) - 1 }
  })
  return { codes, sent }
}

const envelope = (identifier: string) => `${JSON.stringify({ original_identifier: identifier, data: {} })}\n`

describe("Planning and Fates", () => {
  it.effect("agree with the slow way", () =>
    inFolder((folder) =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(words, { maxLength: 40 }),
            fc.integer({ min: 1, max: 7 }),
            fc.func(fc.constantFrom("matched", "not_found", "failed")),
            (list, cap, fateOf) =>
              Effect.gen(function* () {
                const input = `${folder}/input.csv`
                yield* write(input, `site,n\n${list.map((text, at) => `"${text}",${at}\n`).join("")}`)
                const options = { input, folder, format: "csv", column: "site" } as const
                const plan = yield* Planning.make({ ...options, property, cap })
                const { codes, sent } = model(list)
                const read = [...(yield* Planning.codesOf(folder))]
                expect(read.map(Planning.decode)).toEqual(codes)
                const chunks = yield* Effect.forEach(plan.chunks, (chunk) =>
                  Planning.identifiersOf(folder, chunk)
                )
                expect(chunks.flat()).toEqual(sent)
                expect(chunks.map(({ length }) => length)).toEqual(plan.chunks.map(({ count }) => count))
                expect(chunks.slice(0, -1).every(({ length }) => length === cap)).toBe(true)
                const tally = (tag: Planning.RowCode["_tag"]) =>
                  codes.filter(({ _tag }) => _tag === tag).length
                expect(plan).toMatchObject({
                  rows: list.length,
                  unique: sent.length,
                  rejected: tally("Rejected"),
                  duplicates: tally("Duplicate")
                })

                const roll = Fates.roll(sent.length, { places: false })
                let first = 0
                for (const identifiers of chunks) {
                  const fate = fateOf(first)
                  if (fate === "failed") roll.settle({ first, count: identifiers.length }, fate)
                  else {
                    const found = identifiers
                      .filter((_, at) => fate === "matched" || at % 2 === 0)
                      .map(String)
                    yield* write(`${folder}/r.gz`, gzipSync(found.map(envelope).join("")))
                    const enrich = JobKind.named("company/enrich")
                    if (enrich === undefined) throw new Error("no such kind")
                    const results = yield* Fates.readResults(`${folder}/r.gz`, {
                      kind: enrich,
                      property,
                      sent: { first, identifiers },
                      roll
                    })
                    expect(results).toMatchObject({
                      strangers: 0,
                      anonymous: 0,
                      matched: found.length,
                      records: found.length
                    })
                  }
                  first += identifiers.length
                }
                const fates = Chunk.toReadonlyArray(
                  yield* Stream.runCollect(
                    Fates.rows({
                      ...options,
                      property,
                      roll,
                      count: list.length,
                      reasonOf: () => "its job failed"
                    })
                  )
                )
                expect(fates.map(({ row }) => row)).toEqual(list.map((_, at) => at + 1))
                for (const [at, { fate, reason, index, duplicateOf }] of fates.entries()) {
                  const code = codes[at]
                  if (code?._tag === "Rejected") expect([fate, reason === ""]).toEqual(["rejected", false])
                  if (code?._tag === "Duplicate") {
                    expect([fate, duplicateOf, index]).toEqual([
                      "duplicate",
                      code.of,
                      fates[code.of - 1]?.index
                    ])
                  }
                  if (code?._tag === "Identifier") {
                    const which = Math.floor(code.index / cap)
                    const chunk = fateOf(which * cap)
                    const expected =
                      chunk === "not_found"
                        ? (code.index - which * cap) % 2 === 0
                          ? "matched"
                          : "not_found"
                        : chunk
                    expect([fate, reason]).toEqual([expected, expected === "failed" ? "its job failed" : ""])
                  }
                }
              }).pipe(Effect.provide(needs), Effect.runPromise)
          ),
          { numRuns: 40 }
        )
      )
    )
  )

  it.effect("fail where rows are missing from the copy or from the plan, and lose none in silence", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const input = `${folder}/lines`
        const options = { input, folder, format: "lines" } as const
        yield* write(input, "a.com\nb.com\nc.com\n")
        const plan = yield* Planning.make({ ...options, property, cap: 10 })
        const fates = Stream.suspend(() =>
          Fates.rows({
            ...options,
            property,
            roll: Fates.roll(plan.unique, { places: false }),
            count: plan.rows,
            reasonOf: () => ""
          })
        )
        expect(yield* Stream.runCount(fates)).toBe(3)
        const missing = {
          _tag: "StorageError",
          reason: "Unreadable",
          detail: expect.stringContaining("only 2")
        }
        const rowsFile = `${folder}/${Planning.files.rows}`
        const codes = yield* (yield* FileSystem.FileSystem).readFile(rowsFile)
        yield* (yield* FileSystem.FileSystem).writeFile(rowsFile, codes.subarray(0, 8))
        expect(yield* Effect.flip(Stream.runDrain(fates))).toMatchObject(missing)
        yield* (yield* FileSystem.FileSystem).writeFile(rowsFile, codes)
        yield* write(input, "a.com\nb.com\n")
        expect(yield* Effect.flip(Stream.runDrain(fates))).toMatchObject(missing)
      })
    )
  )

  it.effect("write nothing twice, and read beyond one portion", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const input = `${folder}/lines`
        const count = 50_000
        yield* write(input, Array.from({ length: count }, (_, at) => `c${at % 40_000}.com\n`).join(""))
        const options = { input, folder, format: "lines" } as const
        for (const _ of [1, 2]) {
          const plan = yield* Planning.make({ ...options, property, cap: 10_000 })
          expect(plan).toMatchObject({ rows: count, unique: 40_000, duplicates: 10_000, rejected: 0 })
          const read = [...(yield* Planning.codesOf(folder))]
          expect(read.slice(0, 40_000)).toEqual(Array.from({ length: 40_000 }, (_, at) => at))
          expect(read.slice(40_000).map(Planning.decode)).toEqual(
            Array.from({ length: 10_000 }, (_, at) => ({ _tag: "Duplicate", of: at + 1 }))
          )
        }
      })
    )
  )

  it("never call a person who opted out not found", () => {
    const roll = Fates.roll(2, { places: true })
    const place = { offset: 0, bytes: 1 }
    for (const fate of ["redacted", "not_found"] as const) roll.note(0, fate, place)
    for (const fate of ["not_found", "matched", "redacted"] as const) roll.note(1, fate, place)
    expect([roll.fateOf(0), roll.fateOf(1)]).toEqual(["redacted", "matched"])
    expect(roll.placesOf(1)).toHaveLength(3)
  })
})
