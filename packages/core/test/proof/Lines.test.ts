import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Lines from "../../src/proof/Lines.js"

const encoder = new TextEncoder()

/** What the lines of a text are, in the slow and obvious way. */
const expected = (text: string) => {
  const lines = text.replace(/^\ufeff/u, "").split("\n")
  const last = lines.pop() ?? ""
  const all = last === "" ? lines : [...lines, last]
  return {
    records: all.filter((line) => /[^ \t\r]/u.test(line)).length,
    blankLines: all.filter((line) => !/[^ \t\r]/u.test(line)).length,
    isUnterminated: last !== ""
  }
}

describe("Lines", () => {
  it("counts records and blank lines of any text, in any chunks", () => {
    const piece = fc.constantFrom("{", "}", " ", "\t", "\r", "\n", "\n", "\ufeff", "é", "\u0000")
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 5 })),
        (pieces, cuts) => {
          const text = pieces.join("")
          const bytes = encoder.encode(text)
          const lines = Lines.make()
          const kept: Array<Uint8Array> = []
          for (let at = 0, cut = 0; at < bytes.length; cut++) {
            const size = cuts[cut % Math.max(1, cuts.length)] ?? 4
            kept.push(lines.push(bytes.subarray(at, at + size)))
            at += size
          }
          kept.push(lines.end())
          const position = lines.position()
          expect({
            records: Lines.countOf(position),
            blankLines: position.blankLines,
            isUnterminated: Lines.isUnterminated(position)
          }).toEqual(expected(text))
          const bom = text.startsWith("\ufeff") ? 3 : 0
          expect(Buffer.concat(kept).equals(bytes.subarray(bom))).toBe(true)
        }
      ),
      { numRuns: 2000, seed: 5 }
    )
  })
})
