import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import * as FileTransfer from "../../src/transfer/FileTransfer.js"

const identity = (total: number | undefined, etag = '"v1"') => ({
  etag,
  lastModified: "",
  total: Option.fromNullable(total)
})
const planned = { index: 0, target: "merged", name: "file" } as const
const ignored: FileTransfer.Target = { write: () => Effect.void, sync: Effect.void }

const makeFile = (restored?: FileTransfer.Snapshot, target = ignored) =>
  FileTransfer.make({ planned, target, transfer: { cellBytes: 100, maxRefreshes: 3 }, restored })

/** The first answer of a host that knows the size. */
const begin = (file: FileTransfer.FileTransfer, total: number, end = 100) =>
  file.begin({ identity: identity(total), run: { start: 0, end }, whole: false })

describe("FileTransfer", () => {
  it.effect("asks for the first cell once, then for runs that leave every connection two", () =>
    Effect.gen(function* () {
      const file = yield* makeFile()
      expect(file.claim(2)).toEqual(Option.some({ start: 0, end: 100 }))
      expect(file.claim(2)).toEqual(Option.none())
      file.giveBack({ start: 0, end: 100 })
      expect(file.claim(2)).toEqual(Option.some({ start: 0, end: 100 }))
      expect(yield* begin(file, 1650)).toEqual({ end: 100, isNew: true })
      file.giveBack({ start: 0, end: 100 })
      expect(file.claim(2)).toEqual(Option.some({ start: 0, end: 500 }))
      expect(file.claim(2)).toEqual(Option.some({ start: 500, end: 800 }))
      file.giveBack({ start: 0, end: 500 })
      expect(file.claim(1)).toEqual(Option.some({ start: 0, end: 500 }))
      expect(file.claim(1)).toEqual(Option.some({ start: 800, end: 1650 }))
      expect(file.isWhole()).toBe(false)
    })
  )

  it.effect("is whole when its last byte is here, and an empty one at once", () =>
    Effect.gen(function* () {
      const empty = yield* makeFile()
      expect(empty.isWhole()).toBe(false)
      yield* begin(empty, 0)
      expect(empty.isWhole()).toBe(true)
      const file = yield* makeFile()
      yield* begin(file, 3)
      yield* file.write(0, new Uint8Array(2))
      expect([file.isWhole(), file.received(), file.missing(), file.written()]).toEqual([false, 2, 1, 2])
      yield* file.write(2, new Uint8Array(1))
      expect([file.isWhole(), file.received(), file.missing(), file.written()]).toEqual([true, 3, 0, 3])
    })
  )

  it.effect("tells its size once, to all who wait for it", () =>
    Effect.gen(function* () {
      const file = yield* makeFile()
      const waiting = yield* Effect.fork(file.size)
      expect(
        yield* file.begin({ identity: identity(undefined), run: { start: 0, end: 100 }, whole: true })
      ).toEqual({
        end: Number.POSITIVE_INFINITY,
        isNew: false
      })
      yield* file.write(0, new Uint8Array(150))
      expect([file.contiguous(), Option.isNone(file.total())]).toEqual([150, true])
      const ended = { identity: identity(150), run: { start: 150, end: 150 }, whole: false }
      expect(yield* file.begin(ended)).toMatchObject({ isNew: true })
      expect(yield* file.begin(ended)).toMatchObject({ isNew: false })
      expect(yield* Fiber.join(waiting)).toBe(150)
      expect([file.isWhole(), file.contiguous(), file.received()]).toEqual([true, 150, 150])
    })
  )

  it.effect("goes on with what an earlier run has left", () =>
    Effect.gen(function* () {
      const left = { etag: '"v1"', total: 250, cellBytes: 100, filled: [100, 20, 0] }
      const file = yield* makeFile(left)
      expect([file.contiguous(), file.received(), yield* file.size, file.written()]).toEqual([
        120, 120, 250, 0
      ])
      expect(file.claim(1)).toEqual(Option.some({ start: 120, end: 250 }))
      expect(file.snapshot()).toEqual(Option.some(left))
      yield* file.write(120, new Uint8Array(100))
      expect(file.snapshot()).toEqual(Option.some({ ...left, filled: [100, 100, 20] }))
    })
  )

  it.effect("lets nobody believe a version without a strong name, nor one without a size", () =>
    Effect.gen(function* () {
      for (const [total, etag, expected] of [
        [10, 'W/"v1"', 0],
        [10, "", 0],
        [10, "v1", 0],
        [undefined, '"v1"', 0],
        [10, '"v1"', 1]
      ] as const) {
        const file = yield* makeFile()
        yield* file.begin({ identity: identity(total, etag), run: { start: 0, end: 100 }, whole: false })
        expect(Option.toArray(file.snapshot())).toHaveLength(expected)
      }
    })
  )

  it.effect("gives up when fresh links bring nothing, and is patient again after progress", () =>
    Effect.gen(function* () {
      const file = yield* makeFile()
      yield* begin(file, 1000)
      const died = (generation: number, reason: "Expired" | "Missing") =>
        file.linkDied({ generation, reason })
      expect([died(0, "Expired"), died(0, "Expired"), died(1, "Expired"), died(2, "Expired")]).toEqual(
        Array.from({ length: 4 }, () => Option.none())
      )
      expect(died(3, "Expired")).toEqual(Option.some("Expired"))
      yield* file.write(0, new Uint8Array(1))
      expect([died(4, "Missing"), died(4, "Missing")]).toEqual([Option.none(), Option.none()])
      expect(died(5, "Missing")).toEqual(Option.some("Missing"))
    })
  )
})
