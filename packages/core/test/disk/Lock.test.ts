import { Error as PlatformErrors, FileSystem } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Option, Scope, TestClock } from "effect"
import * as LocalMachine from "../../src/disk/LocalMachine.js"
import * as Lock from "../../src/disk/Lock.js"

const path = "/results/out.lock"

const patience = Duration.millis(2_500)

describe("Lock", () => {
  it.effect("is there while the scope is open, and gone afterwards", () =>
    withDisk(({ files }) =>
      Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const lock = yield* Lock.acquire(path, patience)
            yield* lock.check
            expect([...files.keys()]).toEqual([path])
          })
        )
        expect(files.size).toBe(0)
      })
    )
  )

  it.effect("is refused after 2.5 seconds while its holder's heart beats", () =>
    withDisk(({ files }) =>
      Effect.gen(function* () {
        const holder = yield* Scope.make()
        const lock = yield* Scope.extend(Lock.acquire(path, patience), holder)
        const heart = yield* Effect.fork(lock.heart)
        const other = yield* Effect.fork(Effect.flip(Effect.scoped(Lock.acquire(path, patience))))
        yield* TestClock.adjust("2499 millis")
        expect(Option.isNone(yield* Fiber.poll(other))).toBe(true)
        yield* TestClock.adjust("1 millis")
        expect(yield* Fiber.join(other)).toMatchObject({ _tag: "StorageError", reason: "Exists", path })
        yield* lock.check
        yield* TestClock.adjust("20 seconds")
        expect(Option.isNone(yield* Fiber.poll(heart))).toBe(true)
        expect(files.get(path)?.mtime).toBe(22_000)
        yield* Scope.close(holder, Exit.void)
        expect(files.size).toBe(0)
      })
    )
  )

  it.effect("is taken over when it does not beat, and its holder finds out when it wakes", () =>
    withDisk(({ files }) =>
      Effect.gen(function* () {
        const suspended = yield* Scope.make()
        const before = yield* Scope.extend(Lock.acquire(path, patience), suspended)
        const scope = yield* Scope.make()
        const taken = yield* Effect.fork(Scope.extend(Lock.acquire(path, patience), scope))
        yield* TestClock.adjust("2500 millis")
        const now = yield* Fiber.join(taken)
        yield* now.check
        expect(yield* Effect.flip(before.check)).toMatchObject({ _tag: "StorageError", reason: "Exists" })
        const heart = yield* Effect.fork(Effect.flip(before.heart))
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(heart)).toMatchObject({ reason: "Exists" })
        yield* Scope.close(suspended, Exit.void)
        expect(files.size).toBe(1)
        yield* now.check
        yield* Scope.close(scope, Exit.void)
        expect(files.size).toBe(0)
      })
    )
  )

  it.effect("of two that find a dead one, at most one believes in the end that it holds it", () =>
    withDisk(({ files }) =>
      Effect.gen(function* () {
        files.set(path, { text: "left behind", mtime: 0 })
        const scope = yield* Scope.make()
        const both = yield* Effect.fork(
          Effect.all(
            [1, 2].map(() => Effect.either(Scope.extend(Lock.acquire(path, patience), scope))),
            { concurrency: 2 }
          )
        )
        yield* TestClock.adjust("1 minute")
        const locks = (yield* Fiber.join(both)).flatMap((one) => (one._tag === "Right" ? [one.right] : []))
        const checks = yield* Effect.forEach(locks, ({ check }) => Effect.exit(check))
        expect(checks.filter(Exit.isSuccess)).toHaveLength(1)
        yield* Scope.close(scope, Exit.void)
      })
    )
  )

  it.effect("is taken over at once when its holder is known to be dead", () =>
    withDisk(({ files }) =>
      Effect.gen(function* () {
        const asked: Array<string> = []
        const known = (name: string) =>
          Effect.provideService(LocalMachine.LocalMachine, {
            ...LocalMachine.unknown,
            self: Effect.succeed(name),
            isDead: (other) => Effect.sync(() => asked.push(other) > 0 && other === "boot 7")
          })
        const scopes = yield* Effect.all([Scope.make(), Scope.make()])
        yield* Lock.acquire(path, patience).pipe(Scope.extend(scopes[0]), known("boot 7"))
        yield* Lock.acquire(path, patience).pipe(Scope.extend(scopes[1]), known("boot 8"))
        expect(files.get(path)?.text).toMatch(/ boot 8$/)
        const third = yield* Effect.fork(Lock.acquire(path, patience).pipe(Effect.scoped, known("boot 9")))
        yield* TestClock.adjust("2499 millis")
        expect(Option.isNone(yield* Fiber.poll(third))).toBe(true)
        expect(asked).toEqual(["boot 7", "boot 8"])
      })
    )
  )

  it.effect("survives that somebody removes it", () =>
    withDisk(({ files }) =>
      Effect.gen(function* () {
        const lock = yield* Lock.acquire(path, patience)
        files.clear()
        yield* lock.check
      }).pipe(Effect.scoped)
    )
  )

  it.effect("can be given up while it waits", () =>
    withDisk(({ files }) =>
      Effect.gen(function* () {
        files.set(path, { text: "left behind", mtime: 0 })
        const waiting = yield* Effect.fork(Effect.scoped(Lock.acquire(path, patience)))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(waiting)
        expect(files.get(path)?.text).toBe("left behind")
      })
    )
  )

  it.effect("a folder that cannot be written is a StorageError", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Lock.acquire("/denied/out.lock", patience)))
      expect(error).toMatchObject({ _tag: "StorageError", reason: "Denied", path: "/denied/out.lock" })
    }).pipe(
      Effect.provide(
        FileSystem.layerNoop({ writeFileString: () => Effect.fail(failure("PermissionDenied", "EACCES")) })
      )
    )
  )
})

