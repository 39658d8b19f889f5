import { describe, expect, it, vi } from "@effect/vitest"
import { Chunk, Effect, Either, FastCheck as fc, Predicate, Schema, Stream } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import type { RecordInvalid } from "../../src/model/BatchError.js"
import * as RecordLines from "../../src/records/RecordLines.js"

const bytesOf = (text: string): Buffer => Buffer.from(text)

/** Lines of bytes that are pushed in these portions, from one buffer that is used again and again. */
const frame = (bytes: Uint8Array, cuts: ReadonlyArray<number>, maxLineBytes = 1_000_000) => {
  const framer = RecordLines.framer({ maxLineBytes })
  const buffer = Buffer.alloc(bytes.length)
  const edges = [0, ...[...cuts].toSorted((a, b) => a - b), bytes.length]
  const found = edges.slice(1).flatMap((to, index) => {
    const portion = bytes.subarray(edges[index], to)
    buffer.fill(0xff).set(portion)
    return framer.push(buffer.subarray(0, portion.length)).map(look)
  })
  return [...found, ...framer.end().map(look)]
}

const look = (found: Either.Either<RecordLines.Line, RecordInvalid>) =>
  Either.match(found, {
    onLeft: ({ detail, excerpt, line, offset }) => ({ line, offset, detail, excerpt }),
    onRight: ({ bytes, line, offset }) => ({ line, offset, text: Buffer.from(bytes).toString() })
  })

/** What the lines of a text are that are not blank. */
const linesOf = (text: string) => {
  const lines = text.split("\n")
  return lines.flatMap((line, index) => {
    const offset = Buffer.byteLength(lines.slice(0, index).join("\n")) + (index > 0 ? 1 : 0)
    const text = line.replace(/^\ufeff/u, "")
    return /^[ \t\r]*$/u.test(text) ? [] : [{ line: index + 1, offset, text }]
  })
}

describe("framer", () => {
  const text = '\ufeff{"a":"Zürich"}\n\n \r\n{"b":"🚀"}\r\n\ufeff{"c":\u2028}\nx\n\t'

  it("finds the lines over every split point, and over every two", () => {
    const bytes = bytesOf(text)
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        expect(frame(bytes, [first, second])).toEqual(linesOf(text))
      }
    }
  })

  it.prop(
    "finds the lines of any text in any portions",
    [
      fc
        .array(fc.oneof(fc.constantFrom("\n", "\r", " ", "\ufeff", "🚀", "ü"), fc.string()))
        .map((parts) => parts.join("")),
      fc.array(fc.nat(60))
    ],
    ([any, cuts]) => {
      const bytes = bytesOf(any)
      const within = cuts.map((cut) => Math.min(cut, bytes.length))
      expect(frame(bytes, within)).toEqual(linesOf(bytes.toString()))
    }
  )

  it("skips a line that is too long, says where it is, and goes on behind it", () => {
    const long = `{}\n${"x".repeat(2000)}\n{"a":1}`
    for (const cuts of [[], [3], [1000], [1500, 1900], Array.from({ length: 200 }, (_, n) => n * 10)]) {
      expect(frame(bytesOf(long), cuts, 1024)).toEqual([
        { line: 1, offset: 0, text: "{}" },
        {
          line: 2,
          offset: 3,
          detail: "it is longer than 1,024 bytes (BATCH_TRANSFER_MAX_LINE_BYTES)",
          excerpt: "x".repeat(120)
        },
        { line: 3, offset: 2004, text: '{"a":1}' }
      ])
    }
    expect(frame(bytesOf("x".repeat(1024)), [], 1024)).toMatchObject([{ text: "x".repeat(1024) }])
  })

  it("holds no more of a line than the longest one may have", () => {
    const framer = RecordLines.framer({ maxLineBytes: 1024 })
    const portion = new Uint8Array(1_048_576).fill(0x78)
    const before = held()
    for (let count = 0; count < 200; count++) framer.push(portion)
    expect(held() - before).toBeLessThan(10_000_000)
    expect(framer.end()).toMatchObject([{ _tag: "Left", left: { line: 1 } }])
  })
})

