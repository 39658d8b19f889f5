/**
 * One process at a time on one destination. The lock saves bandwidth; correctness never rests on it: two processes
 * that both believe to hold it write the same bytes of the same version to the same places.
 *
 * The holder's heart beats: it touches the lock every second. Whoever finds a lock watches it for a while; one that
 * does not beat was left behind by a crash, and is taken over.
 *
 * @example
 * import { Effect } from "effect"
 * import * as Lock from "./Lock.js"
 *
 * const alone = Effect.scoped(Effect.zipRight(Lock.acquire("out.jsonl.gz.lock"), Effect.log("nobody else is here")))
 */
import { FileSystem, type Error as PlatformErrors } from "@effect/platform"
import { Clock, Duration, Effect, Option, Random, type Scope } from "effect"
import { StorageError } from "./BatchError.js"
import * as Storage from "./Storage.js"

const beat = Duration.seconds(1)

const patience = Duration.millis(2_500)

/** Takes the lock until the scope is closed; `StorageError` with reason `Exists` when another process works here. */
export const acquire = (
  path: string
): Effect.Effect<void, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const token = `${yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)}-${yield* Clock.currentTimeMillis}`
    yield* Effect.acquireRelease(take(path, token), () => release(path, token))
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.sleep(beat), touch(path))))
  })

const take = (path: string, token: string): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const created = yield* fs.writeFileString(path, token, { flag: "wx" }).pipe(
      Effect.as(true),
      Effect.catchIf(isTaken, () => Effect.succeed(false)),
      Effect.mapError(Storage.explain(path))
    )
    if (created) return
    const before = yield* lastBeat(path)
    yield* Effect.sleep(patience)
    const after = yield* lastBeat(path)
    if (Option.isSome(after) && !Option.contains(before, after.value)) {
      const detail = "another process is downloading to this destination"
      return yield* new StorageError({ reason: "Exists", path, detail })
    }
    yield* Storage.remove(path)
    yield* take(path, token)
  })

const isTaken = (error: PlatformErrors.PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "AlreadyExists"

/** When the holder last touched the lock, in epoch milliseconds; none when there is none any more. */
const lastBeat = (path: string): Effect.Effect<Option.Option<number>, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.stat(path)).pipe(
    Effect.map(({ mtime }) => Option.map(mtime, (date) => date.getTime())),
    Effect.catchAll(() => Effect.succeedNone)
  )

const touch = (path: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const now = (yield* Clock.currentTimeMillis) / 1000
    yield* fs.utimes(path, now, now)
  }).pipe(Effect.catchAll(() => Effect.void))

/** Only our own lock is removed: another process may have taken it over while we were suspended. */
const release = (path: string, token: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(path)).pipe(
    Effect.flatMap((held) => (held === token ? Storage.remove(path) : Effect.void)),
    Effect.catchAll(() => Effect.void)
  )
