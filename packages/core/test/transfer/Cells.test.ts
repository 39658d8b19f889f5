import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc, Option } from "effect"
import * as Cells from "../../src/transfer/Cells.js"

describe("Cells", () => {
  it("claims runs of empty cells, each byte once, and gives back what was not filled", () => {
    const cells = Cells.make({ total: 20, cellBytes: 8 })
    expect(cells.claim(2)).toEqual(Option.some({ start: 0, end: 16 }))
    expect(cells.claim(2)).toEqual(Option.some({ start: 16, end: 20 }))
    expect(cells.claim(2)).toEqual(Option.none())
    cells.fill(0, 10)
    cells.release({ start: 0, end: 16 })
    expect(cells.claim(9)).toEqual(Option.some({ start: 10, end: 16 }))
    expect([cells.contiguous(), cells.count(), cells.unclaimed()]).toEqual([10, 10, 0])
  })

  it("a claim with a gap before it is not contiguous", () => {
    const cells = Cells.make({ total: 20, cellBytes: 8 })
    cells.fill(16, 4)
    expect([cells.contiguous(), cells.count()]).toEqual([0, 4])
  })

  it("a run does not begin in the middle of a cell that it does not begin with", () => {
    const cells = Cells.make({ total: 24, cellBytes: 8 })
    cells.fill(8, 3)
    expect(cells.claim(3)).toEqual(Option.some({ start: 0, end: 8 }))
    expect(cells.claim(3)).toEqual(Option.some({ start: 11, end: 24 }))
  })

  it("extends over all that is free, and no further", () => {
    const cells = Cells.make({ total: 40, cellBytes: 8 })
    expect(cells.extend({ start: 0, end: 8 }, false)).toBe(8)
    cells.fill(24, 1)
    expect(cells.extend({ start: 0, end: 8 }, true)).toBe(24)
    expect(cells.claim(9)).toEqual(Option.some({ start: 25, end: 40 }))
  })

  it("an empty file is whole, and a run without an end can be given back", () => {
    const cells = Cells.make({ total: 0, cellBytes: 8 })
    expect([cells.contiguous(), cells.claim(1), cells.filled()]).toEqual([0, Option.none(), []])
    const some = Cells.make({ total: 9, cellBytes: 8 })
    some.claim(2)
    some.release({ start: 0, end: Number.POSITIVE_INFINITY })
    expect(some.unclaimed()).toBe(2)
  })

  it("goes on behind bytes that came before it", () => {
    const cells = Cells.make({ total: 20, cellBytes: 8, here: 10 })
    expect([cells.contiguous(), cells.count(), cells.filled()]).toEqual([10, 10, [8, 2, 0]])
    expect(cells.claim(5)).toEqual(Option.some({ start: 10, end: 20 }))
  })

  it("refuses bytes that do not follow on their cell", () => {
    const cells = Cells.make({ total: 20, cellBytes: 8 })
    expect(() => cells.fill(1, 1)).toThrow("out of order")
    cells.fill(0, 4)
    expect(() => cells.fill(0, 1)).toThrow("out of order")
  })

  it("holds its invariants under any claims, fills, releases and restarts", () => {
    fc.assert(
      fc.property(layouts, fc.array(steps, { maxLength: 60 }), ({ cellBytes, total }, script) => {
        const here = new Uint8Array(total)
        let cells = Cells.make({ total, cellBytes })
        let open: ReadonlyArray<{ readonly position: number; readonly end: number }> = []
        for (const { amount, kind, which } of script) {
          const run = open[which % Math.max(1, open.length)]
          const others = open.filter((one) => one !== run)
          if (kind === "claim") {
            const claimed = Option.getOrUndefined(cells.claim(1 + (amount % 4)))
            if (claimed === undefined) continue
            expect(claimed.start).toBeLessThan(claimed.end)
            expect(claimed.end).toBeLessThanOrEqual(total)
            expect(open.some(({ end, position }) => claimed.start < end && position < claimed.end)).toBe(
              false
            )
            expect(here.subarray(claimed.start, claimed.end).some((byte) => byte === 1)).toBe(false)
            open = [...open, { position: claimed.start, end: claimed.end }]
          } else if (kind === "fill" && run !== undefined) {
            const position = Math.min(run.end, run.position + amount)
            cells.fill(run.position, position - run.position)
            here.fill(1, run.position, position)
            open = [...others, { position, end: run.end }]
          } else if (kind === "release" && run !== undefined) {
            cells.release({ start: run.position, end: run.end })
            open = others
          } else if (kind === "extend" && run !== undefined && run.position < run.end) {
            const end = cells.extend({ start: run.position, end: run.end }, true)
            expect(end).toBeGreaterThanOrEqual(run.end)
            expect(others.some((one) => one.position < end && run.position < one.end)).toBe(false)
            open = [...others, { position: run.position, end }]
          } else if (kind === "restart") {
            cells = Cells.make({ total, cellBytes, filled: cells.filled() })
            open = []
          }
          const gap = here.indexOf(0)
          expect(cells.contiguous()).toBe(gap === -1 ? total : gap)
          expect(cells.count()).toBe(here.reduce((sum, byte) => sum + byte, 0))
          for (const [cell, filled] of cells.filled().entries()) {
            const start = cell * cellBytes
            const gapInCell = here.subarray(start, Math.min(total, start + cellBytes)).indexOf(0)
            expect(filled).toBe(gapInCell === -1 ? Math.min(cellBytes, total - start) : gapInCell)
          }
        }
        for (const run of open) cells.release({ start: run.position, end: run.end })
        for (let run = cells.claim(3); Option.isSome(run); run = cells.claim(3)) {
          cells.fill(run.value.start, run.value.end - run.value.start)
        }
        expect(cells.contiguous()).toBe(total)
      }),
      { numRuns: 300, seed: 7 }
    )
  })
})

// ----------------------------------------------------------------------------------------------------------------

const layouts = fc.record({
  total: fc.integer({ min: 0, max: 60 }),
  cellBytes: fc.integer({ min: 1, max: 17 })
})

const steps = fc.record({
  kind: fc.constantFrom("claim", "claim", "fill", "fill", "fill", "release", "extend", "restart"),
  which: fc.nat(20),
  amount: fc.integer({ min: 1, max: 20 })
})
