import { FileSystem } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Layer, Option, TestClock } from "effect"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as Cells from "../../src/transfer/Cells.js"
import * as PartialFiles from "../../src/download/PartialFiles.js"
import * as GrowingFile from "../../src/disk/GrowingFile.js"
import * as FileTransfer from "../../src/transfer/FileTransfer.js"
import * as Disk from "../Disk.js"
import * as Script from "../Script.js"

const mebibyte = new Uint8Array(1_048_576)

describe("Durability", () => {
  it.effect("syncs and journals a second after the first byte, and nothing while nothing comes", () =>
    withSource(({ calls, durability, write }) =>
      Effect.gen(function* () {
        yield* Effect.fork(durability.keep)
        yield* TestClock.adjust("5 seconds")
        expect(calls).toEqual([])
        yield* write(mebibyte)
        yield* TestClock.adjust("999 millis")
        expect(calls).toEqual([])
        yield* TestClock.adjust("1 millis")
        expect(calls).toEqual(["6000 sync file", "6000 sync journal.next", "6000 rename journal"])
        yield* TestClock.adjust("1 minute")
        expect(calls).toHaveLength(3)
      })
    )
  )

  it.effect("journals what is proven meanwhile, when all bytes are synced", () =>
    withSource(({ calls, durability, journal, source, write }) =>
      Effect.gen(function* () {
        yield* Effect.fork(durability.keep)
        yield* write(mebibyte)
        yield* TestClock.adjust("10 seconds")
        source.proven = Option.some({ bytes: 26, lineFeeds: 2, inflatedBytes: 30, lineStart: 30 })
        yield* TestClock.adjust("1 minute")
        expect(calls.slice(3)).toEqual(["11000 sync journal.next", "11000 rename journal"])
        expect(journal()).toContain('"proven":{"bytes":26,"line_feeds":2')
      })
    )
  )

  it.effect("does so at once after 8 MiB", () =>
    withSource(({ calls, durability, source, write }) =>
      Effect.gen(function* () {
        yield* Effect.fork(durability.keep)
        yield* Effect.yieldNow()
        for (let n = 0; n < 8; n++) yield* write(mebibyte)
        yield* TestClock.adjust(0)
        expect(calls).toEqual(["0 sync file", "0 sync journal.next", "0 rename journal"])
        expect(source.unsynced).toBe(0)
      })
    )
  )

  it.effect("lets nobody write more than 16 MiB ahead of the disk", () =>
    withSource(({ durability, source, write }) =>
      Effect.gen(function* () {
        for (let n = 0; n < 15; n++) yield* write(mebibyte)
        const held = yield* Effect.fork(write(mebibyte))
        yield* TestClock.adjust("10 seconds")
        expect(Option.isNone(yield* Fiber.poll(held))).toBe(true)
        const keep = yield* Effect.fork(durability.keep)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(held)
        expect(source.unsynced).toBe(0)
        yield* Fiber.interrupt(keep)
      })
    )
  )

  it.effect("ends in the failure of the disk, and not in silence", () =>
    withSource(
      ({ durability, source, write }) =>
        Effect.gen(function* () {
          const keep = yield* Effect.fork(Effect.flip(durability.keep))
          yield* write(mebibyte)
          yield* TestClock.adjust("1 second")
          expect(yield* Fiber.join(keep)).toMatchObject({ _tag: "StorageError", reason: "NoSpace" })
          expect(source.unsynced).toBe(mebibyte.length)
        }),
      { call: "sync", path: /journal/u, code: "ENOSPC" }
    )
  )

  it.effect("journals once more when its scope is closed, and nothing that is journalled already", () =>
    Effect.gen(function* () {
      let seen: ReadonlyArray<string> = []
      yield* withSource(({ calls, write }) =>
        Effect.gen(function* () {
          seen = calls
          yield* write(mebibyte)
        })
      )
      expect(seen).toEqual(["0 sync file", "0 sync journal.next", "0 rename journal"])
    })
  )

  it.effect("claims nothing of a version without a strong name", () =>
    withSource(({ durability, journal, source, write }) =>
      Effect.gen(function* () {
        source.identity = Option.some({ etag: 'W/"v1"', lastModified: "", total: Option.none() })
        yield* Effect.fork(durability.keep)
        yield* write(mebibyte)
        yield* TestClock.adjust("1 second")
        expect(journal()).toContain('"entries":[]')
        expect(journal()).not.toMatch(/http|Signature|Expires/u)
      })
    )
  )
})

// ----------------------------------------------------------------------------------------------------------------

interface Bench {
  readonly durability: PartialFiles.Durability
  readonly source: FileTransfer.Source
  /** Syncs and renames, with the virtual time at which they came. */
  readonly calls: ReadonlyArray<string>
  readonly journal: () => string
  /** Writes the next block, and waits as a connection does. */
  readonly write: (block: Uint8Array) => Effect.Effect<void>
}

/** One source of 64 MiB over a disk that only remembers what it was asked for. */
const withSource = <A, E>(use: (bench: Bench) => Effect.Effect<A, E>, fault?: Disk.Fault) =>
  Effect.gen(function* () {
    const calls: Array<string> = []
    let journal = ""
    const note = (call: string) =>
      Effect.map(Clock.currentTimeMillis, (at) => void calls.push(`${at} ${call}`))
    const file = (path: string): FileSystem.File => ({
      [FileSystem.FileTypeId]: FileSystem.FileTypeId,
      fd: FileSystem.FileDescriptor(0),
      stat: Effect.dieMessage("unused"),
      seek: () => Effect.succeed(FileSystem.Size(0)),
      sync: note(`sync ${path}`),
      read: () => Effect.dieMessage("unused"),
      readAlloc: () => Effect.dieMessage("unused"),
      truncate: () => Effect.dieMessage("unused"),
      write: () => Effect.dieMessage("unused"),
      writeAll: (block) =>
        Effect.sync(() => {
          if (path.startsWith("journal")) journal = Buffer.from(block).toString()
        })
    })
    const disk = Disk.make(...(fault === undefined ? [] : [fault]))
    const fs = disk.fileSystem(
      FileSystem.makeNoop({
        open: (path) => Effect.succeed(file(path)),
        rename: (_, to) => note(`rename ${to}`)
      })
    )
    const program = Effect.gen(function* () {
      const planned = { index: 0, target: "merged" as const, name: "file" }
      const source = FileTransfer.make({
        planned,
        path: "file",
        sink: FileTransfer.toFile([file("file")], "file"),
        size: yield* Deferred.make<number>(),
        base: Effect.succeed(0),
        frontier: yield* GrowingFile.make
      })
      source.identity = Option.some({ etag: '"v1"', lastModified: "", total: Option.none() })
      source.cells = Option.some(Cells.make({ total: 64 * mebibyte.length, cellBytes: 8 * mebibyte.length }))
      const durability = yield* PartialFiles.make(
        {
          files: [planned],
          journal: "journal",
          pathOf: () => "file",
          purpose: { batch_id: Script.batchId, result_count: 7, source: "merged", files: 1, joined: true }
        },
        [source]
      )
      let position = 0
      const write = (block: Uint8Array) =>
        Effect.gen(function* () {
          yield* Effect.orDie(FileTransfer.write(source, position, block))
          position += block.length
          yield* durability.written
        })
      return yield* use({ durability, source, calls, journal: () => journal, write })
    })
    return yield* program.pipe(
      Effect.scoped,
      Effect.provide(Layer.merge(BatchConfig.layer(), Layer.succeed(FileSystem.FileSystem, fs)))
    )
  })
