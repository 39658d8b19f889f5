import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { gzipSync } from "node:zlib"
import { count, plural } from "../../src/model/CountText.js"
import * as Gunzip from "../../src/proof/Gunzip.js"

const run = (bytes: Uint8Array, portion: number, options: { keep?: boolean } = {}) =>
  Effect.gen(function* () {
    const kept: Array<Uint8Array> = []
    const keep = (chunks: ReadonlyArray<Uint8Array>) => Effect.sync(() => void kept.push(...chunks))
    const lines = yield* Gunzip.make({
      onInflated: options.keep === true ? keep : undefined
    })
    for (let at = 0; at < bytes.length; at += portion) yield* lines.push(bytes.subarray(at, at + portion))
    const end = yield* lines.end
    return {
      lines: Gunzip.countOf(end),
      blank: end.blankLines,
      padding: end.padding,
      inflatedBytes: end.inflatedBytes,
      unterminated: Gunzip.isUnterminated(end),
      text: Buffer.concat(kept).toString()
    }
  }).pipe(Effect.scoped)

const text = Array.from({ length: 500 }, (_, n) => `{"n":${n},"name":"Zürich 株式会社 🚀"}\n`).join("")
const whole = gzipSync(text)
const twoMembers = Buffer.concat([gzipSync(text.slice(0, 1001)), gzipSync(text.slice(1001))])

