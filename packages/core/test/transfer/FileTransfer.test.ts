import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Option } from "effect"
import * as Cells from "../../src/transfer/Cells.js"
import * as GrowingFile from "../../src/disk/GrowingFile.js"
import * as FileTransfer from "../../src/transfer/FileTransfer.js"
import * as Storage from "../../src/disk/Storage.js"

describe("Source", () => {
  for (const descriptors of [1, 3]) {
    it.scopedLive(
      `puts the blocks of many connections to their places through ${descriptors} descriptors`,
      () =>
        Effect.gen(function* () {
          const [connections, each, size] = [8, 100, 16]
          const { fs, source } = yield* makeSource(1000, descriptors)
          const write = (connection: number) =>
            Effect.loop(0, {
              while: (n) => n < each,
              step: (n) => n + 1,
              body: (n) =>
                FileTransfer.write(
                  source,
                  (connection * each + n) * size,
                  new Uint8Array(size).fill(connection + 1)
                ),
              discard: true
            }).pipe(Effect.withMaxOpsBeforeYield(20 + connection))
          yield* Effect.all(
            Array.from({ length: connections }, (_, connection) => write(connection)),
            { concurrency: "unbounded" }
          )
          const bytes = (yield* fs.readFile(source.path)).subarray(1000)
          expect(bytes).toHaveLength(connections * each * size)
          expect(bytes.findIndex((byte, at) => byte !== Math.floor(at / size / each) + 1)).toBe(-1)
          expect(source).toMatchObject({ unsynced: bytes.length, progress: connections * each })
        }).pipe(Effect.provide(NodeContext.layer))
    )
  }

  it.scopedLive("asks for the first cell once, then for runs that leave every connection two", () =>
    Effect.gen(function* () {
      const { source } = yield* makeSource(0)
      const claim = () => FileTransfer.claim(source, { cellBytes: 100, connections: 2 })
      expect(claim()).toEqual(Option.some({ start: 0, end: 100 }))
      expect(claim()).toEqual(Option.none())
      FileTransfer.release(source, { start: 0, end: 100 })
      expect(claim()).toEqual(Option.some({ start: 0, end: 100 }))
      source.cells = Option.some(Cells.make({ total: 1650, cellBytes: 100 }))
      expect(claim()).toEqual(Option.some({ start: 0, end: 500 }))
      expect(claim()).toEqual(Option.some({ start: 500, end: 800 }))
      FileTransfer.release(source, { start: 0, end: 500 })
      expect(FileTransfer.claim(source, { cellBytes: 100, connections: 1 })).toEqual(
        Option.some({ start: 0, end: 500 })
      )
      expect(FileTransfer.claim(source, { cellBytes: 100, connections: 1 })).toEqual(
        Option.some({ start: 800, end: 1650 })
      )
      expect(FileTransfer.isWhole(source)).toBe(false)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("is whole when its last byte is here, and an empty one at once", () =>
    Effect.gen(function* () {
      const { source } = yield* makeSource(0)
      expect(FileTransfer.isWhole(source)).toBe(false)
      source.cells = Option.some(Cells.make({ total: 0, cellBytes: 100 }))
      expect(FileTransfer.isWhole(source)).toBe(true)
      source.cells = Option.some(Cells.make({ total: 3, cellBytes: 2 }))
      yield* FileTransfer.write(source, 0, new Uint8Array(2))
      expect([FileTransfer.isWhole(source), FileTransfer.count(source)]).toEqual([false, 2])
      yield* FileTransfer.write(source, 2, new Uint8Array(1))
      expect([FileTransfer.isWhole(source), FileTransfer.count(source)]).toEqual([true, 3])
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

// ----------------------------------------------------------------------------------------------------------------

const makeSource = (base: number, descriptors = 1) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/file`
    const first = yield* Storage.open(path, "w+")
    const others = yield* Effect.replicateEffect(Storage.open(path, "r+"), descriptors - 1)
    const source = FileTransfer.make({
      planned: { index: 0, target: "merged", name: "file" },
      path,
      sink: FileTransfer.toFile([first, ...others], path),
      size: yield* Deferred.make<number>(),
      base: Effect.succeed(base),
      frontier: yield* GrowingFile.make
    })
    return { fs, source }
  })
