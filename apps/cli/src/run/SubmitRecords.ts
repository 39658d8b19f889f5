/**
 * The records of single submits, a ledger each in one folder: made before a job is sent, and removed a month after it is known
 * what became of it. One of which that is not known stays.
 */
import { FileSystem, Path } from "@effect/platform"
import * as Ledger from "@org/batch-core/Ledger"
import { DateTime, Duration, Effect, Random } from "effect"

/** How long a record is kept of what is settled: a job that was lost is looked for among jobs of its own time, long before. */
export const kept = Duration.days(30)

/** The path of a new record in the folder, which begins with the time. */
export const place = (folder: string, kind: string): Effect.Effect<string, never, Path.Path> =>
  Effect.gen(function* () {
    const paths = yield* Path.Path
    const number = (yield* Random.nextIntBetween(0, 2 ** 32)).toString(16).padStart(8, "0")
    return paths.join(folder, `${stamp(yield* DateTime.now)}-${kind.replace("/", "-")}-${number}.jsonl`)
  })

const stamp = (at: DateTime.Utc): string => DateTime.formatIso(at).replaceAll(/[-:]|\.\d+/gu, "")

/** Removes what is settled and older than `kept`. What cannot be read or removed stays: it is in nobody's way. */
export const prune = (folder: string): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const before = DateTime.subtractDuration(yield* DateTime.now, kept)
    const names = yield* Effect.orElseSucceed(fs.readDirectory(folder), (): Array<string> => [])
    const old = names.filter((name) => name.endsWith(".jsonl") && name < stamp(before))
    yield* Effect.forEach(
      old.map((name) => paths.join(folder, name)),
      (path) =>
        Effect.gen(function* () {
          const last = (yield* Ledger.entries(path)).at(-1)
          const isSettled = last?._tag === "sent" || last?._tag === "refused"
          if (!isSettled || DateTime.greaterThan(last.at, before)) return
          yield* fs.remove(path)
          yield* fs.remove(`${path}.lock`, { force: true })
        }).pipe(Effect.catchAll((error) => Effect.logDebug(`${path} stays: ${error.message}`))),
      { discard: true }
    )
  })
