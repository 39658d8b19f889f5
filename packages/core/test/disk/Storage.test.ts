import { FileSystem, Error as PlatformErrors } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as LocalMachine from "../../src/disk/LocalMachine.js"
import * as Storage from "../../src/disk/Storage.js"
import * as Disk from "../Disk.js"

describe("explain", () => {
  for (const [code, reason] of [
    ["ENOSPC", "NoSpace"],
    ["EDQUOT", "NoSpace"],
    ["EFBIG", "NoSpace"],
    ["EACCES", "Denied"],
    ["EPERM", "Denied"],
    ["EROFS", "Denied"],
    ["EIO", "Unwritable"],
    ["ENAMETOOLONG", "Unwritable"],
    ["EWHATEVER", "Unwritable"]
  ] as const) {
    it.scopedLive(`${code} is ${reason}`, () =>
      inFolder((fs, folder) =>
        Effect.gen(function* () {
          const disk = Disk.make({ call: "open", path: /file/u, code })
          const error = yield* Storage.open(`${folder}/file`, "w").pipe(
            Effect.provideService(FileSystem.FileSystem, disk.fileSystem(fs)),
            Effect.flip
          )
          expect(error).toMatchObject({ _tag: "StorageError", reason, path: `${folder}/file` })
          expect(error.detail).not.toBe("")
          expect(disk.struck()).toEqual([1])
        })
      )
    )
  }
})

describe("replaceFile", () => {
  it.scopedLive("writes, syncs and renames, in this order", () =>
    inFolder((fs, folder) =>
      Effect.gen(function* () {
        const disk = Disk.make()
        yield* Storage.replaceFile(`${folder}/file`, "text").pipe(
          Effect.provideService(FileSystem.FileSystem, disk.fileSystem(fs))
        )
        expect(disk.calls).toEqual(["open file.next", "writeAll file.next", "sync file.next", "rename file"])
        expect(yield* fs.readFileString(`${folder}/file`)).toBe("text")
      })
    )
  )

  for (const call of ["open", "writeAll", "sync", "rename"] as const) {
    it.scopedLive(`leaves the old file as it was when ${call} fails`, () =>
      inFolder((fs, folder) =>
        Effect.gen(function* () {
          yield* fs.writeFileString(`${folder}/file`, "old")
          const disk = Disk.make({ call, path: /./u, code: "ENOSPC", after: 3 })
          const error = yield* Storage.replaceFile(`${folder}/file`, "longer than that").pipe(
            Effect.provideService(FileSystem.FileSystem, disk.fileSystem(fs)),
            Effect.flip
          )
          expect(error.reason).toBe("NoSpace")
          expect(yield* fs.readFileString(`${folder}/file`)).toBe("old")
        })
      )
    )
  }
})

describe("publish", () => {
  const publish = (folder: string, replace: boolean) =>
    Storage.publish({ from: `${folder}/new`, to: `${folder}/file`, replace })

  for (const replace of [false, true]) {
    it.scopedLive(`gives a file its name${replace ? ", replacing what has it" : ""}`, () =>
      inFolder((fs, folder) =>
        Effect.gen(function* () {
          yield* fs.writeFileString(`${folder}/new`, "new")
          if (replace) yield* fs.writeFileString(`${folder}/file`, "old")
          yield* publish(folder, replace)
          expect(yield* fs.readDirectory(folder)).toEqual(["file"])
          expect(yield* fs.readFileString(`${folder}/file`)).toBe("new")
        })
      )
    )
  }

  it.scopedLive("leaves what has appeared in the meantime, and the new file, untouched", () =>
    inFolder((fs, folder) =>
      Effect.gen(function* () {
        yield* fs.writeFileString(`${folder}/new`, "new")
        yield* fs.writeFileString(`${folder}/file`, "old")
        expect(yield* Effect.flip(publish(folder, false))).toMatchObject({
          reason: "Exists",
          path: `${folder}/file`
        })
        expect(yield* fs.readFileString(`${folder}/file`)).toBe("old")
        expect(yield* fs.readFileString(`${folder}/new`)).toBe("new")
      })
    )
  )

  for (const code of ["EPERM", "ENOTSUP", "EMLINK", "EXDEV"]) {
    it.scopedLive(`renames where there are no hard links (${code})`, () =>
      inFolder((fs, folder) =>
        Effect.gen(function* () {
          yield* fs.writeFileString(`${folder}/new`, "new")
          const disk = Disk.make({ call: "link", path: /./u, code })
          yield* publish(folder, false).pipe(
            Effect.provideService(FileSystem.FileSystem, disk.fileSystem(fs))
          )
          expect(disk.struck()).toEqual([1])
          expect(yield* fs.readDirectory(folder)).toEqual(["file"])
        })
      )
    )
    it.scopedLive(`and still replaces nothing (${code})`, () =>
      inFolder((fs, folder) =>
        Effect.gen(function* () {
          yield* fs.writeFileString(`${folder}/new`, "new")
          yield* fs.writeFileString(`${folder}/file`, "old")
          const disk = Disk.make({ call: "link", path: /./u, code })
          const error = yield* publish(folder, false).pipe(
            Effect.provideService(FileSystem.FileSystem, disk.fileSystem(fs)),
            Effect.flip
          )
          expect(error.reason).toBe("Exists")
          expect(yield* fs.readFileString(`${folder}/file`)).toBe("old")
        })
      )
    )
  }
})