// ----------------------------------------------------------------------------------------------------------------

interface Entry {
  readonly text: string
  readonly mtime: number
}

const failure = (reason: PlatformErrors.SystemErrorReason, code: string) =>
  new PlatformErrors.SystemError({
    module: "FileSystem",
    method: "test",
    reason,
    cause: Object.assign(new Error(code), { code })
  })

const missing = failure("NotFound", "ENOENT")

/** Small files in memory, whose times are those of the test clock. */
const withDisk = <A, E>(
  use: (disk: { readonly files: Map<string, Entry> }) => Effect.Effect<A, E, FileSystem.FileSystem>
) => {
  const files = new Map<string, Entry>()
  const look = (name: string) =>
    Effect.suspend(() => Effect.fromNullable(files.get(name))).pipe(Effect.orElseFail(() => missing))
  return use({ files }).pipe(
    Effect.provide(
      FileSystem.layerNoop({
        writeFileString: (name, text) =>
          Effect.flatMap(Clock.currentTimeMillis, (mtime) => {
            if (files.has(name)) return Effect.fail(failure("AlreadyExists", "EEXIST"))
            files.set(name, { text, mtime })
            return Effect.void
          }),
        readFileString: (name) => Effect.map(look(name), ({ text }) => text),
        utimes: (name, _, seconds) =>
          Effect.map(look(name), (held) => void files.set(name, { ...held, mtime: Number(seconds) * 1000 })),
        remove: (name) => Effect.sync(() => void files.delete(name)),
        stat: (name) =>
          Effect.map(look(name), ({ mtime }) => ({ ...info, mtime: Option.some(new Date(mtime)) }))
      })
    )
  )
}

const info = {
  type: "File" as const,
  atime: Option.none(),
  birthtime: Option.none(),
  dev: 0,
  ino: Option.none(),
  mode: 0,
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  rdev: Option.none(),
  size: FileSystem.Size(0),
  blksize: Option.none(),
  blocks: Option.none()
}
