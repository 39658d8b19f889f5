import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import * as GrowingFile from "../../src/disk/GrowingFile.js"

describe("GrowingFile", () => {
  it.effect("lets a reader follow a writer, and only grows", () =>
    Effect.gen(function* () {
      const file = yield* GrowingFile.make({ path: "file" })
      const reader = yield* Effect.fork(file.beyond(0))
      yield* file.advance(10)
      expect(yield* Fiber.join(reader)).toEqual({ end: 10, closed: false })
      yield* file.advance(4)
      expect(yield* file.beyond(9)).toEqual({ end: 10, closed: false })
      const waiting = yield* Effect.fork(file.beyond(10))
      yield* Effect.yieldNow()
      expect(Option.isNone(yield* Fiber.poll(waiting))).toBe(true)
      yield* file.close
      expect(yield* Fiber.join(waiting)).toEqual({ end: 10, closed: true })
      expect(yield* file.beyond(10)).toEqual({ end: 10, closed: true })
    })
  )

  for (const descriptors of [1, 3]) {
    it.scopedLive(`puts the blocks of many writers to their places through ${descriptors} descriptors`, () =>
      Effect.gen(function* () {
        const [writers, each, size, base] = [8, 100, 16, 1000]
        const fs = yield* FileSystem.FileSystem
        const path = `${yield* fs.makeTempDirectoryScoped()}/file`
        yield* fs.writeFile(path, new Uint8Array(0))
        const file = yield* GrowingFile.open({ path, base: Effect.succeed(base), descriptors })
        const write = (writer: number) =>
          Effect.loop(0, {
            while: (n) => n < each,
            step: (n) => n + 1,
            body: (n) => file.write((writer * each + n) * size, new Uint8Array(size).fill(writer + 1)),
            discard: true
          }).pipe(Effect.withMaxOpsBeforeYield(20 + writer))
        yield* Effect.all(
          Array.from({ length: writers }, (_, writer) => write(writer)),
          { concurrency: "unbounded" }
        )
        const bytes = (yield* fs.readFile(path)).subarray(base)
        expect(bytes).toHaveLength(writers * each * size)
        expect(bytes.findIndex((byte, at) => byte !== Math.floor(at / size / each) + 1)).toBe(-1)
      }).pipe(Effect.provide(NodeContext.layer))
    )
  }

  it.scopedLive("is read in slices, from its base on, and its first bytes alone", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/file`
      yield* fs.writeFileString(path, "beforerows")
      const file = yield* GrowingFile.make({ path, base: Effect.succeed(6) })
      yield* file.advance(4)
      yield* file.close
      let text = ""
      const size = yield* GrowingFile.follow(file, (bytes) =>
        Effect.sync(() => void (text += Buffer.from(bytes).toString()))
      )
      expect([size, text]).toEqual([4, "rows"])
      expect(Buffer.from(yield* GrowingFile.beginning(file, 2)).toString()).toBe("ro")
      expect(Buffer.from(yield* GrowingFile.beginning(file, 20)).toString()).toBe("rows")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
