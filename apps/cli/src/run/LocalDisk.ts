/**
 * Our own disk, with its failures told as the core tells them.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { StorageError } from "@org/batch-core/BatchError"
import { Effect, type Scope, Stream } from "effect"

/** A folder that only we can read and that goes with the scope. */
export const privateFolder: Effect.Effect<string, StorageError, FileSystem.FileSystem | Scope.Scope> =
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "batchctl-" })).pipe(
    Effect.mapError(toStorageError("the temporary folder"))
  )

/** A folder that only we can read and that stays. */
export const keptFolder: Effect.Effect<string, StorageError, FileSystem.FileSystem> = Effect.flatMap(
  FileSystem.FileSystem,
  (fs) => fs.makeTempDirectory({ prefix: "batchctl-demo-" })
).pipe(Effect.mapError(toStorageError("the temporary folder")))

/** The bytes of a file. */
export const bytes = (path: string): Stream.Stream<Uint8Array, StorageError, FileSystem.FileSystem> =>
  Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.stream(path, { chunkSize: 256 * 1024 }))).pipe(
    Stream.mapError(toStorageError(path))
  )

/** Removes a file. */
export const remove = (path: string): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.remove(path)).pipe(Effect.mapError(toStorageError(path)))

function toStorageError(path: string) {
  return (error: PlatformError): StorageError =>
    new StorageError({
      reason:
        error._tag === "SystemError" && error.reason === "PermissionDenied"
          ? "Denied"
          : /ENOSPC|EDQUOT/u.test(String(error.cause))
            ? "NoSpace"
            : error._tag === "SystemError" && error.reason === "AlreadyExists"
              ? "Exists"
              : "Unwritable",
      path,
      detail: error._tag === "SystemError" ? error.reason : "bad path"
    })
}
