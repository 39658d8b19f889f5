/**
 * A lock file that keeps a destination to one process at a time. It saves bandwidth; the bytes never rest on it: two
 * processes that both believe to hold it write the same bytes of the same version to the same places. Only one of them
 * publishes.
 *
 * The holder's heart beats: it touches the lock again and again. Whoever finds a lock watches it for a while; one that
 * does not beat was left behind by a crash, and is taken over: at once, where `LocalMachine` knows that its holder is dead.
 * A holder that was merely suspended finds another token in its lock when it wakes, and stops.
 *
 * @example
 * import { Duration, Effect } from "effect"
 * import { alongside } from "./Companion.js"
 * import * as Lock from "./Lock.js"
 *
 * const alone = Effect.gen(function* () {
 *   const lock = yield* Lock.acquire("out.jsonl.gz.lock", Duration.seconds(2.5))
 *   yield* alongside(Effect.log("nobody else is here"), lock.heart)
 * }).pipe(Effect.scoped)
 */
import { FileSystem, type Error as PlatformErrors } from "@effect/platform"
import { Clock, Duration, Effect, Option, Random, type Scope } from "effect"
import { StorageError, storageErrorAt } from "../model/BatchError.js"
import { LocalMachine } from "./LocalMachine.js"
import * as Storage from "./Storage.js"

/** A lock that this process holds. */
export interface Lock {
  /** Fails with `StorageError` of reason `Exists` if another process has taken the lock over. */
  readonly check: Effect.Effect<void, StorageError>
  /**
   * The heartbeat: checks and touches the lock every 0.4 × `patience`. Must run while the lock is needed, since a heart
   * that stands still is taken for dead. Ends only if the lock is lost, with the failure of `check`.
   */
  readonly heart: Effect.Effect<never, StorageError>
}

/**
 * Takes the lock until the scope is closed; `StorageError` with reason `Exists` when another process works here. A
 * lock whose heart does not beat for `patience` is taken over, so all who share a destination need the same figure.
 * `doing` says in the failure what the other process does.
 */
export const acquire = (
  path: string,
  patience: Duration.Duration,
  doing = "is downloading to this destination"
): Effect.Effect<Lock, StorageError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { self } = yield* LocalMachine
    const unique = `${yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)}-${yield* Clock.currentTimeMillis}`
    const token = `${unique} ${yield* self}`
    const take = Effect.acquireRelease(create(path, token), () => release(path, token))
    const occupied = Effect.flatMap(holder(path), (held) => occupiedBy(path, held, doing))
    while (!(yield* take)) yield* evict(path, patience, occupied)
    // Only another token means that the lock was taken over: one that is gone, or cannot be read, is nobody else's.
    const check = Effect.filterOrElse(
      holder(path),
      (held) => Option.getOrElse(held, () => token) === token,
      (held) => occupiedBy(path, held, doing)
    ).pipe(Effect.asVoid, Effect.provideService(FileSystem.FileSystem, fs))
    const beat = Effect.provideService(touch(path), FileSystem.FileSystem, fs)
    const pulse = Duration.times(patience, 0.4)
    const heart = Effect.forever(Effect.sleep(pulse).pipe(Effect.zipRight(check), Effect.zipRight(beat)))
    return { check, heart }
  })

/** The name of the process in a token. */
const nameIn = (token: string): string => token.slice(token.indexOf(" ") + 1)

const occupiedBy = (
  path: string,
  held: Option.Option<string>,
  doing: string
): Effect.Effect<never, StorageError> =>
  Effect.gen(function* () {
    const { processId } = yield* LocalMachine
    const id = Option.flatMap(held, (token) => processId(nameIn(token)))
    const who = Option.match(id, { onNone: () => "another process", onSome: (pid) => `process ${pid}` })
    return yield* new StorageError({ reason: "Exists", path, detail: `${who} ${doing}` })
  })

/** Creates the lock file, unless there is one: then `false`. */
const create = (path: string, token: string): Effect.Effect<boolean, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(path, token, { flag: "wx" })).pipe(
    Effect.as(true),
    Effect.catchIf(isTaken, () => Effect.succeed(false)),
    Effect.mapError(storageErrorAt(path))
  )

/** Removes a lock that was left behind; fails with reason `Exists` if its heart beats. */
const evict = (
  path: string,
  patience: Duration.Duration,
  occupied: Effect.Effect<never, StorageError, FileSystem.FileSystem>
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (yield* isAbandoned(path)) return yield* Storage.remove(path)
    const before = yield* lastBeat(path)
    yield* Effect.sleep(patience)
    const after = yield* lastBeat(path)
    if (Option.isSome(after) && !Option.contains(before, after.value)) return yield* occupied
    // Two who evict at once may remove each other's new lock: the one that loses sees it at its next beat, and stops.
    yield* Storage.remove(path)
  })

/** Whether the token names a process that is known to be dead. */
const isAbandoned = (path: string): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { isDead } = yield* LocalMachine
    const token = Option.getOrElse(yield* holder(path), () => "")
    return yield* isDead(nameIn(token))
  })

const isTaken = (error: PlatformErrors.PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "AlreadyExists"

/** When the holder last touched the lock, in epoch milliseconds; none when there is none any more. */
const lastBeat = (path: string): Effect.Effect<Option.Option<number>, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.stat(path)).pipe(
    Effect.map(({ mtime }) => Option.map(mtime, (date) => date.getTime())),
    Effect.catchAll(() => Effect.succeedNone)
  )

/** Beats once. A failure is no loss of the lock: others may take it for dead then, and `check` finds out. */
const touch = (path: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const now = (yield* Clock.currentTimeMillis) / 1000
    yield* fs.utimes(path, now, now)
  }).pipe(Effect.catchAll(() => Effect.void))

/** The token in the lock; none when there is no lock that can be read. */
const holder = (path: string): Effect.Effect<Option.Option<string>, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(path)).pipe(Effect.option)

/** Removes the lock if it is still ours: another process may have taken it over while we were suspended. */
const release = (path: string, token: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.flatMap(holder(path), (held) =>
    Option.contains(held, token) ? Effect.ignore(Storage.remove(path)) : Effect.void
  )
