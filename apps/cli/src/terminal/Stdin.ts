/**
 * Standard input, whole, in a file: what reads lists wants files.
 */
import { FileSystem } from "@effect/platform"
import { StorageError, storageErrorAt } from "@org/batch-core/BatchError"
import { Effect, type Scope } from "effect"
import { createWriteStream } from "node:fs"
import { pipeline } from "node:stream/promises"

/** The path of a file that only its owner can read, and that goes with the scope. */
export const file: Effect.Effect<string, StorageError, FileSystem.FileSystem | Scope.Scope> = Effect.gen(
  function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* Effect.mapError(
      fs.makeTempDirectoryScoped({ prefix: "batchctl-" }),
      storageErrorAt("the temporary folder")
    )
    const path = `${folder}/input`
    yield* Effect.tryPromise({
      try: (signal) => pipeline(process.stdin, createWriteStream(path, { mode: 0o600 }), { signal }),
      catch: (cause) =>
        new StorageError({ reason: "Unreadable", path: "standard input", detail: String(cause) })
    })
    return path
  }
)