describe("checkDestination", () => {
  it.scopedLive(
    "accepts a place where nothing is, refuses a file unless it may be replaced, and a folder always",
    () =>
      inFolder((fs, folder) =>
        Effect.gen(function* () {
          const check = (name: string, replace: boolean) =>
            Effect.option(Effect.flip(Storage.checkDestination(`${folder}/${name}`, { replace })))
          yield* fs.writeFileString(`${folder}/file`, "")
          yield* fs.makeDirectory(`${folder}/folder`)
          yield* fs.symlink(`${folder}/file`, `${folder}/link`)
          yield* fs.symlink(`${folder}/folder`, `${folder}/link-to-folder`)
          const reasons = (replace: boolean) =>
            Effect.forEach(["nothing", "file", "folder", "link", "link-to-folder", "file/below"], (name) =>
              Effect.map(check(name, replace), (error) => Option.getOrUndefined(error)?.reason)
            )
          expect(yield* reasons(false)).toEqual([
            undefined,
            "Exists",
            "Unwritable",
            "Exists",
            "Unwritable",
            "Unwritable"
          ])
          expect(yield* reasons(true)).toEqual([
            undefined,
            undefined,
            "Unwritable",
            undefined,
            "Unwritable",
            "Unwritable"
          ])
        })
      )
  )
})

describe("checkFolder", () => {
  it.scopedLive("takes a folder that is there or can be made, and leaves nothing behind", () =>
    inFolder((fs, folder) =>
      Effect.gen(function* () {
        yield* Storage.checkFolder(folder)
        yield* Storage.checkFolder(`${folder}/a/b`)
        expect(yield* fs.readDirectory(folder)).toEqual([])
      })
    )
  )

  it.scopedLive("says why no file can be made: a file in the way, no right to, no room", () =>
    inFolder((fs, folder) =>
      Effect.gen(function* () {
        yield* fs.writeFileString(`${folder}/file`, "")
        const failure = (path: string) => Effect.flip(Storage.checkFolder(path))
        expect(yield* failure(`${folder}/file`)).toMatchObject({
          reason: "Unwritable",
          path: `${folder}/file`
        })
        expect(yield* failure(`${folder}/file/a`)).toMatchObject({ reason: "Unwritable" })
        const denied = Object.assign(new Error("EACCES"), { code: "EACCES" })
        const refusing = {
          ...fs,
          makeTempDirectory: () =>
            Effect.fail(
              new PlatformErrors.SystemError({
                module: "FileSystem",
                method: "makeTempDirectory",
                reason: "PermissionDenied",
                cause: denied
              })
            )
        }
        expect(
          yield* failure(`${folder}/new`).pipe(Effect.provideService(FileSystem.FileSystem, refusing))
        ).toMatchObject({ reason: "Denied", path: folder })
        const full = { ...LocalMachine.unknown, freeBytes: () => Effect.succeedSome(0) }
        expect(
          yield* failure(folder).pipe(Effect.provideService(LocalMachine.LocalMachine, full))
        ).toMatchObject({ reason: "NoSpace", detail: "1 more byte is needed, and there is room for 0" })
      })
    )
  )
})

describe("readAt and writeAt", () => {
  it.scopedLive("read less at the end, and nothing behind it", () =>
    inFolder((_, folder) =>
      Effect.gen(function* () {
        const path = `${folder}/file`
        const file = yield* Storage.open(path, "w+")
        yield* Storage.writeAt(file, path, 4, Uint8Array.of(1, 2, 3))
        const into = new Uint8Array(9).fill(9)
        expect(yield* Storage.readAt(file, path, 3, into)).toBe(4)
        expect([...into]).toEqual([0, 1, 2, 3, 9, 9, 9, 9, 9])
        expect(yield* Storage.readAt(file, path, 7, into)).toBe(0)
      })
    )
  )
})

// ----------------------------------------------------------------------------------------------------------------

const inFolder = <A, E, R>(use: (fs: FileSystem.FileSystem, folder: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(fs, yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeContext.layer))
