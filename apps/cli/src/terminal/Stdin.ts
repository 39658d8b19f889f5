/**
 * Standard input: as bytes, or whole in a file, for what reads files.
 */
import { FileSystem } from "@effect/platform"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { StorageError, storageErrorAt } from "@org/batch-core/BatchError"
import { Effect, Predicate, type Scope, Stream } from "effect"

/** The bytes of standard input. */
export const bytes: Stream.Stream<Uint8Array, StorageError> = NodeStream.fromReadable(
  () => process.stdin,
  (cause) =>
    new StorageError({
      reason: "Unreadable",
      path: "standard input",
      detail: Predicate.isError(cause) ? cause.message : String(cause)
    })
)

/** The path of a file that only its owner can read, and that goes with the scope. */
export const file: Effect.Effect<string, StorageError, FileSystem.FileSystem | Scope.Scope> = Effect.gen(
  function* () {
    const fs = yield* FileSystem.FileSystem
    const at = storageErrorAt("the temporary folder")
    const folder = yield* Effect.mapError(fs.makeTempDirectoryScoped({ prefix: "batchctl-" }), at)
    const path = `${folder}/input`
    const sink = fs.sink(path, { mode: 0o600 })
    yield* Stream.run(bytes, sink).pipe(
      Effect.catchTags({ BadArgument: (error) => at(error), SystemError: (error) => at(error) })
    )
    return path
  }
)