describe("decode", () => {
  const decode = (bytes: Uint8Array) => RecordLines.decode({ bytes, line: 4, offset: 90 })

  it("gives any JSON object", () => {
    expect(decode(bytesOf(' {"a":[1,null],"b":{}}\r'))).toEqual(Either.right({ a: [1, null], b: {} }))
  })

  it.each([
    ["", "it is no JSON"],
    ["{", "it is no JSON"],
    ['{"a":NaN}', "it is no JSON"],
    ["\u{feff}{}", "it is no JSON"],
    ["null", "it is JSON, but no object"],
    ["[{}]", "it is JSON, but no object"],
    ['"{}"', "it is JSON, but no object"]
  ])("%j: %s", (text, detail) => {
    expect(decode(bytesOf(text))).toMatchObject({
      left: { _tag: "RecordInvalid", line: 4, offset: 90, detail, excerpt: text.replace("\u{feff}", "") }
    })
  })

  it("takes no bytes that are not UTF-8", () => {
    expect(decode(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toMatchObject({
      left: { detail: "it is no UTF-8" }
    })
  })
})

describe("streams", () => {
  const text = '{"id":1}\n{"id":"2"}\nno\n{"id":3}'
  const portions = Stream.fromChunks(
    Chunk.of<Uint8Array>(bytesOf(text.slice(0, 13))),
    Chunk.make<[Uint8Array, Uint8Array]>(bytesOf(text.slice(13, 20)), bytesOf(text.slice(20)))
  )
  const collect = <A, E>(stream: Stream.Stream<A, E, BatchConfig.BatchConfig>) =>
    Effect.map(Stream.runCollect(stream), (all) => [...all]).pipe(Effect.provide(BatchConfig.layer()))

  it.effect("one bad line is a value", () =>
    Effect.gen(function* () {
      expect(yield* collect(RecordLines.fromBytes(portions))).toMatchObject([
        { right: { id: 1 } },
        { right: { id: "2" } },
        { left: { line: 3, offset: 20, detail: "it is no JSON", excerpt: "no" } },
        { right: { id: 3 } }
      ])
    })
  )

  it.effect("a record that the schema refuses is a bad line that says why", () =>
    Effect.gen(function* () {
      const Row = Schema.Struct({ id: Schema.Number })
      expect(yield* collect(RecordLines.schemaFromBytes(portions, Row))).toMatchObject([
        { right: { id: 1 } },
        { left: { line: 2, offset: 9, detail: 'id: Expected number, actual "2"', excerpt: '{"id":"2"}' } },
        { left: { line: 3 } },
        { right: { id: 3 } }
      ])
    })
  )

  it.effect("begins anew each time it is run, and fails with what the bytes fail with", () =>
    Effect.gen(function* () {
      const records = RecordLines.fromBytes(portions)
      expect(yield* collect(records)).toEqual(yield* collect(records))
      const broken = Stream.concat(portions, Stream.fail("cut off" as const))
      expect(yield* Effect.flip(collect(RecordLines.fromBytes(broken)))).toBe("cut off")
    })
  )

  it.effect("the longest line is that of the settings", () =>
    Effect.gen(function* () {
      const long = RecordLines.fromBytes(Stream.make<[Uint8Array]>(bytesOf(`${"x".repeat(2000)}\n`)))
      const found = yield* Stream.runCollect(long).pipe(
        Effect.provide(BatchConfig.layer({ transfer: { maxLineBytes: 1024 } }))
      )
      expect([...found]).toMatchObject([
        { left: { detail: "it is longer than 1,024 bytes (BATCH_TRANSFER_MAX_LINE_BYTES)" } }
      ])
    })
  )
})

describe("decoder", () => {
  const Envelope = Schema.Struct({
    original_identifier: Schema.String,
    internal_id: Schema.NullOr(Schema.Number),
    match_status: Schema.optional(Schema.Literal("matched", "unmatched"))
  })
  const read = RecordLines.decoder(Envelope)
  const line = (text: string) => ({ bytes: bytesOf(text), line: 1, offset: 0 })

  it("reads an envelope as it reads whole records", () => {
    const whole = Schema.decodeUnknownEither(Envelope)
    fc.assert(
      fc.property(
        fc.record(
          {
            original_identifier: fc.oneof(fc.string({ unit: "grapheme" }), fc.integer()),
            internal_id: fc.oneof(
              fc.constant(null),
              fc.integer(),
              fc.double({ noNaN: true, noDefaultInfinity: true })
            ),
            match_status: fc.constantFrom("matched", "unmatched", "lost"),
            data: fc.jsonValue(),
            "a.b": fc.jsonValue()
          },
          { requiredKeys: [] }
        ),
        (record) => {
          const text = JSON.stringify(record)
          expect(Either.getRight(read(line(text)))).toEqual(Either.getRight(whole(JSON.parse(text))))
        }
      ),
      { seed: 12 }
    )
  })

  it("skips what is not asked for: nothing but the values of the envelope is parsed", () => {
    const parse = vi.spyOn(JSON, "parse")
    const text = '{"original_identifier":"a","data":{"n":[1,2,3]},"internal_id":7}'
    expect(read(line(text))).toEqual(Either.right({ original_identifier: "a", internal_id: 7 }))
    const parsed = parse.mock.calls.map(([json]) => json)
    parse.mockRestore()
    expect(parsed.filter((json) => json.includes("[1,2,3]"))).toEqual([])
    expect(parsed).toEqual(expect.arrayContaining(['"a"', "7"]))
  })

  it.each([
    ["no", "it is no JSON"],
    ["[]", "it is JSON, but no object"],
    ['{"original_identifier":"a","internal_id":7', "it is no JSON"],
    ['{"original_identifier":7,"internal_id":7}', "original_identifier: Expected string, actual 7"],
    ['{"internal_id":7}', "original_identifier: is missing"]
  ])("%s is invalid for its own reason", (text, detail) => {
    expect(read(line(text))).toMatchObject({ left: { detail } })
  })

  it("of a name that is twice in a record the last value counts", () => {
    const twice = '{"original_identifier":"a","internal_id":1,"internal_id":2}'
    expect(read(line(twice))).toEqual(Either.right({ original_identifier: "a", internal_id: 2 }))
  })
})

setFlagsFromString("--expose-gc")
const collectGarbage: unknown = runInNewContext("gc")

/** Bytes of buffers that somebody still holds. */
const held = (): number => {
  if (Predicate.isFunction(collectGarbage)) collectGarbage()
  return process.memoryUsage().arrayBuffers
}
