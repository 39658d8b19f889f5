import { FileSystem } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Option, TestClock } from "effect"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as PartialFiles from "../../src/download/PartialFiles.js"
import * as GrowingFile from "../../src/disk/GrowingFile.js"
import * as FileTransfer from "../../src/transfer/FileTransfer.js"
import * as Disk from "../Disk.js"
import * as Script from "../Script.js"

const mebibyte = new Uint8Array(1_048_576)

describe("checkpoints", () => {
  it.effect("syncs and journals a second after the first byte, and nothing while nothing comes", () =>
    withFile(({ calls, checkpoints, write }) =>
      Effect.gen(function* () {
        yield* Effect.fork(checkpoints.keep)
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

  it.effect("does so at once after 8 MiB", () =>
    withFile(({ calls, checkpoints, write }) =>
      Effect.gen(function* () {
        yield* Effect.fork(checkpoints.keep)
        yield* Effect.yieldNow()
        for (let n = 0; n < 8; n++) yield* write(mebibyte)
        yield* TestClock.adjust(0)
        expect(calls).toEqual(["0 sync file", "0 sync journal.next", "0 rename journal"])
        expect(calls.filter((call) => call.includes("rename"))).toHaveLength(1)
      })
    )
  )

  it.effect("lets nobody write more than 16 MiB ahead of the disk", () =>
    withFile(({ calls, checkpoints, write }) =>
      Effect.gen(function* () {
        for (let n = 0; n < 15; n++) yield* write(mebibyte)
        const held = yield* Effect.fork(write(mebibyte))
        yield* TestClock.adjust("10 seconds")
        expect(Option.isNone(yield* Fiber.poll(held))).toBe(true)
        const keep = yield* Effect.fork(checkpoints.keep)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(held)
        expect(calls.filter((call) => call.includes("rename"))).toHaveLength(1)
        yield* Fiber.interrupt(keep)
      })
    )
  )

  it.effect(
    "ends in the failure of the disk, and not in silence, and claims again what was not claimed",
    () =>
      Effect.gen(function* () {
        let seen: ReadonlyArray<string> = []
        yield* withFile(
          ({ calls, checkpoints, write }) =>
            Effect.gen(function* () {
              seen = calls
              const keep = yield* Effect.fork(Effect.flip(checkpoints.keep))
              yield* write(mebibyte)
              yield* TestClock.adjust("1 second")
              expect(yield* Fiber.join(keep)).toMatchObject({ _tag: "StorageError", reason: "NoSpace" })
            }),
          { call: "sync", path: /journal/u, code: "ENOSPC" }
        )
        expect(seen).toEqual(["1000 sync file", "1000 sync file"])
      })
  )

  it.effect("journals once more when its scope is closed, and nothing that is journalled already", () =>
    Effect.gen(function* () {
      let seen: ReadonlyArray<string> = []
      yield* withFile(({ calls, write }) =>
        Effect.gen(function* () {
          seen = calls
          yield* write(mebibyte)
        })
      )
      expect(seen).toEqual(["0 sync file", "0 sync journal.next", "0 rename journal"])
    })
  )

  it.effect("claims nothing of a version without a strong name", () =>
    withFile(({ checkpoints, journal, transfer, write }) =>
      Effect.gen(function* () {
        const weak = { etag: 'W/"v1"', lastModified: "", total: Option.none() }
        yield* transfer.begin({ identity: weak, run: { start: 0, end: 0 }, whole: false })
        yield* Effect.fork(checkpoints.keep)
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
  readonly checkpoints: PartialFiles.Checkpoints
  readonly transfer: PartialFiles.PartialFile["transfer"]
  /** Syncs and renames, with the virtual time at which they came. */
  readonly calls: ReadonlyArray<string>
  readonly journal: () => string
  /** Writes the next block, and waits as a connection does. */
  readonly write: (block: Uint8Array) => Effect.Effect<void>
}

/** One file of 64 MiB over a disk that only remembers what it was asked for. */
const withFile = <A, E>(use: (bench: Bench) => Effect.Effect<A, E>, fault?: Disk.Fault) =>
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
      const disk = file("file")
      const growing: GrowingFile.Writable = {
        ...(yield* GrowingFile.make({ path: "file" })),
        write: () => Effect.void,
        sync: Effect.orDie(disk.sync)
      }
      const cellBytes = 8 * mebibyte.length
      const transfer = yield* FileTransfer.make({
        planned,
        target: growing,
        transfer: (yield* BatchConfig.BatchConfig).transfer,
        restored: { etag: '"v1"', total: 8 * cellBytes, cellBytes, filled: [] }
      })
      const checkpoints = yield* PartialFiles.checkpoints(
        {
          files: [planned],
          journal: "journal",
          pathOf: () => "file",
          purpose: { batch_id: Script.batchId, result_count: 7, source: "merged", files: 1, joined: true }
        },
        [{ growing, transfer }]
      )
      let position = 0
      const write = (block: Uint8Array) =>
        Effect.gen(function* () {
          yield* Effect.orDie(transfer.write(position, block))
          position += block.length
          yield* checkpoints.written
        })
      return yield* use({ checkpoints, transfer, calls, journal: () => journal, write })
    })
    return yield* program.pipe(
      Effect.scoped,
      Effect.provide(Layer.merge(BatchConfig.layer(), Layer.succeed(FileSystem.FileSystem, fs)))
    )
  })