describe("Gunzip", () => {
  for (const portion of [1, 7, 4096, 1_000_000]) {
    it.effect(`counts the lines of one member pushed ${portion} bytes at a time`, () =>
      Effect.gen(function* () {
        expect(yield* run(whole, portion)).toEqual({
          lines: 500,
          blank: 0,
          padding: 0,
          inflatedBytes: Buffer.byteLength(text),
          unterminated: false,
          text: ""
        })
      })
    )
    it.effect(`reads all members pushed ${portion} bytes at a time, and gives their bytes`, () =>
      Effect.gen(function* () {
        const found = yield* run(twoMembers, portion, { keep: true })
        expect(found.lines).toBe(500)
        expect(found.text).toBe(text)
      })
    )
    for (const zeros of [1, 16, 5000]) {
      it.effect(`accepts ${zeros} zeros behind the end, pushed ${portion} bytes at a time`, () =>
        Effect.gen(function* () {
          const padded = Buffer.concat([twoMembers, Buffer.alloc(zeros)])
          expect(yield* run(padded, portion, { keep: true })).toEqual({
            lines: 500,
            blank: 0,
            inflatedBytes: Buffer.byteLength(text),
            unterminated: false,
            padding: zeros,
            text
          })
        })
      )
    }
    for (const [name, bytes] of [
      ["junk", Buffer.concat([whole, Buffer.from("junk")])],
      ["a member behind zero padding", Buffer.concat([whole, Buffer.alloc(16), whole])],
      ["junk behind zero padding", Buffer.concat([whole, Buffer.alloc(5000), Buffer.from("junk")])],
      ["half a member", Buffer.concat([whole, whole.subarray(0, 30)])],
      ["half a header", Buffer.concat([whole, whole.subarray(0, 1)])]
    ] as const) {
      it.effect(`refuses ${name} behind the end, pushed ${portion} bytes at a time`, () =>
        Effect.gen(function* () {
          const fault = yield* Effect.flip(run(bytes, portion))
          expect(fault._tag).toBe("GzipFault")
        })
      )
    }
  }

  for (const [name, bytes, place] of [
    ["behind the last member", Buffer.concat([twoMembers, Buffer.from("junk")]), twoMembers.length],
    [
      "behind zeros",
      Buffer.concat([twoMembers, Buffer.alloc(2000), Buffer.from("junk")]),
      twoMembers.length + 2000
    ]
  ] as const) {
    it.effect(`says where other bytes begin: ${name}`, () =>
      Effect.gen(function* () {
        const fault = yield* Effect.flip(run(bytes, bytes.length))
        expect(fault.expected).toContain(`an end after ${plural(twoMembers.length, "byte")}`)
        expect(fault.actual).toBe(`other bytes from byte ${count(place)} on`)
      })
    )
  }

  it.effect("blank lines are no records, wherever the chunks are cut", () =>
    Effect.gen(function* () {
      for (const [plain, lines, blank, unterminated] of [
        ["{}\n{}\n\n", 2, 1, false],
        ["{}\n\n{}\n", 2, 1, false],
        ["\n{}\r\n\r\n{}\r\n", 2, 2, false],
        ["{}\n \t \n{}\n", 2, 1, false],
        ["{}\n  ", 1, 1, true],
        ["  {}  \n", 1, 0, false],
        ["\n\n", 0, 2, false],
        ["\ufeff{}\n{}\n", 2, 0, false],
        ["\ufeff\n{}\n", 1, 1, false],
        ["\ufeff", 0, 0, false],
        ["{}\n\u0000\n", 2, 0, false]
      ] as const) {
        for (const portion of [1, 3, 1000]) {
          const found = yield* run(gzipSync(plain), portion, { keep: true })
          expect(found, JSON.stringify(plain)).toMatchObject({ lines, blank, unterminated })
          expect(found.text).toBe(plain.replace("\ufeff", ""))
        }
      }
    })
  )

  it.effect("a line feed in a member of its own is one", () =>
    Effect.gen(function* () {
      expect(Gunzip.lineFeedMember).toHaveLength(21)
      const joined = Buffer.concat([gzipSync("{}"), Gunzip.lineFeedMember, gzipSync("{}\n")])
      expect(yield* run(joined, 7, { keep: true })).toMatchObject({ lines: 2, text: "{}\n{}\n" })
    })
  )

  it.effect("refuses every cut", () =>
    Effect.gen(function* () {
      const small = gzipSync("{}\n{}\n")
      for (let cut = 0; cut < small.length; cut++) {
        expect(Exit.isFailure(yield* Effect.exit(run(small.subarray(0, cut), 5)))).toBe(true)
      }
    })
  )

  it.effect("refuses every flipped byte of the data and the trailer", () =>
    Effect.gen(function* () {
      const small = gzipSync('{"a":1}\n{"b":2}\n')
      for (let at = 10; at < small.length; at++) {
        const flipped = Buffer.from(small)
        flipped[at] = (flipped[at] ?? 0) ^ 0x55
        expect(Exit.isFailure(yield* Effect.exit(run(flipped, 5)))).toBe(true)
      }
    })
  )

  it.effect("counts a last line without a line feed and says so", () =>
    Effect.gen(function* () {
      expect(yield* run(gzipSync("{}\n{}"), 3)).toMatchObject({ lines: 2, unterminated: true })
    })
  )

  it.effect("an empty member has no lines; no bytes are no member", () =>
    Effect.gen(function* () {
      expect(yield* run(Gunzip.emptyMember, 100)).toMatchObject({
        lines: 0,
        inflatedBytes: 0,
        unterminated: false
      })
      expect((yield* Effect.flip(run(new Uint8Array(0), 100))).actual).toBe("no bytes")
    })
  )

  for (const lent of [true, false]) {
    it.effect(
      `gives back the memory of chunks that are ${lent ? "lent" : "not lent"} when they are read`,
      () =>
        Effect.gen(function* () {
          const [size, text] = [96_000, "x".repeat(999_999)]
          const seen: Array<Uint8Array> = []
          const lines = yield* Gunzip.make({
            chunkBytes: size,
            onInflated: (chunks) =>
              Effect.sync(() => {
                for (const chunk of chunks)
                  expect(chunk.every((byte) => byte === 120 || byte === 10)).toBe(true)
                seen.push(...chunks)
              }),
            lent
          })
          yield* lines.push(gzipSync(`${text}\n`))
          expect(yield* lines.end).toEqual({
            lineFeeds: 1,
            blankLines: 0,
            inflatedBytes: 1_000_000,
            lineStart: 1_000_000,
            padding: 0
          })
          const rest = seen.reduce((sum, chunk) => sum + chunk.length, 0)
          expect(rest).toBe(lent ? 1_000_000 % size : 1_000_000)
        }).pipe(Effect.scoped)
    )
  }

  it.effect("holds a few chunks of a large file, whoever collects garbage", () =>
    Effect.gen(function* () {
      const [members, member] = [16, gzipSync(`${"x".repeat(4_194_303)}\n`)]
      const lines = yield* Gunzip.make()
      const before = process.memoryUsage().arrayBuffers
      for (let count = 0; count < members; count++) yield* lines.push(member)
      expect((yield* lines.end).lineFeeds).toBe(members)
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8_388_608)
    }).pipe(Effect.scoped)
  )
})
